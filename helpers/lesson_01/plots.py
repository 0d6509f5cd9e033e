"""The figures of notebook 1: what is transfer learning?"""
from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.figures import BLUE, GREY, ORANGE, bars, class_name, first_of, outline, picture, show


def film_strip(source: dict, words: list[str], target) -> None:
    """The idea in one picture: source task, backbone, target task, from left to right.

    `source`: drawings by family, each (n, 3, H, W), or {} where no image of the source task is at hand; then some of
    its class names (`words`) stand there. `target`: an `ImageSplit` with one image of each class.
    """
    figure = Figure(figsize=(9.5, 2.5), layout="none")
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, 95), ylim=(0, 25))
    page.set_axis_off()
    left = [image for pictures in list(source.values())[:2] for image in pictures[2:6]]
    for k, image in enumerate(left):
        picture(figure.add_axes((0.01 + 0.072 * (k % 4), 0.42 - 0.28 * (k // 4), 0.066, 0.25)), image)
    if not left:
        page.text(15, 10.5, "\n".join(words[:5]), ha="center", va="center", fontsize=11)
    for k, image in enumerate(target.images[:10]):
        picture(figure.add_axes((0.625 + 0.074 * (k % 5), 0.42 - 0.28 * (k // 5), 0.069, 0.25)), image)
    for k, height in enumerate((13, 11, 9, 7, 5)):  # a network gets narrower from layer to layer
        page.add_patch(Rectangle((37.5 + 2.6 * k, 10 - height / 2), 2, height, facecolor=BLUE))
    for x in (31.5, 53):
        page.annotate("", (x + 4.5, 10), (x, 10), arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 2,
                                                            "mutation_scale": 18})
    for x, step in ((15, "1  somebody trained it\non a large source task"), (44, "2  you take over\nwhat it learnt"),
                    (78, "3  and fit it to your own images,\nof which you have few")):
        page.text(x, 21.5, step, ha="center", va="center", weight="bold")
    show(figure, "Transfer learning in three steps: a network is trained on a large source task; its layers are taken "
                 f"over; they are fitted to a few images of your own classes, here {', '.join(target.classes[:10])}.")


def feature_maps(split, features: dict) -> None:
    """Images laid out by what networks make of them: `features[name]` (n, 2), a place for each image of `split`.

    One panel for each network; alike features stand close together. The frame has a colour for each class; of more than
    ten classes it shows the first ten, since nobody could tell more colours apart.
    """
    colours = matplotlib.colormaps["tab10"](range(min(10, len(split.classes))))
    names, seen = split.classes[:len(colours)], split.labels < len(colours)
    part = first_of(names, split.classes)
    figure = Figure(figsize=(9.5, 9.5 / len(features) + 0.5 + 0.25 * (-(-len(names) // 5) + bool(part))))
    for axis, (name, places) in zip(figure.subplots(1, len(features), squeeze=False)[0], features.items(), strict=True):
        places = np.asarray(places)
        low, high = np.quantile(places, (0.04, 0.96), axis=0)
        inside = ((places - low) / (high - low).clip(1e-9)).clip(0, 1)  # what lies far out is drawn at the edge
        for (x, y), image, number in zip(inside[seen], split.images[seen], split.labels[seen], strict=True):
            box = (x - 0.04, x + 0.04, y - 0.04, y + 0.04)
            axis.imshow(np.asarray(image).transpose(1, 2, 0), extent=box, zorder=2)
            outline(axis, (box[0], box[2], box[1], box[3]), colours[int(number)], 2, zorder=3)
        axis.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), title=name, aspect="equal", xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.grid(visible=False)
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    figure.legend(handles, [class_name(name, 12) for name in names], loc="outside lower center",
                  ncols=min(5, len(names)), title=part)
    show(figure, f"{int(seen.sum())} images in two dimensions, laid out by the features of these networks: "
                 f"{', '.join(features)}. How often neighbours show the same class is counted in the text below. "
                 f"{part}".rstrip())


def two_opinions(split, answers, names) -> None:
    """Images under what they show, with the answers of two networks below, wrong ones in orange.

    `answers`: two tensors of labels (n,).
    Of more than ten images it shows the first ten.
    """
    shown = split.images[:10]
    part = first_of(shown, split, "images")
    figure = Figure(figsize=(1.3 + 0.82 * len(shown), 2.3 if part else 1.95))
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for axis, image, true in zip(axes, shown, split.labels, strict=False):
        picture(axis, image)
        axis.set_title(class_name(split.classes[int(true)], 10), fontsize=11)
    if part:
        figure.suptitle(part, fontsize=12)
    wrong = []
    for name, given, y in zip(names, answers, (-0.18, -0.44), strict=True):
        axes[0].text(-0.15, y, f"{name}:", transform=axes[0].transAxes, ha="right", va="center", fontsize=11)
        right = [int(own) == int(true) for own, true in zip(given, split.labels, strict=True)]
        wrong.append(right.count(False))
        for axis, own, is_right in zip(axes, given, right, strict=False):
            axis.text(0.5, y, class_name(split.classes[int(own)], 10), transform=axis.transAxes, ha="center",
                      va="center", fontsize=11, color="black" if is_right else ORANGE,
                      weight="normal" if is_right else "bold")
    show(figure, f"{len(split)} test images with two answers each; {names[0]} has {wrong[0]} wrong, "
                 f"{names[1]} {wrong[1]}. {part}".rstrip())


def source_examples(pictures: dict) -> None:
    """Drawings by family: `pictures[family]` (n, 3, H, W), one row each, the same things in the same order."""
    columns = len(next(iter(pictures.values())))
    figure = Figure(figsize=(9.5, 0.72 * len(pictures)))
    axes = figure.subplots(len(pictures), columns, squeeze=False)
    for row, (family, drawn) in zip(axes, pictures.items(), strict=True):
        row[0].text(-0.2, 0.5, family, transform=row[0].transAxes, ha="right", va="center")
        for axis, image in zip(row, drawn, strict=True):
            picture(axis, image)
    show(figure, f"{columns} emoji in the styles of {len(pictures)} emoji families: the same things in other "
                 "colours and outlines.")


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


def label_efficiency(curve: dict[str, dict[int, object]]) -> None:
    """Accuracy against labels per class. `curve[name][labels]` is an `Interval` of an accuracy."""
    figure = Figure(figsize=(7.5, 4))
    axis = figure.add_subplot()
    for k, ((name, points), colour, marker) in enumerate(zip(curve.items(), (BLUE, ORANGE), "o^", strict=True)):
        counts = np.array(list(points)) * 1.03 ** (k - 0.5)  # side by side, so that the bars do not cover each other
        middle, reach = bars(points.values())
        axis.errorbar(counts, middle, yerr=reach, capsize=4, color=colour, marker=marker,
                      label=f"frozen, {name}")
    axis.set(xscale="log", xlabel="labelled training images per class", ylabel="test accuracy (%)", ylim=(0, None))
    axis.set_xticks(list(points), list(map(str, points)))
    axis.minorticks_off()
    axis.legend(loc="upper left")
    told = "; ".join(f"{name}: " + ", ".join(f"{100 * one.estimate:.0f} with {count}" for count, one in points.items())
                     for name, points in curve.items())
    show(figure, f"Label-efficiency curve, test accuracy in % by labels per class. {told}.")


def probes(found: dict[str, dict], guessing: float) -> None:
    """Dots with intervals: how far a head gets on three kinds of features, target by target.

    `found[target][features]` is an `Interval` of an accuracy, and a target the name of a data set, or a folder.
    `guessing` is the accuracy (0 to 1) of blind guesses.
    """
    figure = Figure(figsize=(9, 0.8 + 0.95 * len(found)))
    axis, names = figure.add_subplot(), list(next(iter(found.values())))
    for k, (name, colour, marker) in enumerate(zip(names, (BLUE, ORANGE, GREY), ("o", "^", "s"), strict=True)):
        middle, reach = bars(own[name] for own in found.values())
        places = np.arange(len(found)) + 0.22 * (k - 1)
        axis.errorbar(middle, places, xerr=reach, fmt=marker, capsize=4, color=colour,
                      label=name)
        for value, end, y in zip(middle, middle + reach[1], places, strict=True):
            axis.text(end + 1.2, y, f"{value:.0f}", va="center", fontsize=11)
    axis.axvline(100 * guessing, color=GREY, linewidth=1, linestyle=":")
    axis.set_yticks(range(len(found)), [str(target) for target in found], parse_math=False)
    axis.set(xlabel="test accuracy (%), with its 95 % interval over things; dotted: guessing", xlim=(0, 105))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    told = [f"{target}: " + ", ".join(f"{name} {100 * value.estimate:.0f}" for name, value in own.items())
            for target, own in found.items()]
    show(figure, f"Test accuracy in % of a new head on three kinds of features. {'; '.join(told)}.")
