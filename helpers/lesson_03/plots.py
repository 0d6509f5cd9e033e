"""The figures of notebook 3: augmentation"""
from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from helpers.figures import BLUE, GREEN, GREY, ORANGE, PINK, mark_break, outline, page, picture, show

CHANNEL_COLOURS = (("red", ORANGE, "-"), ("green", GREEN, "--"), ("blue", BLUE, "-."))
# The exams of a trained network, from the hardest to the easiest: what each is made of, its colour and its marker.
EXAMS = {"other things": (GREY, "o"), "training images, moved": (PINK, "D"),
         "training images, as they are": (BLUE, "s")}


def draws(original, pictures) -> None:
    """One image (3, H, W) on the left, views of it (n, 3, H, W) in two rows beside it. All uint8.

    The views are laid out as one sheet of pixels, which is drawn quickly enough for a panel that follows a slider.
    """
    original = np.asarray(original).transpose(1, 2, 0)
    height, width = original.shape[:2]
    gap, head = -(-width // 10), 0.32 * width  # a title takes the same room above images of any size
    columns, start = -(-len(pictures) // 2), 2 * width + 4 * gap
    right, bottom = start + columns * (width + gap), 2 * (height + gap)
    figure, axis = page(7.5, 7.5 * (bottom + head + gap // 2) / right)
    axis.imshow(original, extent=(gap, gap + 2 * width, bottom - gap, gap))
    axis.text(gap + width, 0, "stored image", ha="center", va="bottom", fontsize=13)
    axis.text((start + right - gap) / 2, 0, f"{len(pictures)} views", ha="center", va="bottom", fontsize=13)
    sheet = np.full((2, columns, height + gap, width + gap, 3), 255, np.uint8)
    for k, drawn in enumerate(np.asarray(pictures).transpose(0, 2, 3, 1)):
        sheet[k // columns, k % columns, :height, :width] = drawn
    sheet = sheet.swapaxes(1, 2).reshape(bottom, right - start, 3)
    axis.imshow(sheet, extent=(start, right, bottom + gap // 2, gap // 2))
    axis.set(xlim=(0, right), ylim=(bottom + gap // 2, -head))
    different = len({drawn.tobytes() for drawn in np.asarray(pictures)})
    show(figure, f"One image, and {len(pictures)} random views of it, {different} of them different from one another.")


def value_histograms(groups: dict) -> None:
    """Histograms of the three channels, one panel for each entry of `groups`: label -> values (n, 3, H, W)."""
    figure = Figure(figsize=(9, 3.3))
    axes = figure.subplots(1, len(groups))
    for axis, (label, values) in zip(axes, groups.items(), strict=True):
        for (name, colour, line), channel in zip(CHANNEL_COLOURS, np.asarray(values).swapaxes(0, 1), strict=True):
            # 64 bins of four grey values each, whatever scale the values are on: other widths would show a comb
            low, high = channel.min(), channel.max()
            half = (high - low) / 510
            heights, edges = np.histogram(channel, bins=64, range=(low - half, high + half), density=True)
            axis.stairs(heights, edges, label=name, color=colour, linestyle=line, linewidth=2)
        axis.axvline(0, color="black", linewidth=1)
        axis.set(xlabel=label, yticks=[])
    axes[0].set_ylabel("how often")
    axes[-1].legend(loc="upper left", handlelength=2.6)
    told = [f"{label}, mean {round(float(values.mean()), 2) + 0:.2f}, standard deviation {values.std():.2f}"
            for label, values in ((label, np.asarray(values)) for label, values in groups.items())]
    show(figure, f"Histograms of red, green and blue values, of the same shape before and after: {'; '.join(told)}.")


def crop_windows(padded, corners, size: int) -> None:
    """Windows of `size` pixels on one padded image (3, H, W), and what each cuts out. `corners`: (top, left) each."""
    padded = np.asarray(padded)
    height, width = padded.shape[1:]
    border = (width - size) // 2
    figure = Figure(figsize=(7.5, 2.75))
    whole, *crops = figure.subplots(1, len(corners) + 1, width_ratios=[1.7] + [1] * len(corners))

    def window(axis, top, left, colour, line, **style):
        edge = left - 0.5, top - 0.5  # pixel 0 reaches from -0.5 to 0.5
        outline(axis, (*edge, edge[0] + size, edge[1] + size), colour, line, **style)

    picture(whole, padded)
    whole.set_title(f"padded: {height} x {width}")
    window(whole, border, border, "white", 1.5, linestyle=":")
    for axis, (top, left), colour in zip(crops, corners, (ORANGE, BLUE, PINK), strict=False):
        window(whole, top, left, colour, 3)
        picture(axis, padded[:, top : top + size, left : left + size])
        window(axis, 0, 0, colour, 6)
        axis.set_title(f"top {top}, left {left}")
    show(figure, f"A padded image with {len(corners)} windows of {size} x {size} pixels drawn on it, and beside it "
                 f"what they cut out: the same image moved by up to {border} pixels, with a black edge. Top and left "
                 f"corner at {', '.join(map(str, corners))}.")


def before_and_after(pairs: dict, question: str) -> None:
    """Columns of two images: as it was, as it is now. `pairs[change]` = (name, before, after), uint8 (3, H, W)."""
    figure = Figure(figsize=(7, 3.7))
    axes = figure.subplots(2, len(pairs), squeeze=False)
    for column, (change, (name, before, after)) in zip(axes.T, pairs.items(), strict=True):
        picture(column[0], before)
        picture(column[1], after)
        column[0].set_title(name)
        column[1].set_title(f"{change}:\n{name}?", fontsize=12)
    figure.suptitle(question, weight="bold")
    told = ", ".join(f"{name} {change}" for change, (name, *_) in pairs.items())
    show(figure, f"{question} Below each image is what became of it: {told}.")


def gap_in_parts(scores: dict) -> None:
    """What lies between the accuracy on training images and that on other things: what is lost by moving, and the rest.

    `scores[side]` are three `Interval`s in the order of EXAMS.
    """
    figure = Figure(figsize=(9, 3.2))
    axis = figure.add_subplot()
    for k, intervals in enumerate(scores.values()):
        new, moved, stored = (100 * interval.estimate for interval in intervals)
        parts = ((moved, stored, "lost by moving", PINK), (new, moved, "lost to other things", GREY))
        for start, stop, part, colour in parts:
            axis.plot([start, stop], [-k, -k], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt", zorder=1)
            axis.text((start + stop) / 2, 0.17 - k, f"{part}\n{stop - start:.1f}", ha="center", fontsize=11)
        for (exam, (colour, marker)), interval in zip(EXAMS.items(), intervals, strict=True):
            middle, low, high = (100 * value for value in (interval.estimate, interval.low, interval.high))
            axis.errorbar(middle, -k, xerr=[[middle - low], [high - middle]], fmt=marker, color=colour, markersize=9,
                          capsize=4, linewidth=1.5, label="" if k else exam)
    axis.set_yticks(-np.arange(len(scores)), scores)
    axis.set(xlabel="accuracy (%); bars: 95 % interval over things", ylim=(0.6 - len(scores), 0.85))
    mark_break(axis, "x")
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    told = [f"{side}: " + ", ".join(f"{exam} {interval}" for exam, interval in zip(EXAMS, intervals, strict=True))
            for side, intervals in scores.items()]
    show(figure, f"The gap between training images and other things, in two parts. {'; '.join(told)}.")
