"""How far training has moved a network: in its weights, and in what it makes of images.

The two need not agree. Weights may move far in directions in which the features do not change, and a small step in an
early layer may change all that follows.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.anatomy import leaves


def weight_drift(before: nn.Module, after: nn.Module) -> dict[str, float]:
    """How far each layer's weights have moved, as a share of their own length: |after - before| / |before|.

    Weights and bias of a layer count together, as one long list of numbers. 0 means untouched; 1 means that the way is
    as long as the layer's weights were. The keys are the names of the layers that hold parameters, in the network's
    order. The networks may be on different devices.

    Raises `ValueError` if the two are not of one build.
    """
    old, new = _lists(before), _lists(after)
    if {name: len(numbers) for name, numbers in old.items()} != {name: len(numbers) for name, numbers in new.items()}:
        raise ValueError("The two networks have different layers: compare one with a copy of what it was before.")
    return {name: ((new[name] - old[name]).norm() / old[name].norm().clamp(min=1e-12)).item() for name in old}


def _lists(model: nn.Module) -> dict[str, Tensor]:
    """All parameters of each layer in one list, float64 on the CPU."""
    layers = {name: list(layer.parameters()) for name, layer in leaves(model)}
    return {name: torch.cat([p.detach().flatten().cpu().double() for p in own]) for name, own in layers.items() if own}


def linear_cka(a: Tensor, b: Tensor) -> float:
    """How alike two sets of features (n, ...) of the same n images are: linear CKA, 0 to 1.

    Each set tells how alike any two of the images are, by the product of their centred features. CKA compares the two
    tables (n, n) of these likenesses: 1 where one is a multiple of the other. So it does not mind if features are
    turned, mirrored, put in another order or scaled, and the two may have different numbers of them. With few images
    and many features even unrelated networks are far above 0: always show a control. (Centred kernel alignment;
    S. Kornblith, M. Norouzi, H. Lee and G. Hinton, ICML 2019, arXiv 1905.00414.)

    Raises `ValueError` for different numbers of images, for fewer than three, and where all have the same features.
    """
    if len(a) != len(b) or len(a) < 3:
        raise ValueError(f"CKA compares features of the same images, three at least, not of {len(a)} and {len(b)}.")
    one, other = (_likenesses(features) for features in (a, b))
    if not one.any() or not other.any():
        raise ValueError("Features that are the same for every image can't be compared.")
    return ((one * other).sum() / (one.norm() * other.norm())).item()


def _likenesses(features: Tensor) -> Tensor:
    """The products of any two images' centred features, float64 (n, n)."""
    rows = features.detach().flatten(1).cpu().double()  # there first: Apple's GPU has no float64
    rows = rows - rows.mean(0)
    return rows @ rows.T
