"""The three networks that guess what is drawn on the drawing pad: from scratch, frozen and full.

They have learnt the ten classes from the same pictures of the pocket data, and differ in what they began with: random
weights, a pre-trained backbone that stays as it is, or the same backbone with everything allowed to change.
`python -m helpers.make.pad` trained them. They are small and ship with the course, so they guess on both tracks.
"""
from __future__ import annotations

import functools
import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from helpers import networks
from helpers.inference import answers
from helpers.preprocess import Preprocess
from helpers.shipped import damaged

ASSETS = Path(__file__).resolve().parent / "assets" / "pad"
BACKBONE = "pocket_resnet"
METHODS = ("scratch", "frozen", "full")


@functools.lru_cache(maxsize=1)
def card() -> dict:
    """What is known of the three: their classes, recipes, and accuracies on validation drawings.

    Raises `RuntimeError` if it can't be read.
    """
    file = ASSETS / "card.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return found | {"classes": tuple(found["classes"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(file) from error


def preprocess() -> Preprocess:
    """Turns pictures into the inputs of all three; random weights would do with any normalisation."""
    return Preprocess(*networks.normalisation(BACKBONE))


def read(method: str, num_classes: int) -> nn.Module:
    """One of the three as it ships, in float32 and evaluation mode; of the frozen one only the head was kept.

    Raises `RuntimeError` if its file can't be read.
    """
    frozen = method == "frozen"
    model = networks.build(BACKBONE, weights="default" if frozen else None, num_classes=num_classes)
    file = ASSETS / f"{method}.safetensors"
    try:
        part = networks.head(model) if frozen else model
        part.load_state_dict(load_file(file))  # copies half precision into the model's float32
    except Exception as error:  # safetensors raises its own error types
        raise damaged(file) from error
    return networks.freeze(model).eval()


@functools.lru_cache(maxsize=1)
def trio() -> dict[str, tuple[nn.Module, tuple[str, ...]]]:
    """The three networks and the classes they tell apart, as `inference.answers` wants them; read once."""
    classes = card()["classes"]
    return {method: (read(method, len(classes)), classes) for method in METHODS}


def guesses(picture: Tensor, count: int = 3) -> dict[str, list[tuple[str, float]]]:
    """What each network takes a picture (3, H, W) uint8 for: its `count` surest answers, (class, 0 to 1) each."""
    return answers(trio(), preprocess(), picture, count)
