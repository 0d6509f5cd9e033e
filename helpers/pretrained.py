"""What pre-training left behind: weights, and the card that tells where they come from.

The `POCKET` networks' ship with the course, in `assets`; torchvision's are fetched once into its own cache.
"""
from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from helpers.fetch.weights import weights_file, weights_of
from helpers.plans import NAMES, POCKET
from helpers.preprocess import Preprocess, Resized
from helpers.shipped import damaged

ASSETS = Path(__file__).resolve().parent / "assets"


def card(name: str) -> dict:
    """The model card of a network that ships: source task, its classes, accuracy, seed, normalisation.

    Raises `RuntimeError` if it can't be read.
    """
    file = ASSETS / f"{name}.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(file) from error


def check_name(name: str) -> None:
    """Raise `ValueError` with the valid names unless there is a network called `name`."""
    if name not in NAMES:
        raise ValueError(f"Unknown network {name!r}; choose one of {', '.join(POCKET)}, or of those that "
                         "torchvision.models.list_models(torchvision.models) names.")


def known_of(name: str, weights: str) -> dict:
    """What is known of pre-trained weights: "mean", "std" and "categories", which is None where there is no head.

    Raises `ValueError` with the valid names for an unknown network or weights.
    """
    check_name(name)
    if name in POCKET:
        if weights != "default":
            raise ValueError(f"Unknown weights {weights!r} for {name}; only 'default' ships with the course.")
        return card(name)
    found = weights_of(name, weights)
    transforms = found.transforms()
    return {"mean": transforms.mean, "std": transforms.std, "categories": found.meta["categories"]}


def preprocessing(name: str, weights: str = "default") -> Preprocess:
    """How the weights want their images: normalised and, for torchvision's, brought to the size they were tested with.

    The `POCKET` networks take images as they are stored, 96 pixels a side. Raises `ValueError` as `known_of` does.
    """
    known = known_of(name, weights)
    mean, std = tuple(known["mean"]), tuple(known["std"])
    if name in POCKET:
        return Preprocess(mean, std)
    own = weights_of(name, weights).transforms()
    return Resized(mean, std, side=own.resize_size[0], crop=own.crop_size[0], interpolation=own.interpolation.value)


def read_weights(name: str, weights: str = "default") -> dict[str, Tensor]:
    """The pre-trained state dict (float32, on the CPU); torchvision's are fetched into its cache and hash-checked.

    Raises `ValueError` for an unknown name, `RuntimeError` for weights that can't be read or fetched.
    """
    known_of(name, weights)
    if name in POCKET:
        file = ASSETS / f"{name}.safetensors"
        try:
            state = load_file(file)
        except Exception as error:  # safetensors raises its own error types
            raise damaged(file) from error
        return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    state = torch.load(weights_file(name, weights), map_location="cpu", weights_only=True)
    if name.startswith("densenet"):  # their files are older than the names of their layers: "norm.1" is now "norm1"
        return {re.sub(r"(norm|conv)\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
    return state
