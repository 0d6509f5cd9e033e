"""The figures of notebook 6: your own pictures."""
from __future__ import annotations

import numpy as np
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from helpers.calibration import Bin, share_of
from helpers.figures import BLUE, GREY, ORANGE, class_name, page, show
from helpers.model_card import plain

ROWS = 12  # classes that a table or figure shows; of more, the scarcest and the richest


def _ends(counts: np.ndarray) -> list[int]:
    """Classes by the number of their images, the scarcest first; of too many the two ends."""
    order = np.argsort(counts, kind="stable").tolist()
    return order if len(order) <= ROWS else [*order[:ROWS // 2], *order[-(ROWS // 2):]]


def division_table(splits: dict) -> None:
    """How many images of each class are in each split, as a table: `splits[name]` is an `ImageSplit`."""
    classes = next(iter(splits.values())).classes
    counts = np.array([np.bincount(one.labels, minlength=len(classes)) for one in splits.values()])
    rows = [(plain(classes[k]), counts[:, k]) for k in sorted(_ends(counts.sum(0)))]
    lines = [f"| class | {' | '.join(splits)} |", "|:--|" + "--:|" * len(splits),
             *(f"| {name} | {' | '.join(map(str, own))} |" for name, own in rows),
             f"| all {len(classes)} classes | {' | '.join(map(str, counts.sum(1)))} |"]
    display(Markdown("\n".join(lines)))


def by_class(shares: dict[str, list[float]], counts, classes) -> None:
    """Of each class, the share of its images that was recognised, by each of two networks; the scarcest class on top.

    `shares[label]`: 0 to 1 for each class; `counts` (classes,): from how many images it was learnt.
    """
    shown = _ends(np.asarray(counts))
    figure = Figure(figsize=(9, 1.3 + 0.36 * len(shown)))
    axis = figure.add_subplot()
    (before, first), (after, second) = ((label, 100 * np.array(values)[shown]) for label, values in shares.items())
    places = -np.arange(len(shown))
    axis.hlines(places, first, second, color=GREY, linewidth=2)
    axis.plot(first, places, "o", color=GREY, markersize=11, markerfacecolor="white", markeredgewidth=2,
              label=before)  # a ring: it is seen where the other result is the same
    axis.plot(second, places, "D", color=ORANGE, label=after)
    names = [f"{class_name(classes[k])} ({int(counts[k])})" for k in shown]
    axis.set_yticks(places, names)
    axis.set(xlabel="validation images recognised (%)", xlim=(-3, 103), ylim=(0.6 - len(shown), 0.6))
    figure.legend(loc="outside upper center", ncols=2)
    told = "; ".join(f"{name}: {one:.0f} and {other:.0f}"
                     for name, one, other in zip(names, first, second, strict=True))
    show(figure, f"Per cent of each class's validation images recognised, {before} and {after}. {told}.")


def reliability(curves: dict[str, list[Bin]]) -> None:
    """Share of right answers against confidence, a panel for each of `curves`; below each dot its number of images."""
    figure = Figure(figsize=(9.5, 4.2))
    told = []
    for axis, (label, bins) in zip(figure.subplots(1, len(curves), sharey=True, squeeze=False)[0], curves.items(),
                                   strict=True):
        used = [one for one in bins if one.images]
        axis.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle=":")
        for one in used:
            middle, right = 100 * one.confidence, 100 * one.right
            axis.plot([middle, middle], [middle, right], color=ORANGE, linewidth=5, alpha=0.45, solid_capstyle="butt")
            axis.plot(middle, right, "o", color=BLUE)
            axis.text(middle, -13, one.images, ha="center", va="center", fontsize=11)
        axis.set(title=label, xlabel="mean confidence (%)\nnumbers: images in the bin", xlim=(0, 100), ylim=(-20, 105))
        axis.set_yticks(range(0, 101, 20))
        told.append(f"{label}: " + ", ".join(f"{100 * one.confidence:.0f} % sure and {100 * one.right:.0f} % right"
                                             for one in used))
    figure.axes[0].set_ylabel("right answers (%)")
    show(figure, f"Right answers against confidence in {len(bins)} bins. {'; '.join(told)}.")


def refusals(confidences: dict, threshold: float) -> None:
    """How sure the network is of several kinds of images, and what a threshold would refuse of each.

    `confidences[kind]` (n,), 0 to 1. A dot is an image, and right of it stands the share that is refused, with its 95 %
    interval.
    """
    figure = Figure(figsize=(9.5, 1.2 + 0.62 * len(confidences)))
    axis = figure.add_subplot()
    rng, told = np.random.RandomState(0), []
    for k, (kind, sure) in enumerate(confidences.items()):
        sure = np.asarray(sure)
        refused = share_of(sure < threshold)
        height = -k + rng.uniform(-0.28, 0.28, len(sure))
        axis.scatter(100 * sure, height, s=9, c=np.where(sure < threshold, ORANGE, BLUE), alpha=0.6, linewidths=0)
        words = f"{refused} refused" if refused else "no such image"
        axis.text(1.02, -k, words, va="center", transform=axis.get_yaxis_transform(), fontsize=11)
        told.append(f"{kind}: {words}")
    axis.axvline(100 * threshold, color="black", linewidth=1.5)
    axis.set_yticks(-np.arange(len(confidences)), [f"{kind} ({len(own)})" for kind, own in confidences.items()])
    axis.set(xlabel="confidence (%)\nleft of the line: refused", xlim=(0, 101), ylim=(0.6 - len(confidences), 0.6))
    axis.grid(axis="y", visible=False)
    show(figure, f"Confidence of the answers, and what a threshold of {100 * threshold:.0f} % refuses. "
                 f"{'; '.join(told)}.")


def picture_answers(image, answers: dict) -> None:
    """An image (3, H, W) uint8, and beside it bars of confidence: `answers[network]` = [(class, 0 to 1), ...].

    All on one axis, whose unit is a tenth of an inch.
    """
    tall = max(33, 1 + sum(3.6 + 2.3 * len(given) for given in answers.values()))
    figure, axis = page(9.5, tall / 10)
    axis.set(xlim=(0, 95), ylim=(tall, 0))
    axis.imshow(np.asarray(image).transpose(1, 2, 0), extent=(1, 30, 32, 3), aspect="auto", interpolation="nearest")
    axis.text(1, 1.6, f"the picture, {image.shape[-1]} x {image.shape[-2]} pixels", va="center", fontsize=12)
    y = 1.6
    for k, (network, given) in enumerate(answers.items()):
        axis.text(56, y, network, ha="left", va="center", fontsize=12, weight="bold")
        axis.plot((56, 56), (y + 1.4, y + 1.4 + 2.3 * len(given)), color="black", linewidth=1)
        for name, share in given:
            y += 2.3
            axis.barh(y + 0.3, 31 * share, left=56, height=1.6, color=(GREY, ORANGE)[k % 2])
            axis.text(55, y + 0.3, class_name(name, 26), ha="right", va="center", fontsize=11)
            axis.text(56.7 + 31 * share, y + 0.3, f"{100 * share:.0f} %", va="center", fontsize=11)
        y += 3.6
    said = [f"{network}: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in given)
            for network, given in answers.items()]
    show(figure, f"A picture of {image.shape[-1]} x {image.shape[-2]} pixels, and what networks take it for. "
                 + "; ".join(said) + ".")
