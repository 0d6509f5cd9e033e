"""The panel of notebook 03: move a slider, and the views, the quiz's opinion and the code follow."""
from pathlib import Path

import nbformat
import pytest
import torch
from torchvision.transforms import v2

from helpers import inference, networks
from helpers.images import ImageSplit
from helpers.intervals import Difference, paired_difference, things_of
from helpers.lesson_03 import panels, plots
from helpers.preprocess import Preprocess

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "03_augmentation.ipynb"


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


IMAGE = noise(3, 96, 96)
QUIZ = ImageSplit(noise(8, 3, 96, 96), torch.arange(8) // 4, ("cat", "car"))


@pytest.fixture(scope="module")
def names():
    """What the notebook's cells define for the panel, with the pocket network and a quiz of noise."""
    found = {"v2": v2, "torch": torch, "inference": inference, "ImageSplit": ImageSplit, "quiz": QUIZ,
             "exam": None,  # it reports on what was chosen, so nothing may be chosen by it
             "SIZE": QUIZ.images.shape[-1],
             "paired_difference": paired_difference, "things_of": things_of,
             "network": networks.build("pocket_vgg", num_classes=2),
             "preprocess": Preprocess(*networks.normalisation("pocket_vgg"))}
    sources = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells]
    for function in ("right_answers", "build", "draw", "examine", "judge"):
        source = next(source for source in sources if f"def {function}(" in source)
        exec(f"def {function}(" + source.split(f"def {function}(")[1].split("\n\n")[0], found)
    found["plain_quiz"] = found["right_answers"](found["network"], found["preprocess"], QUIZ)
    return found


@pytest.fixture
def asked() -> list:
    """The pipelines for which the panel asked the quiz."""
    return []


@pytest.fixture
def panel(names, asked):
    def examine(pipeline, seed):
        asked.append((pipeline, seed))
        return Difference(-0.1, -0.2, -0.05)

    return panels.augmentation(IMAGE, names["build"], names["draw"], examine, names["judge"])


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What the panel hands to its plot function."""
    calls = []
    monkeypatch.setattr(plots, "draws", lambda original, pictures: calls.append(pictures))
    return calls


def controls(panel) -> list:
    return list(panel.children[0].children)


def test_sliders_change_the_views_and_the_code(drawn, panel):
    shown = panel.children[1]
    padding, crop, flip, rotation, _, hue, seed, _ = controls(panel)
    assert "RandomCrop(size=96, padding=4)" in shown.value and "RandomHorizontalFlip(p=0.5)" in shown.value
    assert not any(step in shown.value for step in ("Rotation", "ColorJitter", "ResizedCrop"))
    assert len(drawn) == 1 and len({one.numpy().tobytes() for one in drawn[0]}) > 1

    rotation.value = 30
    assert "RandomRotation(degrees=30)" in shown.value
    assert len(drawn) == 2 and not torch.equal(drawn[0], drawn[1])

    crop.value = 0.4
    assert "RandomResizedCrop(size=96, scale=(0.4, 1))" in shown.value
    hue.value = 0.1
    assert "ColorJitter(brightness=0.0, hue=0.1)" in shown.value

    seed.value = 1
    assert not torch.equal(drawn[-1], drawn[-2])
    seed.value = 0
    assert torch.equal(drawn[-1], drawn[-3])

    padding.value = flip.value = rotation.value = hue.value = 0
    crop.value = 1
    assert "Identity" in shown.value and len(drawn[-1]) == 12
    assert all(torch.equal(one, IMAGE) for one in drawn[-1])


def test_the_padding_reaches_so_far_that_half_the_image_may_leave_the_frame(panel, names):
    """With less, a human need not see any view whose label is in doubt."""
    assert controls(panel)[0].max == 48
    large = panels.augmentation(noise(3, 224, 224), names["build"], lambda pipeline, images, seed: images,
                                lambda pipeline, seed: Difference(0, 0, 0), lambda *_: "")
    assert controls(large)[0].max == 112


def test_a_verdict_gets_an_answer_and_holds_for_these_settings_only(panel, asked):
    shown, (*_, rotation, _, _, seed, verdict) = panel.children[1], controls(panel)
    assert "And you?" in shown.value and "changes by -10.0 points (-20.0 to -5.0): lower" in shown.value
    for answer, words in (("yes", "something to learn from"), ("not sure", "in doubt"), ("no", "false")):
        verdict.value = answer
        assert words in shown.value and "And you?" not in shown.value
    assert len(asked) == 1  # the quiz is the same, whatever the reader thinks of the labels
    seed.value = 3
    assert verdict.value == "no" and len(asked) == 2 and asked[1][1] == 3  # other views with the same settings
    rotation.value = 45
    assert len(asked) == 3
    assert verdict.value == "" and "And you?" in shown.value


def test_what_a_yes_means_depends_on_the_quiz(names):
    for difference, words in ((Difference(-0.1, -0.2, -0.05), "something to learn from such views"),
                              (Difference(-0.1, -0.2, 0.05), "nothing speaks for it or against it yet"),
                              (Difference(0.1, 0.02, 0.2), "even easier")):
        sentence = names["judge"](difference, "yes")
        assert words in sentence and str(difference) in sentence


def test_the_quiz_compares_views_with_the_images_themselves(names):
    assert names["examine"](v2.Identity()) == Difference(0, 0, 0)
    black = names["examine"](lambda image: torch.zeros_like(image))
    drawn = names["draw"](v2.RandomRotation(180), QUIZ.images, 1)
    right = inference.evaluate(names["network"], ImageSplit(drawn, QUIZ.labels, QUIZ.classes), names["preprocess"])
    assert black.estimate == pytest.approx(0.5 - names["plain_quiz"].double().mean().item())  # always the same answer
    assert names["examine"](v2.RandomRotation(180), 1).estimate == pytest.approx(
        right.accuracy - names["plain_quiz"].double().mean().item())


def test_the_code_that_is_shown_makes_the_same_views(names):
    pipeline, code = names["build"](padding=8, crop=0.3, flip=1.0, rotation=20, brightness=0.3, hue=0.1)
    images = IMAGE.repeat(3, 1, 1, 1)
    pictures = names["draw"](pipeline, images, 5)
    assert torch.equal(pictures, names["draw"](eval(code, {"v2": v2}), images, 5))
    assert not torch.equal(pictures, names["draw"](pipeline, images, 6))


def test_the_figure_follows(panel):
    figure = panel.children[1]
    before = figure.value
    assert before.count("<img") == 1 and 'alt="One image, and 12 random views of it' in before
    controls(panel)[0].value = 20
    assert figure.value.count("<img") == 1 and figure.value != before
