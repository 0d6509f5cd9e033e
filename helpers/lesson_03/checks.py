"""The checks of notebook 3's exercises: augmentation"""
from __future__ import annotations

import torch
from torchvision.transforms import v2

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
        return "So many standard deviations lies black below the average."
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
        raise NotYet("All images of the batch get the same factor; each needs a draw of its own.")
    if not torch.equal(out, brightened(given, seed=0)):
        raise NotYet("The same seed gives other draws. Does the random call use the generator?")
    if torch.equal(out, brightened(given, seed=1)):
        raise NotYet("Another seed gives the same draws.")
    if levels.min() < 0.59 or levels.max() > 1.41:
        raise NotYet("With strength 0.4 a factor lies between 0.6 and 1.4; some of these do not.")
    if levels.min() > 0.75 or levels.max() < 1.25:
        raise NotYet("With strength 0.4 factors should fill the range from 0.6 to 1.4, darker and brighter alike.")
    if (brightened(grey + 100, seed=0).float() < 119).any():
        raise NotYet("A bright image came out darker than its factor allows: values above 255 must be clipped, or "
                     "they wrap.")
    return "One factor per image, repeatable, and nothing wraps around."


@exercise("Exercise 3.5")
def four_ways_up(answer, gap, trial) -> str:
    """Exercise 3.5: a pipeline whose draws show an image all four ways up, and a prediction of what it does to the gap.

    `trial(pipeline)` trains with it and returns the accuracies on training images and on the task's (notebook 03).
    """
    if not isinstance(gap, str) or gap not in ("narrower", "wider", "same"):
        raise NotYet('Commit yourself first: gap is "narrower", "wider" or "same".')
    if not callable(answer):
        raise NotYet(f"The answer is a pipeline, v2.Compose([...]), not {type(answer).__name__}.")
    _check_ways_up(answer)
    with readers_code("It"):
        (before, camera_before), (after, camera) = trial(v2.Identity()), trial(answer)
    if camera < camera_before - 0.02:
        raise NotYet(f"The draws lie all four ways, but the accuracy on the camera's pictures is {100 * camera:.1f} %, "
                     f"and without them {100 * camera_before:.1f} %. Look at the draws: what do they show that the "
                     "camera never would?")
    change = (after - camera) - (before - camera_before)
    truth = "same" if abs(change) < 0.02 else "wider" if change > 0 else "narrower"
    outcome = f"the gap is {'the same' if truth == 'same' else truth}"
    guess = "as you predicted" if gap == truth else f"not {gap}: which of its two accuracies did you expect to move"
    return (f"The accuracy on the camera's pictures goes from {100 * camera_before:.1f} to {100 * camera:.1f} %, and "
            f"{outcome}, {guess}.")


SIDES = {"top": (slice(24), slice(None)), "bottom": (slice(72, None), slice(None)),
         "left": (slice(None), slice(24)), "right": (slice(None), slice(72, None))}


def _check_ways_up(pipeline) -> None:
    """Raise `NotYet` unless the draws of an image whose upper half is bright show it all four ways up."""
    probe = torch.full((3, 96, 96), 20, dtype=torch.uint8)
    probe[:, :48] = 220
    lying = set()  # the sides at which the bright half was seen
    # torchvision's transforms draw from the global generator: the verdict must not depend on it, nor disturb it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(100):
            with readers_code("It"):
                drawn = pipeline(probe.clone())
            if not isinstance(drawn, torch.Tensor):
                raise NotYet(f"It returns {type(drawn).__name__}; the trial needs an image, as a tensor.")
            if drawn.dtype != torch.uint8 or drawn.shape != probe.shape:
                raise NotYet(f"It makes {drawn.dtype} of shape {tuple(drawn.shape)} from a uint8 image of shape "
                             "(3, 96, 96).")
            brightness = drawn.float().mean(0)
            lying.add(max(SIDES, key=lambda side, seen=brightness: seen[SIDES[side]].mean().item()))
    if missing := [side for side in SIDES if side not in lying]:
        raise NotYet(f"In 100 draws an image's upper edge never came to lie at the {missing[0]}; with this camera it "
                     "does.")
