"""The checks of notebook 03: right, wrong, and nonsense; none of them gives the answer away."""
import pytest
import torch
from torchvision.transforms import v2

from helpers.intervals import Difference
from helpers.lesson_03 import checks
from helpers.preprocess import Preprocess

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
NONSENSE = ["a car", 3.5, -1, [1, 2], torch.zeros(3), {}, True, float("nan"), float("inf"), object(), int]


def verdict(capsys, check, answer, *arguments) -> str:
    check(answer, *arguments)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    return printed


@pytest.mark.parametrize("check, arguments", [
    (checks.black_border, (MEAN, STD)), (checks.count_crops, (6,)), (checks.digits_preprocess, (MEAN, STD)),
    (checks.random_brightness, ()), (checks.four_ways_up, (5, None))])
def test_unanswered_and_nonsense(capsys, check, arguments):
    for answer in (..., None):
        assert "not answered yet" in verdict(capsys, check, answer, *arguments)
    for answer in NONSENSE:
        assert "not yet." in verdict(capsys, check, answer, *arguments)


def test_black_border(capsys):
    mean, std = (0.4, 0.6, 0.7), (0.2, 0.25, 0.2)
    for answer in (-2, -2.004):
        assert "right" in verdict(capsys, checks.black_border, answer, mean, std)
    for answer, hint in ((0, "average pixel"), (2.0, "sign"), (-0.4, "one of the two steps"), (-2.4, "another channel"),
                         (-3.5, "another channel"), (0.4, "not what comes out"), (torch.zeros(2), "a number")):
        printed = verdict(capsys, checks.black_border, answer, mean, std)
        assert "not yet" in printed and hint in printed and "-2" not in printed


QUARTERS = v2.RandomChoice([v2.RandomRotation((angle, angle)) for angle in (0, 90, 180, 270)])
MORE = v2.Compose([v2.RandomCrop(96, padding=12), QUARTERS, v2.RandomHorizontalFlip(), v2.RandomRotation(10),
                   v2.RandomResizedCrop(96, (0.5, 1)), v2.ColorJitter(0.4)])


def trial(pipeline) -> Difference:
    """Stands in for the notebook's."""
    return Difference(0.1, 0.04, 0.16)


@pytest.mark.parametrize("answer, prediction, measure, hint", [
    (QUARTERS, 5, trial, "right. The accuracy on the camera's pictures changes by +10.0 points (+4.0 to +16.0): "
                         "higher. You predicted +5."),
    (QUARTERS, -2.5, trial, "higher. You predicted -2.5."),
    (QUARTERS, 0, lambda p: Difference(0.01, -0.02, 0.04), "right. The accuracy on the camera's pictures changes by "
                                                           "+1.0 points (-2.0 to +4.0): undecided"),
    (MORE, 5, trial, "right. The accuracy"),
    (QUARTERS, ..., trial, "Commit yourself first"),
    (QUARTERS, None, trial, "Commit yourself first"),
    (QUARTERS, "narrower", trial, "Commit yourself first"),
    (QUARTERS, torch.zeros(2), trial, "Commit yourself first"),
    (v2.Identity(), 5, trial, "never came to lie at the bottom"),
    (v2.RandomHorizontalFlip(), 5, trial, "never came to lie at the bottom"),
    (v2.RandomVerticalFlip(), 5, trial, "never came to lie at the left"),
    (v2.RandomRotation((90, 90)), 5, trial, "never came to lie at the top"),
    (v2.RandomRotation(180), 5, trial, "Some views lie aslant, one by 44 degrees."),
    (v2.Compose([QUARTERS, v2.RandomRotation(30)]), 5, trial, "Some views lie aslant, one by "),
    (QUARTERS, 5, lambda p: Difference(-0.1, -0.16, -0.04), "changes by -10.0 points (-16.0 to -4.0): lower"),
    (v2.Compose([v2.ToDtype(torch.float32, scale=True), QUARTERS]), 5, trial, "torch.float32"),
    (v2.Compose([v2.ToPILImage(), QUARTERS]), 5, trial, "Image"),
    (v2.RandomCrop(64), 5, trial, "(3, 64, 64)"),
    (v2.RandomCrop(128), 5, trial, "ValueError"),
    (lambda image: torch.zeros_like(image), 5, trial, "never came to lie at the top"),
    (QUARTERS, 5, lambda p: 1 / 0, "ZeroDivisionError"),
])
def test_four_ways_up(capsys, answer, prediction, measure, hint):
    printed = verdict(capsys, checks.four_ways_up, answer, prediction, measure)
    assert hint in printed and (": right. " in printed) == hint.startswith(("right", "higher"))


@pytest.mark.parametrize("size", [64, 224])
def test_four_ways_up_with_images_of_another_size(capsys, size):
    pipeline = v2.Compose([v2.RandomCrop(size, padding=4), QUARTERS])
    assert ": right. " in verdict(capsys, checks.four_ways_up, pipeline, 5, trial, size)


def test_count_crops(capsys):
    assert "right" in verdict(capsys, checks.count_crops, 338, 6)
    for answer, hint in ((169, "mirrored"), (13, "two directions"), (144, "both sides"), (7, "Count the places")):
        printed = verdict(capsys, checks.count_crops, answer, 6)
        assert "not yet" in printed and hint in printed and "338" not in printed


def test_digits_preprocess(capsys):
    assert "right" in verdict(capsys, checks.digits_preprocess, Preprocess(MEAN, STD, padding=4, flip=0.0), MEAN, STD)
    for answer, hint in (
        (Preprocess((0.3,) * 3, STD, flip=0.0), "constants"),
        (Preprocess(MEAN, STD), "mirrored"),
        (Preprocess(MEAN, STD, padding=0, flip=0.0), "changes nothing"),
        (Preprocess(MEAN, STD, padding=40, flip=0.0), "cut away"),
        (Preprocess("mean", STD), "Applied to images, it stopped with"),
        (Preprocess(MEAN, STD, padding="four", flip=0.0), "Applied to images, it stopped with"),
    ):
        assert hint in verdict(capsys, checks.digits_preprocess, answer, MEAN, STD)


def factors(images, strength, generator, shape=(1, 1, 1)):
    return 1 + strength * (2 * torch.rand((len(images), *shape), generator=generator) - 1)


def right(images, strength, generator):
    return (images * factors(images, strength, generator)).clamp(0, 255).to(torch.uint8)


def in_place(images, strength, generator):
    images[:] = right(images, strength, generator)
    return images


@pytest.mark.parametrize("answer, hint", [
    (right, "right"),
    (lambda images, s, g: images, "as they went in"),
    (lambda images, s, g: images * factors(images, s, g), "float32"),
    (lambda images, s, g: right(images, s, None), "generator"),
    (lambda images, s, g: right(images, s, torch.Generator().manual_seed(3)), "Another seed"),
    (lambda images, s, g: (images * factors(images, s, g)[:1]).clamp(0, 255).to(torch.uint8), "one of its own"),
    (lambda images, s, g: (images * factors(images, s, g, (3, 1, 1))).clamp(0, 255).to(torch.uint8), "channels"),
    (lambda images, s, g: right(images, 2 * s, g), "between 0.6 and 1.4"),
    (lambda images, s, g: right(images, s / 4, g), "fill the range"),
    (lambda images, s, g: (images * factors(images, s, g)).to(torch.int64).to(torch.uint8), "wrap"),
    (in_place, "was given"),
    (lambda images: images, "TypeError"),
    (lambda images, s, g: "brighter", "str"),
])
def test_random_brightness(capsys, answer, hint):
    assert hint in verdict(capsys, checks.random_brightness, answer)
