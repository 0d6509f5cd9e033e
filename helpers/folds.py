"""Three targets, near to the source task, in the middle and far from it: their things, dealt into five folds, and
pictures of them.

Each thing is examined once: fold k examines the things of part k, chooses on those of part k + 1, and learns from the
other three. `evidence` holds what was measured on them beforehand; with these folds any of it can be measured again.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from helpers import drawings, letters, pocket
from helpers.images import ImageSplit

FOLDS = 5
ENOUGH = 25  # pictures per class to choose the epoch and the rate on


@dataclass(frozen=True)
class Target:
    """A set of drawings by number: what each shows, whose thing it is, and how pictures are made of them."""

    classes: tuple[str, ...]
    labels: np.ndarray  # (n,), positions in `classes`
    things: tuple[str, ...]  # (n,)
    picture: Callable[[list[int], int], ImageSplit]  # of drawings by number, one each, from a seed


@lru_cache(maxsize=3)
def target(name: str) -> Target:
    """ "near": the coloured drawings; "middle": the one-coloured ones; "far": letters."""
    source = letters if name == "far" else drawings
    rendered = letters.rendered if name == "far" else pocket.rendered
    numbers = [k for k, row in enumerate(source.table()) if name == "far" or row.coloured == (name == "near")]
    rows = [source.table()[k] for k in numbers]
    classes = tuple(sorted({row.label for row in rows}))
    return Target(classes, np.array([classes.index(row.label) for row in rows]), tuple(row.thing for row in rows),
                  lambda chosen, seed: rendered([numbers[k] for k in chosen], stream=7, seed=seed))


def parts(labels: np.ndarray, things: tuple[str, ...]) -> np.ndarray:
    """The part, 0 to 4, that each drawing belongs to. Things stay together; those of a class are dealt in turn.

    A typeface has letters of all classes, and counts as one of its first letter's.
    """
    rng, class_of, part_of = np.random.RandomState(0), {}, {}
    for thing, label in zip(things, labels.tolist(), strict=True):
        class_of.setdefault(thing, label)
    for label in sorted(set(class_of.values())):
        own = sorted(thing for thing, its in class_of.items() if its == label)
        for k, place in enumerate(rng.permutation(len(own))):
            part_of[own[place]] = (k + label) % FOLDS  # each class begins elsewhere: so the parts are equally large
    return np.array([part_of[thing] for thing in things])


@lru_cache(maxsize=5)
def exam(name: str, number: int) -> ImageSplit:
    """One picture of each drawing of part `number`: the exam of the fold of that number."""
    data = target(name)
    return data.picture(np.flatnonzero(parts(data.labels, data.things) == number).tolist(), 1)


@lru_cache(maxsize=1)
def validation(name: str, number: int) -> ImageSplit:
    """What fold `number` chooses on: of the next fold's exam at most ENOUGH pictures per class."""
    return exam(name, (number + 1) % FOLDS).at_most(ENOUGH)


@lru_cache(maxsize=2)
def lessons(name: str, number: int, per_class: int | None, pictures: int) -> ImageSplit:
    """What fold `number` learns from: `per_class` drawings of each class (None: all; fewer where a class has fewer).

    `pictures` of each class are made of them, so that a scarce class weighs no less than another; a class that has more
    drawings to learn from shows each of them once. Each fold draws other labels.
    """
    data = target(name)
    part, rng = parts(data.labels, data.things), np.random.RandomState(100 + number)
    learn, chosen = ~np.isin(part, [number, (number + 1) % FOLDS]), []
    for label in range(len(data.classes)):
        own = rng.permutation(np.flatnonzero(learn & (data.labels == label)))[:per_class]
        chosen += np.resize(own, max(pictures, len(own))).tolist()
    return data.picture(chosen, 1000 + number)
