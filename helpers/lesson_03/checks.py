"""The checks of notebook 3's exercises: augmentation"""
from __future__ import annotations

import math

import torch

from helpers.preprocess import Preprocess, normalise
from helpers.verdict import NotYet, exercise, near, number, readers_code, whole_number


@exercise("Exercise 3.1")
def black_border(answer, mean, std) -> str:
    """Exercise 3.1: what normalisation with `mean` and `std` (each for red, green, blue) makes of black, in red."""
    truth, *others = ((0 - m) / s for m, s in zip(mean, std, strict=True))
    given = number(answer)
    if given is None:
        raise NotYet("The answer is a number.")
    if near(given, truth):
        return "Black lies that many standard deviations below the average."
    if near(given, 0):
        raise NotYet("After normalisation, 0 is an average pixel. Black is darker than that.")
    if near(given, -truth):
        raise NotYet("Mind the sign: black is darker than the average pixel, which becomes 0.")
    if near(given, -mean[0]):
        raise NotYet("The mean is subtracted, but that is only one of the two steps.")
    if any(near(given, other) for other in others):
        raise NotYet("That is another channel's value; red comes first.")
    raise NotYet("That is not what comes out for 0. Are these the backbone's constants, and the red channel's?")


@exercise("Exercise 3.2")
def count_crops(answer, padding: int) -> str:
    """Exercise 3.2: how many different images random crop with `padding` pixels, then a random flip, makes of one."""
    places, given = 2 * padding + 1, whole_number(answer)
    if given is None:
        raise NotYet("The answer is a whole number.")
    if given == places**2:
        raise NotYet("These are the windows; some of the images come out mirrored as well.")
    if given in (places, 2 * places):
        raise NotYet("The window moves in two directions, independently.")
    if given in (padding**2, 2 * padding**2, (2 * padding) ** 2, 2 * (2 * padding) ** 2):
        raise NotYet("Count the places again: the window may also stay where it is, and the border is on both sides.")
    if given != 2 * places**2:
        raise NotYet("Count the places from top to bottom, then those from left to right, then think of the mirror.")
    return "All from one stored image, and all with the same label."


@exercise("Exercise 3.3")
def digits_preprocess(answer, mean, std) -> str:
    """Exercise 3.3: a `Preprocess` fit for handwritten digits and a backbone that expects `mean` and `std`."""
    if not isinstance(answer, Preprocess):
        raise NotYet(f"The answer is a Preprocess(mean, std, padding=..., flip=...), not {type(answer).__name__}.")
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with readers_code("Applied to images, it"):
        unchanged, drawn = answer(images), answer.augment(images, torch.Generator().manual_seed(0))
    if not torch.allclose(unchanged, normalise(images, mean, std), atol=1e-4):
        raise NotYet("The pre-trained network expects other constants than these.")
    if answer.flip:
        raise NotYet("Some training images would come out mirrored. Is a mirrored 3 still a 3?")
    if torch.equal(drawn, unchanged):
        raise NotYet("It changes nothing at all: digits may well sit a few pixels further left or lower.")
    if answer.padding > 16:
        raise NotYet(f"With padding {answer.padding}, parts of a digit are cut away. Would you still read it?")
    return "It moves the digit and leaves its meaning alone."


@exercise("Exercise 3.4")
def random_brightness(answer) -> str:
    """Exercise 3.4: a function (images, strength, generator) -> images, each with its own brightness."""
    if not callable(answer):
        raise NotYet(f"The answer is a function, not {type(answer).__name__}.")

    def brightened(images, seed: int):
        with readers_code("It"):
            return answer(images, 0.4, torch.Generator().manual_seed(seed))

    grey = torch.full((64, 3, 8, 8), 100, dtype=torch.uint8)
    given = grey.clone()
    out = brightened(given, seed=0)
    if not isinstance(out, torch.Tensor):
        raise NotYet(f"It returns {type(out).__name__}; a tensor of images is needed.")
    if out.shape != grey.shape or out.dtype != torch.uint8:
        raise NotYet(f"Given uint8 images of shape {tuple(grey.shape)}, it returns {out.dtype} of shape "
                     f"{tuple(out.shape)}.")
    if not torch.equal(given, grey):
        raise NotYet("It changes the images that it was given; the stored images must stay as they are.")
    if torch.equal(out, grey):
        raise NotYet("The images come out as they went in.")
    if not (out == out[:, :1, :1, :1]).all():
        raise NotYet("Pixels or channels of one image get different factors, which is noise or a change of colour.")
    levels = out[:, 0, 0, 0].float() / 100
    if (levels == levels[0]).all():
        raise NotYet("All images of the batch get the same factor; each needs one of its own.")
    if not torch.equal(out, brightened(given, seed=0)):
        raise NotYet("The same seed gives other factors. Does the random call use the generator?")
    if torch.equal(out, brightened(given, seed=1)):
        raise NotYet("Another seed gives the same factors.")
    if levels.min() < 0.59 or levels.max() > 1.41:
        raise NotYet("With strength 0.4 a factor lies between 0.6 and 1.4; some of these do not.")
    if levels.min() > 0.75 or levels.max() < 1.25:
        raise NotYet("With strength 0.4 factors should fill the range from 0.6 to 1.4, darker and brighter alike.")
    if (brightened(grey + 100, seed=0).float() < 119).any():
        raise NotYet("A bright image came out darker than its factor allows: values above 255 must be clipped, or "
                     "they wrap.")
    return "One factor per image, repeatable, and nothing wraps around."


@exercise("Exercise 3.5")
def four_ways_up(answer, prediction, trial, size: int = 96) -> str:
    """Exercise 3.5: a pipeline whose views show an image all four ways up; how many points the reader expects of it.

    `size` is the side of the task's images in pixels. `trial(pipeline)` trains with it and returns a `Difference`: the
    accuracy on the task's pictures, minus that after training with copies (notebook 03).
    """
    expected = number(prediction)
    if expected is None:
        raise NotYet("Commit yourself first: prediction is a number of points, such as 5, or 0 for no change.")
    if not callable(answer):
        raise NotYet(f"The answer is a pipeline, v2.Compose([...]), not {type(answer).__name__}.")
    _check_ways_up(answer, size)
    with readers_code("It"):
        change = trial(answer)
    if change.word == "lower":
        raise NotYet(f"The views lie all four ways, and yet the accuracy on the camera's pictures changes by {change}. "
                     "Look at the views: what else happens to the pictures in them?")
    return f"The accuracy on the camera's pictures changes by {change}. You predicted {expected:+g}."


SIDES = ("right", "bottom", "left", "top")  # in the order in which a quarter turn leads from one to the next
ASLANT = 15  # degrees: no more than a picture taken by hand may be tilted


def _check_ways_up(pipeline, size: int) -> None:
    """Raise `NotYet` unless the views of an image whose upper half is bright show it all four ways up, and upright."""
    probe = torch.full((3, size, size), 20, dtype=torch.uint8)
    probe[:, :size // 2] = 220
    towards = [angle for drawn in _views(pipeline, probe) if (angle := _brighter_side(drawn)) is not None]
    aslant = max((abs(angle - 90 * round(angle / 90)) for angle in towards), default=0)
    lying = {SIDES[round(angle / 90) % 4] for angle in towards}
    if missing := [side for side in ("top", "bottom", "left", "right") if side not in lying]:
        raise NotYet(f"In 100 views an image's upper edge never came to lie at the {missing[0]}; with this camera it "
                     "does.")
    if aslant > ASLANT:
        raise NotYet(f"Some views lie aslant, one by {aslant:.0f} degrees. What must not matter here is which side is "
                     "up, and no more than that.")


def _views(pipeline, probe) -> list[torch.Tensor]:
    """A hundred views of an image; raises `NotYet` unless each is an image of the same kind."""
    drawn = []
    # torchvision's transforms draw from the global generator: the verdict must not depend on it, nor disturb it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(100):
            with readers_code("It"):
                drawn.append(pipeline(probe.clone()))
            if not isinstance(drawn[-1], torch.Tensor):
                raise NotYet(f"It returns {type(drawn[-1]).__name__}; the trial needs an image, as a tensor.")
            if drawn[-1].dtype != probe.dtype or drawn[-1].shape != probe.shape:
                raise NotYet(f"It makes {drawn[-1].dtype} of shape {tuple(drawn[-1].shape)} from a uint8 image of "
                             f"shape {tuple(probe.shape)}.")
    return drawn


def _brighter_side(image: torch.Tensor) -> float | None:
    """In which direction an image (3, H, W) grows brighter: 0 degrees to the right, 90 down; None where it is even.

    Only the disc in the middle counts: black corners and borders lie outside of it.
    """
    brightness = image.float().mean(0)
    down, right = (torch.arange(side) - (side - 1) / 2 for side in brightness.shape)
    disc = down[:, None] ** 2 + right**2 < (min(brightness.shape) / 3) ** 2
    brightness = (brightness - brightness[disc].mean()) * disc
    x, y = (brightness * right).sum().item(), (brightness * down[:, None]).sum().item()
    return math.degrees(math.atan2(y, x)) if math.hypot(x, y) > disc.sum() else None
