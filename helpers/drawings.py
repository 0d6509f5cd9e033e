"""Thousands of drawings of the ten classes, by many artists: coloured emoji and one-coloured pictograms.

A *thing* is one artist's subject: its outline, filled and duotone drawings, and near copies in other sets, are one
thing. The splits keep things together: a network is never examined on a drawing that it knows in another guise.

    python -m helpers.drawings        # counts of drawings, things, artists and licences per class and per split
"""
from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.shipped import damaged, tiles

ASSETS = Path(__file__).resolve().parent / "assets" / "drawings"
PARTS = ("train", "val", "test", "final")  # "final" is for the last exam of notebook 04, and for nothing before it
# How things are dealt out, twenty at a time: ten for training, three each for validation and test, four set aside.
DEAL = ("train", "final", "train", "val", "train", "test", "train", "final", "train", "val",
        "train", "test", "train", "final", "train", "val", "train", "test", "train", "final")
MANY = 5  # drawings; a thing that has so many weighs in a split


class Drawing(NamedTuple):
    """One drawing: what it shows and whose it is."""

    thing: str  # "artist: subject"; a thing has one class
    label: str
    set: str
    name: str
    artist: str  # of the set; several sets can have one artist
    author: str  # as the licence wants it told
    licence: str
    coloured: bool

    @property
    def origin(self) -> str:
        return f"{self.thing}; {self.set}:{self.name}, {self.author}, {self.licence}"


@functools.lru_cache(maxsize=1)
def table() -> tuple[Drawing, ...]:
    """All drawings: first the one-coloured, then the coloured ones, each by class and thing."""
    path = ASSETS / "drawings.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        sets = document["sets"]
        rows = tuple(Drawing(thing, label, prefix, name, sets[prefix]["artist"], sets[prefix]["author"],
                             sets[prefix]["licence"], k >= document["masks"])
                     for k, (thing, label, prefix, name) in enumerate(document["drawings"]))
        if not rows:
            raise ValueError("empty")
        return rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error


@functools.lru_cache(maxsize=1)
def _tiles() -> tuple[np.ndarray, np.ndarray]:
    """The masks, uint8 (n, tile, tile), and the coloured drawings, premultiplied uint8 (n, tile, tile, 4)."""
    document = json.loads((ASSETS / "drawings.json").read_text(encoding="utf-8")) if table() else {}
    coloured = sum(drawing.coloured for drawing in table())
    masks, rgba = (tiles(ASSETS / f"{name}.webp", mode, document["tile"], document["columns"], count)
                   for name, mode, count in (("masks", "L", len(table()) - coloured), ("coloured", "RGBA", coloured)))
    return masks, premultiplied(rgba)


def premultiplied(rgba: np.ndarray) -> np.ndarray:
    """Colour times alpha, so that blending at the edges is a plain sum: uint8 (..., 4) in and out."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return np.concatenate([(rgba[..., :3] * alpha + 127) // 255, alpha], axis=-1).astype(np.uint8)


def pixels(numbers: Sequence[int]) -> np.ndarray:
    """Drawings by their positions in `table`: premultiplied RGBA, uint8 (n, 64, 64, 4), one-coloured ones in black.

    The array is the caller's own. Raises `IndexError` for a position that there is not.
    """
    numbers = np.asarray(numbers, np.int64).reshape(-1)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(table()):
        raise IndexError(f"There are {len(table())} drawings; positions go from 0 to {len(table()) - 1}.")
    masks, coloured = _tiles()
    drawn = np.zeros((len(numbers), *coloured.shape[1:]), np.uint8)
    plain = numbers < len(masks)
    drawn[plain, ..., 3] = masks[numbers[plain]]
    drawn[~plain] = coloured[numbers[~plain] - len(masks)]
    return drawn


@functools.lru_cache(maxsize=1)
def _deal() -> dict[str, str]:
    """The part that each thing belongs to.

    The things of a class stand in order of kind (coloured or not, with few drawings or many) and of artist, and are
    dealt out like cards: so each part gets its share of each kind and artist. Each class starts elsewhere in
    DEAL, and every other one swaps validation and test, so that none of the two gets the odd one out each time.
    """
    part_of, classes = {}, sorted({drawing.label for drawing in table()})
    for c, label in enumerate(classes):
        of_thing: dict[str, list[Drawing]] = {}
        for drawing in table():
            if drawing.label == label:
                of_thing.setdefault(drawing.thing, []).append(drawing)
        order = sorted(of_thing, key=lambda t: (
            any(d.coloured for d in of_thing[t]), len(of_thing[t]) >= MANY, of_thing[t][0].artist, t))
        swap = {"val": "test", "test": "val"} if c % 2 else {}
        for k, thing in enumerate(order):
            part = DEAL[(k + 7 * c) % len(DEAL)]
            part_of[thing] = swap.get(part, part)
    return part_of


def split_things() -> dict[str, tuple[str, ...]]:
    """The things of "train", "val", "test" and "final", sorted; no thing is in two of them. The same on every call."""
    return {part: tuple(sorted(thing for thing, own in _deal().items() if own == part)) for part in PARTS}


def numbers_of(part: str) -> list[int]:
    """Positions in `table` of the drawings of "train", "val", "test" or "final"."""
    if part not in PARTS:
        raise ValueError(f"There is no part {part!r} of the drawings; choose one of {', '.join(PARTS)}.")
    return [k for k, drawing in enumerate(table()) if _deal()[drawing.thing] == part]


def counts(drawings: Sequence[Drawing]) -> str:
    """One line: how many drawings (and of them coloured ones), things, artists, and drawings under each licence."""
    licences = ", ".join(f"{name} {n}" for name, n in Counter(d.licence for d in drawings).most_common())
    return (f"{len(drawings):5} {sum(d.coloured for d in drawings):9} {len({d.thing for d in drawings}):7} "
            f"{len({d.artist for d in drawings}):8}  {licences}")


def main() -> None:
    print(f"{'':16} {'drawings':>5} {'coloured':>6} {'things':>6} {'artists':>8}  drawings under each licence")
    parts = {"all": list(table())} | {part: [table()[k] for k in numbers_of(part)] for part in PARTS}
    for part, drawings in parts.items():
        for label in ("", *sorted({d.label for d in drawings})):
            print(f"{part:6} {label:9} {counts([d for d in drawings if label in ('', d.label)])}")


if __name__ == "__main__":
    main()
