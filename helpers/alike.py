"""Find pictures that look the same: copies in another size or format, mirror images, and the photographs of a burst.

Two measures have to agree. The *perceptual hash* compares the signs of the 63 lowest frequencies (each above or below
the median), which size and detail hardly change. The *correlation* of the two pictures at 32 x 32 pixels then
keeps apart what is only built alike. A mirror image counts as the same. Between two photographs of a burst the camera
has moved a little, so of their correlations at all small shifts the highest counts.

It is a matter of degree. Things photographed one by one on the same plain background may look the same to it, and two
photographs of a burst may not, where the camera turned or came nearer in between.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

SIGNS = 20  # of 63, that may differ in two photographs that look the same
CORRELATION = 0.85  # that they must have at the best shift
SHIFT = 3  # at most so many of 32 pixels, along each side
BLOCK = 512  # photographs that are compared with all others at a time


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


def grey(pixels: Tensor) -> np.ndarray:
    """How dark pictures are, at 32 x 32 pixels: uint8 (n, 3, H, W) to float32 (n, 32, 32)."""
    weights = torch.tensor([0.299, 0.587, 0.114])
    small = [torch.nn.functional.adaptive_avg_pool2d(part.float(), 32) for part in pixels.split(BLOCK)]
    return 255 - torch.einsum("nchw,c->nhw", torch.cat(small), weights).numpy()


def best_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The highest correlation of each two pictures over all shifts by up to SHIFT pixels: (n, 1024) twice, to (n,).

    By the Fourier transform, of all shifts at once; what leaves on one side comes in on the other.
    """
    waves, others = (np.fft.rfft2(vectors.reshape(-1, 32, 32)) for vectors in (one, other))
    shifted = np.roll(np.fft.irfft2(waves * others.conj(), s=(32, 32)), (SHIFT, SHIFT), axis=(1, 2))
    return shifted[:, : 2 * SHIFT + 1, : 2 * SHIFT + 1].max(axis=(1, 2), initial=-1)


def pairs(pixels: Tensor) -> Iterator[tuple[int, int]]:
    """The positions of any two pictures, uint8 (n, 3, H, W), that look the same: (lower, higher)."""
    if not len(pixels):
        return
    dark = grey(pixels)
    # As +1 and -1, the dot product of two hashes is 63 minus twice the number of signs in which they differ.
    (signs, vectors), mirrored = ((np.where(perceptual_hash(ink), 1, -1).astype(np.float32), standardised(ink))
                                  for ink in (dark, dark[:, :, ::-1]))
    for start in range(0, len(pixels), BLOCK):
        found = set()
        for own_signs, own in ((signs, vectors), mirrored):
            ones, others = np.nonzero(own_signs[start:start + BLOCK] @ signs[start:].T >= 63 - 2 * SIGNS)
            candidates = np.stack([ones, others])[:, ones < others] + start
            for k in range(0, candidates.shape[1], BLOCK):
                one, other = candidates[:, k:k + BLOCK]
                alike = best_correlation(own[one], vectors[other]) >= CORRELATION
                found |= set(zip(one[alike].tolist(), other[alike].tolist(), strict=True))
        yield from sorted(found)


def groups(keys: Sequence[Hashable], alike: Iterable[tuple[int, int]]) -> list[int]:
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
