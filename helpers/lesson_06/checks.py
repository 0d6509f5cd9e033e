"""The checks of notebook 6's exercises: your own pictures."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers import model_card, takeaway
from helpers.calibration import separation
from helpers.intervals import balanced_accuracy
from helpers.verdict import NotYet, exercise, near, number, readers_code


@exercise("Exercise 6.1")
def always_the_commonest(answer, labels: Tensor) -> str:
    """Exercise 6.1: what an answer that is always the commonest class gets: the share of right answers, and accuracy.

    `labels` (n,) are the exam's. The answer is a pair of shares, 0 to 1.
    """
    counts = torch.bincount(labels)
    right = labels == counts.argmax()
    truths = right.double().mean().item(), balanced_accuracy(right, labels)
    given = [number(part) for part in answer] if isinstance(answer, (tuple, list)) else []
    if len(given) != 2 or None in given:
        raise NotYet("The answer is a pair of numbers, such as (0.5, 0.5).")
    if max(given) > 1:
        raise NotYet("Give both as shares, from 0 to 1, not in per cent.")
    for what, value, truth in zip(("share of right answers", "class-balanced accuracy"), given, truths, strict=True):
        if not near(value, truth):
            raise NotYet(f"The {what} is another one, to two digits after the point.")
    return "The second number is the same for whatever class is always answered."


@exercise("Exercise 6.2")
def error_by_hand(answer, bins: list[tuple[int, float, int]]) -> str:
    """Exercise 6.2: the calibration error of a few bins, each as (images, confidence, of these right), as a share."""
    images, confidence, right = (np.array(column, dtype=float) for column in zip(*bins, strict=True))
    gaps = np.abs(confidence - right / images)
    truth, given = float(images @ gaps / images.sum()), number(answer)
    close = lambda value: given is not None and abs(given - value) < 0.0005
    if given is None:
        raise NotYet("The answer is a number.")
    if close(100 * truth):
        raise NotYet("Give it as a share, from 0 to 1, not in points.")
    if close(gaps.mean()) or close(gaps.sum()):
        raise NotYet("A bin counts as much as it has images.")
    if not close(truth):
        raise NotYet("Of each bin the distance between confidence and share of right answers, weighted with its images "
                     "and divided by all images, to three digits after the point.")
    return "Without its bins such a number says nothing: state them with it."


@exercise("Exercise 6.3")
def softer_weights(answer) -> str:
    """Exercise 6.3: a function that gives each class a weight that falls with the root of its number of images.

    `answer(labels)` (n,) int64 gives (classes,); the mean of the weights over all images is 1.
    """
    if not callable(answer) or isinstance(answer, type):
        raise NotYet("The answer is the function itself, without brackets behind it.")
    for counts in ([90, 10], [1, 4, 16], [7, 7, 7, 7]):
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        with readers_code("With a few labels, it"):
            given = answer(labels.clone())
            weights = torch.as_tensor(given, dtype=torch.float64).flatten()
        if weights.shape != (len(counts),):
            raise NotYet(f"For labels of {len(counts)} classes it gives {len(weights)} numbers; each class needs one.")
        if not (weights.isfinite().all() and (weights > 0).all()):
            raise NotYet("Some of its weights are not numbers above zero.")
        scarce, rich = weights[torch.tensor(counts).argmin()].item(), weights[torch.tensor(counts).argmax()].item()
        ratio, wanted = scarce / rich, (max(counts) / min(counts)) ** 0.5
        if abs(ratio - wanted) > 0.01 * wanted:
            raise NotYet(f"With {' and '.join(map(str, counts))} images the scarcest class weighs {ratio:.2f} times as "
                         "much as the richest, which is not the root of how many times fewer images it has.")
        if abs(weights[labels].mean() - 1) > 0.01:
            raise NotYet(f"The weights are right among one another, but their mean over all images is "
                         f"{weights[labels].mean():.2f} and not 1.")
    return "Half way between no weights and full ones."


@exercise("Exercise 6.4")
def promise(answer, evaluation, promised: float) -> str:
    """Exercise 6.4: the lowest threshold at which at least the share `promised` of the accepted answers is right.

    An answer is accepted if its confidence is the threshold or more. Where no threshold keeps the promise, one that
    accepts nothing is right.
    """
    given, sure = number(answer), evaluation.confidences.double().numpy()
    right = (evaluation.predictions == evaluation.labels).numpy()
    if given is None:
        raise NotYet("The answer is a number.")
    if given > 1 and sure.max() < 1:
        raise NotYet("A threshold above 1 accepts nothing: confidences run from 0 to 1.")
    kept = lambda threshold: right[sure >= threshold]
    keeps = [value for value in np.unique(sure) if kept(value).mean() >= promised]
    lowest = keeps[0] if keeps else np.inf
    accepted = kept(given - 1e-6)
    if accepted.size and accepted.mean() < promised:
        raise NotYet(f"Of what it accepts {100 * accepted.mean():.1f} % are right; promised are "
                     f"{100 * promised:.0f} %.")
    if accepted.size < kept(lowest).size:
        raise NotYet(f"The promise is kept, but a lower threshold keeps it, too; this one accepts {accepted.size} of "
                     f"{sure.size} images.")
    return f"It answers for {accepted.size} of {sure.size} images, and keeps the promise on those that chose it."


@exercise("Exercise 6.5")
def other_score(answer, known: Tensor, other: Tensor) -> str:
    """Exercise 6.5: a function of logits (n, classes) that is high for what the network knows and low for the rest.

    `known` and `other` are logits for the exam and for other things. Reports how well it tells them apart.
    """
    if not callable(answer) or isinstance(answer, type):
        raise NotYet("The answer is the function itself, without brackets behind it.")

    def scores(logits: Tensor) -> Tensor:
        with readers_code("With logits, it"):
            given = torch.as_tensor(answer(logits.clone()), dtype=torch.float64)
        if given.shape != (len(logits),):
            raise NotYet(f"For {len(logits)} images it gives the shape {tuple(given.shape)}; each needs one number.")
        if not given.isfinite().all():
            raise NotYet("Some of its scores are not numbers.")
        return given

    firm, torn = torch.full((1, known.shape[1]), -4.0), torch.zeros(1, known.shape[1])
    firm[0, 0] = 4.0
    if scores(firm)[0] <= scores(torn)[0]:
        raise NotYet("Where one class is far ahead the score should be higher than where all are equal.")
    old = [logits.softmax(1).amax(1) for logits in (known, other)]
    new = [scores(logits) for logits in (known, other)]
    if all(torch.equal(a.argsort(stable=True), b.argsort(stable=True)) for a, b in zip(old, new, strict=True)):
        raise NotYet("It puts the images in the same order as the confidence does, so any threshold does the same.")
    return (f"It puts a known image above another one in {separation(*new)} of all pairs; confidence does so in "
            f"{separation(*old)}.")


@exercise("Challenge")
def network_of_your_own(answer, not_these: tuple[str, ...]) -> str:
    """The challenge: the folder of a network for classes of the reader's own, with its accuracy and a whole card.

    `not_these` are the classes of the lesson.
    """
    if not isinstance(answer, (str, Path)):
        raise NotYet("The answer is the folder that takeaway.save has written, as a path.")
    try:
        taken = takeaway.load(answer)
    except (ValueError, RuntimeError) as error:
        raise NotYet(" ".join(str(error).split())) from None  # a path may have several lines
    if set(taken.classes) & set(not_these):
        raise NotYet("It has classes of this lesson; find things that nobody here has looked at.")
    if taken.accuracy is None:
        raise NotYet("It was saved without its accuracy in an exam.")
    page = Path(answer).expanduser() / model_card.FILE
    lacking = model_card.missing(page.read_text(encoding="utf-8")) if page.is_file() else list(model_card.HEADINGS)
    if lacking:
        raise NotYet(f"Its card, {model_card.FILE} beside it, says nothing under {lacking[0]!r}.")
    return f"{taken.network} tells {len(taken.classes)} classes of yours apart: {taken.accuracy} in its exam."
