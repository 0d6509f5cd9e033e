"""A network that is taken home comes back the same, in another process too, or one sentence says why not."""
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers import export, networks, page, takeaway
from helpers.intervals import Interval
from helpers.preprocess import Preprocess

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("cat", "Käse/茶", '<b>"dog"</b>')
PLAIN = Preprocess((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
ACCURACY = Interval(0.712, 0.679, 0.744)


def network(name: str = "pocket_vgg", seed: int = 0, size: int | None = 64) -> torch.nn.Module:
    """A network whose logits are about 1, as a new head's are not; a VGG is folded for `size`."""
    model = networks.build(name, weights=None, num_classes=len(CLASSES), seed=seed)
    with torch.no_grad():
        networks.head(model).weight.mul_(100)
    return networks.fold_first_linear(model, size) if size and "vgg" in name else model


def save(model, folder, name: str = "pocket_vgg", **changes) -> Path:
    return takeaway.save(model, folder, **{"network": name, "classes": CLASSES, "size": 64, "preprocess": PLAIN,
                                           "accuracy": ACCURACY, **changes})


def logits(model, preprocess, size: int = 64) -> torch.Tensor:
    images = torch.randint(0, 256, (4, 3, size, size), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    with networks.evaluating(model), torch.no_grad():
        return model(preprocess(images))


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# --- there and back ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, size", [
    ("pocket_vgg", 64), ("pocket_vgg", None), ("pocket_vgg_bn", 64), ("pocket_resnet", None), ("squeezenet1_1", None),
    ("mobilenet_v3_small", None), ("googlenet", None), ("swin_t", None)])
def test_every_kind_of_network_comes_back_with_the_same_logits(tmp_path, name, size):
    model = network(name, size=size)
    if name == "googlenet":
        model.transform_input = True  # as its pre-trained weights want it
    folder = save(model, tmp_path / "home", name)
    taken = takeaway.load(folder)
    assert torch.equal(logits(taken.model, taken.preprocess), logits(model, PLAIN))
    assert not taken.model.training
    assert (taken.network, taken.classes, taken.size, taken.accuracy) == (name, CLASSES, 64, ACCURACY)
    assert taken.versions["torch"] == str(torch.__version__)
    assert networks.last_layer(taken.model)[1].classes == CLASSES
    assert str(tmp_path) not in (folder / takeaway.CARD).read_text(encoding="utf-8")


def test_it_comes_back_in_a_new_process_in_another_folder(tmp_path):
    model = network()
    save(model, tmp_path / "home")
    os.rename(tmp_path / "home", tmp_path / "moved")
    code = ("import sys, torch; from helpers import takeaway; from tests.test_takeaway import logits\n"
            "taken = takeaway.load(sys.argv[1]); torch.save(logits(taken.model, taken.preprocess), sys.argv[2])")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "moved"), str(tmp_path / "logits.pt")], check=True,
                   cwd=ROOT)
    assert torch.equal(torch.load(tmp_path / "logits.pt"), logits(model, PLAIN))


def test_the_model_that_is_saved_stays_as_it_is(tmp_path):
    model = network().train()
    networks.learn_from_top(model, 1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    save(model, tmp_path / "home", accuracy=None)
    assert model.training and [p.requires_grad for p in model.parameters()].count(True) == 2
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert takeaway.load(tmp_path / "home").accuracy is None


def test_a_second_network_takes_the_place_of_the_first(tmp_path):
    folder = save(network(), tmp_path / "home")
    (folder / "notes.txt").write_text("mine")
    second = network(seed=1)
    save(second, folder)
    taken = takeaway.load(folder)
    assert torch.equal(logits(taken.model, taken.preprocess), logits(second, PLAIN))
    assert len(list(folder.glob("*.safetensors"))) == 1 and (folder / "notes.txt").read_text() == "mine"


# --- what breaks in between --------------------------------------------------------------------------------------

@pytest.mark.parametrize("step", [0, 1, 2])
def test_whenever_the_disk_is_full_the_network_before_is_still_there(tmp_path, monkeypatch, step):
    first = network()
    folder = save(first, tmp_path / "home")
    steps, write = iter(range(9)), takeaway.write

    def fails(file, data):
        if next(steps) == step:
            raise OSError(28, "No space left on device")
        write(file, data)

    monkeypatch.setattr(takeaway, "write", fails)
    if step < 2:
        with pytest.raises(RuntimeError, match=r"^The network can't be written to .* \(No space left on device\): "):
            save(network(seed=1), folder)
    else:
        save(first, folder)  # two files are all
    taken = takeaway.load(folder)
    assert torch.equal(logits(taken.model, taken.preprocess), logits(first, PLAIN))


def test_what_a_killed_process_left_is_no_obstacle_and_is_cleared_away(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("weights-0123456789ab.safetensors", "weights-aaaaaaaaaaaa.safetensors.part", "network.json.part"):
        (folder / name).write_bytes(b"half")
    save(network(), folder)
    assert sorted(name.split("-")[0] for name in content(folder)) == ["network.json", "weights"]
    takeaway.load(folder)


def test_every_changed_byte_of_the_card_is_noticed(tmp_path):
    folder = save(network(), tmp_path / "home")
    card = folder / takeaway.CARD
    whole = card.read_bytes()
    for place in range(0, len(whole), 7):
        card.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        if whole[place:place + 1].isspace():
            continue  # between two words a tab does as well as a space
        with pytest.raises((RuntimeError, ValueError)) as raised:
            takeaway.load(folder)
        assert_one_sentence(raised.value)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        card.write_bytes(whole[:length])
        with pytest.raises((RuntimeError, ValueError)) as raised:
            takeaway.load(folder)
        assert_one_sentence(raised.value)


def assert_one_sentence(error: Exception) -> None:
    text = re.sub(r"\S*/\S*|[0-9.+a-z]*\d[0-9.+a-z]*|\w+\.json", "", str(error))
    assert text.endswith(".") and "\n" not in text and ". " not in text, str(error)


@pytest.mark.parametrize("place", [0, 5, 400, -1])
def test_damaged_weights_are_noticed(tmp_path, place):
    folder = save(network(), tmp_path / "home")
    (file,) = folder.glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(RuntimeError, match="are missing or damaged: copy the folder again"):
        takeaway.load(folder)
    file.unlink()
    with pytest.raises(RuntimeError, match="are missing or damaged: copy the folder again"):
        takeaway.load(folder)
    save(network(), folder)  # and the same folder can be written again
    takeaway.load(folder)


# --- what is no such folder --------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["network.json", "index.html", "weights.safetensors"])
def test_a_folder_with_other_things_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text('{"what": "something else"}')
    with pytest.raises(ValueError, match=f"holds other things, such as {name}, and is left alone; give the"):
        save(network(), tmp_path)
    assert content(tmp_path) == {name: b'{"what": "something else"}'}
    with pytest.raises(ValueError, match="give a folder that `takeaway.save` has made"):
        takeaway.load(tmp_path)


def test_a_file_in_the_folders_place_is_left_alone(tmp_path):
    (tmp_path / "home").write_text("a letter")
    with pytest.raises(ValueError, match="is a file, and it is left alone"):
        save(network(), tmp_path / "home")
    with pytest.raises(ValueError, match="There is no network.json in"):
        takeaway.load(tmp_path / "home")
    with pytest.raises(ValueError, match="There is no network.json in"):
        takeaway.load(tmp_path / "nowhere")
    assert (tmp_path / "home").read_text() == "a letter"


def rewrite(folder: Path, **changes) -> None:
    """Change what the card says, with a checksum that fits, as another version of the course would write it."""
    card = json.loads((folder / takeaway.CARD).read_text(encoding="utf-8")) | changes
    card["checksum"] = takeaway.checksum(card)
    (folder / takeaway.CARD).write_text(json.dumps(card), encoding="utf-8")


def test_what_a_newer_course_or_torchvision_has_saved_gets_a_sentence(tmp_path):
    folder = save(network(), tmp_path / "home")
    rewrite(folder, network="vgg_of_2031", versions={"torchvision": "3.1"})
    with pytest.raises(ValueError, match="^torchvision .* knows no vgg_of_2031; .* saved with 3.1, so install"):
        takeaway.load(folder)
    rewrite(folder, network="pocket_resnet", versions={"torchvision": "3.1"})
    with pytest.raises(RuntimeError, match="don't fit pocket_resnet as torchvision .* builds it; .* saved with 3.1"):
        takeaway.load(folder)
    rewrite(folder, format=takeaway.FORMAT + 1, checksum=None, classes="another form")
    with pytest.raises(ValueError, match="was saved by a newer version of this course; get the newest one"):
        takeaway.load(folder)


@pytest.mark.parametrize("changes, sentence", [
    ({"network": "pocket_resnet"}, "'pocket_resnet' for images of 64 pixels does not give the network"),
    ({"network": "vgg"}, "^Unknown network 'vgg'; choose one of"),
    ({"size": 96}, "can't take inputs of 3 x 96 x 96"),
    ({"size": "64"}, "^size must be a whole number"),
    ({"classes": ("a", "b")}, "^The network has 3 outputs, and `classes` names 2"),
    ({"classes": ("a", "b", "b")}, "^`classes` are the names of the classes"),
    ({"classes": "abc"}, "^`classes` are the names of the classes"),
    ({"classes": ("a", "b", "\udce4")}, "holds signs that can't be written")])
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        save(network(), tmp_path / "home", changes.get("network", "pocket_vgg"),
             **{key: value for key, value in changes.items() if key != "network"})
    assert not (tmp_path / "home").exists()


def test_a_network_that_would_answer_otherwise_is_refused(tmp_path):
    """The weights fit, but a layer was exchanged for one without weights: nothing but the logits tells."""
    model = network()
    model.classifier[1] = torch.nn.Tanh()
    with pytest.raises(ValueError, match="a network with layers of your own can't be taken home"):
        save(model, tmp_path / "home")


def test_classes_in_another_order_than_the_network_has_learnt_are_refused(tmp_path):
    model = network()
    networks.last_layer(model)[1].classes = CLASSES[::-1]
    with pytest.raises(ValueError, match="must have the same classes in the same order"):
        save(model, tmp_path / "home")


# --- ONNX --------------------------------------------------------------------------------------------------------

def test_a_missing_package_is_named_with_the_command_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    taken = takeaway.load(save(network(), tmp_path / "home"))
    with pytest.raises(RuntimeError, match="run `pip install onnxscript` first"):
        export.export(taken, tmp_path / "network.onnx")


def content_names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def test_an_onnx_file_has_its_ending(tmp_path):
    with pytest.raises(ValueError, match="ends in .onnx, not '.pt'"):
        export.export(takeaway.load(save(network(), tmp_path / "home")), tmp_path / "network.pt")


# --- the page ----------------------------------------------------------------------------------------------------

def test_a_network_too_large_for_a_phone_is_refused(tmp_path):
    taken = takeaway.load(save(network(), tmp_path / "home"))
    vgg = replace(taken, network="vgg16", model=networks.build("vgg16", num_classes=3, device="meta"))
    with pytest.raises(ValueError, match="^vgg16 takes 537 MB, and a page should take at most 50"):
        page.check_size(vgg)
    page.check_size(replace(taken, model=networks.build("resnet18", num_classes=10, device="meta")))


def test_a_page_is_written_over_nothing_but_a_page(tmp_path):
    home = save(network(), tmp_path / "home")
    with pytest.raises(ValueError, match="holds other things, such as network.json, and is left alone"):
        page.make(home, home)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<title>My own page</title>")
    with pytest.raises(ValueError, match="holds other things, such as index.html, and is left alone"):
        page.make(home, tmp_path / "site")
    assert content(tmp_path / "site") == {"index.html": b"<title>My own page</title>"}
    (tmp_path / "site/index.html").write_bytes((ROOT / "helpers/page.html").read_bytes())
    page.leave_others_alone(tmp_path / "site")  # one that it has written


def test_another_version_of_what_runs_it_is_refused(tmp_path):
    (tmp_path / "dist").mkdir()
    for name in page.FILES:
        (tmp_path / "dist" / name).write_bytes(b"another version")
    with pytest.raises(ValueError, match="does not hold onnxruntime-web 1.30.0: give the folder"):
        page.runtime_files(tmp_path)
