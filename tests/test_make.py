"""The scripts that made the shipped files, on samples small enough for a test."""
import copy
import json
import shutil
import sys

import nbformat
import numpy as np
import pytest
import torch
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from helpers import networks, pocket
from helpers.make import backbone, notebooks, sprites

# --- sprites -----------------------------------------------------------------------------------------------------

# (short name, file name in emoji.json, subcategory)
INDEX = [
    ("airplane", "2708-fe0f", "transport-air"), ("cat2", "1f408", "animal-mammal"), ("dog2", "1f415", "animal-mammal"),
    ("apple", "1f34e", "food-fruit"), ("grapes", "1f347", "food-fruit"), ("guitar", "1f3b8", "musical-instrument"),
    ("unicorn_face", "1f984", "animal-mammal"), ("flag-is", "1f1ee-1f1f8", "country-flag"),
    ("one", "0031-fe0f-20e3", "keycap"),
]
SIZES = {"noto": 64, "twemoji": 64, "fluent": 100}


def colour(family: str, name: str) -> tuple[int, int, int, int]:
    """Every drawing of this sample is one plain colour of its own."""
    return (40 + 80 * list(SIZES).index(family), 25 * [entry[0] for entry in INDEX].index(name), 9, 255)


@pytest.fixture
def packages(tmp_path):
    """Unpacked packages of three families: one WebP, one that leaves out -fe0f, one drawing missing here and there."""
    for family, size in SIZES.items():
        folder = tmp_path / family / "package" / sprites.FAMILIES[family]["folder"]
        folder.mkdir(parents=True)
        for name, stem, _ in INDEX:
            if (family, name) in (("fluent", "dog2"), ("twemoji", "grapes")):
                continue
            if family == "twemoji":
                stem = stem.replace("-fe0f", "")
            image = Image.new("RGBA", (size, size), colour(family, name))
            if family == "fluent":
                image.save(folder / f"{stem}.webp", lossless=True)
            else:
                image.save(folder / f"{stem}.png")
    index = [{"short_name": name, "image": f"{stem}.png", "unified": stem.upper(), "subcategory": category}
             for name, stem, category in INDEX]
    (tmp_path / "noto" / "package" / "emoji.json").write_text(json.dumps(index))
    return tmp_path


def test_sheets_and_table_hold_the_emoji_that_all_families_drew(packages, tmp_path):
    out = tmp_path / "out"
    sprites.build(*sprites.packages(packages), out)
    table = json.loads((out / "sprites.json").read_text())
    assert [(e["name"], e["label"]) for e in table["emoji"]] == [
        ("airplane", "airplane"), ("cat2", "cat"), ("apple", None), ("guitar", None)]
    assert table["emoji"][0]["code"] == "2708-fe0f" and table["tile"] == 64
    assert table["families"]["noto"]["licence"] == "Apache-2.0" and set(table["families"]) == set(SIZES)
    for family in SIZES:
        sheet = np.asarray(Image.open(out / f"{family}.png"))
        assert sheet.shape == (64, 16 * 64, 4)
        for k, emoji in enumerate(table["emoji"]):
            assert (sheet[:, 64 * k:64 * (k + 1)] == colour(family, emoji["name"])).all()
        assert not sheet[:, 64 * len(table["emoji"]):].any()


def test_what_was_built_is_what_datasets_reads(packages, tmp_path, monkeypatch):
    out = tmp_path / "out"
    sprites.build(*sprites.packages(packages), out)
    monkeypatch.setattr(pocket, "ASSETS", out)
    try:
        pocket.sprite_pixels.cache_clear()
        pixels = pocket.sprite_pixels()
    finally:
        pocket.sprite_pixels.cache_clear()
    assert pixels.shape == (3, 4, 64, 64, 4)
    assert tuple(pixels[1, 3, 0, 0]) == colour("twemoji", "guitar")


def test_the_source_task_has_no_target_no_lookalike_and_no_flag(packages):
    source, pixels = sprites.source_pixels(packages)
    assert [(e["name"], e["label"]) for e in source] == [("apple", "food-fruit"), ("guitar", "musical-instrument")]
    assert pixels.shape == (3, 2, 64, 64, 4)


def test_the_shipped_table_is_the_one_that_the_script_names():
    """Ten classes in this order, each emoji of them listed in TARGET, and none of them among the source examples."""
    table = json.loads((pocket.ASSETS / "sprites.json").read_text(encoding="utf-8"))["emoji"]
    names = {label: value.split() for label, value in sprites.TARGET.items()}
    assert tuple(names) == pocket.CLASSES
    assert all(e["name"] in names[e["label"]] for e in table if e["label"] is not None)
    kept_out = {name for own in names.values() for name in own} | set(sprites.NEITHER.split())
    assert kept_out.isdisjoint(e["name"] for e in table if e["label"] is None)


def test_without_npm_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="^The npm client is needed to fetch the artwork; install Node.js"):
        sprites.packages(tmp_path)


# --- backbone ----------------------------------------------------------------------------------------------------

def test_folded_batch_norm_computes_the_same():
    torch.manual_seed(0)
    model = networks.pocket_vgg(5, batch_norm=True)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # statistics and scales as after a training
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5), torch.nn.init.normal_(layer.bias)
    inputs = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected = model.eval().features(inputs)
        folded = backbone.fold_batch_norm(model.features)
        assert expected.std() > 0.1 and torch.allclose(folded(inputs), expected, rtol=1e-5, atol=1e-5)
    plain = networks.pocket_vgg(5).features
    assert [type(layer) for layer in folded] == [type(layer) for layer in plain]


def test_folding_batch_norm_leaves_the_network_as_it_is():
    model = networks.pocket_vgg(5, batch_norm=True)
    model.features.requires_grad_(False)
    before = copy.deepcopy(model.features.state_dict())
    folded = backbone.fold_batch_norm(model.features)
    assert all(layer.training for layer in [*model.modules(), *folded])
    assert not any(p.requires_grad for p in folded.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.features.state_dict().items())


def test_a_small_training_run_writes_weights_that_load(tmp_path, monkeypatch):
    table = [{"name": f"e{k}", "code": f"{k}", "label": "fruit" if k % 2 else "tool"} for k in range(12)]
    pixels = np.random.RandomState(0).randint(0, 256, (3, 12, 64, 64, 4)).astype(np.uint8)
    out = tmp_path / "pocket_vgg.safetensors"
    for name, value in {"FRESH": 24, "BATCH": 8, "source_pixels": lambda work: (table, pixels)}.items():
        monkeypatch.setattr(backbone, name, value)
    monkeypatch.setattr(sys, "argv", ["backbone", "--images", "40", "--seed", "1", "--out", str(out)])
    backbone.main()

    monkeypatch.setattr(networks, "POCKET_WEIGHTS", out)
    monkeypatch.setattr(networks, "POCKET_CARD", out.with_suffix(".json"))
    card, model = networks.card(), networks.build("pocket_vgg").eval()
    assert card["categories"] == ["fruit", "tool"] and (card["seed"], card["images"]) == (1, 40)
    assert card["drawings"] + card["unseen_drawings"] == 36 and card["unseen_drawings"] > 0
    assert 0 <= card["accuracy_unseen_drawings"] <= 1 and out.stat().st_size < 4_000_000
    logits = model(torch.randn(2, 3, 96, 96))
    assert logits.shape == (2, 2) and logits.isfinite().all()


# --- notebooks ---------------------------------------------------------------------------------------------------

WIDGET = "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider"


def test_an_executed_notebook_keeps_its_outputs_and_no_widget_state(tmp_path):
    path = tmp_path / "01_a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(WIDGET), new_code_cell("print(6 * 7)")]), path)
    notebooks.execute(path)
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert "application/vnd.jupyter.widget-view+json" in notebook.cells[0].outputs[0].data
    assert notebook.cells[1].outputs[0].text == "42\n"
    assert not any("execution" in cell.metadata for cell in notebook.cells)


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    path = tmp_path / "01_a.ipynb"
    old = new_output("stream", text="the old output\n")
    nbformat.write(new_notebook(cells=[new_code_cell("print('new')", outputs=[old]), new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.execute(path)
    assert path.read_bytes() == before
