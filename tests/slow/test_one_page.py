"""The script on one page, in miniature: red pictures against blue ones, with a small network of random weights."""
import inspect
import pickle
import re
import runpy
import shutil
import sys

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models
from torchvision.models.vgg import VGG, make_layers

from helpers import one_page
from tests.test_project import HELPERS, imports

COUNTS = {"train": 20, "val": 3, "test": 3}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder as the script wants it: blue and red pictures, none of them square."""
    root, generator = tmp_path_factory.mktemp("pictures"), torch.Generator().manual_seed(0)
    for split, count in COUNTS.items():
        for channel, name in ((2, "blue"), (0, "red")):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = torch.randint(0, 40, (30 + k % 8, 40, 3), generator=generator, dtype=torch.uint8)
                pixels[..., channel] += 200
                Image.fromarray(pixels.numpy()).save(root / split / name / f"{k}.png")
    return root


def small_vgg(classes: int = 9) -> VGG:
    """VGG's own class with random weights, two convolutions, and a classifier of seven slots, 512 wide."""
    with torch.device("meta"):  # the class builds VGG-16's classifier, which is half a gigabyte
        model = VGG(nn.Identity())
    model.features = make_layers([8, "M", 16, "M"])
    model.classifier = nn.Sequential(nn.Linear(16 * 7 * 7, 512), nn.ReLU(), nn.Dropout(),
                                     nn.Linear(512, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, classes))
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight)
    return model


BACKBONE = {name for name, _ in small_vgg().named_parameters()} - {"classifier.6.weight", "classifier.6.bias"}


def unchanged(before: dict, after: dict) -> set[str]:
    return {name for name, value in before.items() if torch.equal(value, after[name])}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_an_apple_gpu_is_left_alone(pictures, tmp_path, monkeypatch):
    """It can't pool what VGG makes of 96 pixels, and nobody has asked for it."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("mps"))
    monkeypatch.setattr(one_page, "STAGES", {"frozen": [(1, 0, 1e-3)]})
    one_page.experiment(small_vgg(), str(pictures), "frozen", str(tmp_path / "best.pt"), workers=0)


@pytest.mark.parametrize("way, stages", [("frozen", {"head": 20}), ("full", {"everything": 20}),
                                         ("head-first", {"head": 5, "everything": 15})])
def test_it_learns_red_from_blue(way, stages, pictures, tmp_path, capsys):
    torch.manual_seed(0)
    model, file = small_vgg(), tmp_path / "best.pt"
    start = {name: value.clone() for name, value in model.state_dict().items()}
    one_page.experiment(model, str(pictures), way, str(file), workers=0)
    said = capsys.readouterr().out
    assert {stage: said.count(f"{way}, {stage}, ") for stage in stages} == stages
    assert said.count("validation") == 20 and said.count("test accuracy") == 1

    kept = torch.load(file, weights_only=True)
    assert kept["classes"] == ["blue", "red"]
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]
    fresh = small_vgg(2)
    fresh.load_state_dict(kept["model"])
    test = DataLoader(one_page.read(str(pictures))[2], 5)
    accuracy = one_page.evaluate(fresh, test, CPU)
    assert accuracy == 1 and f"{accuracy:.1%}" in said.splitlines()[-1]
    same = unchanged(start, kept["model"])
    assert same == {"frozen": BACKBONE, "full": set()}.get(way, same)  # the best epoch may be one of the head's alone


def test_the_head_comes_first_and_the_best_epoch_is_kept(pictures, tmp_path, monkeypatch):
    """Validation accuracies are put into its mouth: the seventh epoch's weights must be those in the file."""
    told, seen = iter([*[0.2, 0.4] * 3, *[0.9, 0.3] * 7, 1.0]), []  # the last is the exam's

    def evaluate(model, loader, device):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(told)

    monkeypatch.setattr(one_page, "evaluate", evaluate)
    model, file = small_vgg(), tmp_path / "best.pt"
    start = {name: value.clone() for name, value in model.state_dict().items()}
    one_page.experiment(model, str(pictures), "head-first", str(file), workers=0)
    kept = torch.load(file, weights_only=True)["model"]
    assert [len(unchanged(start, each)) for each in seen] == [len(BACKBONE)] * 5 + [0] * 16
    assert unchanged(kept, seen[6]) == set(start) != unchanged(kept, seen[8])
    assert unchanged(kept, seen[20]) == set(start), "the best epoch sits the exam"


def test_a_copy_runs_alone_from_its_command_line(pictures, tmp_path, capsys, monkeypatch):
    """With the workers that it asks for; only the weights, which it would fetch, are not the real ones."""
    asked = []
    monkeypatch.setattr(models, "get_model", lambda *args, **options: asked.append((args, options)) or small_vgg())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["copy.py", str(pictures), "--train", "frozen", "--network", "vgg11", "--scratch"])
    runpy.run_path(str(shutil.copy(HELPERS / "one_page.py", "copy.py")), run_name="__main__")
    assert asked == [(("vgg11",), {"weights": None})]
    assert re.search(r"\ntest accuracy .* best\.pt: \d+\.\d%\n$", capsys.readouterr().out)
    assert (tmp_path / "best.pt").exists()


def test_its_workers_can_be_started_on_every_system(pictures):
    """Where a worker is no copy of the process (Windows, macOS), it is sent its data set in a parcel."""
    train, *_ = one_page.read(str(pictures))
    assert pickle.loads(pickle.dumps(train))[0][0].shape == (3, 96, 96)


def test_it_fits_on_a_page_and_needs_torch_and_torchvision_alone():
    page = HELPERS / "one_page.py"
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 80
    used = {name.split(".")[0] for name in imports(page)} - set(sys.stdlib_module_names)
    assert used == {"torch", "torchvision", "PIL"}, "and Pillow, which torchvision brings"


def test_other_classes_than_in_training_are_named(pictures, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    (folder / "val/red").rename(folder / "val/Red")
    with pytest.raises(SystemExit, match=r"val \['Red', 'blue'\] .* as in train \['blue', 'red'\]"):
        one_page.read(str(folder))


def test_a_photograph_is_turned_upright(pictures, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    photo = Image.new("RGB", (96, 96), "blue")
    photo.paste("red", (0, 0, 48, 96))  # red on the left, until the camera's note is obeyed
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    photo.save(folder / "test/blue/0.jpg", exif=exif)
    test = one_page.read(str(folder))[2]
    (pixels,) = [pixels for (path, _), (pixels, _) in zip(test.samples, test, strict=True) if path.endswith(".jpg")]
    assert pixels.shape == (3, 96, 96)
    assert pixels[0, :40].min() > 1 and pixels[0, 56:].max() < -1, "red is above, blue below"


def test_stl10_gives_training_and_validation_images_that_differ(monkeypatch):
    opened, signature = [], inspect.signature(datasets.STL10)

    class Archive:
        """The whole of torchvision's class that is needed here, and its arguments."""

        classes = ["airplane", "bird"]

        def __init__(self, *args, **options):
            given = signature.bind(*args, **options)
            given.apply_defaults()
            opened.append((given.arguments["split"], given.arguments["transform"]))
            self.split, self.download = given.arguments["split"], given.arguments["download"]

        def __len__(self):
            return 5000

        def __getitem__(self, place):
            return self.split, place

    monkeypatch.setattr(one_page.datasets, "STL10", Archive)
    train, val, test, classes = one_page.read("stl10")
    assert opened == [("train", one_page.AUGMENTED), ("train", one_page.PLAIN), ("test", one_page.PLAIN)]
    assert (len(train), len(val)) == (4000, 1000) and {*train} | {*val} == {("train", k) for k in range(5000)}
    assert test.split == "test" and classes == Archive.classes and test.download
