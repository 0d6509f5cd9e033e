"""How sure an accuracy is. An exam is a sample: other drawings of the same classes would have given another accuracy.
The interval says how far off that may be, and whether two networks that sat the same exam differ at all.

Two renderings of one drawing are not two independent questions: a network that knows one mostly knows the other. So
whole *things* are drawn again, each with all its images. That is the cluster bootstrap (C. A. Field and A. H. Welsh,
Bootstrapping clustered data, Journal of the Royal Statistical Society B 69, 2007), class by class:

1. Of a class's n things draw n - 1, with replacement: some come twice, some not at all. One fewer, because n draws
   spread too little: their variance falls short by the factor (n - 1)/n. (J. N. K. Rao and C. F. J. Wu, Journal of the
   American Statistical Association 83, 1988; for teachers: T. C. Hesterberg, The American Statistician 69, 2015.)
2. Compute the class-balanced accuracy of this resample. (If some things have images of several classes, the things of
   these classes are drawn together, and the mean is over the classes that have come.)
3. Do so 2,000 times. The middle 95 % of the results, from the 2.5 to the 97.5 % percentile, are the interval.

What to know when reading one. It speaks of other things of the same kind, and of these networks as they are: what
other training images would have changed comes on top. From few things it is too short, as percentiles of a bootstrap
are (A. C. Cameron, J. B. Gelbach and D. L. Miller, Review of Economics and Statistics 90, 2008): with thirty things in
each of ten classes it covers the true accuracy 95 times in 100, with two in each 90 times, and with three in each of
two classes 84 times. And where every answer is right it shrinks to a point, since nothing in such an exam tells how
rare mistakes are.
"""
from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from helpers.images import LARGEST_SEED, whole_number


@dataclass(frozen=True)
class Interval:
    """An accuracy (0 to 1) and the ends of its 95 % interval. Prints as "71.2 % (67.9 to 74.4)"."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.estimate:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


@dataclass(frozen=True)
class Difference(Interval):
    """One accuracy minus another, -1 to 1, and its 95 % interval. Prints as "+2.3 points (-1.1 to +5.6): undecided"."""

    @property
    def word(self) -> str:
        """Whether the first accuracy is "higher" or "lower"; "undecided" where 0 lies within the interval."""
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "undecided"

    def __str__(self) -> str:
        points = [f"{round(100 * value, 1) + 0:+.1f}" for value in (self.estimate, self.low, self.high)]
        return f"{points[0]} points ({points[1]} to {points[2]}): {self.word}"


def things_of(split) -> tuple:
    """The thing that each image shows: what stands in its `origin` before the first ";".

    Where there is no `origin`, images are numbered: each is a thing of its own, as in a set of photographs.
    """
    origin = getattr(split, "origin", ())
    if not origin:
        return tuple(range(len(split)))
    return tuple(text.split(";")[0].strip() for text in origin)


def one_per_thing(found: list[int], split) -> list[int]:
    """Of these images of `split`, by number, the first of each thing: an outline and its filled twin teach the same."""
    things, first = things_of(split), {}
    for k in found:
        first.setdefault(things[k], k)
    return list(first.values())


def things_per_class(split) -> np.ndarray:
    """How many things each class of `split` shows, (classes,)."""
    own = {(label, thing) for label, thing in zip(split.labels.tolist(), things_of(split), strict=True)}
    return np.bincount([label for label, _ in own], minlength=len(split.classes))


def enough_things(split, least: int = 5):
    """The images of `split` whose class shows at least `least` things, or as many as the second largest class.

    In a class-balanced accuracy each class counts the same. So a class that shows two things lets each of them move the
    accuracy by as much as all of a large class's things together may, and every interval is as long as that. But two
    classes stay, however small they are: an exam of one class can be passed without looking.
    """
    things = things_per_class(split)
    least = min(least, sorted(things)[-2:][0])
    return split.pick(np.flatnonzero(things[split.labels.numpy()] >= least).tolist())


def balanced_accuracy(right, labels) -> float:
    """The class-balanced accuracy, 0 to 1: the mean of the classes' accuracies, so that every class counts the same.

    `right` and `labels` are those of `accuracy_interval`, and so are the errors.
    """
    return _mean_over_classes(*_checked(right, labels)[:2])


def accuracy_interval(right, labels, things=None, *, resamples: int = 2_000, seed: int = 0) -> Interval:
    """The class-balanced accuracy and its 95 % interval, by the recipe at the top of this file.

    Args:
        right: for each image (n,), whether the answer was right: `evaluation.predictions == evaluation.labels`. Or a
            share from 0 to 1: how many of several networks were right.
        labels: the true classes (n,). A class without images in the exam does not count.
        things: which thing each image shows (n,), by name or number: `things_of(split)`. By default every image shows
            a thing of its own. If things have images of several classes, as a typeface has many letters, they are drawn
            from all of these classes at once.
        resamples: how often to draw, 100 to 100,000.
        seed: for the draws. With the same seed, all who sat this exam are judged by the same resamples.

    Raises:
        ValueError: the lengths differ, a value is none of these, or a class has too few things (one is too few).
    """
    right, labels, things = _checked(right, labels, things)
    return Interval(_mean_over_classes(right, labels), *_middle(right, labels, things, resamples, seed))


def paired_difference(right_a, right_b, labels, things=None, *, resamples: int = 2_000, seed: int = 0) -> Difference:
    """The class-balanced accuracy of network a minus that of network b, on the same exam, and its 95 % interval.

    Both are judged by the same resamples: a drawing that is hard for both moves both alike, and not their difference.
    So it may be decided although the two accuracies' own intervals overlap. Arguments and errors are those of
    `accuracy_interval`.
    """
    right_a, _, _ = _checked(right_a, labels, things)
    right_b, labels, things = _checked(right_b, labels, things)
    lead = right_a - right_b  # 1 where only a was right, -1 where only b was; its mean is the difference of the means
    return Difference(_mean_over_classes(lead, labels), *_middle(lead, labels, things, resamples, seed))


# Student's t of so few draws: how many times the standard error of their mean 95 % of all means lie within.
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def both_kinds(right_a, right_b, labels, things=None, *, resamples: int = 2_000, seed: int = 0) -> Difference:
    """Recipe a's accuracy minus recipe b's, the mean over several draws of the training images, with two kinds of luck.

    `right_a` and `right_b` have a row for each draw, (draws, n); row k of both comes from networks that learnt from the
    same images. Which things are in the exam is one kind of luck: `paired_difference` of the draws together. Which
    images were drawn to learn from is the other: the spread of the draws' differences. The two are independent, so the
    lengths of their bars add like the sides of a right-angled triangle. Notebook 03 does the same by hand.

    Raises `ValueError` unless there are 2 to 10 draws of both, and where `paired_difference` does.
    """
    if len(right_a) != len(right_b) or len(right_a) not in STUDENT:
        raise ValueError("The luck of the training images shows in 2 to 10 draws of them, as many of one recipe as of "
                         f"the other; these are {len(right_a)} and {len(right_b)}.")
    draws = [balanced_accuracy(a, labels) - balanced_accuracy(b, labels)
             for a, b in zip(right_a, right_b, strict=True)]
    mean = [np.asarray(rows, dtype=np.float64).mean(0) for rows in (right_a, right_b)]
    over_things = paired_difference(*mean, labels, things, resamples=resamples, seed=seed)
    middle, luck = over_things.estimate, _students_bar(draws)
    return Difference(middle, middle - math.hypot(middle - over_things.low, luck),
                      middle + math.hypot(over_things.high - middle, luck))


def of_folds(over_things: Interval, folds: Sequence[float]) -> Interval:
    """The same estimate, with an interval that also counts the luck of the training.

    `over_things` is an accuracy or a difference over the exams of all folds, with its interval over things; `folds` are
    the values of the single folds. Each fold had another exam, learnt from other labels and began with other numbers,
    so their spread shows all that luck can change: to either side 95 % of such means lie within Student's t standard
    errors. Where this is shorter than the interval over things, that one stands, as all luck together is not less than
    a part of it. (T. G. Dietterich, Neural Computation 10, 1998, calls it the k-fold cross-validated paired t test. The
    folds share what they learn from, and so it is still a little too sure.)

    Raises `ValueError` unless there are 2 to 10 folds.
    """
    if len(folds) not in STUDENT:
        raise ValueError(f"The luck of the training shows in 2 to 10 folds; these are {len(folds)}.")
    middle, luck = over_things.estimate, _students_bar(folds)
    return replace(over_things, low=min(over_things.low, middle - luck), high=max(over_things.high, middle + luck))


# --- the recipe --------------------------------------------------------------------------------------------------

def _students_bar(values: Sequence[float]) -> float:
    """How far a 95 % interval of the mean of these independent values reaches to either side."""
    return STUDENT[len(values)] * statistics.stdev(values) / math.sqrt(len(values))


def _middle(values: np.ndarray, labels: np.ndarray, things: np.ndarray, resamples: int, seed: int) -> list[float]:
    """The 2.5 and the 97.5 % percentile of the resamples' means of `values` over classes."""
    resamples = whole_number(resamples, "resamples", 100, 100_000)
    rng = np.random.RandomState(whole_number(seed, "seed", 0, LARGEST_SEED))  # gives the same under every NumPy
    sums, counts = _per_thing(values, labels, things), _per_thing(np.ones_like(values), labels, things)
    for k in np.flatnonzero(np.count_nonzero(counts, axis=0) < 2):
        raise ValueError(f"The exam has too few things of class {np.unique(labels)[k]} for an interval, namely one: "
                         "examine more of them, or leave that class out.")
    drawn_sums, drawn_counts = np.zeros((2, resamples, counts.shape[1]))
    for own in _pots(counts):
        times = _times_drawn(len(own), resamples, rng)
        drawn_sums += times @ sums[own]
        drawn_counts += times @ counts[own]
    with np.errstate(invalid="ignore"):
        shares = drawn_sums / drawn_counts  # not a number where a resample has nothing of a class
    return np.quantile(np.nanmean(shares, axis=1), (0.025, 0.975)).tolist()


def _per_thing(values: np.ndarray, labels: np.ndarray, things: np.ndarray) -> np.ndarray:
    """The sums of `values` over the images of each thing and class, (things, classes)."""
    (names, thing), (classes, label) = (np.unique(part, return_inverse=True) for part in (things, labels))
    shape = len(names), len(classes)
    return np.bincount(thing * shape[1] + label, values, minlength=shape[0] * shape[1]).reshape(shape)


def _pots(counts: np.ndarray) -> list[np.ndarray]:
    """The things that are drawn together: those of a class; or of several, if there are things with images of these."""
    shown = counts > 0
    together = shown.T @ shown  # (classes, classes): whether two classes have a thing in common
    while (linked := together @ together).sum() > together.sum():
        together = linked  # a class, through another, with a third
    return [np.flatnonzero(shown[:, own].any(1)) for k, own in enumerate(together) if own.argmax() == k]


def _times_drawn(n: int, resamples: int, rng: np.random.RandomState) -> np.ndarray:
    """How often each of n things comes when n - 1 are drawn with replacement: (resamples, n)."""
    draws = rng.randint(n, size=(resamples, n - 1)) + n * np.arange(resamples)[:, None]
    return np.bincount(draws.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def _mean_over_classes(values: np.ndarray, labels: np.ndarray) -> float:
    _, label = np.unique(labels, return_inverse=True)
    return float((np.bincount(label, values) / np.bincount(label)).mean())


def _checked(right, labels, things=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as arrays (n,). Raises `ValueError` with one sentence."""
    try:
        right = np.asarray(right, dtype=np.float64)
        if not ((right >= 0) & (right <= 1)).all():
            raise ValueError("beyond 0 to 1")
    except (TypeError, ValueError) as error:
        raise ValueError("`right` says of each answer whether it was right (or how many of several were, 0 to 1): give "
                         "`evaluation.predictions == evaluation.labels`.") from error
    labels, things = np.asarray(labels), np.arange(right.size) if things is None else np.asarray(things)
    if not right.shape == labels.shape == things.shape == (right.size,) or right.size == 0:
        raise ValueError("An exam has one entry per image in `right`, in `labels` and in `things`, and one image at "
                         f"least; these have the shapes {right.shape}, {labels.shape} and {things.shape}.")
    return right, labels, things
