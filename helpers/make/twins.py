"""Find drawings that are the same, or nearly: many icon sets redraw or copy others, under other names.

Two measures have to agree, the perceptual hash and the correlation that `helpers.alike` explains. A mirror image counts
as the same.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from helpers.alike import groups as groups
from helpers.alike import perceptual_hash, standardised

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
