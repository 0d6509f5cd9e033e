"""The pocket data: pictures of thousands of drawings by many artists, in STL-10's ten classes and size.

Its splits never share a thing, so a network is examined on subjects and guises that it has not seen. Each drawing
appears once: a label is a drawing, and a class has as many as artists drew. So the classes differ in size, as they do
in most collections, and an accuracy over these images weighs the classes alike.
"""
from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from helpers import drawings
from helpers.composition import DIFFICULTY, render
from helpers.images import LARGEST_SEED, ImageSplit, whole_number

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
KINDS = ("both", "coloured", "one-coloured")


def pocket(split: str, kind: str = "both", renderings: int = 1, seed: int = 0) -> ImageSplit:
    """One split of the pocket data: "train", "val", "test"; or "final", kept for the last exam of the last notebook.

    `kind` is "coloured" (drawings in the manner of emoji), "one-coloured" (pictograms) or "both". With `renderings`,
    each drawing appears so many times: other colours, another ground, but no new drawing. More renderings come behind
    those that there are with fewer. The images are shuffled. Same seed, same bytes; every call gives a copy.

    Raises `ValueError` for an unknown split or kind, and for renderings or a seed that are no such whole numbers.
    """
    if split not in drawings.PARTS:
        raise ValueError(f"Unknown split {split!r} of the pocket data; choose one of {', '.join(drawings.PARTS)}.")
    if kind not in KINDS:
        raise ValueError(f"Unknown kind {kind!r}; choose one of {', '.join(KINDS)}.")
    return _composed(split, kind, whole_number(renderings, "renderings", 1, 1000),
                     whole_number(seed, "seed", 0, LARGEST_SEED)).copy()


@functools.lru_cache(maxsize=4)
def _composed(split: str, kind: str, renderings: int, seed: int) -> ImageSplit:
    numbers = drawings.numbers_of(split)
    if kind != "both":
        numbers = [k for k in numbers if drawings.table()[k].coloured == (kind == "coloured")]
    return rendered(numbers, renderings, 100 * KINDS.index(kind) + drawings.PARTS.index(split), seed)


def rendered(numbers: Sequence[int], renderings: int = 1, stream: int = 0, seed: int = 0,
             difficulty: float = DIFFICULTY) -> ImageSplit:
    """Pictures of the drawings at these positions in `drawings.table`, shuffled; `origin` begins with the thing.

    `renderings`, `stream` and `seed` are those of `composition.render`.
    """
    images, order = render(drawings.pixels(numbers), renderings, stream, seed, difficulty)
    rows = [drawings.table()[numbers[k]] for k in order]
    labels = torch.tensor([CLASSES.index(row.label) for row in rows], dtype=torch.int64)
    return ImageSplit(torch.from_numpy(images), labels, CLASSES, tuple(row.origin for row in rows))
