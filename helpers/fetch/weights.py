"""torchvision's pre-trained weights: fetched once, checked, and kept where torchvision keeps them."""
from __future__ import annotations

from pathlib import Path

import torch
from filelock import FileLock
from torchvision import models

from helpers.fetch import downloads


def weights_of(name: str, weights: str = "default"):
    """torchvision's weights enum member for one of its networks; raises `ValueError` with the valid names."""
    if name not in models.list_models():
        raise ValueError(f"Unknown network {name!r}; choose one of those that torchvision.models.list_models() names.")
    enum = models.get_model_weights(name)
    member = "DEFAULT" if weights == "default" else weights
    if member not in enum.__members__:
        raise ValueError(f"Unknown weights {weights!r} for {name}; choose one of {', '.join(enum.__members__)}.")
    return enum[member]


def weights_file(name: str, weights: str = "default") -> Path:
    """The file of torchvision's weights in its own cache, whole: fetched where it is absent or damaged.

    The start of its sha256 stands in its name. Tried in order: the cache, the mirror TL_MIRROR, torchvision's server.
    Raises `RuntimeError` with one sentence if none of them has it or if it can't be written.
    """
    address = weights_of(name, weights).url
    file = _cached(address)
    right = lambda path: downloads.digest(path, "sha256").startswith(torch.hub.HASH_REGEX.search(file.name)[1])
    if file.exists() and right(file):
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if file.exists() and not right(file):
                print(f"{file.name} in {file.parent} is damaged or incomplete: it is fetched again.")
            if not file.exists() or not right(file):
                downloads.fetch([*downloads.mirror(file.name), address], file, right)
    except downloads.Unavailable as error:
        raise RuntimeError(f"The weights of {name} could not be fetched: {error}. Check the network connection and try "
                           f"again, put {file.name} into {file.parent} by hand, or set TL_MIRROR to a folder or an "
                           "address that has it.") from None
    except OSError as error:
        raise RuntimeError(f"The weights of {name} can't be written to {file.parent} ({error.strerror or error}): make "
                           "room there, or set TORCH_HOME to another folder.") from None
    return file


def _cached(address: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[1]


def weights_cached(name: str) -> bool:
    """Whether the default weights of one of torchvision's networks can be had without the internet."""
    return _cached(weights_of(name).url).exists()
