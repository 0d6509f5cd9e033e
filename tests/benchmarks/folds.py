"""The targets of the benchmark, their things dealt into five folds, and pictures of them.

Each thing is examined once: fold k examines the things of part k, chooses on those of part k + 1, and learns from the
other three. What is near and what is not is told in `tests.benchmarks.transfer`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from helpers import drawings
from helpers.images import ImageSplit
from helpers.pocket import CLASSES, rendered

FOLDS = 5


@dataclass(frozen=True)
class Target:
    """A set of drawings by number: what each shows, whose thing it is, and how pictures are made of them."""

    labels: np.ndarray  # (n,), positions in `CLASSES`
    things: tuple[str, ...]  # (n,)
    picture: Callable[[list[int], int], ImageSplit]  # of drawings by number, one each, from a seed


@lru_cache(maxsize=2)
def target(name: str) -> Target:
    """ "near": the coloured drawings; "middle": the one-coloured ones."""
    numbers = [k for k, row in enumerate(drawings.table()) if row.coloured == (name == "near")]
    rows = [drawings.table()[k] for k in numbers]
    return Target(np.array([CLASSES.index(row.label) for row in rows]), tuple(row.thing for row in rows),
                  lambda chosen, seed: rendered([numbers[k] for k in chosen], stream=7, seed=seed))


def parts(labels: np.ndarray, things: tuple[str, ...]) -> np.ndarray:
    """The part, 0 to 4, that each drawing belongs to. Things stay together; those of a class are dealt in turn."""
    rng, part_of = np.random.RandomState(0), {}
    for label in sorted(set(labels.tolist())):
        own = sorted({thing for thing, its in zip(things, labels.tolist(), strict=True) if its == label})
        for k, place in enumerate(rng.permutation(len(own))):
            part_of[own[place]] = (k + label) % FOLDS  # each class begins elsewhere: so the parts are equally large
    return np.array([part_of[thing] for thing in things])


@lru_cache(maxsize=10)
def exam(name: str, number: int) -> ImageSplit:
    """One picture of each drawing of part `number`: the exam of the fold of that number, the validation of another."""
    data = target(name)
    return data.picture(np.flatnonzero(parts(data.labels, data.things) == number % FOLDS).tolist(), 1)


@lru_cache(maxsize=2)
def lessons(name: str, number: int, per_class: int | None, pictures: int) -> ImageSplit:
    """What fold `number` learns from: `per_class` drawings of each class (None: all; fewer where a class has fewer).

    `pictures` of each class are made of them, whatever their number, so that a scarce class weighs no less than
    another, and few labels are looked at no less often than many. Each fold draws other labels.
    """
    data = target(name)
    part, rng = parts(data.labels, data.things), np.random.RandomState(100 + number)
    learn, chosen = ~np.isin(part, [number % FOLDS, (number + 1) % FOLDS]), []
    for label in range(len(CLASSES)):
        own = rng.permutation(np.flatnonzero(learn & (data.labels == label)))[:per_class]
        chosen += np.resize(own, pictures).tolist()
    return data.picture(chosen, 1000 + number)
