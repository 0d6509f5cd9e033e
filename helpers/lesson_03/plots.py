"""The figures of notebook 3: augmentation"""
from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from helpers.figures import BLUE, GREEN, ORANGE, PINK, outline, page, picture, show

CHANNEL_COLOURS = (("red", ORANGE, "-"), ("green", GREEN, "--"), ("blue", BLUE, "-."))
AUGMENT_COLOURS = {"without": PINK, "with": GREEN}


def draws(original, pictures, changed=(), alt: str = "") -> None:
    """One image (3, H, W) on the left, random draws of it (n, 3, H, W) in two rows beside it. All uint8.

    `changed` says for each draw whether it gets an orange frame. The draws are laid out as one sheet of pixels, which
    is drawn quickly enough for a panel that follows a slider.
    """
    original, gap = np.asarray(original).transpose(1, 2, 0), 10
    height, width = original.shape[:2]
    columns, start = -(-len(pictures) // 2), 2 * width + 4 * gap
    right, bottom = start + columns * (width + gap), 2 * (height + gap)
    figure, axis = page(7.5, 7.5 * (bottom + 36) / right)
    axis.imshow(original, extent=(gap, gap + 2 * width, bottom - gap, gap))
    axis.text(gap + width, 0, "stored image", ha="center", va="bottom", fontsize=13)
    axis.text((start + right - gap) / 2, 0, f"{len(pictures)} draws", ha="center", va="bottom", fontsize=13)
    sheet = np.full((2, columns, height + gap, width + gap, 3), 255, np.uint8)
    for k, drawn in enumerate(np.asarray(pictures).transpose(0, 2, 3, 1)):
        sheet[k // columns, k % columns, :height, :width] = drawn
    sheet = sheet.swapaxes(1, 2).reshape(bottom, right - start, 3)
    axis.imshow(sheet, extent=(start, right, bottom + gap // 2, gap // 2))
    for k in np.flatnonzero(changed):
        left, top = start + k % columns * (width + gap), gap // 2 + k // columns * (height + gap)
        outline(axis, (left - 2, top - 2, left + width + 2, top + height + 2), ORANGE, 4)
    axis.set(xlim=(0, right), ylim=(bottom + gap // 2, -30))
    framed = f", {sum(map(bool, changed))} of them with an orange frame" if any(changed) else ""
    show(figure, alt or f"One image, and {len(pictures)} random draws of it{framed}.")


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
    show(figure, f"Histograms of red, green and blue values, in panels: {', '.join(groups)}.")


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
    show(figure, f"A padded image with {len(corners)} windows of {size} x {size} pixels drawn on it, and beside it the "
                 f"crops: top and left corner at {', '.join(map(str, corners))}.")


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
    show(figure, f"{question} Changes, each with the image before and after: {', '.join(pairs)}.")


def augmentation_curves(histories: dict) -> None:
    """Training and quiz accuracy by epoch, side by side. `histories[method]`: a `History` for each seed."""
    figure = Figure(figsize=(9, 4))
    axes = figure.subplots(1, len(histories), sharey=True)
    for axis, (method, runs) in zip(axes, histories.items(), strict=True):
        colour = AUGMENT_COLOURS[method]
        for name, label, line, marker in (("train", "training, as it happens", "--", "s"),
                                          ("val", "quiz", "-", "o")):
            scores = 100 * np.array([run.column(f"{name}_accuracy") for run in runs])
            epochs = np.arange(1, scores.shape[1] + 1)
            axis.fill_between(epochs, scores.min(0), scores.max(0), color=colour, alpha=0.18, linewidth=0)
            axis.plot(epochs, scores.mean(0), line, marker=marker, markersize=5, color=colour, label=label)
        axis.set(title=f"{method} augmentation", xlabel="epoch", ylim=(0, 103))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(loc="best")
    axes[0].set_ylabel("accuracy (%)")
    show(figure, f"Training and quiz accuracy by epoch, {' and '.join(histories)} augmentation; lines are means "
                 f"over {len(runs)} seeds, bands run from the lowest to the highest.")


def accuracy_gaps(scores: dict) -> None:
    """Training and validation accuracy of each finished network, joined by the gap between them.

    `scores[method]` = (training accuracies, validation accuracies), 0 to 1, one for each seed, same order.
    """
    figure = Figure(figsize=(7.5, 3.5))
    axis = figure.add_subplot()
    rows = []
    for method, (train, val) in scores.items():
        for seed, (high, low) in enumerate(zip(train, val, strict=True)):
            y = -len(rows)
            rows.append(f"{method}, seed {seed}")
            axis.plot([100 * low, 100 * high], [y, y], color=AUGMENT_COLOURS[method], linewidth=4)
            axis.plot(100 * low, y, "o", color=AUGMENT_COLOURS[method], markersize=10)
            axis.plot(100 * high, y, "s", color=AUGMENT_COLOURS[method], markersize=9)
            axis.text(50 * (low + high), y + 0.24, f"{100 * (high - low):.1f}", ha="center", fontsize=11)
    axis.set_yticks(-np.arange(len(rows)), rows)
    axis.set(xlabel="accuracy (%)\ncircle: validation; square: training images, not augmented",
             ylim=(0.4 - len(rows), 0.8))
    axis.grid(axis="y", visible=False)
    show(figure, "For each network, its accuracy on validation and on training images, and the gap between them.")
