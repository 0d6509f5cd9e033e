"""VGG-16's own first layer, that of 2014: a few kilobytes that ship with the course, so that everybody can look at it.

It is the original network's, which torchvision offers as `IMAGENET1K_FEATURES`. torchvision's `IMAGENET1K_V1` is a
VGG-16 that was trained anew. Author and licence (CC BY 4.0) stand in assets/LICENCES.md.
"""
from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from helpers.shipped import damaged

FILE = Path(__file__).resolve().parent / "assets" / "vgg16_first_layer.safetensors"


def vgg16_first_layer() -> nn.Sequential:
    """The original VGG-16's first convolution (3 to 64 channels, 3 x 3) and its ReLU, in evaluation mode.

    Images (n, 3, H, W) float32 in, maps (n, 64, H, W) out. It wants the colours' order red, green, blue, and an input
    scaling of its own: `networks.normalisation("vgg16", "IMAGENET1K_FEATURES")`. Raises `RuntimeError` if the file is
    missing or damaged.
    """
    layers = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU())
    try:
        layers[0].load_state_dict({name: numbers.float() for name, numbers in load_file(FILE).items()})
    except Exception as error:  # safetensors raises its own error types
        raise damaged(FILE) from error
    return layers.eval()
