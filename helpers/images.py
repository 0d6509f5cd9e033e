"""What a set of labelled images is: uint8 pixels, labels, and the names of the classes."""
from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

SPLITS = ("train", "val", "test")


def check_images(images: Tensor) -> None:
    """Raise `ValueError` unless `images` is a uint8 tensor of shape (n, 3, H, W)."""
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        got = f"{images.dtype} of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"Images must be a uint8 tensor of shape (n, 3, height, width), not {got}.")


@dataclass(frozen=True)
class ImageSplit:
    """Labelled images: `images` uint8 (n, 3, H, W), `labels` int64 (n,), `classes` the names behind the labels.

    `origin` says for each image where it comes from (pocket data: the drawing's name, family and licence).
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    origin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_images(self.images)
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.images),):
            raise ValueError(f"Labels must be int64 of shape ({len(self.images)},), "
                             f"not {self.labels.dtype} of shape {tuple(self.labels.shape)}.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """(images, labels), as in `torch.utils.data.TensorDataset`."""
        return self.images, self.labels

    def pick(self, indices: Tensor) -> ImageSplit:
        """The images at these positions, in this order."""
        origin = tuple(self.origin[int(k)] for k in indices) if self.origin else ()
        return replace(self, images=self.images[indices], labels=self.labels[indices], origin=origin)

    def few(self, per_class: int, seed: int = 0) -> ImageSplit:
        """A random subset with `per_class` images of every class; another seed gives another subset.

        Raises `ValueError` if a class has fewer.
        """
        counts = torch.bincount(self.labels, minlength=len(self.classes))
        if not 1 <= per_class <= int(counts.min()):
            scarce = self.classes[int(counts.argmin())]
            raise ValueError(f"{per_class} images a class were asked for; choose 1 to {int(counts.min())} "
                             f"({scarce!r} has no more).")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        chosen = [order[self.labels[order] == label][:per_class] for label in range(len(self.classes))]
        return self.pick(torch.cat(chosen))


def check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
