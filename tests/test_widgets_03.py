"""The panel of notebook 03: move a slider, see the draws and the code follow."""
from pathlib import Path

import matplotlib
import nbformat
import pytest
import torch
from torchvision.transforms import v2

from helpers import plots, widgets

matplotlib.use("Agg")
NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "03_augmentation.ipynb"
IMAGE = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def draw():
    """The function that the notebook defines and hands to the panel."""
    source = next(cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.source.startswith("def draw("))
    names = {"v2": v2, "torch": torch, "image": IMAGE}
    exec(source.split("\npictures, code")[0], names)
    return names["draw"]


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What the panel hands to its plot function."""
    calls = []
    monkeypatch.setattr(plots, "draws", lambda original, pictures, alt="": calls.append(pictures))
    return calls


def test_sliders_change_the_draws_and_the_code(draw, drawn):
    panel = widgets.augmentation(IMAGE, draw)
    sliders, shown = panel.children
    padding, flip, rotation, brightness, hue, seed = sliders.children
    assert "RandomCrop(size=96, padding=4)" in shown.value and "RandomHorizontalFlip(p=0.5)" in shown.value
    assert "Rotation" not in shown.value and "ColorJitter" not in shown.value
    assert len(drawn) == 1 and len({one.numpy().tobytes() for one in drawn[0]}) > 1

    rotation.value = 30
    assert "RandomRotation(degrees=30)" in shown.value
    assert len(drawn) == 2 and not torch.equal(drawn[0], drawn[1])

    hue.value = 0.1
    assert "ColorJitter(brightness=0, hue=0.1)" in shown.value

    seed.value = 1
    assert not torch.equal(drawn[-1], drawn[-2])
    seed.value = 0
    assert torch.equal(drawn[-1], drawn[-3])

    for slider in (padding, flip, rotation, hue):
        slider.value = 0
    assert "Identity" in shown.value
    assert all(torch.equal(one, IMAGE) for one in drawn[-1])


def test_the_code_that_is_shown_makes_the_same_draws(draw):
    pictures, code = draw(padding=8, flip=1.0, rotation=20, brightness=0.3, hue=0.1, seed=5, count=3)
    torch.manual_seed(5)
    pipeline = eval(code, {"v2": v2})
    assert torch.equal(pictures, torch.stack([pipeline(IMAGE) for _ in range(3)]))


def test_the_figure_follows(draw):
    panel = widgets.augmentation(IMAGE, draw)
    sliders, figure = panel.children
    before = figure.value
    assert before.count("<img") == 1 and 'alt="One image, and 12 random draws of it."' in before
    sliders.children[0].value = 20
    assert figure.value.count("<img") == 1 and figure.value != before
