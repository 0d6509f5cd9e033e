"""`setup()`: decides once, at the top of a notebook, which network and which data the lesson runs on.

Two tracks share all notebooks. **pocket**: the small network and the small data set that ship with the course, on a
CPU, offline. **full**: VGG-16 pre-trained on ImageNet, and STL-10, best on a GPU.
"""
from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import backbones

TRACKS = {"pocket": ("pocket_vgg", "pocket"), "full": ("vgg16", "stl10")}


@dataclass(frozen=True)
class Lab:
    """What `setup` decided: the track's name, the backbone's and the data set's, the device, the seed, the cache.

    `per_class` is the number of training images a class that the longer experiments use: what the device can bear.
    """

    track: str
    backbone: str
    data: str
    device: torch.device
    seed: int
    cache: Path
    per_class: int


def setup(backbone: str | None = None, data: str | None = None, seed: int = 0) -> Lab:
    """Choose track and device, seed the random generators, and say in one line what was chosen and why.

    The full track is taken when a CUDA device, VGG-16's weights and STL-10's files are all there, otherwise the
    pocket track. The environment variable TL_TRACK ("pocket" or "full") decides instead where it is set, and
    `backbone` and `data` override the track's own. STL-10 is looked for in the folder TL_CACHE (by default
    ~/.cache/transfer-learning), the weights where torchvision keeps them.

    Raises:
        ValueError: an unknown track, backbone or data set; the message lists the valid ones.
        RuntimeError: the full track was asked for, and its weights or data are not there.
    """
    cache = Path(os.environ.get("TL_CACHE", "~/.cache/transfer-learning")).expanduser()
    missing = _missing_for_full(cache)
    track = os.environ.get("TL_TRACK") or ("pocket" if missing or not torch.cuda.is_available() else "full")
    if track not in TRACKS:
        raise ValueError(f"Unknown track TL_TRACK={track!r}; choose one of {', '.join(TRACKS)}.")
    backbone, data = backbone or TRACKS[track][0], data or TRACKS[track][1]
    if backbone not in backbones.NAMES:
        raise ValueError(f"Unknown backbone {backbone!r}; choose one of {', '.join(backbones.NAMES)}.")
    if data not in ("pocket", "digits", "stl10"):
        raise ValueError(f"Unknown data set {data!r}; choose one of pocket, digits, stl10.")
    if os.environ.get("TL_TRACK") == "full" and missing:
        raise RuntimeError(f"TL_TRACK=full was asked for, but {' and '.join(missing)}; unset TL_TRACK to work on the "
                           "pocket track, which needs neither.")
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if "TL_TRACK" in os.environ:
        reason = f"TL_TRACK={track}"
    elif track == "full":
        reason = "GPU, weights and data are there"
    else:
        reason = "no GPU" if not torch.cuda.is_available() else missing[0]
    slow = ", which will be slow without a GPU" if device.type == "cpu" and backbone != "pocket_vgg" else ""
    print(f"{track} track ({reason}): {backbone} on {data} data, {device.type}, seed {seed}{slow}")
    return Lab(track, backbone, data, device, seed, cache, per_class=40 if device.type == "cpu" else 400)


def _missing_for_full(cache: Path) -> list[str]:
    """What the full track lacks on this machine, as half sentences."""
    name = TRACKS["full"][0]
    missing = []
    if not backbones.weights_cached(name):
        missing.append(f"the weights of {name} are not in {torch.hub.get_dir()}")
    if not (cache / "stl10_binary" / "train_X.bin").exists():
        missing.append(f"STL-10 is not in {cache}")
    return missing
