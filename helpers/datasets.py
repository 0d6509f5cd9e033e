"""The images: every data set arrives as the same `ImageSplit` of uint8 pixels, labels and class names."""
from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import album as albums
from helpers import photographs, pictures
from helpers.collection import collect
from helpers.composition import SIZE
from helpers.fetch import downloads
from helpers.fetch import stl10 as stl10_files
from helpers.images import ImageSplit, check_split, whole_number
from helpers.letters import letters
from helpers.pocket import CLASSES, pocket

NAMES = ("pocket", "letters", "digits", "stl10")


@dataclass(frozen=True, eq=False)
class Own:
    """A folder of the reader's own, whose photographs become `size` pixels a side. Nothing is read before it is needed.

    It has folders for train, val and test, with a folder for each class in these; or one folder per class, and then
    `divide` deals out the pictures.
    """

    root: Path
    size: int = SIZE

    def __str__(self) -> str:
        return self.root.name

    @functools.cached_property
    def splits(self) -> dict[str, ImageSplit]:
        """The three splits by name. What can't be used is left out, and a line says how many pictures that are.

        Raises:
            ValueError: there are fewer than two classes, or too few pictures of one of them.
            MemoryError: there is no room for them.
        """
        found = collect(self.root, self.size)
        for one in found.albums.values():
            photographs.class_names(one.listing, None)
        if lost := [name for names in found.problems().values() for name in names]:
            number, verb = photographs.counted(len(lost), "picture"), "is" if len(lost) == 1 else "are"
            print(f"{number} of {self} can't be used and {verb} left out: {photographs.few(lost)}. Notebook 6's audit "
                  "says why.")
        return found.splits()


def load(name: str | Own, split: str, root: str | Path | None = None) -> ImageSplit:
    """One split ("train", "val", "test" or "final") of the data set `name`: one of NAMES, or a folder, `own(path)`.

    "final" is for a last exam, of images that nobody has opened; the data sets that keep no such images give "test".
    `root` is the folder that holds STL-10's files; the others come with the course and its packages. Every call gives
    images of its own: what is written into them changes no later one. Letters and digits must not be mirrored: prepare
    them with `Preprocess(..., flip=0.0)`. Raises `ValueError` for an unknown name or split.
    """
    split = "test" if split == "final" and name != "pocket" else split
    if isinstance(name, Own):
        check_split(split)
        return name.splits[split].copy()
    loaders = {"pocket": pocket, "letters": letters, "digits": digits, "stl10": functools.partial(stl10, root=root)}
    if name not in list(loaders):
        raise ValueError(f"Unknown data set {name!r}; choose one of {', '.join(loaders)}.")
    return loaders[name](split)


def digits(split: str) -> ImageSplit:
    """scikit-learn's handwritten digits, 8 x 8 grey, enlarged to 96 x 96 RGB: a target far from any photograph.

    1,797 images: 1,000 for "train", 297 for "val", 500 for "test", shuffled once with a fixed seed.
    Raises `ValueError` for an unknown split.
    """
    from sklearn.datasets import load_digits

    check_split(split)
    grey, labels = load_digits(return_X_y=True)
    start, stop = {"train": (0, 1000), "val": (1000, 1297), "test": (1297, 1797)}[split]
    order = np.random.RandomState(0).permutation(len(labels))[start:stop]
    small = torch.from_numpy(grey[order]).view(-1, 1, 8, 8) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=SIZE, mode="bilinear", align_corners=False)
    images = large.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    return ImageSplit(images, torch.from_numpy(labels[order].astype(np.int64)), tuple("0123456789"))


def stl10(split: str, fold: int | None = None, root: str | Path | None = None) -> ImageSplit:
    """STL-10's labelled images, fetched into the folder `root` (by default TL_CACHE) where they are not there yet.

    The official 5,000 training images are divided: the last 100 of each class are "val", the others "train".
    "test" is the official test set of 8,000. With `fold` (0 to 9), "train" is one of the official protocol's ten
    overlapping sets of 1,000 images, and "val" the last 100 of each class among the others: ten runs, error bars.

    Raises:
        ValueError: an unknown split or fold, or a `root` that is no path.
        RuntimeError: the files can't be had, or the list of folds is absent; the message says what to do.
    """
    from torchvision import datasets

    class Labelled(datasets.STL10):
        train_list = datasets.STL10.train_list[:2]  # without unlabeled_X: torchvision would insist on it

    check_split(split)
    fold = None if fold is None else whole_number(fold, "fold", 0, 9)
    root = downloads.cache_folder() if root is None else _path(root)
    stl10_files.fetch(root)
    data = Labelled(str(root), split="test" if split == "test" else "train")
    whole = ImageSplit(torch.from_numpy(data.data), torch.from_numpy(data.labels).long(), CLASSES)
    if split == "test":
        return whole
    chosen = torch.zeros(len(whole), dtype=torch.bool)
    if fold is not None:
        chosen[torch.from_numpy(stl10_files.folds(root)[fold])] = True
    own = [torch.nonzero((whole.labels == label) & ~chosen).flatten() for label in range(len(CLASSES))]
    if split == "val":
        return whole.pick(torch.cat([positions[-100:] for positions in own]))
    if fold is not None:
        return whole.pick(torch.nonzero(chosen).flatten())
    return whole.pick(torch.cat([positions[:-100] for positions in own]))


def folder(root: str | Path, size: int = SIZE, classes: Iterable[str] | None = None) -> ImageSplit:
    """Photographs sorted into one folder per class; `origin` is each file's path below `root`.

    Each is turned upright, scaled so that its shorter side is `size` pixels, and cut to its central square. Every
    picture is read that `pictures.read` can read, whatever its name ends in; what is left out, a line says.

    `classes` are the names to label by, for a folder to validate or to test on those of the training folder:
    `folder("photos/val", classes=train.classes)`. So each name has the same label in both, even if one has no picture
    here. Without it, the classes are the names of the folders, sorted.

    Raises:
        ValueError: `root` is no folder of classes, has other classes than `classes`, has one without pictures, or
            holds pictures that can't be read: all of them are named, each with what to do.
        MemoryError: there is no room for them.
    """
    size = whole_number(size, "size", 1, pictures.LARGEST_SIZE)
    found = photographs.listing(root)
    names = photographs.class_names(found, classes)
    if found.left_out:
        print(f"Left out of {found.root}: {found.said()}.")
    if lacking := [name for name in names if not found.files.get(name)]:
        print(f"{found.root} has no pictures of {photographs.listed(lacking)}.")
    album = albums.read(found, size)
    album.check()
    places = torch.tensor([names.index(name) for name in found.files])
    return ImageSplit(album.pixels, places[album.labels], names, tuple(album.names()))


def own(root: str | Path, size: int = SIZE) -> Own:
    """The folder `root` as data for the lessons. Raises `ValueError` if there is none, or for a size that is none."""
    return Own(photographs.checked(root), whole_number(size, "size", 1, pictures.LARGEST_SIZE))


def _path(root: str | Path) -> Path:
    if not isinstance(root, (str, Path)):
        raise ValueError(f"root must be the path of a folder, not {root!r}.")
    return Path(root).expanduser()
