"""One folder of photographs divided into train, val and test, as nobody has done it yet.

Pictures that look the same stay together: if one photograph of a burst were learnt from and another examined, the exam
would ask what was learnt by heart. Each class is divided by itself, so that all three have all classes.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers import alike
from helpers.images import LARGEST_SEED, SPLITS, ImageSplit, whole_number

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}  # of each class
LEAST = {"train": 1, "val": 1, "test": 2}  # that look different: from a single thing no interval can be had


def divide(data: ImageSplit, seed: int = 0) -> dict[str, ImageSplit]:
    """The images of `data` as "train", "val" and "test": about SHARES of each class, and at least LEAST.

    The same data and seed give the same division. Where images look the same, their `origin` begins with the first of
    them, "cats/1.jpg; cats/2.jpg": so whatever counts things (`intervals.things_of`) takes them for one.
    Raises `ValueError` if a class has fewer than four images that look different.
    """
    seed = whole_number(seed, "seed", 0, LARGEST_SEED)
    names = data.origin or tuple(map(str, range(len(data))))
    leaders = np.array(alike.groups(range(len(data)), alike.pairs(data.images)), dtype=np.int64)
    origin = tuple(name if leader == k else f"{names[leader]}; {name}"
                   for k, (name, leader) in enumerate(zip(names, leaders, strict=True)))
    side, rng = np.empty(len(data), dtype="<U5"), np.random.RandomState(seed)
    for label, name in enumerate(data.classes):
        own = np.flatnonzero(data.labels.numpy()[leaders] == label)  # where classes look the same, the first one's
        if (count := len(set(leaders[own]))) < sum(LEAST.values()):
            raise ValueError(f"{name!r} has too few images that look different, namely {count}: four are needed, one "
                             "to learn from, one to choose on, and two to be examined on.")
        for leader, its in _dealt(leaders[own], rng).items():
            side[leaders == leader] = its
    whole = replace(data, origin=origin)
    return {split: whole.pick(np.flatnonzero(side == split).tolist()) for split in SPLITS}


def _dealt(leaders: np.ndarray, rng: np.random.RandomState) -> dict[int, str]:
    """The split of each group of a class; `leaders` (n,): the group that each of its images is in.

    The largest groups first, each to the split that lacks most; but every split gets its LEAST.
    """
    groups, sizes = np.unique(leaders, return_counts=True)
    order = rng.permutation(len(groups))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacks = {split: max(LEAST[split], round(share * len(leaders))) for split, share in SHARES.items()}
    lacks["train"] = len(leaders) - lacks["val"] - lacks["test"]
    given: dict[int, str] = {}
    for left, k in zip(range(len(order), 0, -1), order, strict=True):
        owed = [split for split, least in LEAST.items() for _ in range(least - list(given.values()).count(split))]
        split = max(owed if len(owed) == left else SPLITS, key=lacks.__getitem__)
        given[int(groups[k])] = split
        lacks[split] -= sizes[k]
    return given
