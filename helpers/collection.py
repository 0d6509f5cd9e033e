"""A folder of photographs as a data set: all pictures in it that can be used, and how they are dealt out.

A folder that has the splits train, val and test keeps them; any other is divided. Nothing is changed in it.
"""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import album, photographs
from helpers.album import Album
from helpers.composition import SIZE
from helpers.division import LEAST, divide
from helpers.images import SPLITS, ImageSplit
from helpers.photographs import Listing, few, listed


@dataclass(frozen=True, repr=False)
class Collection:
    """What is in a folder, `whole` with what is left out.

    `albums` by split, or one called "" where the folder has none; `counts` int64 (splits, classes), without pictures
    that can't be used.
    """

    whole: Listing
    albums: dict[str, Album]
    classes: tuple[str, ...]
    counts: np.ndarray
    names: tuple[str, ...]  # of all pictures that can be used, with their folders
    places: tuple[tuple[str, str], ...]  # split and class of each of these

    @property
    def root(self) -> Path:
        return self.whole.root

    def usable(self) -> torch.Tensor:
        """The pixels of all pictures that can be used, uint8 (n, 3, size, size), in the order of `names`."""
        return torch.cat([one.pixels[[not photo.problem for photo in one.photos]] for one in self.albums.values()])

    def problems(self) -> dict[str, list[str]]:
        """The names of what can't be used, by reason."""
        found: dict[str, list[str]] = {}
        for split, one in self.albums.items():
            for why, names in one.problems().items():
                found.setdefault(why, []).extend(f"{split}/{name}" if split else name for name in names)
        return found

    def splits(self, seed: int = 0) -> dict[str, ImageSplit]:
        """All pictures that can be used, as "train", "val" and "test": the folder's own, or as `divide` makes them.

        A folder with some of the three is divided anew, and a line says so. What can't be used is not among them, and
        `problems` names it. Raises `ValueError` where `divide` does, and for a class of which a split has too few.
        """
        labels = torch.tensor([self.classes.index(name) for _, name in self.places], dtype=torch.int64)
        whole = ImageSplit(self.usable(), labels, self.classes, self.names)
        kinds = {photographs.SPLITS[name.lower()]: name for name in self.albums if name}
        if len(kinds) < len(SPLITS):
            if kinds:
                print(f"{self.root.name} holds {listed(list(self.albums))}, and all of {', '.join(SPLITS)} are needed: "
                      "its pictures are divided anew.")
            return divide(whole, seed)
        if scarce := [f"{self.classes[k]!r} in {split}" for split, counts in zip(self.albums, self.counts, strict=True)
                      for k in np.flatnonzero(counts < LEAST[photographs.SPLITS[split.lower()]])]:
            raise ValueError(f"There are too few pictures of {few(scarce)}: each class needs one to learn from, one to "
                             "choose on, and two to be examined on.")
        home = [split for split, _ in self.places]
        return {kind: whole.pick([k for k, its in enumerate(home) if its == kinds[kind]]) for kind in SPLITS}


def collect(root: str | Path, size: int = SIZE) -> Collection:
    """Read all pictures of a folder with one folder per class, or with such folders for train, val and test.

    Each becomes `size` pixels a side. Nothing that is wrong with a picture or a class raises an error here.
    Raises `ValueError` if `root` is no folder, or has no pictures in folders.
    """
    root = photographs.checked(root)
    whole = photographs.listing(root)
    if not len(whole):
        raise ValueError(f"No pictures in {root}: put them into one folder per class below it.")
    listings = {split: photographs.listing(root / split) for split in photographs.splits_of(whole)} or {"": whole}
    albums = {split: album.read(listing, size) for split, listing in listings.items()}
    classes = tuple(sorted({name for listing in listings.values() for name in listing.files}))
    rows = [(f"{split}/{name}" if split else name, (split, list(listings[split].files)[label]))
            for split, one in albums.items() for name, label, photo in zip(
                one.names(), one.labels.tolist(), one.photos, strict=True) if not photo.problem]
    number = Counter(place for _, place in rows)
    counts = np.array([[number[split, name] for name in classes] for split in listings])
    return Collection(whole, albums, classes, counts, tuple(name for name, _ in rows),
                      tuple(place for _, place in rows))
