"""Is a network as sure as it is right? And what should happen when it is not sure, or shown something else?

The *confidence* of an answer is the probability that the network gave to it. A network is calibrated if, of all answers
that it is 80 % sure of, 80 % are right. Modern networks are mostly too sure; dividing all logits by one number, the
*temperature*, mends most of it (C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On Calibration of Modern Neural
Networks, ICML 2017, arXiv 1706.04599). Confidence also tells, better than nothing, what a network has no class for
(D. Hendrycks and K. Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks,
ICLR 2017, arXiv 1610.02136).
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from helpers.images import check_labels, whole_number
from helpers.intervals import Interval

COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are looked at


class Bin(NamedTuple):
    """The answers whose confidence lies above `low` and is `high` at most, all from 0 to 1."""

    low: float
    high: float
    images: int
    confidence: float  # their mean; nan where there are no images
    right: float  # the share of right answers among them; nan where there are no images


def reliability(confidences: Tensor, right: Tensor, count: int = 10) -> list[Bin]:
    """Answers sorted by confidence into `count` bins of equal width from 0 to 1.

    `confidences` (n,), 0 to 1; `right` (n,), whether each answer was right. Raises `ValueError` for other shapes or
    values.
    """
    confidences, right = _checked(confidences, right)
    edges = np.linspace(0, 1, whole_number(count, "The number of bins", 1, 1000) + 1)
    place = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, count - 1)
    images = np.bincount(place, minlength=count)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, minlength=count) / images for values in (confidences, right)]
    return [Bin(*map(float, edges[k:k + 2]), int(images[k]), float(means[0][k]), float(means[1][k]))
            for k in range(count)]


def calibration_error(confidences: Tensor, right: Tensor, count: int = 10) -> float:
    """The expected calibration error, 0 to 1: how far confidence and share of right answers are apart.

    That is the mean distance over the bins of `reliability`, each weighted with its images (Guo et al., 2017). It
    depends on the number of bins, so state them with it; and with few images it is above zero by chance alone, see
    `error_by_chance`.
    """
    bins = [one for one in reliability(confidences, right, count) if one.images]
    return sum(one.images * abs(one.confidence - one.right) for one in bins) / sum(one.images for one in bins)


def error_by_chance(confidences: Tensor, count: int = 10, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """What calibration error, 0 to 1, a network with these confidences shows that is exactly as sure as it is right.

    Each answer is drawn right with its confidence, `draws` times. Returns the errors' mean, and the one that 95 of 100
    don't exceed: whatever lies below that may be luck.
    """
    confidences, _ = _checked(confidences, torch.zeros(len(confidences)))
    rng = np.random.RandomState(seed)
    errors = [calibration_error(confidences, rng.random_sample(len(confidences)) < confidences, count)
              for _ in range(draws)]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The number to divide logits (n, classes) by that makes the loss on these labels (n,) smallest, 0.05 to 20.

    Above 1 the network was too sure, below 1 too modest. It changes no answer. Fit it on images that the network has
    not learnt from, and measure what it brings on yet others. Where all answers are right, no temperature is low
    enough, and the lowest is returned. Raises `ValueError` for other shapes, and for logits that are not numbers.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not len(logits) or not logits.isfinite().all():
        raise ValueError("Logits must be a tensor of finite numbers, (n, classes), with one image at least.")
    check_labels(labels, len(logits))
    logits = logits.double()
    own = logits.gather(1, labels[:, None]).mean()

    def slope(temperature: float) -> float:
        """Of the loss, as 1 / temperature grows: it rises steadily, so its zero can be boxed in."""
        shares = (logits / temperature).softmax(1)
        return float((shares * logits).sum(1).mean() - own)

    low, high = math.log(COLDEST), math.log(HOTTEST)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(math.exp(middle)) > 0 else (low, middle)
    return math.exp((low + high) / 2)


def threshold(confidences: Tensor, cost: float) -> float:
    """The confidence below which to say "none of these", if at most the share `cost` of these answers may be lost.

    `confidences` (n,) are those of right answers, on images that choose; `cost` 0 to 1. Raises `ValueError` for others.
    """
    confidences, _ = _checked(confidences, torch.zeros(len(confidences)))
    if not 0 <= cost <= 1:
        raise ValueError(f"The cost is a share of the answers, from 0 to 1, not {cost!r}.")
    return float(np.sort(confidences)[min(int(cost * len(confidences)), len(confidences) - 1)])


def separation(known: Tensor, other: Tensor) -> Interval:
    """In what share of all pairs, an image of each kind, the known one has the higher confidence; a tie counts half.

    0.5 is what a coin would do. It is the area under the ROC curve, and needs no threshold (Hendrycks & Gimpel, 2017).
    The 95 % interval holds every share whose standard error reaches as far as what was found (R. G. Newcombe,
    Statistics in Medicine 25, 2006, method 5): as in `share_of`, few images give a long one, even where all are told
    apart. Raises `ValueError` where there is no image of a kind.
    """
    known, other = (np.asarray(values, dtype=np.float64).ravel() for values in (known, other))
    if not known.size or not other.size:
        raise ValueError("To be told apart, there must be an image of each kind.")
    below = np.searchsorted(np.sort(other), known, side="left") + np.searchsorted(np.sort(other), known, side="right")
    share, truth = float(below.mean() / (2 * other.size)), np.linspace(0, 1, 10_001)
    more = ((known.size + other.size) / 2 - 1) * ((1 - truth) / (2 - truth) + truth / (1 + truth))
    variance = truth * (1 - truth) * (1 + more) / (known.size * other.size)
    within = truth[np.abs(truth - share) <= 1.96 * np.sqrt(variance)]
    return Interval(share, min(share, float(within[0])), max(share, float(within[-1])))


def share_of(flags: Tensor) -> Interval | None:
    """The share of images (n,) for which something holds, and its 95 % interval; None where there is no image.

    The interval is Wilson's (Journal of the American Statistical Association 22, 1927), which is of use for few images,
    too, and where it holds for none or for all. It takes each image for a question of its own.
    """
    flags = np.asarray(flags, dtype=np.float64).ravel()
    if not flags.size:
        return None
    z, n, share = 1.96, flags.size, flags.mean()
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(float(share), max(0.0, middle - reach), min(1.0, middle + reach))


def _checked(confidences, right) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (n,). Raises `ValueError` with one sentence."""
    confidences, right = (np.asarray(values, dtype=np.float64) for values in (confidences, right))
    if confidences.shape != right.shape or confidences.ndim != 1 or not confidences.size:
        raise ValueError("There must be one confidence for each answer, and one answer at least; the shapes are "
                         f"{confidences.shape} and {right.shape}.")
    if not ((confidences >= 0) & (confidences <= 1) & (right >= 0) & (right <= 1)).all():
        raise ValueError("Confidences are probabilities from 0 to 1, and an answer is right (1) or not (0).")
    return confidences, right
