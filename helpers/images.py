"""What a set of labelled images is: uint8 pixels, labels, and the names of the classes; how such data is checked."""
from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import DatasetFolder

SPLITS = ("train", "val", "test")
LARGEST_SEED = 2**32 - 1  # NumPy takes none above it


@dataclass(frozen=True)
class ImageSplit:
    """Labelled images: `images` uint8 (n, 3, H, W), `labels` int64 (n,), `classes` the names behind the labels.

    `origin` says for each image where it comes from (pocket data: the thing; the drawing's name, author and licence).
    Raises `ValueError` where one of them is of another kind, or where they don't fit together.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    origin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_images(self.images)
        check_labels(self.labels, len(self.images))
        stray = self.labels[(self.labels < 0) | (self.labels >= len(self.classes))]
        if len(stray):
            raise ValueError(f"Labels are positions in `classes`, here 0 to {len(self.classes) - 1}; "
                             f"{int(stray[0])} is none of them.")
        if len(self.origin) not in (0, len(self.images)):
            raise ValueError(f"`origin` must have one entry for each of the {len(self.images)} images, or none at all, "
                             f"not {len(self.origin)}.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """(images, labels), as in `torch.utils.data.TensorDataset`."""
        return self.images, self.labels

    def copy(self) -> ImageSplit:
        """The same with tensors of its own: what is written into them does not reach this one."""
        return replace(self, images=self.images.clone(), labels=self.labels.clone())

    def pick(self, indices: Tensor) -> ImageSplit:
        """A copy of the images at these positions, in this order; or of those where a mask of n booleans is true.

        Raises `ValueError` if there is no such position.
        """
        try:
            places = torch.arange(len(self))[indices]
        except (IndexError, TypeError):
            places = torch.tensor(0)
        if places.ndim != 1:
            raise ValueError(f"Pick images by a list or tensor of positions from 0 to {len(self) - 1}, or by a mask of "
                             f"{len(self)} booleans.")
        origin = tuple(self.origin[k] for k in places.tolist()) if self.origin else ()
        return replace(self, images=self.images[places], labels=self.labels[places], origin=origin)

    def few(self, per_class: int, seed: int = 0) -> ImageSplit:
        """A random subset with `per_class` images of every class; another seed gives another subset.

        Raises `ValueError` if a class has fewer.
        """
        counts = torch.bincount(self.labels, minlength=len(self.classes))
        most, scarce = int(counts.min()), self.classes[int(counts.argmin())]
        if most == 0:
            raise ValueError(f"There is no image of {scarce!r} here, so no subset can have images of every class: add "
                             "some, or leave that name out of `classes`.")
        return self.at_most(whole_number(per_class, "per_class", 1, most, f" ({scarce!r} has no more images)"), seed)

    def at_most(self, per_class: int, seed: int = 0) -> ImageSplit:
        """A random subset with `per_class` images of every class that has so many, and with all of those of the others.

        For an exam, in which a scarce class should not make the others scarce too.
        """
        per_class = whole_number(per_class, "per_class", 1, math.inf)
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(
            whole_number(seed, "seed", 0, LARGEST_SEED)))
        chosen = [order[self.labels[order] == label][:per_class] for label in range(len(self.classes))]
        return self.pick(torch.cat(chosen))


# --- checks: each raises `ValueError` with one sentence ------------------------------------------------------------

def check_split(split: str) -> None:
    """`split` must be "train", "val" or "test"."""
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")


def whole_number(value: int, name: str, least: int, most: float, why: str = "") -> int:
    """`value` as an int, which must lie between `least` and `most`; `why` stands behind these in the message."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        bounds = f"from {least} to {most}" if most < math.inf else f"of {least} or more"
        raise ValueError(f"{name} must be a whole number {bounds}{why}, not {value!r}.")
    return number


def check_images(images: Tensor) -> None:
    """`images` must be a uint8 tensor of shape (n, 3, H, W)."""
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"Images must be a uint8 tensor of shape (n, 3, height, width), not {_kind(images)}.")


def check_labels(labels: Tensor, count: int, name: str = "Labels") -> None:
    """`labels` must be an int64 tensor of shape (count,)."""
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (count,):
        raise ValueError(f"{name} must be int64 of shape ({count},), not {_kind(labels)}.")


def check_data(data, name: str = "data") -> None:
    """`data` must be something to train on or to be examined on: an `ImageSplit`, or a `TensorDataset` of two tensors.

    That is, `data.tensors` are (inputs, labels): uint8 or float of shape (n, ...), and int64 of shape (n,), with n at
    least 1 and no label below 0. `name` is what the message calls it.
    """
    tensors = getattr(data, "tensors", None)
    if not isinstance(tensors, (tuple, list)) or [isinstance(part, Tensor) for part in tensors] != [True, True]:
        raise ValueError(f"{name} can't be {_kind(data)}: {_instead(data)}.")
    inputs, labels = tensors
    if inputs.ndim == 0 or not (inputs.dtype == torch.uint8 or inputs.is_floating_point()):
        raise ValueError(f"The inputs of {name} must be uint8 images or float features, not {_kind(inputs)}.")
    check_labels(labels, len(inputs), f"The labels of {name}")
    if len(labels) == 0:
        raise ValueError(f"{name} is empty: it needs one image at least.")
    if labels.min() < 0:
        raise ValueError(f"The labels of {name} must count the classes from 0 on; {int(labels.min())} is below that.")


def same_classes(a, b, a_name: str = "train", b_name: str = "val") -> None:
    """Where `a` and `b` both have `.classes`, these must be the same names in the same order. `a_name` and `b_name` are
    what the message calls them.

    A label is a position among the class names, so in another order the same number means another class.
    """
    ours, theirs = (tuple(getattr(data, "classes", None) or ()) for data in (a, b))
    if not ours or not theirs or ours == theirs:
        return
    lacking = {b_name: [name for name in ours if name not in theirs],
               a_name: [name for name in theirs if name not in ours]}
    differ = [f"{side} lacks {_listed(names)}" for side, names in lacking.items() if names]
    if not differ:
        k, (one, other) = next((k, pair) for k, pair in enumerate(zip_longest(ours, theirs)) if pair[0] != pair[1])
        differ = [f"number {k} is {one!r} in {a_name} and {other!r} in {b_name}"]
    raise ValueError(f"{a_name} and {b_name} must have the same classes in the same order, but "
                     f"{' and '.join(differ)}.")


# --- the words of their messages ---------------------------------------------------------------------------------

def _kind(value) -> str:
    """What a value is, in a few words."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"the path {str(value)!r}" if isinstance(value, (str, Path)) else f"a value of type {type(value).__name__}"


def _instead(data) -> str:
    """What to give in the place of data that can't be used."""
    if isinstance(data, (str, Path)):
        return f"read that folder with `datasets.folder({str(data)!r})`"
    if isinstance(data, DatasetFolder):
        return f"read its folder with `datasets.folder({str(data.root)!r})`"
    if isinstance(data, DataLoader):
        return "batches are made from the data itself, an `ImageSplit` or a `TensorDataset(inputs, labels)`"
    if isinstance(data, Subset) and isinstance(data.dataset, ImageSplit):
        return "take a part of an `ImageSplit` with `split.pick(indices)`"
    return "give an `ImageSplit(images, labels, classes)`, or two tensors as `TensorDataset(inputs, labels)`"


def _listed(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
