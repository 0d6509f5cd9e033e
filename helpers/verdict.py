"""What the checks of all exercises share: how a verdict is printed, and how an answer is looked at safely.

A check says whether an answer is right and, if not, what is wrong, never what is right. Whatever it is given, it prints
one line and leaves the answer as it was; what a network does is found out by running it.
"""
from __future__ import annotations

import functools
import math
import numbers
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.vgg import VGG

from helpers.inference import evaluate
from helpers.networks import evaluating


class NotYet(Exception):
    """An answer is not right yet; the message says what is wrong with it."""


def exercise(name: str) -> Callable:
    """Turn a function that looks at an answer into the check of the exercise `name`, which prints its verdict.

    The function gets the answer first. It returns a word of praise, or raises `NotYet`. An answer that is still `...`
    it never sees; where something else is missing, it returns `...` itself. Anything else that it raises becomes a
    sentence as well, but an interrupt stays one.
    """
    def decorate(look: Callable) -> Callable:
        @functools.wraps(look)
        def check(answer, *rest, **named) -> None:
            try:
                praise = ... if answer is ... or answer is None else look(answer, *rest, **named)
            except NotYet as problem:
                print(f"{name}: not yet. {problem}")
            except Exception as error:  # the answer is so odd that looking at it fails
                print(f"{name}: not yet. The answer can't be checked, looking at it stopped with {reason(error)}.")
            else:
                print(f"{name}: not answered yet. Replace the ... above and run the cell again." if praise is ...
                      else f"{name}: right. {praise}")
        return check
    return decorate


# --- in words ----------------------------------------------------------------------------------------------------

def short(answer) -> str:
    """An answer as it is written in Python, on one line, cut if it is long; never fails, whatever the answer is."""
    try:
        return " ".join(reprlib.repr(answer).split())
    except Exception:  # Python refuses to write an integer of more than 4,300 digits
        return f"an answer of the type {type(answer).__name__}"


def reason(error: Exception) -> str:
    """An exception on one line, without a full stop: its name, and the first line of its message if it has one."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # an exception may have a message that can't be written
        lines = []
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


@contextmanager
def readers_code(subject: str) -> Iterator[None]:
    """Around a call of the reader's own code: whatever it raises becomes `NotYet`, "`subject` stopped with ..."."""
    try:
        yield
    except Exception as error:
        raise NotYet(f"{subject} stopped with {reason(error)}.") from None


# --- numbers -----------------------------------------------------------------------------------------------------

def number(answer) -> int | float | None:
    """The Python number that an answer stands for, or None.

    It may be an int, a float, a NumPy scalar, or an array or tensor with a single element. A bool, a complex number,
    infinity, "not a number" and a string are none.
    """
    try:
        if isinstance(answer, (np.generic, np.ndarray, Tensor)):
            answer = answer.item()
        if isinstance(answer, numbers.Integral):
            return None if isinstance(answer, bool) else int(answer)
        answer = float(answer) if isinstance(answer, numbers.Real) else math.nan
    except Exception:  # several elements, or a tensor on the meta device
        return None
    return answer if math.isfinite(answer) else None


def whole_number(answer) -> int | None:
    """The integer that an answer stands for, or None; 32.0 is one as well."""
    value = number(answer)
    return int(value) if value is not None and value == math.floor(value) else None


def more_than_guessing(classes: int) -> float:
    """An accuracy (0 to 1) that blind guesses among so many classes hardly reach: 20 % where there are ten."""
    guess = 1 / classes
    return guess + min(guess, (1 - guess) / 9)


def near(value: int | float, truth: float) -> bool:
    """Whether two numbers agree to two digits after the point. Compared, not subtracted: 10**400 fits no float."""
    return truth - 0.01 <= value <= truth + 0.01


# --- networks ----------------------------------------------------------------------------------------------------

def check_vgg(answer, ghost: bool = False) -> None:
    """Raise `NotYet` unless the answer is a `VGG`, one with weights unless it may be a `ghost` on the meta device."""
    if not isinstance(answer, VGG):
        raise NotYet("The answer is a network, as networks.build returns it.")
    if not ghost:
        check_weights(answer)


def check_weights(model: nn.Module) -> None:
    if any(p.is_meta for p in model.parameters()):
        raise NotYet("It is on the meta device, where a network has no weights.")


def outputs_of(layer: nn.Module, inputs: Tensor, subject: str = "Shown two images, it") -> Tensor:
    """What a network, or a part of one, makes of `inputs` in evaluation mode; it is left as it was.

    Raises `NotYet`, with a sentence that begins with `subject`, where it stops or gives something else than a tensor.
    """
    with readers_code(subject):
        first = next(layer.parameters(), None)
        inputs = inputs if first is None else inputs.to(first.device, first.dtype)
        with evaluating(layer), torch.no_grad():
            outputs = layer(inputs)
    if not isinstance(outputs, Tensor):
        raise NotYet(f"{subject} gave something of the type {type(outputs).__name__}; a tensor is needed.")
    return outputs


def accuracy_of(answer, split, preprocess) -> float:
    """The accuracy (0 to 1) on an `ImageSplit` of an answer that should be a trained network for its classes.

    Raises `NotYet` where it is none.
    """
    if isinstance(answer, tuple) and any(isinstance(part, nn.Module) for part in answer):
        raise NotYet("The answer is the trained network alone, without its history.")
    if not isinstance(answer, nn.Module) or next(answer.parameters(), None) is None:
        raise NotYet("The answer is the trained network.")
    check_weights(answer)
    images = split.images[:2]
    shape = tuple(outputs_of(answer, preprocess(images)).shape)
    if shape != (len(images), len(split.classes)):
        outputs = " x ".join(map(str, shape[1:])) or "no"
        raise NotYet(f"It has {outputs} outputs for an image; there are {len(split.classes)} classes.")
    with readers_code("Shown the images, it"):
        result = evaluate(answer, split, preprocess)
    if not result.logits.isfinite().all():
        raise NotYet("Some of its logits are not numbers: did the training diverge?")
    return result.accuracy
