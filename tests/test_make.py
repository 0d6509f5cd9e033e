"""The scripts that made the shipped files, on samples small enough for a test."""
import copy
import json
import re
import shutil
import sys

import nbformat
import numpy as np
import pytest
import torch
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from helpers import first_layer, networks, plans, pretrained
from helpers import source as look
from helpers.fetch import packages
from helpers.make import backbone, notebooks, source
from helpers.make import first_layer as first_layer_script

# --- packages and the source task's drawings ---------------------------------------------------------------------

# (short name, file name in emoji.json, category)
INDEX = [
    ("airplane", "2708-fe0f", "transport-air"), ("cat2", "1f408", "animal-mammal"), ("apple", "1f34e", "food-fruit"),
    ("grapes", "1f347", "food-fruit"), ("guitar", "1f3b8", "musical-instrument"), ("sun", "2600-fe0f", "sky"),
    ("unicorn_face", "1f984", "animal-mammal"), ("flag-is", "1f1ee-1f1f8", "country-flag"),
    ("one", "0031-fe0f-20e3", "keycap")]


def test_without_npm_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="^The npm client is needed to fetch emoji-datasource; install Node.js"):
        packages.fetch("emoji-datasource", "16.0.0", tmp_path / "new")


def test_a_package_that_lies_there_is_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "package").mkdir()
    assert packages.fetch("emoji-datasource", "16.0.0", tmp_path) == tmp_path / "package"


def test_the_source_task_has_no_target_no_lookalike_and_no_flag():
    index = [{"short_name": name, "image": f"{stem}.png", "subcategory": category} for name, stem, category in INDEX]
    assert source.categories(index) == {"1f34e": "food-fruit", "1f347": "food-fruit", "1f3b8": "musical-instrument",
                                        "2600": "sky"}


def test_emoji_are_known_by_the_set_that_names_them_or_by_another_with_the_same_name(tmp_path):
    (tmp_path / "json").mkdir()
    for family in source.FAMILIES:
        content = {"icons": {"red-apple": {}, f"only-{family}": {}}}
        if family == "noto":
            content["chars"] = {"1f34e": "red-apple", "2600-fe0f": "sun"}
        if family == "fxemoji":
            content["icons"] = {"redapple": {}, "sun": {}}
        (tmp_path / "json" / f"{family}.json").write_text(json.dumps(content))
    found = source.codes(tmp_path)
    assert found["emojione"] == {"red-apple": "1f34e"} == found["noto"]
    assert found["fxemoji"] == {"redapple": "1f34e", "sun": "2600"}


def test_a_bitmap_is_cut_to_its_drawing_and_fills_the_tile(tmp_path):
    image = Image.new("RGBA", (200, 100))
    image.paste((200, 0, 0, 255), (40, 30, 120, 70))
    image.save(tmp_path / "drawing.webp", lossless=True)
    seen = source.bitmap(tmp_path / "drawing.webp")[..., 3] > 127
    assert seen.shape == (64, 64)
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    assert (columns.min(), columns.max()) == (1, 62)
    assert 30 <= len(rows) <= 32 and abs(rows.min() + rows.max() - 63) <= 1


def emoji(families: int = 3, codes: int = 12) -> list[source.Emoji]:
    """Drawings of one colour each, by several families; the last family is the one that is never seen."""
    names = [*(f"family {k}" for k in range(families - 1)), source.UNSEEN]
    return [source.Emoji(name, f"{code:x}", "fruit" if code % 2 else "tool", np.full(
        (64, 64, 4), (20 * code, 80 * k, 9, 255), np.uint8)) for k, name in enumerate(names) for code in range(codes)]


def test_examples_are_the_same_emoji_by_each_family_that_is_seen(tmp_path, monkeypatch):
    drawn = [e for e in emoji() if (e.family, e.code) != ("family 1", "3")]
    chosen = source.examples(drawn, 6)
    assert set(chosen) == {"family 0", "family 1"}
    codes = [[e.code for e in row] for row in chosen.values()]
    assert codes[0] == codes[1] and len(set(codes[0])) == 6 and "3" not in codes[0]
    about = {family: {"title": family.title()} for family in chosen}
    source.write_examples(chosen, about, tmp_path)
    monkeypatch.setattr(look, "ASSETS", tmp_path)
    shown = look.examples(6)
    assert list(shown) == ["Family 0", "Family 1"]
    for (title, pictures), row in zip(shown.items(), chosen.values(), strict=True):
        assert [tuple(image[:, 9, 9].tolist()) for image in pictures] == [tuple(e.pixels[0, 0, :3]) for e in row], title


# --- backbone ----------------------------------------------------------------------------------------------------

def small_network(outputs: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, 4), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
                               torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Dropout(0.2),
                               torch.nn.Linear(16, outputs))


@pytest.fixture
def small(monkeypatch):
    for name, value in {"FRESH": 24, "BATCH": 8}.items():
        monkeypatch.setattr(backbone, name, value)
    return backbone.task(emoji(4))


def test_the_source_task_keeps_drawings_and_one_family_apart(small):
    assert sorted([*small.seen, *small.unseen, *small.foreign]) == list(range(48))
    assert list(small.foreign) == list(range(36, 48)) and 0 < len(small.unseen) < 10
    assert small.categories == ["fruit", "tool"] and small.emoji == 12
    assert small.targets[0].tolist() == small.targets[12].tolist(), "the same emoji, whoever drew it"


def test_pre_training_goes_on_where_it_was_stopped(small, tmp_path, monkeypatch):
    whole, stopped = small_network(14), small_network(14)
    backbone.train(whole, small, 3, 5, tmp_path / "whole.pt")
    asked = []

    def stops(*arguments):
        asked.append(arguments)
        if len(asked) == 3 * 3:  # in the second lot
            raise KeyboardInterrupt
        return backbone_loss(*arguments)

    backbone_loss = backbone.loss_of
    monkeypatch.setattr(backbone, "loss_of", stops)
    with pytest.raises(KeyboardInterrupt):
        backbone.train(stopped, small, 3, 5, tmp_path / "kept.pt")
    monkeypatch.setattr(backbone, "loss_of", backbone_loss)
    again = small_network(14)
    backbone.train(again, small, 3, 5, tmp_path / "kept.pt")
    state = whole.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert not torch.equal(small_network(14).state_dict()["0.weight"], state["0.weight"])


def test_both_tasks_weigh_the_same():
    logits, targets = torch.randn(6, 14, generator=torch.Generator().manual_seed(0)), torch.arange(12).view(6, 2) % 2
    parts = [torch.nn.functional.cross_entropy(part, targets[:, k], label_smoothing=0.1)
             for k, part in enumerate((logits[:, :2], logits[:, 2:]))]
    assert torch.isclose(backbone.loss_of(logits, targets, 2), parts[0] + parts[1])


def test_the_rate_rises_once_and_falls_to_nearly_nothing():
    rates = [backbone.rate(step, 200) for step in range(200)]
    top = rates.index(max(rates))
    assert top == 30 and rates[top] == backbone.RATE and rates[0] == 0 and rates[-1] < 1e-3 * backbone.RATE
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)


def test_folded_batch_norm_computes_the_same():
    torch.manual_seed(0)
    model = plans.pocket("pocket_vgg_bn", 5)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # statistics and scales as after a training
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5), torch.nn.init.normal_(layer.bias)
    inputs = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected = model.eval().features(inputs)
        folded = backbone.fold_batch_norm(model.features)
        assert expected.std() > 0.1 and torch.allclose(folded(inputs), expected, rtol=1e-5, atol=1e-5)
    plain = plans.pocket("pocket_vgg", 5).features
    assert [type(layer) for layer in folded] == [type(layer) for layer in plain]


def test_folding_batch_norm_leaves_the_network_as_it_is():
    model = plans.pocket("pocket_vgg_bn", 5)
    model.features.requires_grad_(False)
    before = copy.deepcopy(model.features.state_dict())
    folded = backbone.fold_batch_norm(model.features)
    assert all(layer.training for layer in [*model.modules(), *folded])
    assert not any(p.requires_grad for p in folded.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.features.state_dict().items())


@pytest.mark.parametrize("name", backbone.NAMES)
def test_a_small_training_run_writes_weights_that_load(small, tmp_path, monkeypatch, name):
    monkeypatch.setattr(source, "collect", lambda work: emoji(4))
    monkeypatch.setattr(backbone, "ASSETS", tmp_path), monkeypatch.setattr(pretrained, "ASSETS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["backbone", name, "--work", str(tmp_path), "--lots", "2", "--seed", "1"])
    backbone.main()
    for written in (name, "pocket_vgg")[:1 + (name == "pocket_vgg_bn")]:
        card, model = pretrained.card(written), networks.build(written).eval()
        assert card["categories"] == ["fruit", "tool"] and (card["seed"], card["images"]) == (1, 48)
        assert card["drawings"] == len(small.seen) and card["unseen_drawings"] == len(small.unseen)
        assert 0 <= card["accuracy_unseen_drawings"] <= 1 and 0 <= card["accuracy_unseen_artist"] <= 1
        assert (tmp_path / f"{written}.safetensors").stat().st_size < 4_000_000
        logits = model(torch.randn(2, 3, 96, 96))
        assert logits.shape == (2, 2) and logits.isfinite().all()


# --- notebooks ---------------------------------------------------------------------------------------------------

WIDGET = "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider"


def test_an_executed_notebook_keeps_its_outputs_and_no_widget_state(tmp_path):
    path = tmp_path / "01_a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(WIDGET), new_code_cell("print(6 * 7)")]), path)
    notebooks.execute(path)
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"executed", "kernelspec", "language_info"}
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert "application/vnd.jupyter.widget-view+json" in notebook.cells[0].outputs[0].data
    assert notebook.cells[1].outputs[0].text == "42\n"
    assert not any("execution" in cell.metadata for cell in notebook.cells)


def test_a_notebook_knows_when_and_with_what_its_results_were_made(tmp_path):
    path, known = tmp_path / "01_a.ipynb", lambda: nbformat.read(path, as_version=4).metadata["executed"]
    nbformat.write(new_notebook(cells=[new_code_cell("print(6 * 7)")]), path)
    notebooks.execute(path)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", known()["date"]) and 0 <= known()["minutes"] < 5
    assert known()["versions"]["torch"] == torch.__version__.split("+")[0]
    assert list(known()["versions"]) == ["Python", "torch", "torchvision"]

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["executed"]["date"] = "2020-01-01"
    nbformat.write(notebook, path)
    notebooks.execute(path)
    assert known()["date"] == "2020-01-01", "the results are those of that day"
    notebooks.tidy(notebook)
    assert notebook.metadata["executed"]["date"] == "2020-01-01"

    notebook.cells[0].source = "print(6 * 8)"
    nbformat.write(notebook, path)
    notebooks.execute(path)
    assert known()["date"] != "2020-01-01"


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    path = tmp_path / "01_a.ipynb"
    old = new_output("stream", text="the old output\n")
    nbformat.write(new_notebook(cells=[new_code_cell("print('new')", outputs=[old]), new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.execute(path)
    assert path.read_bytes() == before


def test_a_result_is_folded_and_nothing_else_is(tmp_path):
    path = tmp_path / "01_a.ipynb"
    foreign = {"jupyter": {"outputs_hidden": True, "source_hidden": True}, "collapsed": True}
    cells = [new_code_cell("print(1)", metadata={"tags": ["result", "nbval-check-output"]}),
             new_code_cell("print(2)", metadata={"tags": ["other"]} | foreign), new_code_cell("print(3)")]
    nbformat.write(new_notebook(cells=cells), path)
    notebooks.execute(path)
    result, *others = nbformat.read(path, as_version=4).cells
    assert result.metadata["jupyter"] == {"outputs_hidden": True} and result.outputs[0].text == "1\n"
    assert result.metadata["tags"] == ["result", "nbval-check-output"]
    assert not any({"jupyter", "collapsed"} & set(cell.metadata) for cell in others)


def test_what_a_cell_prints_is_one_output(tmp_path):
    path = tmp_path / "01_a.ipynb"
    code = "import sys\nprint('Your prediction: ?')\nsys.stdout.flush()\nprint('It is 16.')"
    nbformat.write(new_notebook(cells=[new_code_cell(code)]), path)
    notebooks.execute(path)
    output, = nbformat.read(path, as_version=4).cells[0].outputs
    assert output.text == "Your prediction: ?\nIt is 16.\n"


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """A folder of notebooks, executed, with a page that they link to."""
    folder = tmp_path / "notebooks"
    for name in ("01_a.ipynb", "solutions/01_solutions.ipynb", ".ipynb_checkpoints/01_a-checkpoint.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cell = new_code_cell("print('secret')", metadata={"tags": ["result"]}, execution_count=1,
                             outputs=[new_output("stream", text="secret\n")])
        notebook = new_notebook(cells=[cell])
        notebooks.tidy(notebook)
        nbformat.write(notebook, folder / name)
    (folder / "GLOSSARY.md").write_text("# Glossary\n")
    monkeypatch.setattr(notebooks, "NOTEBOOKS", folder)
    return folder


def test_learners_copies_have_no_outputs(lessons, tmp_path, monkeypatch):
    before = {path: path.read_bytes() for path in lessons.rglob("*.*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["notebooks", "--blank", str(tmp_path / "class/today")])
    notebooks.main()
    copies = sorted(path for path in (tmp_path / "class/today").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "class/today").as_posix() for path in copies] \
        == ["01_a.ipynb", "GLOSSARY.md", "solutions/01_solutions.ipynb"]
    for path in copies[::2]:
        cell, = nbformat.read(path, as_version=4).cells
        assert (cell.outputs, cell.execution_count, cell.source) == ([], None, "print('secret')")
        assert cell.metadata == {"slideshow": {"slide_type": "slide"}, "tags": ["result"]}
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("more", [["--tidy"], ["01_a.ipynb"], None])
def test_copies_go_into_a_new_folder(lessons, tmp_path, monkeypatch, capsys, more):
    """`None`: the folder exists already, and may hold what its owner wants to keep."""
    folder = lessons if more is None else tmp_path / "new"
    before = {path: path.read_bytes() for path in lessons.rglob("*.*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["notebooks", "--blank", str(folder), *(more or [])])
    with pytest.raises(SystemExit):
        notebooks.main()
    assert "name one that does not exist yet" in capsys.readouterr().err and not (tmp_path / "new").exists()
    assert {path: path.read_bytes() for path in before} == before


# --- VGG-16's first layer ------------------------------------------------------------------------------------------

def test_the_first_layer_is_written_as_it_is_read(tmp_path, monkeypatch):
    weight, bias = torch.randn(64, 3, 3, 3).half().float(), torch.randn(64).half().float()
    known = {"features.0.weight": weight, "features.0.bias": bias, "features.2.weight": torch.zeros(1)}
    monkeypatch.setattr(first_layer_script, "read_weights", lambda *name: known if name == (
        "vgg16", "IMAGENET1K_FEATURES") else None)
    for module in (first_layer_script, first_layer):
        monkeypatch.setattr(module, "FILE", tmp_path / "first.safetensors")
    first_layer_script.main()
    layer = first_layer.vgg16_first_layer()[0]
    assert torch.equal(layer.weight, weight) and torch.equal(layer.bias, bias)
