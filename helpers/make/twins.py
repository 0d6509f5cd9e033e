"""Find drawings that are the same, or nearly: many icon sets redraw or copy others, under other names.

Two measures have to agree. The *perceptual hash* compares the signs of the 63 lowest frequencies (each above or below
the median), which size and detail hardly change. The *correlation* of the two drawings at 32 x 32 pixels then
keeps apart what is only built alike. A mirror image counts as the same.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np

NEAR = (8, 0.93)  # at most so many of 63 signs differ, and a correlation of at least so much: one thing
SAME = (8, 0.995)  # nothing that a person would tell apart: one of the two is enough
SHADE = 6  # mean difference of two coloured drawings' colours, of 255, up to which they count as the same


def ink(drawings: np.ndarray) -> np.ndarray:
    """How dark each drawing is on white paper, at 32 x 32 pixels: RGBA uint8 (n, 64, 64, 4) to float32 (n, 32, 32).

    Light colours leave some ink, too, or a white swan would be no drawing.
    """
    light = drawings[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    dark = drawings[..., 3].astype(np.float32) * (1 - 0.7 * light / 255)
    return dark.reshape(len(dark), 32, dark.shape[1] // 32, 32, -1).mean((2, 4))


def perceptual_hash(ink: np.ndarray) -> np.ndarray:
    """The signs of the 63 lowest frequencies against their median: float (n, 32, 32) to bool (n, 63)."""
    k = np.arange(32)
    waves = np.cos(np.pi * (k + 0.5) * k[:8, None] / 32)
    low = (waves @ ink @ waves.T).reshape(len(ink), 64)[:, 1:]
    return low > np.median(low, axis=1, keepdims=True)


def standardised(ink: np.ndarray) -> np.ndarray:
    """Each drawing as a vector of mean 0 and length 1, so that a dot product is a correlation: float32 (n, 1024)."""
    flat = ink.reshape(len(ink), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def pairs(drawings: np.ndarray, most: int, least: float) -> Iterator[tuple[int, int]]:
    """Every pair of drawings, RGBA uint8 (n, 64, 64, 4), at most `most` signs apart and correlated by `least`."""
    dark = ink(drawings)
    plain, mirrored = (perceptual_hash(dark), standardised(dark)), (
        perceptual_hash(dark[:, :, ::-1]), standardised(dark[:, :, ::-1]))
    for k in range(len(drawings) - 1):
        alike = np.zeros(len(drawings) - k - 1, bool)
        for signs, vectors in (plain, mirrored):
            apart = (signs[k + 1:] != plain[0][k]).sum(axis=1)
            alike |= (apart <= most) & (vectors[k + 1:] @ plain[1][k] >= least)
        yield from ((k, k + 1 + int(j)) for j in np.flatnonzero(alike))


def same_shade(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two drawings, RGBA uint8 (64, 64, 4), have the same colours in the same places, or in the mirror's."""
    paint = [d[..., :3] * (d[..., 3:] / 255) for d in (one, other, other[:, ::-1])]
    return min(np.abs(paint[0] - paint[1]).mean(), np.abs(paint[0] - paint[2]).mean()) <= SHADE


def groups(keys: Sequence[Hashable], alike: Iterator[tuple[int, int]]) -> list[int]:
    """Join positions with equal keys, and the pairs in `alike`; for each position the lowest one of its group."""
    leader = list(range(len(keys)))

    def lead(k: int) -> int:
        while leader[k] != k:
            leader[k] = leader[leader[k]]
            k = leader[k]
        return k

    first: dict[Hashable, int] = {}
    for one, other in [*((k, first.setdefault(key, k)) for k, key in enumerate(keys)), *alike]:
        low, high = sorted((lead(one), lead(other)))
        leader[high] = low
    return [lead(k) for k in range(len(keys))]
