"""`setup()`: decides once, at the top of a notebook, which network and which data the lesson runs on.

Two tracks share all notebooks. **pocket**: the small network and the small data set that ship with the course, on a
CPU, offline. **full**: VGG-16 pre-trained on ImageNet, and STL-10, best on a GPU.
"""
from __future__ import annotations

import gc
import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import datasets, devices
from helpers.fetch import downloads, stl10, weights
from helpers.images import LARGEST_SEED, whole_number
from helpers.plans import POCKET

# The lessons cut, fold and count the layers of a VGG.
BACKBONES = ("pocket_vgg", "pocket_vgg_bn", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn")
TRACKS = {"pocket": ("pocket_vgg", "pocket"), "full": ("vgg16", "stl10")}


@dataclass(frozen=True)
class Lab:
    """What `setup` decided: the track's name, the backbone's and the data set's, the device, the seed, the cache.

    `data` goes to `datasets.load`: a name, or a folder of the reader's own.
    `rate` is a peak learning rate that suits the backbone's pre-trained layers when all of them learn.
    """

    track: str
    backbone: str
    data: str | datasets.Own
    device: torch.device
    seed: int
    cache: Path
    rate: float

    @property
    def per_class(self) -> int:
        """The number of training images per class that the longer experiments use: what every class of the data has,
        and what the device can bear. (Of the drawings, letters and digits a GPU could bear more than there are.)
        """
        most = 100 if self.device.type == "cuda" and self.data not in ("pocket", "letters", "digits") else 12
        if not isinstance(self.data, datasets.Own):
            return most
        return min(most, int(self.data.splits["train"].labels.bincount().min()))


def setup(backbone: str | None = None, data: str | Path | None = None, seed: int = 0, size: int | None = None) -> Lab:
    """Choose track and device, seed the random generators, and say in one line what was chosen and why.

    The device is a CUDA GPU if there is one, else the CPU, unless the environment variable TL_DEVICE ("cpu", "cuda",
    "mps" or "xpu") asks for another; where the machine has more than a CPU, a second line says what is there and used.
    On a CUDA GPU the full track is taken: its weights and data are fetched, once, and where they can't be had the
    lesson goes on with the pocket track. Elsewhere it is the pocket track, and nothing is fetched. The environment
    variable TL_TRACK ("pocket" or "full") decides instead where it is set; `backbone` and `data` override the
    track's own. STL-10 is kept in the folder TL_CACHE (by default ~/.cache/transfer-learning), the weights where
    torchvision keeps them.

    `data` may also be the path of a folder of photographs: `setup(data="~/Pictures/mushrooms")`. When a lesson loads
    them they become `size` pixels a side, by default 96. What the folder must hold, `datasets.Own` says.

    Raises:
        ValueError: an unknown device, track, backbone or data set, or a seed that is no whole number from 0 to
            4,294,967,295; the message lists what is valid. A folder that can't be used, or a `size` for data that have
            theirs.
        RuntimeError: TL_DEVICE asks for a device that is not there, or TL_TRACK is "full" and its weights or data
            can't be had.
    """
    wish, device, cache = os.environ.get("TL_TRACK"), devices.choose(), downloads.cache_folder()
    track, reason = track_for(device)
    _check("track TL_TRACK", track, TRACKS)
    _check("backbone", backbone or "vgg16", BACKBONES)
    seed = whole_number(seed, "seed", 0, LARGEST_SEED)
    data = _data(data, size)
    if track == "full":
        try:
            _fetch(backbone or TRACKS["full"][0], data or TRACKS["full"][1], cache)
        except RuntimeError as error:
            if wish:
                raise RuntimeError(f"TL_TRACK=full was asked for. {error}") from None
            print(error)
            track, reason = "pocket", "weights or data of the full track can't be had"
    backbone, data = backbone or TRACKS[track][0], data or TRACKS[track][1]
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    if not gc.get_freeze_count():
        gc.freeze()  # what is imported by now will stay; to search it for garbage would halt panels at times
    slow = ", which will be slow without a GPU" if device.type == "cpu" and backbone not in POCKET else ""
    print(f"{track} track ({reason}): {backbone} on {data} data, {device.type}, seed {seed}{slow}")
    if sentence := devices.told(device):
        print(sentence)
    return Lab(track, backbone, data, device, seed, cache,
               rate=3e-4 if backbone in POCKET else 3e-5)  # ten times the latter destroys what VGG-16 knew: RESULTS.md


def _data(data: str | Path | None, size: int | None) -> str | datasets.Own | None:
    """A folder, where `data` is a path; a name as it is."""
    if isinstance(data, Path) or isinstance(data, str) and data not in datasets.NAMES and (
            len(Path(data).parts) > 1 or Path(data).exists()):
        return datasets.own(data, datasets.SIZE if size is None else size)
    _check("data set", data or "stl10", datasets.NAMES, ", or give the path of a folder of your own")
    if size is not None:
        raise ValueError("`size` is for a folder of your own: give its path as `data`, or leave `size` out.")
    return data


def track_for(device: torch.device) -> tuple[str, str]:
    """The name of the track that `setup` tries on this device, and what speaks for it, in a word or two."""
    if wish := os.environ.get("TL_TRACK"):
        return wish, f"TL_TRACK={wish}"
    if device.type == "cuda":
        return "full", "GPU"
    return "pocket", "no GPU" if devices.present() == ("cpu",) else "no CUDA GPU in use"


def _check(what: str, name: str, valid, or_else: str = "") -> None:
    if name not in list(valid):
        equals = "=" if what.startswith("track") else " "
        raise ValueError(f"Unknown {what}{equals}{name!r}; choose one of {', '.join(valid)}{or_else}.")


def _fetch(backbone: str, data: str | datasets.Own, cache: Path) -> None:
    if backbone not in POCKET:
        weights.weights_file(backbone)
    if data == "stl10":
        stl10.fetch(cache)
