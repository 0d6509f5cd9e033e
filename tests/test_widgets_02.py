"""Notebook 02's panel: a changed control changes what the plot function is given."""
import pytest
import torch

from helpers import backbones, plots, widgets
from helpers.augment import Preprocess


@pytest.fixture
def drawn(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "layer_view", lambda *arguments: calls.append(arguments))
    return calls


def test_layer_explorer(drawn):
    images = torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    panel = widgets.layer_explorer(backbones.build("pocket_vgg"), images, Preprocess((0.5,) * 3, (0.25,) * 3), start=1)
    image, layer = panel.children[0].children
    assert torch.equal(drawn[-1][0], images[1]) and drawn[-1][1].block == 3

    image.value = 2
    assert torch.equal(drawn[-1][0], images[2])

    layer.index = 0
    _, row, maps, channels, unit = drawn[-1]
    assert row.name == "features.0" and maps.shape == (8, 96, 96) and len(set(channels)) == 8
    assert maps[0][unit] == maps[0].max()

    layer.index = len(layer.options) - 1
    assert drawn[-1][1].kind == "MaxPool2d" and drawn[-1][2].shape == (8, 3, 3)
