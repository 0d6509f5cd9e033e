"""The figures of notebook 1: what is transfer learning?"""
from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.figures import BLUE, GREY, METHOD_COLOURS, METHOD_MARKERS, ORANGE, picture, show


def two_opinions(split, answers, names) -> None:
    """Images with the answers of two networks below, wrong ones in orange. `answers`: two tensors of labels (n,)."""
    figure = Figure(figsize=(9.5, 1.75))
    axes = figure.subplots(1, len(split))
    for axis, image in zip(axes, split.images, strict=True):
        picture(axis, image)
    wrong = []
    for name, given, y in zip(names, answers, (-0.18, -0.44), strict=True):
        axes[0].text(-0.15, y, f"{name}:", transform=axes[0].transAxes, ha="right", va="center", fontsize=11)
        right = [int(own) == int(true) for own, true in zip(given, split.labels, strict=True)]
        wrong.append(right.count(False))
        for axis, own, is_right in zip(axes, given, right, strict=True):
            axis.text(0.5, y, split.classes[int(own)], transform=axis.transAxes, ha="center", va="center", fontsize=11,
                      color="black" if is_right else ORANGE, weight="normal" if is_right else "bold")
    show(figure, f"{len(split)} test images with two answers each; {names[0]} has {wrong[0]} wrong, "
                 f"{names[1]} {wrong[1]}.")


def source_examples(pictures: dict) -> None:
    """Drawings by family: `pictures[family]` (n, 3, H, W), one row each, the same things in the same order."""
    columns = len(next(iter(pictures.values())))
    figure = Figure(figsize=(9.5, 0.72 * len(pictures)))
    axes = figure.subplots(len(pictures), columns, squeeze=False)
    for row, (family, drawn) in zip(axes, pictures.items(), strict=True):
        row[0].text(-0.2, 0.5, family, transform=row[0].transAxes, ha="right", va="center")
        for axis, image in zip(row, drawn, strict=True):
            picture(axis, image)
    show(figure, f"{columns} emoji outside the ten classes, each drawn by {len(pictures)} families of artists.")


def transfer_diagram(source_classes: int, target_classes: int) -> None:
    """Source network above, target network below: the backbone is copied, the head is new."""
    figure = Figure(figsize=(9, 3.1))
    axis = figure.add_subplot()
    axis.set(xlim=(0, 100), ylim=(0, 34))
    axis.set_axis_off()

    def box(x, y, width, words, colour, hollow=False):
        axis.add_patch(Rectangle((x, y), width, 9, facecolor="white" if hollow else colour, edgecolor=colour,
                                 linewidth=2.5))
        axis.text(x + width / 2, y + 4.5, words, ha="center", va="center", color=colour if hollow else "white",
                  weight="bold")

    def arrow(start, end, colour=GREY):
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2,
                                                  "mutation_scale": 16})

    for y, task, classes, colour in ((23, "source", source_classes, GREY), (2, "target", target_classes, ORANGE)):
        middle, new = y + 4.5, task == "target"
        axis.text(5, middle, f"{task}\nimages", ha="center", va="center")
        arrow((10, middle), (16, middle))
        box(17, y, 36, "backbone", BLUE)
        arrow((54, middle), (62, middle))
        box(63, y, 15, "new head" if new else "head", colour, hollow=new)
        arrow((79, middle), (84, middle))
        axis.text(85, middle, f"{classes} logits\n({task} task)", ha="left", va="center")
    arrow((35, 22), (35, 12), BLUE)
    axis.text(37, 17, "weights are copied", va="center", color=BLUE)
    axis.text(70.5, 17, "thrown away,\nreplaced", ha="center", va="center", color=ORANGE)
    show(figure, "Diagram: the backbone's weights are copied from the source task's network to the target task's; the "
                 f"head with {source_classes} outputs is replaced by a new one with {target_classes}.")


def label_efficiency(curve: dict[str, dict[int, list[float]]]) -> None:
    """Accuracy against labels per class. `curve[method][labels]`: a list of accuracies (0 to 1), one for each seed."""
    figure = Figure(figsize=(7.5, 4.4))
    axis = figure.add_subplot()
    for k, (method, points) in enumerate(curve.items()):
        counts = np.array(list(points)) * 1.03**(k - 1)  # side by side, so that the bars do not cover each other
        scores = 100 * np.array(list(points.values()))
        middle = scores.mean(1)
        axis.errorbar(counts, middle, yerr=[middle - scores.min(1), scores.max(1) - middle], capsize=4, label=method,
                      color=METHOD_COLOURS[method], marker=METHOD_MARKERS[method])
    ticks, seeds = list(points), scores.shape[1]
    axis.set(xscale="log", xlabel="labelled training images per class", ylabel="test accuracy (%)", ylim=(0, 100))
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.axhline(10, color=GREY, linewidth=1, linestyle=":")
    axis.text(ticks[-1], 4, "guessing", ha="right", color=GREY, fontsize=11)
    axis.legend(loc="upper left")
    axis.set_title(f"Mean of {seeds} seeds; bars from the worst seed to the best", fontsize=12)
    show(figure, f"Label-efficiency curve: test accuracy with {', '.join(map(str, ticks))} labels per class for "
                 f"{', '.join(curve)}.")


def near_and_far(results: dict[str, dict[str, list[float]]]) -> None:
    """Bars of accuracy for each method, a group for each target. `results[target][method]`: accuracies (0 to 1) by
    seed."""
    figure = Figure(figsize=(7.5, 4))
    axis = figure.add_subplot()
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
