"""The panel of notebook 03: move a slider, see the draws, the network's opinion and the code follow."""
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from torchvision.transforms import v2

from helpers import networks
from helpers.lesson_03 import panels, plots
from helpers.preprocess import Preprocess

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "03_augmentation.ipynb"
IMAGE = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def names():
    """What the notebook's two cells before the panel define, with the pocket network and one image of noise."""
    sources = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells]
    found = {"v2": v2, "torch": torch, "image": IMAGE, "lab": SimpleNamespace(device="cpu"),
             "source_model": networks.build("pocket_vgg").eval(),
             "preprocess": Preprocess(*networks.normalisation("pocket_vgg"))}
    for name, end in (("draw", "\npictures, code"), ("judge", "\nchanged, sentence")):
        exec(next(source for source in sources if source.startswith(f"def {name}(")).split(end)[0], found)
    return found


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What the panel hands to its plot function: (draws, which are framed)."""
    calls = []
    monkeypatch.setattr(plots, "draws", lambda original, *drawn: calls.append(drawn))
    return calls


def controls(panel) -> list:
    return list(panel.children[0].children)


def test_sliders_change_the_draws_and_the_code(names, drawn):
    panel = panels.augmentation(IMAGE, names["draw"], names["judge"])
    shown = panel.children[1]
    padding, crop, flip, rotation, _, hue, seed, _ = controls(panel)
    assert "RandomCrop(size=96, padding=4)" in shown.value and "RandomHorizontalFlip(p=0.5)" in shown.value
    assert not any(step in shown.value for step in ("Rotation", "ColorJitter", "ResizedCrop"))
    assert len(drawn) == 1 and len({one.numpy().tobytes() for one in drawn[0][0]}) > 1

    rotation.value = 30
    assert "RandomRotation(degrees=30)" in shown.value
    assert len(drawn) == 2 and not torch.equal(drawn[0][0], drawn[1][0])

    crop.value = 0.4
    assert "RandomResizedCrop(size=96, scale=(0.4, 1))" in shown.value
    hue.value = 0.1
    assert "ColorJitter(brightness=0.0, hue=0.1)" in shown.value

    seed.value = 1
    assert not torch.equal(drawn[-1][0], drawn[-2][0])
    seed.value = 0
    assert torch.equal(drawn[-1][0], drawn[-3][0])

    padding.value = flip.value = rotation.value = hue.value = 0
    crop.value = 1
    assert "Identity" in shown.value
    assert all(torch.equal(one, IMAGE) for one in drawn[-1][0]) and not any(drawn[-1][1])
    assert "changes its answer on 0 of 12" in shown.value


def test_a_verdict_gets_an_answer_and_holds_for_these_settings_only(names, drawn):
    panel = panels.augmentation(IMAGE, names["draw"], names["judge"])
    shown, (*_, rotation, _, _, seed, verdict) = panel.children[1], controls(panel)
    assert "And you?" in shown.value
    for answer, words in (("yes", "labels stay true"), ("not sure", "in doubt"), ("no", "false")):
        verdict.value = answer
        assert words in shown.value and "And you?" not in shown.value
    seed.value = 3
    assert verdict.value == "no"  # other draws with the same settings
    figures = len(drawn)
    rotation.value = 45
    assert len(drawn) == figures + 1
    assert verdict.value == "" and "And you?" in shown.value


def test_a_frame_marks_the_draws_on_which_the_network_changes_its_answer(names):
    pictures, _ = names["draw"](rotation=180, hue=0.5)
    framed, sentence = names["judge"](pictures, "yes")
    with torch.no_grad():
        first, *answers = (names["source_model"](names["preprocess"](one[None])).argmax().item()
                           for one in (IMAGE, *pictures))
    assert framed == [answer != first for answer in answers] and f"on {sum(framed)} of 12" in sentence
    assert "ignores the change already" in names["judge"](IMAGE[None], "yes")[1]
    assert ("can teach it" in sentence) == any(framed)


def test_the_code_that_is_shown_makes_the_same_draws(names):
    pictures, code = names["draw"](padding=8, crop=0.3, flip=1.0, rotation=20, brightness=0.3, hue=0.1, seed=5, count=3)
    torch.manual_seed(5)
    pipeline = eval(code, {"v2": v2})
    assert torch.equal(pictures, torch.stack([pipeline(IMAGE) for _ in range(3)]))


def test_the_figure_follows(names):
    panel = panels.augmentation(IMAGE, names["draw"], names["judge"])
    figure = panel.children[1]
    before = figure.value
    assert before.count("<img") == 1 and 'alt="One image, and 12 random draws of it' in before
    controls(panel)[0].value = 20
    assert figure.value.count("<img") == 1 and figure.value != before
