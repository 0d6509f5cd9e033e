"""The reader's own folder in every lesson: `setup(data="its/path")`, and notebooks that take it as it is."""
import ast
from pathlib import Path

import nbformat
import pytest
import torch
from PIL import Image

from helpers import audit, datasets
from helpers.intervals import Interval
from helpers.lab import setup
from helpers.lesson_01 import plots
from helpers.pocket import CLASSES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.rglob("*.ipynb"))


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache of its own, and no GPU."""
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TL_TRACK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def photo(path, number: int) -> None:
    """A picture of noise, like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = torch.randint(0, 256, (40, 50, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(number))
    Image.fromarray(noise.numpy()).save(path)


@pytest.fixture
def mushrooms(tmp_path):
    """One folder per class: ten pictures of one, fifteen of the other."""
    for name, first, count in (("bolete", 0, 10), ("amanita", 10, 15)):
        for k in range(count):
            photo(tmp_path / "mushrooms" / name / f"{k}.png", first + k)
    return tmp_path / "mushrooms"


def test_a_folder_of_classes_is_divided_as_notebook_6_divides_it(mushrooms, capsys):
    lab = setup(data=str(mushrooms), size=32)
    assert capsys.readouterr().out == "pocket track (no GPU): pocket_vgg on mushrooms data, cpu, seed 0\n"
    expected = audit.audit(mushrooms, size=32).splits(0)
    for name, split in expected.items():
        loaded = datasets.load(lab.data, name, lab.cache)
        assert loaded.classes == ("amanita", "bolete") and loaded.images.shape[1:] == (3, 32, 32)
        assert loaded.origin == split.origin and torch.equal(loaded.images, split.images)
    assert lab.per_class == 6, "no more than the scarcest class has to learn from"
    assert len(datasets.load(lab.data, "train").few(lab.per_class)) == 12


def test_another_seed_examines_on_the_same_pictures(mushrooms):
    one, other = (datasets.load(setup(data=mushrooms, seed=seed).data, "test") for seed in (0, 1))
    assert one.origin == other.origin and one.images.shape[-1] == datasets.SIZE


def test_many_pictures_are_learnt_from_as_the_device_can_bear(tmp_path, monkeypatch):
    for k in range(250):
        photo(tmp_path / "many" / "ab"[k % 2] / f"{k}.png", k)
    assert setup(data=tmp_path / "many", size=8).per_class == 12
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert setup("pocket_vgg", tmp_path / "many", size=8).per_class == 75, "all of 3 in 5, since no class has 100"


def test_a_folder_with_splits_keeps_them_and_its_test_is_the_last_exam(tmp_path):
    for k, split in enumerate(("train", "val", "test")):
        for j, name in enumerate(("b", "a")):
            for i in range(4 - k):
                photo(tmp_path / "mine" / split / name / f"{i}.png", 100 * k + 10 * j + i)
    lab = setup(data=tmp_path / "mine", size=32)
    train, val, test, final = (datasets.load(lab.data, name) for name in ("train", "val", "test", "final"))
    assert [len(split) for split in (train, val, test)] == [8, 6, 4]
    assert train.classes == val.classes == ("a", "b") and all(name.startswith("val/") for name in val.origin)
    assert final.origin == test.origin
    with pytest.raises(ValueError, match="^Unknown split 'exam'; choose one of train, val, test.$"):
        datasets.load(lab.data, "exam")


def test_what_is_written_into_loaded_images_changes_no_later_ones(mushrooms):
    lab = setup(data=mushrooms, size=32)
    datasets.load(lab.data, "train").images.zero_()
    assert datasets.load(lab.data, "train").images.max() > 0


def test_what_can_not_be_used_is_left_out_and_said(mushrooms, capsys):
    (mushrooms / "bolete" / "empty.jpg").touch()
    lab = setup(data=mushrooms, size=32)
    capsys.readouterr()
    assert sum(len(datasets.load(lab.data, split)) for split in ("train", "val", "test")) == 25
    assert capsys.readouterr().out == (
        "1 picture of mushrooms can't be used and is left out: bolete/empty.jpg. Notebook 6's audit says why.\n")


@pytest.mark.parametrize("data, size, sentence", [
    ("{root}/nowhere", None, "There is no folder .*nowhere: check how its path is written."),
    ("nowhere", None, "Unknown data set 'nowhere'; choose one of pocket, letters, digits, stl10, or give the path of"),
    ("pocket", 224, "`size` is for a folder of your own: give its path as `data`, or leave `size` out."),
    (None, 224, "`size` is for a folder of your own"),
    ("{root}/mushrooms", "96", "size must be a whole number from 1 to "),
    ("{root}/mushrooms", 0, "size must be a whole number from 1 to ")])
def test_what_is_no_such_folder_is_told_in_a_sentence(mushrooms, data, size, sentence):
    with pytest.raises(ValueError, match=f"^({sentence})"):
        setup(data=data and data.format(root=mushrooms.parent), size=size)


def test_a_class_that_is_alone_or_too_scarce(tmp_path):
    """Said when they are loaded: until then nothing is read, so that notebook 6 can look what is wrong."""
    for k in range(5):
        photo(tmp_path / "one" / "a" / f"{k}.png", k)
    with pytest.raises(ValueError, match="holds one class only, 'a', and a network needs two to tell apart"):
        datasets.load(setup(data=tmp_path / "one").data, "train")
    for k in range(2):
        photo(tmp_path / "one" / "b" / f"{k}.png", 10 + k)
    with pytest.raises(ValueError, match="^'b' has too few images that look different, namely 2: four"):
        datasets.load(setup(data=tmp_path / "one").data, "train")


def test_a_figure_names_the_folder_as_it_is_called(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "show", lambda figure, alt: figures.append((figure, alt)))
    (tmp_path / "$x_1$ mine").mkdir()
    found = {kind: Interval(0.5, 0.4, 0.6) for kind in ("pre-trained", "random", "pixels")}
    plots.probes({datasets.own(tmp_path / "$x_1$ mine"): found, "digits": found}, 0.1)
    (figure, alt), = figures
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["$x_1$ mine", "digits"] and "$x_1$ mine: pre-trained 50" in alt
    assert not any(label.get_parse_math() for label in labels)


# --- the notebooks' cells --------------------------------------------------------------------------------------------

def calls(path: Path):
    """All calls in a notebook's code."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            yield from (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_networks_are_folded_for_the_size_of_the_images_at_hand(path):
    folds = [call for call in calls(path) if called(call) == "fold_first_linear"]
    assert [ast.unparse(call) for call in folds if len(call.args) < 2] == []


@pytest.mark.parametrize("path", [path for path in PATHS if path.parent == NOTEBOOKS], ids=lambda path: path.name)
def test_no_cell_asks_for_a_class_that_another_folder_does_not_have(path):
    asked = [ast.unparse(call) for call in calls(path) if called(call) == "index"
             and any(isinstance(part, ast.Constant) and part.value in CLASSES for part in call.args)]
    assert asked == []
