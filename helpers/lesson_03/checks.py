"""The checks of notebook 3's exercises: augmentation"""
from __future__ import annotations

import math

import torch
from torchvision.transforms import v2

from helpers.preprocess import Preprocess, normalise
from helpers.verdict import report


def black_border(answer, mean, std) -> None:
    """Exercise 3.1: what normalisation with `mean` and `std` (each for red, green, blue) makes of black, in red."""
    truth = (0 - mean[0]) / std[0]
    near = lambda value: math.isclose(answer, value, abs_tol=0.01)
    problem = None
    if not isinstance(answer, (int, float)) or isinstance(answer, bool):
        problem = "The answer is a number."
    elif near(truth):
        pass
    elif near(0):
        problem = "After normalisation, 0 is an average pixel. Black is darker than that."
    elif near(-truth):
        problem = "Mind the sign: black is darker than the average pixel, which becomes 0."
    elif near(-mean[0]):
        problem = "The mean is subtracted, but that is only one of the two steps."
    elif any(near((0 - m) / s) for m, s in zip(mean[1:], std[1:], strict=True)):
        problem = "That is another channel's value; red comes first."
    else:
        problem = "That is not what comes out for 0. Are these the backbone's constants, and the red channel's?"
    report("Exercise 3.1", answer, problem, "So many standard deviations lies black below the average.")


def count_crops(answer, padding: int) -> None:
    """Exercise 3.2: how many different images random crop with `padding` pixels, then a random flip, makes of one."""
    places = 2 * padding + 1
    problem = None
    if not isinstance(answer, (int, float)) or isinstance(answer, bool):
        problem = "The answer is a whole number."
    elif answer == places**2:
        problem = "These are the windows; some of the images come out mirrored as well."
    elif answer in (places, 2 * places):
        problem = "The window moves in two directions, independently."
    elif answer in (padding**2, 2 * padding**2, (2 * padding) ** 2, 2 * (2 * padding) ** 2):
        problem = "Count the places again: the window may also stay where it is, and the border is on both sides."
    elif answer != 2 * places**2:
        problem = "Count the places from top to bottom, then those from left to right, then think of the mirror."
    report("Exercise 3.2", answer, problem, "All from one stored image, and all with the same label.")


def digits_preprocess(answer, mean, std) -> None:
    """Exercise 3.3: a `Preprocess` fit for handwritten digits and a backbone that expects `mean` and `std`."""
    problem = None
    if answer is ... or answer is None:
        pass
    elif not isinstance(answer, Preprocess):
        problem = f"The answer is a Preprocess(mean, std, padding=..., flip=...), not {type(answer).__name__}."
    else:
        images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        try:
            unchanged, expected = answer(images), normalise(images, mean, std)
            drawn = answer.augment(images, torch.Generator().manual_seed(0))
        except Exception as error:  # any setting can be nonsense; say what it led to
            problem = f"It can't be applied to images: {error}"
        else:
            if not torch.allclose(unchanged, expected, atol=1e-4):
                problem = "The pre-trained network expects other constants than these."
            elif answer.flip:
                problem = "Some training images would come out mirrored. Is a mirrored 3 still a 3?"
            elif torch.equal(drawn, unchanged):
                problem = "It changes nothing at all: digits may well sit a few pixels further left or lower."
            elif answer.padding > 16:
                problem = f"With padding {answer.padding}, parts of a digit are cut away. Would you still read it?"
    report("Exercise 3.3", answer, problem, "It moves the digit and leaves its meaning alone.")


def random_brightness(answer) -> None:
    """Exercise 3.4: a function (images, strength, generator) -> images, each with its own brightness."""
    problem = None
    if callable(answer):
        try:
            problem = _brightness_problem(answer)
        except Exception as error:  # the reader's code may raise anything
            problem = f"It stopped with {type(error).__name__}: {error}"
    elif answer is not ... and answer is not None:
        problem = f"The answer is a function, not {type(answer).__name__}."
    report("Exercise 3.4", answer, problem, "One factor an image, repeatable, and nothing wraps around.")


def _brightness_problem(function) -> str | None:
    seeded = lambda seed: torch.Generator().manual_seed(seed)
    grey = torch.full((64, 3, 8, 8), 100, dtype=torch.uint8)
    before = grey.clone()
    out = function(grey, 0.4, seeded(0))
    if not isinstance(out, torch.Tensor):
        return f"It returns {type(out).__name__}; a tensor of images is needed."
    if out.shape != grey.shape or out.dtype != torch.uint8:
        return f"Given uint8 images of shape {tuple(grey.shape)}, it returns {out.dtype} of shape {tuple(out.shape)}."
    if not torch.equal(grey, before):
        return "It changes the images that it was given; the stored images must stay as they are."
    if torch.equal(out, grey):
        return "The images come out as they went in."
    if not (out == out[:, :1, :1, :1]).all():
        return "Pixels or channels of one image get different factors, which is noise or a change of colour."
    levels = out[:, 0, 0, 0].float() / 100
    if (levels == levels[0]).all():
        return "All images of the batch get the same factor; each needs a draw of its own."
    if not torch.equal(out, function(grey, 0.4, seeded(0))):
        return "The same seed gives other draws. Does the random call use the generator?"
    if torch.equal(out, function(grey, 0.4, seeded(1))):
        return "Another seed gives the same draws."
    if levels.min() < 0.59 or levels.max() > 1.41:
        return "With strength 0.4 a factor lies between 0.6 and 1.4; some of these do not."
    if levels.min() > 0.75 or levels.max() < 1.25:
        return "With strength 0.4 factors should fill the range from 0.6 to 1.4, darker and brighter alike."
    if (function(grey + 100, 0.4, seeded(0)).float() < 119).any():
        return "A bright image came out darker than its factor allows: values above 255 must be clipped, or they wrap."
    return None


def four_ways_up(answer, gap, trial) -> None:
    """Exercise 3.5: a pipeline whose draws show an image all four ways up, and a prediction of what it does to the gap.

    `trial(pipeline)` trains with it and returns the accuracies on training images and on the task's (notebook 03).
    """
    problem, praise = None, ""
    if answer is not ... and answer is not None:
        if not isinstance(gap, str) or gap not in ("narrower", "wider", "same"):
            problem = 'Commit yourself first: gap is "narrower", "wider" or "same".'
        elif not callable(answer):
            problem = f"The answer is a pipeline, v2.Compose([...]), not {type(answer).__name__}."
        else:
            try:
                problem = _ways_up_problem(answer)
                if problem is None:
                    problem, praise = _trial_verdict(gap, trial(v2.Identity()), trial(answer))
            except Exception as error:  # the reader's pipeline may raise anything
                problem = f"It stopped with {type(error).__name__}: {error}"
    report("Exercise 3.5", answer, problem, praise)


def _ways_up_problem(pipeline) -> str | None:
    """What is wrong with the draws of an image whose upper half is bright, or None."""
    probe = torch.full((3, 96, 96), 20, dtype=torch.uint8)
    probe[:, :48] = 220
    drawn = [pipeline(probe.clone()) for _ in range(100)]
    if odd := [one for one in drawn if not isinstance(one, torch.Tensor)]:
        return f"It returns {type(odd[0]).__name__}; the trial needs an image, as a tensor."
    if odd := [one for one in drawn if one.dtype != torch.uint8 or one.shape != probe.shape]:
        return f"It makes {odd[0].dtype} of shape {tuple(odd[0].shape)} from a uint8 image of shape (3, 96, 96)."
    sides = {"top": (slice(24), slice(None)), "bottom": (slice(72, None), slice(None)),
             "left": (slice(None), slice(24)), "right": (slice(None), slice(72, None))}
    brightest = {max(sides, key=lambda side: float(one.float().mean(0)[sides[side]].mean())) for one in drawn}
    if missing := [side for side in sides if side not in brightest]:
        return f"In 100 draws an image's upper edge never came to lie at the {missing[0]}; with this camera it does."
    return None


def _trial_verdict(gap: str, without, with_it) -> tuple[str | None, str]:
    """Problem and praise from the accuracies (training images, the camera's) without and with the pipeline."""
    if with_it[1] <= without[1]:
        return (f"The draws lie all four ways, but {100 * with_it[1]:.1f} % of the camera's pictures are recognised, "
                f"no more than without ({100 * without[1]:.1f} %). Look at the draws: what do they show that the "
                "camera never would?"), ""
    change = (with_it[0] - with_it[1]) - (without[0] - without[1])
    truth = "same" if abs(change) < 0.02 else "wider" if change > 0 else "narrower"
    outcome = f"the gap is {'the same' if truth == 'same' else truth}"
    guess = "as you predicted" if gap == truth else f"not {gap}: which of its two accuracies did you expect to move"
    return None, f"More of the camera's pictures are recognised than without it, and {outcome}, {guess}."
