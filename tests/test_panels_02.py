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


NAMES = [row.name for row in TABLE if row.block and row.kind != "ReLU"]


def noise(count: int, classes: tuple) -> ImageSplit:
    draws = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, 96, 96), dtype=torch.uint8, generator=draws)
    return ImageSplit(images, torch.arange(count) % len(classes), classes)


@pytest.fixture(scope="module")
def examples():
    return noise(3, ("airplane", "bird", "<car>"))


@pytest.fixture(scope="module")
def pictures():
    return noise(12, ("airplane", "bird", "<car>"))


@pytest.fixture(scope="module")
def liked(pictures):
    return anatomy.favourites(networks.build("pocket_vgg"), PREPROCESS(pictures.images), NAMES)


@pytest.fixture
def explorer(examples, pictures, liked):
    return lambda start=0, model=None: panels.layer_explorer(
        model or networks.build("pocket_vgg"), examples, PREPROCESS, pictures, liked, start)


@pytest.fixture
def drawn(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "layer_view", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(plots, "favourites", lambda *arguments: None)
    return calls


def words(panel) -> str:
    return re.sub(r"<[^>]*>", " ", panel.children[1].value)


def test_layer_explorer(drawn, examples, explorer):
    panel = explorer(start=1)
    image, layer, channel = panel.children[0].children
    assert [control.description for control in (image, layer, channel)] == ["image", "layer", "channel"]
    assert [row.name for _, row in layer.options] == NAMES
    assert torch.equal(drawn[-1][0], examples.images[1]) and drawn[-1][1].block == 3

    image.label = "airplane"
    assert torch.equal(drawn[-1][0], examples.images[0])

    layer.index = 0
    _, row, maps, channels, unit, chosen = drawn[-1]
    assert row.name == "features.0" and maps.shape == (8, 96, 96) and len(set(channels)) == 8 and chosen == 0
    assert maps[0][unit] == maps[0].max()

    channel.label = "3rd"
    _, row, maps, again, unit, chosen = drawn[-1]
    assert (row.name, again, chosen) == ("features.0", channels, 2) and maps[2][unit] == maps[2].max()

    layer.index = len(layer.options) - 1
    assert drawn[-1][1].kind == "MaxPool2d" and drawn[-1][2].shape == (8, 3, 3) and drawn[-1][5] == 2


def test_what_a_channel_likes_follows_the_controls(monkeypatch, pictures, explorer):
    seen, liked_now = [], []
    monkeypatch.setattr(plots, "layer_view", lambda *arguments: seen.append(arguments))
    monkeypatch.setattr(plots, "favourites", lambda *arguments: liked_now.append(arguments))
    _, layer, channel = explorer().children[0].children
    for control, index in ((layer, 2), (channel, 4), (layer, 10)):
        control.index = index
        row, channels, rank = seen[-1][1], seen[-1][3], seen[-1][5]
        shown, same_row, number, places = liked_now[-1]
        assert shown is pictures and same_row is row and number == channels[rank] and places.shape == (9, 3)
        maps = anatomy.feature_maps(networks.build("pocket_vgg"), PREPROCESS(pictures.images), [row.name])[row.name]
        order = maps[:, number].flatten(1).amax(1).argsort(descending=True)[:9].tolist()
        assert places.tolist() == [[k, *anatomy.brightest(maps[k, number])] for k in order]


def test_the_text_follows_the_controls(drawn, explorer):
    panel = explorer()
    image, layer, channel = panel.children[0].children
    layer.index = 0
    filters = networks.build("pocket_vgg", device="meta").features[0].out_channels
    assert "features.0 (Conv2d, block 1)" in words(panel) and f"{filters} x 96 x 96" in words(panel)
    work, everything = filters * 27 * 96 * 96, anatomy.totals(TABLE)
    share = 100 * filters * 28 / everything["parameters"]  # 27 weights and a bias each
    assert f" {filters * 28:,} ({share:.1f} % of all)" in words(panel)
    assert f" {work:,} ({100 * work / everything['multiply_adds']:.1f} % of all)" in words(panel)
    assert "3 x 3 pixels" in words(panel) and "Image: airplane" in words(panel)
    channel.index = 7
    assert f"channel {drawn[-1][3][7]}," in words(panel) and f"{drawn[-1][3][7]} of 0 to {filters - 1}" in words(panel)
    image.index = 2
    assert "Image: &lt;car&gt;" in words(panel)
    layer.index = len(layer.options) - 1
    assert f"{LAST.receptive_field} x {LAST.receptive_field} pixels" in words(panel)
    assert "zeros of the padding" in words(panel)


def test_the_sentence_tells_the_pixels_that_the_unit_sees(drawn, explorer):
    panel = explorer()
    panel.children[0].children[1].index = 2  # the second convolution
    _, row, _, _, unit, _ = drawn[-1]
    left, top, right, bottom = row.visible(*unit, 96)
    assert f"rows {top} to {bottom - 1} and columns {left} to {right - 1}" in words(panel)


def test_an_image_goes_through_the_network_once(drawn, explorer):
    model = networks.build("pocket_vgg")
    image, layer, channel = explorer(model=model).children[0].children
    passes = []
    model.classifier[6].register_forward_hook(lambda *_: passes.append(1))
    for index in (0, 5, 3):
        layer.index = channel.index = index
    image.index = 1
    image.index = 0
    assert len(passes) == 1  # the first image's maps were made with the panel


def test_the_figures_are_light_enough_for_a_slider(explorer):
    """About 0.2 s; the limit is far off, so that a busy machine does not fail it."""
    image, layer, channel = explorer().children[0].children
    start = time.process_time()
    for index in range(5):
        layer.index = index
    assert time.process_time() - start < 5 * 0.6
