"""The figures of notebook 1: what is transfer learning?"""
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from helpers.figures import BLUE, GREY, METHOD_COLOURS, METHOD_MARKERS, ORANGE, picture, show


def two_opinions(split, answers, names) -> None:
    """Images with the answers of two networks below, wrong ones in orange. `answers`: two tensors of labels (n,)."""
    figure, axes = plt.subplots(1, len(split), figsize=(9.5, 1.75))
    for k, axis in enumerate(axes):
        picture(axis, split.images[k])
        for line, given in enumerate(answers):
            right = int(given[k]) == int(split.labels[k])
            axis.text(
                0.5,
                -0.18 - 0.26 * line,
                split.classes[int(given[k])],
                transform=axis.transAxes,
                ha="center",
                va="center",
                fontsize=11,
                color="black" if right else ORANGE,
                weight="normal" if right else "bold",
            )
    for line, name in enumerate(names):
        axes[0].text(
            -0.15, -0.18 - 0.26 * line, name + ":", transform=axes[0].transAxes, ha="right", va="center", fontsize=11
        )
    wrong = [sum(int(a) != int(b) for a, b in zip(given, split.labels, strict=True)) for given in answers]
    show(
        figure,
        f"{len(split)} test images with two answers each; {names[0]} has {wrong[0]} wrong, {names[1]} {wrong[1]}.",
    )


def source_examples(pictures, rows: int = 3) -> None:
    """Drawings (rows * n, 3, H, W) in `rows` rows, one for each artist."""
    columns = len(pictures) // rows
    figure, axes = plt.subplots(rows, columns, figsize=(9.5, rows * 0.8))
    for k, axis in enumerate(axes.flat):
        picture(axis, pictures[k])
    for axis, name in zip(axes[:, 0], ("Noto", "Twemoji", "Fluent"), strict=True):
        axis.text(-0.2, 0.5, name, transform=axis.transAxes, ha="right", va="center")
    show(figure, f"{columns} emoji outside the ten classes, each drawn by three families of artists.")


def transfer_diagram(source_classes: int, target_classes: int) -> None:
    """Source network above, target network below: the backbone is copied, the head is new."""
    figure, axis = plt.subplots(figsize=(9, 3.1))
    axis.set_xlim(0, 100)
    axis.set_ylim(0, 34)
    axis.set_axis_off()

    def box(x, y, width, text, colour, hollow=False):
        axis.add_patch(
            plt.Rectangle((x, y), width, 9, facecolor="white" if hollow else colour, edgecolor=colour, linewidth=2.5)
        )
        axis.text(
            x + width / 2, y + 4.5, text, ha="center", va="center", color=colour if hollow else "white", weight="bold"
        )

    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 2, "mutation_scale": 16}
    for y, images, classes, colour, title in (
        (23, "source\nimages", source_classes, GREY, "source task"),
        (2, "target\nimages", target_classes, ORANGE, "target task"),
    ):
        axis.text(5, y + 4.5, images, ha="center", va="center")
        axis.annotate("", (16, y + 4.5), (10, y + 4.5), arrowprops=arrow)
        box(17, y, 36, "backbone", BLUE)
        axis.annotate("", (62, y + 4.5), (54, y + 4.5), arrowprops=arrow)
        box(63, y, 15, "head" if y > 10 else "new head", colour, hollow=y < 10)
        axis.annotate("", (84, y + 4.5), (79, y + 4.5), arrowprops=arrow)
        axis.text(85, y + 4.5, f"{classes} logits\n({title})", ha="left", va="center")
    axis.annotate("", (35, 12), (35, 22), arrowprops=arrow | {"color": BLUE})
    axis.text(37, 17, "weights are copied", va="center", color=BLUE)
    axis.text(70.5, 17, "thrown away,\nreplaced", ha="center", va="center", color=ORANGE)
    show(
        figure,
        "Diagram: the backbone's weights are copied from the source task's network to the target task's; the "
        f"head with {source_classes} outputs is replaced by a new one with {target_classes}.",
    )


def label_efficiency(curve: dict[str, dict[int, list[float]]]) -> None:
    """Accuracy against labels a class. `curve[method][labels]` is a list of accuracies (0 to 1), one for each seed."""
    figure, axis = plt.subplots(figsize=(7.5, 4.4))
    for shift, (method, points) in zip((-1, 0, 1), curve.items(), strict=True):
        counts = np.array(list(points)) * 1.03**shift  # side by side, so that the bars do not cover each other
        scores = 100 * np.array(list(points.values()))
        middle = scores.mean(1)
        axis.errorbar(
            counts,
            middle,
            yerr=[middle - scores.min(1), scores.max(1) - middle],
            label=method,
            capsize=4,
            color=METHOD_COLOURS[method],
            marker=METHOD_MARKERS[method],
        )
    ticks = list(points)
    axis.set(xscale="log", xlabel="labelled training images a class", ylabel="test accuracy (%)", ylim=(0, 100))
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.axhline(10, color=GREY, linewidth=1, linestyle=":")
    axis.text(ticks[-1], 4, "guessing", ha="right", color=GREY, fontsize=11)
    axis.legend(loc="upper left")
    seeds = scores.shape[1]
    axis.set_title(f"Mean of {seeds} seeds; bars from the worst seed to the best", fontsize=12)
    show(figure, f"Label-efficiency curve: test accuracy against {ticks} labels a class for {', '.join(curve)}.")


def near_and_far(results: dict[str, dict[str, list[float]]]) -> None:
    """Bars of accuracy for each method, one group a target. `results[target][method]`: accuracies 0 to 1 by seed."""
    figure, axis = plt.subplots(figsize=(7.5, 4))
    methods = list(next(iter(results.values())))
    for k, method in enumerate(methods):
        places = np.arange(len(results)) + 0.27 * (k - 1)
        scores = [100 * np.array(target[method]) for target in results.values()]
        middle = np.array([s.mean() for s in scores])
        error = [middle - [s.min() for s in scores], [s.max() for s in scores] - middle]
        axis.bar(places, middle, width=0.25, yerr=error, capsize=4, label=method, color=METHOD_COLOURS[method])
        for x, y, s in zip(places, middle, scores, strict=True):
            axis.text(x, s.max() + 2, f"{y:.0f}", ha="center")
    axis.set_xticks(np.arange(len(results)), list(results))
    axis.set(ylabel="test accuracy (%)", ylim=(0, 118), yticks=range(0, 101, 20))
    axis.grid(axis="x", visible=False)
    axis.legend(ncols=3, loc="upper left")
    show(figure, f"Test accuracy of {', '.join(methods)} with few labels on two targets: {', '.join(results)}.")
