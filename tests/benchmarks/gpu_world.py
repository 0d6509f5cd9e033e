"""What the GPU benchmark measures on: VGG-16 and STL-10 where they are on the disk, and otherwise their like.

Nothing is fetched. Without STL-10, its format is filled with the course's drawings; without the weights, VGG-16 has
random ones, which take just as long. In miniature the network has a 32nd of the channels and the data a few images, so
that a CPU runs everything in a minute.
"""
from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import VGG16_Weights

from helpers import datasets, networks
from helpers.composition import SIZE
from helpers.fetch import downloads, stl10
from helpers.fetch.weights import weights_cached
from helpers.images import ImageSplit
from helpers.pocket import CLASSES
from helpers.preprocess import Preprocess
from tests.slow import full_track


@dataclass(frozen=True)
class Scale:
    """How large everything is. `narrow`: how many times fewer channels; `per_class`: images in STL-10's format."""

    narrow: int
    per_class: dict[str, int]
    images: int  # to learn from, of the training set
    batch: int
    batches: tuple[int, ...]
    epochs: int
    usual_epochs: int  # the recipe's are all alike; the course's are not, as features are computed once for all
    steps: int  # that are timed where steps are, not epochs
    matrix: int  # rows and columns
    pairs: int


FULL = Scale(narrow=1, per_class={"train": 500, "test": 800}, images=5000, batch=128, batches=(32, 64, 128, 256, 512),
             epochs=20, usual_epochs=3, steps=30, matrix=8192, pairs=5)
MINIATURE = Scale(narrow=full_track.NARROW, per_class=full_track.PER_CLASS, images=32, batch=8, batches=(8, 16),
                  epochs=2, usual_epochs=1, steps=2, matrix=128, pairs=2)


@dataclass(frozen=True)
class World:
    """One machine's: the device, the scale, and the folder in which `stl10_binary` lies, STL-10's or its like."""

    device: torch.device
    scale: Scale
    folder: Path
    own: Path  # where the benchmark keeps what it makes for itself

    @property
    def miniature(self) -> bool:
        return self.scale.narrow > 1

    @property
    def genuine_images(self) -> bool:
        return self.folder == downloads.cache_folder()

    @property
    def genuine_weights(self) -> bool:
        return not self.miniature and weights_whole()

    def words(self) -> str:
        """What the numbers hold for, in a sentence."""
        images = "STL-10" if self.genuine_images else "STL-10's format filled with pocket images"
        weights = "with its ImageNet weights" if self.genuine_weights else "with random weights, which take as long"
        size = f", {self.scale.narrow} times fewer channels: a trial, whose times mean nothing" \
            if self.miniature else ""
        return f"VGG-16 {weights}{size}; {images}, {self.scale.images:,} images to learn from, {SIZE} x {SIZE}."

    @functools.cached_property
    def train(self) -> ImageSplit:
        whole = read(self.folder / stl10.FOLDER, "train")
        chosen = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:self.scale.images]
        return whole.pick(chosen)

    @functools.cached_property
    def val(self) -> ImageSplit:
        """As good as none: an epoch's evaluation is not what is measured."""
        return self.train.pick(torch.arange(10))

    @property
    def preprocess(self) -> Preprocess:
        return Preprocess(*networks.normalisation("vgg16"))

    def network(self, frozen: bool = False, folded: bool = True, seed: int = 0) -> nn.Module:
        """VGG-16 on the device with a new head for ten classes; `folded` for images of 96 pixels, as in the course."""
        if self.miniature:
            torch.manual_seed(seed)
            model = full_track.vgg16(self.scale.narrow, len(CLASSES))
        else:
            weights = "default" if self.genuine_weights else None
            model = networks.build("vgg16", weights, num_classes=len(CLASSES), seed=seed)
        if folded:
            networks.fold_first_linear(model, SIZE)
        if frozen:
            networks.unfreeze(networks.head(networks.freeze(model)))
        return model.to(self.device)


def weights_whole() -> bool:
    """Whether torchvision's file of VGG-16's weights is in its cache, undamaged. (A damaged one would be fetched.)"""
    if not weights_cached("vgg16"):
        return False
    file = checkpoint_file()
    return downloads.digest(file, "sha256").startswith(torch.hub.HASH_REGEX.search(file.name)[1])


def checkpoint_file() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / VGG16_Weights.DEFAULT.url.rsplit("/", 1)[1]


def random_checkpoint(world: World) -> Path:
    """The file of an untrained VGG-16 where torchvision would have its weights, made once."""
    home, part = world.own / "torch", world.own / "torch.part"
    if not home.exists():
        shutil.rmtree(part, ignore_errors=True)  # what a process left that was ended
        full_track.make_checkpoint(part, world.scale.narrow)
        os.replace(part, home)
    return next(home.glob("hub/checkpoints/vgg16-*.pth"))


def stand_in(world: World) -> None:
    """In this process, take the world's own files for STL-10's and the weights', as `full_track.arrange` does."""
    base = world.folder / stl10.FOLDER
    count = len(np.fromfile(base / "train_y.bin", np.uint8))
    rows = [np.random.RandomState(fold).permutation(count)[:count // 5] for fold in range(10)]
    np.savetxt(base / stl10.FOLDS, rows, "%d")
    checkpoint = random_checkpoint(world)
    md5 = {path.name: downloads.digest(path, "md5") for path in base.iterdir()}
    full_track.arrange(md5, checkpoint.name, world.scale.narrow)
    os.environ |= {"TL_CACHE": str(world.folder), "TORCH_HOME": str(checkpoint.parents[2])}


# --- STL-10's format ---------------------------------------------------------------------------------------------

def world(device: torch.device, miniature: bool, build: Path) -> World:
    """The world of this machine; where STL-10 is not there, whole, a folder in `build` is filled with its like."""
    scale, genuine = MINIATURE if miniature else FULL, downloads.cache_folder()
    own = build.resolve() / ("gpu_miniature" if miniature else "gpu")
    if not miniature and not stl10.missing(genuine / stl10.FOLDER):
        return World(device, scale, genuine, own)
    if not (own / stl10.FOLDER).exists():
        fill(own, scale.per_class)
    return World(device, scale, own, own)


def fill(folder: Path, per_class: dict[str, int]) -> None:
    """Write the four labelled files of STL-10 with pocket images: where a class has too few, some come again."""
    print(f"STL-10's format is filled with pocket images, in {folder}.", flush=True)
    part = folder / f"{stl10.FOLDER}.part"
    part.mkdir(parents=True, exist_ok=True)
    for split, count in per_class.items():
        drawn = datasets.pocket(split, renderings=max(1, count // 100))
        own = [torch.nonzero(drawn.labels == label).flatten() for label in range(len(CLASSES))]
        chosen = torch.cat([places[torch.arange(count) % len(places)] for places in own])
        order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))
        full_track.write_split(part, split, drawn.pick(chosen[order]))
    os.replace(part, folder / stl10.FOLDER)


def read(base: Path, split: str) -> ImageSplit:
    """One of the two files with images and the one with its labels, as they are."""
    images = np.fromfile(base / f"{split}_X.bin", np.uint8).reshape(-1, 3, SIZE, SIZE).transpose(0, 1, 3, 2)
    labels = np.fromfile(base / f"{split}_y.bin", np.uint8).astype(np.int64) - 1
    return ImageSplit(torch.from_numpy(images.copy()), torch.from_numpy(labels), CLASSES)
