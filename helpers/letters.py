"""Ten letters in hundreds of typefaces: a target far from drawings of things, with room above a network from scratch.

Capital and small letter are one class. They often differ more from one another than from other letters, so a network
has to find out that A and a belong together. A *thing* is a typeface with all its letters: none is in two splits, and
an interval over things draws typefaces. Letters are turned and coloured like drawings, but never mirrored: a b would be
a d. So train on them with `Preprocess(..., flip=0.0)`.

    python -m helpers.letters         # counts of letters, typefaces and licences per split and class
"""
from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from helpers.composition import DIFFICULTY, render
from helpers.images import LARGEST_SEED, SPLITS, ImageSplit, check_split, whole_number
from helpers.shipped import damaged, tiles

ASSETS = Path(__file__).resolve().parent / "assets" / "letters"
DEAL = ("train", "val", "train", "test")  # how the typefaces of a kind are dealt out
STREAM = 1000  # tells these pictures from the pocket data's, which stay below


class Letter(NamedTuple):
    """One letter: what it shows and whose it is."""

    thing: str  # its typeface, or the first of those that look nearly the same
    label: str  # "A", for a as well
    character: str
    family: str  # its typeface
    kind: str  # of typeface: "serif", "sans-serif", "display", "handwriting" or "monospace"
    copyright: str
    licence: str

    @property
    def origin(self) -> str:
        return f"{self.thing}; {self.character} of {self.family}, {self.copyright}, {self.licence}"


def letters(split: str, renderings: int = 1, seed: int = 0) -> ImageSplit:
    """One split of the letters: "train" (half of the typefaces), "val" or "test". Each letter of each appears once.

    With `renderings`, each letter appears so many times: other colours, another ground, but no new letter. More
    renderings come behind those that there are with fewer. The images are shuffled. Same seed, same bytes; every call
    gives a copy.

    Raises `ValueError` for an unknown split, and for renderings or a seed that are no such whole numbers.
    """
    check_split(split)
    return _composed(split, whole_number(renderings, "renderings", 1, 1000),
                     whole_number(seed, "seed", 0, LARGEST_SEED)).copy()


@functools.lru_cache(maxsize=1)
def _composed(split: str, renderings: int, seed: int) -> ImageSplit:
    return rendered(numbers_of(split), renderings, SPLITS.index(split), seed)


def rendered(numbers: Sequence[int], renderings: int = 1, stream: int = 0, seed: int = 0,
             difficulty: float = DIFFICULTY) -> ImageSplit:
    """Pictures of the letters at these positions in `table`, shuffled; `origin` begins with the thing.

    `renderings`, `stream` and `seed` are those of `composition.render`, and so are the errors.
    """
    images, order = render(pixels(numbers), renderings, STREAM + stream, seed, difficulty, mirror=False)
    rows, classes = [table()[numbers[k]] for k in order], tuple(_document()["classes"])
    labels = torch.tensor([classes.index(row.label) for row in rows], dtype=torch.int64)
    return ImageSplit(torch.from_numpy(images), labels, classes, tuple(row.origin for row in rows))


@functools.lru_cache(maxsize=1)
def _document() -> dict:
    return json.loads((ASSETS / "letters.json").read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=1)
def table() -> tuple[Letter, ...]:
    """All letters, by typeface."""
    try:
        rows = tuple(Letter(row["thing"], character.upper(), character, row["family"], row["kind"], row["copyright"],
                            row["licence"]) for row in _document()["families"] for character in row["characters"])
        if not rows:
            raise ValueError("empty")
        return rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(ASSETS / "letters.json") from error


@functools.lru_cache(maxsize=1)
def _masks() -> np.ndarray:
    count = len(table())
    return tiles(ASSETS / "letters.webp", "L", _document()["tile"], _document()["columns"], count)


def pixels(numbers: Sequence[int]) -> np.ndarray:
    """Letters by their positions in `table`, in black: premultiplied RGBA, uint8 (n, 64, 64, 4), the caller's own.

    Raises `IndexError` for a position that there is not.
    """
    numbers = np.asarray(numbers, np.int64).reshape(-1)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(table()):
        raise IndexError(f"There are {len(table())} letters; positions go from 0 to {len(table()) - 1}.")
    drawn = np.zeros((len(numbers), *_masks().shape[1:], 4), np.uint8)
    drawn[..., 3] = _masks()[numbers]
    return drawn


def split_things() -> dict[str, tuple[str, ...]]:
    """The things of "train", "val" and "test": each gets its share of each kind of typeface. The same on every call."""
    kinds: dict[str, str] = {}
    for letter in table():
        kinds.setdefault(letter.thing, letter.kind)
    order = sorted(kinds, key=lambda thing: (kinds[thing], thing))
    part_of = {thing: DEAL[k % len(DEAL)] for k, thing in enumerate(order)}
    return {split: tuple(sorted(thing for thing in order if part_of[thing] == split)) for split in SPLITS}


def numbers_of(split: str) -> list[int]:
    """Positions in `table` of the letters of "train", "val" or "test"."""
    check_split(split)
    own = set(split_things()[split])
    return [k for k, letter in enumerate(table()) if letter.thing in own]


def counts(rows: Sequence[Letter]) -> str:
    """One line: how many letters (and of them small ones), typefaces, things, and letters under each licence."""
    licences = ", ".join(f"{name} {n}" for name, n in Counter(row.licence for row in rows).most_common())
    return (f"{len(rows):7} {sum(row.character.islower() for row in rows):6} {len({row.family for row in rows}):9} "
            f"{len({row.thing for row in rows}):7}  {licences}")


def main() -> None:
    print(f"{'':10} {'letters':>7} {'small':>6} {'typefaces':>9} {'things':>7}  letters under each licence")
    parts = {"all": list(table())} | {split: [table()[k] for k in numbers_of(split)] for split in SPLITS}
    for part, rows in parts.items():
        for label in ("", *_document()["classes"]):
            print(f"{part:6} {label:3} {counts([row for row in rows if label in ('', row.label)])}")


if __name__ == "__main__":
    main()
