"""Notebook 02's panel: a changed control changes what the plot function is given, and the text below the figure."""
import re
import time

import pytest
import torch

from helpers import anatomy, networks
from helpers.images import ImageSplit
from helpers.lesson_02 import panels, plots
from helpers.preprocess import Preprocess

PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3)
TABLE = anatomy.layer_table(networks.build("pocket_vgg", device="meta"), 96)
LAST = anatomy.last_of_blocks(TABLE, "MaxPool2d")[-1]


@pytest.fixture(scope="module")
def examples():
    images = torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSplit(images, torch.arange(3), ("airplane", "bird", "<car>"))


@pytest.fixture
def drawn(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "layer_view", lambda *arguments: calls.append(arguments))
    return calls


def words(panel) -> str:
    return re.sub(r"<[^>]*>", " ", panel.children[1].value)


def test_layer_explorer(drawn, examples):
    panel = panels.layer_explorer(networks.build("pocket_vgg"), examples, PREPROCESS, start=1)
    image, layer = panel.children[0].children
    assert (image.description, layer.description) == ("image", "layer")
    assert torch.equal(drawn[-1][0], examples.images[1]) and drawn[-1][1].block == 3

    image.label = "airplane"
    assert torch.equal(drawn[-1][0], examples.images[0])

    layer.index = 0
    _, row, maps, channels, unit = drawn[-1]
    assert row.name == "features.0" and maps.shape == (8, 96, 96) and len(set(channels)) == 8
    assert maps[0][unit] == maps[0].max()

    layer.index = len(layer.options) - 1
    assert drawn[-1][1].kind == "MaxPool2d" and drawn[-1][2].shape == (8, 3, 3)


def test_the_text_follows_the_controls(drawn, examples):
    panel = panels.layer_explorer(networks.build("pocket_vgg"), examples, PREPROCESS)
    image, layer = panel.children[0].children
    layer.index = 0
    filters = networks.build("pocket_vgg", device="meta").features[0].out_channels
    assert "features.0 (Conv2d, block 1)" in words(panel) and f"{filters} x 96 x 96" in words(panel)
    work, everything = filters * 27 * 96 * 96, anatomy.totals(TABLE)
    share = 100 * filters * 28 / everything["parameters"]  # 27 weights and a bias each
    assert f" {filters * 28:,} ({share:.1f} % of all)" in words(panel)
    assert f" {work:,} ({100 * work / everything['multiply_adds']:.1f} % of all)" in words(panel)
    assert "3 x 3 pixels" in words(panel) and "Image: airplane" in words(panel)
    image.index = 2
    assert "Image: &lt;car&gt;" in words(panel)
    layer.index = len(layer.options) - 1
    assert f"{LAST.receptive_field} x {LAST.receptive_field} pixels" in words(panel)
    assert "zeros of the padding" in words(panel)
    assert panel.children[1].value.count("<th scope='col'") == panel.children[1].value.count("<td")


def test_the_sentence_tells_the_pixels_that_the_unit_sees(drawn, examples):
    panel = panels.layer_explorer(networks.build("pocket_vgg"), examples, PREPROCESS)
    panel.children[0].children[1].index = 2  # the second convolution
    _, row, _, _, unit = drawn[-1]
    left, top, right, bottom = row.visible(*unit, 96)
    assert f"rows {top} to {bottom - 1} and columns {left} to {right - 1}" in words(panel)


def test_an_image_goes_through_the_network_once(drawn, examples):
    model = networks.build("pocket_vgg")
    image, layer = panels.layer_explorer(model, examples, PREPROCESS).children[0].children
    passes = []
    model.classifier[6].register_forward_hook(lambda *_: passes.append(1))
    for index in (0, 5, 3):
        layer.index = index
    image.index = 1
    image.index = 0
    assert len(passes) == 1  # the first image's maps were made with the panel


def test_the_figure_is_light_enough_for_a_slider(examples):
    """About 0.1 s; the limit is far off, so that a busy machine does not fail it."""
    image, layer = panels.layer_explorer(networks.build("pocket_vgg"), examples, PREPROCESS).children[0].children
    start = time.process_time()
    for index in range(5):
        layer.index = index
    assert time.process_time() - start < 5 * 0.6
