"""What is in a folder of photographs, before anything is learnt from it: how many, of what kind, and what to look at.

`audit(path)` reads each picture once, and keeps what `datasets.folder` will ask for. Nothing is changed in the folder.
"""
from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from helpers import alike, photographs, pictures
from helpers.collection import Collection, collect
from helpers.composition import SIZE
from helpers.figures import BLUE, GREEN, ORANGE, class_name, picture, show
from helpers.photographs import counted, few, listed, tally

UNEVEN = 2  # times as many pictures as another class has, from which on it is told
ROWS = 12  # classes in the table; of more, the scarcest and the richest
BARS = 40  # classes in the figure
PAIRS = 4  # of pictures that look alike, in the figure


@dataclass(frozen=True, repr=False)
class Audit(Collection):
    """What was found; `print(report)` shows it as a short table, and then the sentences of `points`.

    `copies` and `lookalikes`: positions of pictures with equal contents, or that look the same, in the order of
    `names`. Whoever is in `copies` together is in `lookalikes` together, too.
    """

    copies: list[list[int]]
    lookalikes: list[list[int]]
    points: list[str]

    def __str__(self) -> str:
        return "\n".join([*_table(self), *(f"- {point}" for point in self.points)])

    __repr__ = __str__


def audit(root: str | Path, size: int = SIZE) -> Audit:
    """Read all pictures of a folder with one folder per class, or with such folders for train, val and test.

    Nothing that is wrong with a picture or a class raises an error here: it becomes one of the report's `points`.
    Raises `ValueError` if `root` is no folder, or has no pictures in folders.
    """
    read = collect(root, size)
    digests = [photo.digest for one in read.albums.values() for photo in one.photos if not photo.problem]
    looks = alike.groups(digests, alike.pairs(read.usable()))
    found = Audit(**vars(read), copies=_together(alike.groups(digests, [])), lookalikes=_together(looks), points=[])
    found.points.extend([*_structure(found), *_files(found), *_twins(found), *_balance(found, size)])
    return found


def _together(leaders: list[int]) -> list[list[int]]:
    """The groups of more than one, as lists of positions."""
    groups: dict[int, list[int]] = {}
    for k, leader in enumerate(leaders):
        groups.setdefault(leader, []).append(k)
    return [group for group in groups.values() if len(group) > 1]


# --- what to look at, as sentences ---------------------------------------------------------------------------------

def _structure(found: Audit) -> list[str]:
    """Classes that are empty or alone, and those that a split lacks."""
    beside = [name for name in found.whole.files if "" not in found.albums and name not in found.albums]
    points = [f"Not read, because it stands beside the splits: {listed(beside)}."] if beside else []
    for split, one in found.albums.items():
        try:
            photographs.class_names(one.listing, None)
        except ValueError as error:
            points.append(str(error))
        lacking = [name for name in found.classes if name not in one.listing.files]
        if lacking:
            points.append(f"{split} has no folder {listed(lacking)}, which others have: name the folders alike.")
    return points


def _files(found: Audit) -> list[str]:
    """What can't be used, and what is left out."""
    points = [f"{counted(len(names), 'picture')} can't be used: {few(names, 20)}. {why}"
              for why, names in found.problems().items()]
    return [*points, f"Left out: {found.whole.said()}."] if found.whole.left_out else points


def _twins(found: Audit) -> list[str]:
    """Copies and look-alikes, the worst first: in two splits, in two classes, in one class."""
    points = []
    copied = {frozenset(group) for group in found.copies}
    looks = [group for group in found.lookalikes if frozenset(group) not in copied]
    for thing, groups, sure in (("file", found.copies, "is"), ("group of look-alikes", looks, "may be")):
        homes = [({found.places[k][0] for k in group}, {found.places[k] for k in group}) for group in groups]
        kinds = (("in two splits, so that the exam would ask what was learnt by heart", [len(s) > 1 for s, _ in homes]),
                 (f"in two classes, so that one label {sure} wrong",
                  [len({name for _, name in places}) > 1 for _, places in homes]),
                 ("more than once in one class" if thing == "file" else "in one class",
                  [len(places) == 1 for _, places in homes]))
        for where, chosen in kinds:
            own = [group for group, its in zip(groups, chosen, strict=True) if its]
            if own:
                number = f"{len(own):,} {thing.replace(' of', 's of') if ' ' in thing else thing + 's'}"
                points.append(f"{f'1 {thing} is' if len(own) == 1 else f'{number} are'} {where}: "
                              f"{_examples(found, own)}.")
    return points


def _examples(found: Audit, groups: list[list[int]]) -> str:
    return few([" = ".join([found.names[k] for k in group[:3]] + ["..."] * (len(group) > 3)) for group in groups])


def _balance(found: Audit, size: int) -> list[str]:
    """Classes of which one has many times as many pictures as another, and pictures that are too small."""
    points = []
    for split, counts in zip(found.albums, found.counts, strict=True):
        least, most = int(counts.argmin()), int(counts.argmax())
        if 0 < UNEVEN * counts[least] <= counts[most]:
            points.append(f"{found.classes[most]!r} has {counts[most] / counts[least]:.1f} times as many pictures as "
                          f"{found.classes[least]!r}{f' in {split}' if split else ''}.")
    small = sum(0 < min(photo.width, photo.height) < size for one in found.albums.values() for photo in one.photos)
    if small:
        points.append(f"{counted(small, 'picture')} will be enlarged to {size} pixels.")
    return points


# --- the table and the figure --------------------------------------------------------------------------------------

def _table(found: Audit) -> list[str]:
    photos = [photo for one in found.albums.values() for photo in one.photos if not photo.problem]
    lines = [f"{found.root.name}: {counted(len(photos), 'picture')} of {len(found.classes)} classes, "
             f"{sum(photo.bytes for photo in photos) / 1e6:,.1f} MB"]
    order = np.argsort(found.counts.sum(0), kind="stable")
    shown = _ends(order, ROWS)
    rows = [("class", [split or "pictures" for split in found.albums]),
            *((found.classes[k], [f"{count:,}" for count in found.counts[:, k]]) for k in shown),
            ("all" if len(shown) == len(order) else f"all {len(order)}", [f"{n:,}" for n in found.counts.sum(1)])]
    width = max(_columns(name) for name, _ in rows)
    lines += ["  " + name + " " * (width - _columns(name)) + "".join(f"{value:>10}" for value in values)
              for name, values in rows]
    if photos:
        sizes = sorted((photo.width * photo.height, photo.width, photo.height) for photo in photos)
        low, middle, high = (f"{w} x {h}" for _, w, h in (sizes[0], sizes[len(sizes) // 2], sizes[-1]))
        lines += [f"  formats: {tally(photo.format for photo in photos)}",
                  f"  pixels: {low} to {high}, the middle one {middle}"]
    return lines


def _ends(order: np.ndarray, most: int) -> list[int]:
    """All positions, sorted; or of an order from scarce to rich that is too long, its two ends."""
    return sorted(order) if len(order) <= most else [*order[: most // 2], *order[-(most // 2):]]


def _columns(text: str) -> int:
    """How many columns a text takes in a typewriter's print: two for a Chinese sign, none for an accent."""
    return sum(0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
               for sign in text)


def draw(found: Audit) -> None:
    """How many pictures each class has in each split, and beside it some pairs that look alike to the audit."""
    shown = _ends(np.argsort(found.counts.sum(0), kind="stable"), BARS)
    examples = sorted(found.lookalikes, key=lambda group: -len({found.places[k] for k in group}))[:PAIRS]  # worst first
    figure = Figure(figsize=(9.5, max(2.8, 0.26 * len(shown) + 0.9)))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1)) if examples else (figure, None)
    axis, start = left.subplots(), np.zeros(len(shown), dtype=int)
    for split, counts, colour in zip(found.albums, found.counts, (BLUE, ORANGE, GREEN) * len(found.albums),
                                     strict=False):
        axis.barh(range(len(shown)), counts[shown], left=start, color=colour, label=split)
        start = start + counts[shown]
    axis.set_yticks(range(len(shown)), [found.classes[k] for k in shown], parse_math=False)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set(xlabel="pictures", title=None if len(shown) == len(found.classes) else "the scarcest and the richest")
    if len(found.albums) > 1:
        left.legend(loc="outside upper center", ncols=len(found.albums))
    if right:
        usable = found.usable()
        right.suptitle("look alike to the audit", fontsize=12)
        for axes, group in zip(right.subplots(2, PAIRS).T, [*examples, *[[]] * PAIRS], strict=False):
            for axis, k, side in zip(axes, [*group[:2], None, None], "SN", strict=False):
                axis.set_axis_off()
                axis.set_anchor(side)  # a pair meets in the middle, however tall the figure is
                if k is not None:
                    picture(axis, usable[k])
                    height, aligned = (1.04, "bottom") if side == "S" else (-0.04, "top")
                    axis.text(0.5, height, class_name(found.places[k][1], 12), fontsize=9, ha="center", va=aligned,
                              transform=axis.transAxes)
    splits = f" in {', '.join(found.albums)}" if len(found.albums) > 1 else ""
    told = "; ".join(f"{found.classes[k]} {', '.join(map(str, found.counts[:, k]))}" for k in shown)
    with pictures.quiet():  # of signs that no font here has: the table has them
        show(figure, f"Pictures of each class{splits}: {told}."
                     + (f" Beside it {counted(len(examples), 'pair')} that look alike." if examples else ""))
