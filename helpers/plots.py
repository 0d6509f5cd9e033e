"""Every figure of the course. Each function draws what it is given, shows it with an alt text, and computes nothing.

One style for the whole course, to be read from the back of a room: text of at least 11 points, an opaque white
background (dark text on a transparent one would vanish in a dark notebook), and colours close to Okabe and Ito's, which
colour-blind readers can tell apart, but darker: each stands out from white by 3:1 or more, and those that also colour
text (`TEXT_COLOURS`) by 4.5:1, as WCAG 2.1 asks. A method keeps its colour and its marker in all notebooks.
"""

from __future__ import annotations

import base64
import html
import io
from contextvars import ContextVar

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY, GREY = "#005FA3", "#C04E00", "#009068", "#CA73A9", "#3B9CDB", "#555555"
TEXT_COLOURS = ("black", BLUE, ORANGE, GREY)
METHOD_COLOURS = {"scratch": GREY, "frozen": BLUE, "full": ORANGE}
METHOD_MARKERS = {"scratch": "s", "frozen": "o", "full": "^"}

plt.rcParams.update(
    {
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "font.size": 12,
        "axes.titlesize": 13,
        "axes.labelsize": 12,
        "legend.fontsize": 11,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.axisbelow": True,
        "lines.linewidth": 2,
        "lines.markersize": 7,
    }
)


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG with `alt` as its alternative text, and forget it."""
    collected = _collected.get()
    if collected is None:
        display(figure, metadata={"image/png": {"alt": alt}})
    else:
        png = io.BytesIO()
        # A panel must answer at once. A figure that was laid out by hand needs no trimming, for which it would be drawn
        # twice; little compression costs a few kilobytes and saves 30 milliseconds.
        trim = "tight" if figure.get_layout_engine() else None
        figure.savefig(png, format="png", bbox_inches=trim, pil_kwargs={"compress_level": 1})
        code = base64.b64encode(png.getvalue()).decode()
        style = "max-width: 100%; height: auto"  # else a narrow window would cut it off
        collected.append(f'<img alt="{html.escape(alt)}" style="{style}" src="data:image/png;base64,{code}">')
    plt.close(figure)


# Where `rendered` gathers figures; None: they are displayed. A thread has its own: a panel may draw while a cell runs.
_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def rendered(plot, *arguments) -> str:
    """What `plot(*arguments)` would show, as HTML: for panels, which put it into an `ipywidgets.HTML`.

    An `ipywidgets.Output` would do with less, but not without a browser: nbclient, which `jupyter execute` uses, sends
    what it captures back on the channel on which it awaits the end of the cell, and may then miss it and wait for ever.
    """
    token = _collected.set([])
    try:
        plot(*arguments)
        return "".join(_collected.get())
    finally:
        _collected.reset(token)


def ink(colour) -> str:
    """Black or white, whichever is easier to read on `colour`; one of them always has a contrast of 4.5:1."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def picture(axis, image) -> None:
    """Draw one image, uint8 (3, H, W) or (H, W), on `axis` without ticks or frame."""
    image = np.asarray(image)
    axis.imshow(image.transpose(1, 2, 0) if image.ndim == 3 else image, cmap="gray")
    axis.set_axis_off()


def images(
    pictures, titles=None, columns: int = 10, title: str | None = None, alt: str = "", size: float = 0.95
) -> None:
    """A grid of images (n, 3, H, W) uint8, `size` inches each, with an optional title above each and above all."""
    rows = -(-len(pictures) // columns)
    height = size * (1.25 if titles else 1.04)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * height + (0.4 if title else 0)), squeeze=False
    )
    for k, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if k < len(pictures):
            picture(axis, pictures[k])
            if titles:
                axis.set_title(titles[k], fontsize=11, pad=3)
    if title:
        figure.suptitle(title)
    show(figure, alt or title or "A grid of images.")


# --- notebook 01 ---


def class_examples(split, each: int = 8) -> None:
    """A row of `each` images for every class of an `ImageSplit`, in two columns of classes."""
    classes = len(split.classes)
    rows = -(-classes // 2)
    figure, axes = plt.subplots(
        rows, 2 * each + 1, figsize=(9.5, rows * 0.56), width_ratios=[1] * each + [1.6] + [1] * each
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for label, name in enumerate(split.classes):
        row, half = label % rows, label // rows
        own = split.images[split.labels == label][:each]
        for k, image in enumerate(own):
            picture(axes[row, half * (each + 1) + k], image)
        axes[row, half * (each + 1)].text(
            -0.12, 0.5, name, transform=axes[row, half * (each + 1)].transAxes, ha="right", va="center"
        )
    show(figure, f"{each} images of each of the {classes} classes: {', '.join(split.classes)}.")


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


# --- notebook 02 ---

BLOCK_COLOURS = (PINK, GREEN, SKY, ORANGE, BLUE)


def _map(axis, values, title: str = "") -> None:
    """One feature map (H, W) on `axis`, black for the smallest value of the map and light for the largest."""
    axis.imshow(np.asarray(values), cmap="magma")
    axis.set_axis_off()
    if title:
        axis.set_title(title, fontsize=11, pad=3)


def image_and_maps(image, maps, titles, layer: str) -> None:
    """One image (3, H, W) uint8 on the left, feature maps (n, h, w) with a title each in two rows on the right."""
    columns = -(-len(maps) // 2)
    figure = plt.figure(figsize=(9, 3.6))
    grid = figure.add_gridspec(2, columns + 2, width_ratios=[1.02, 1.02] + [1] * columns)
    large = figure.add_subplot(grid[:, :2])
    picture(large, image)
    large.set_title("the image")
    for k, values in enumerate(maps):
        _map(figure.add_subplot(grid[k // columns, 2 + k % columns]), values, titles[k])
    show(figure, f"An image, and {len(maps)} maps that {layer} makes of it; light where a filter answers strongly.")


def parameters_and_work(table, title: str) -> None:
    """Mirrored bars for the rows of a layer table that have weights: share of parameters left, of work right."""
    rows = [row for row in table if row.parameters]
    figure, axes = plt.subplots(1, 2, figsize=(9, 0.8 + 0.265 * len(rows)), sharey=True)
    panels = (("parameters", "parameters (% of all)", ORANGE), ("multiply_adds", "multiply-adds (% of all)", BLUE))
    for axis, (key, label, colour) in zip(axes, panels, strict=True):
        values = np.array([getattr(row, key) for row in rows], float)
        shares = 100 * values / values.sum()
        axis.barh(range(len(rows)), shares, color=colour, height=0.75)
        axis.set(xlabel=label, xlim=(0, 1.22 * shares.max()))
        axis.grid(axis="y", visible=False)
        for y, share in enumerate(shares):
            axis.annotate(
                f"{share:.1f}",
                (share, y),
                xytext=(-4 if key == "parameters" else 4, 0),
                fontsize=11,
                textcoords="offset points",
                va="center",
                ha="right" if key == "parameters" else "left",
            )
    axes[0].invert_xaxis()
    axes[0].invert_yaxis()
    axes[0].spines["left"].set_visible(False)
    axes[0].spines["right"].set_visible(True)
    axes[0].tick_params(left=False, labelleft=False)
    axes[1].tick_params(left=False, labelleft=True, pad=8)
    axes[1].set_yticks(range(len(rows)), [row.name for row in rows], ha="center", fontsize=11)
    axes[1].tick_params(axis="y", pad=42)
    figure.suptitle(title, fontsize=13)
    alt = "; ".join(f"{row.name} {row.parameters:,} parameters, {row.multiply_adds:,} multiply-adds" for row in rows)
    show(figure, f"{title}, for each layer: {alt}.")


def _field(axis, box, colour) -> None:
    """Outline a receptive field (left, top, right, bottom), given in the axis' own units."""
    left, top, right, bottom = box
    for width, edge in ((4.5, "white"), (2.5, colour)):  # the white one keeps the outline visible on any image
        axis.add_patch(
            plt.Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=edge, linewidth=width)
        )


def receptive_fields(image, layers, table) -> None:
    """The fields of the middle unit of each of `layers` on an image (3, H, W), and how the field grows over `table`."""
    size = image.shape[-1]
    boxes = [layer.field(layer.shape[1] // 2, layer.shape[2] // 2) for layer in layers]
    low, high = min(0, *(min(box) for box in boxes)), max(size, *(max(box) for box in boxes))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), width_ratios=[1, 1.05])
    picture(left, image)
    left.set(xlim=(low - 2, high + 1), ylim=(high + 1, low - 2))
    left.add_patch(plt.Rectangle((low - 1, low - 1), high - low + 1, high - low + 1, facecolor="#e8e8e8", zorder=-1))
    for k, box in reversed(list(enumerate(boxes))):
        _field(left, np.subtract(box, 0.5), BLOCK_COLOURS[k % 5])  # pixel 0 reaches from -0.5 to 0.5
    rows = [row for row in table if row.name.startswith("features")]
    right.step(range(len(rows)), [row.receptive_field for row in rows], where="mid", color=GREY)
    right.axhline(size, color=GREY, linewidth=1, linestyle=":")
    right.text(-0.5, size - 2, "the whole image", color=GREY, va="top")
    for k, layer in enumerate(layers):
        x = next(i for i, row in enumerate(rows) if row.name == layer.name)
        right.plot(
            x,
            layer.receptive_field,
            "o",
            color=BLOCK_COLOURS[k % 5],
            markersize=10,
            linestyle="none",
            label=f"block {layer.block}: {layer.receptive_field} x {layer.receptive_field} pixels",
        )
    right.legend(loc="upper left", fontsize=12, handletextpad=0.2)
    right.set(xlabel="place in features", ylabel="side of the receptive field (pixels)", xlim=(-1, len(rows)))
    sides = ", ".join(f"block {layer.block} {layer.receptive_field}" for layer in layers)
    show(figure, f"Receptive fields of one unit drawn on an image as squares, and their side in pixels: {sides}.")


def blocks_beside(tables: dict) -> None:
    """Networks as rows of boxes, one box for each layer with weights, blocks apart; in orange what the first lacks."""
    counts = {
        name: [[row for row in table if row.parameters and row.block == block] for block in (1, 2, 3, 4, 5, 0)]
        for name, table in tables.items()
    }
    first = next(iter(counts.values()))
    figure, axis = plt.subplots(figsize=(9, 0.9 + 0.95 * len(tables)))
    widest = [max(len(blocks[k]) for blocks in counts.values()) for k in range(6)]
    starts = np.cumsum([0] + [width + 0.7 for width in widest[:-1]])
    for y, (name, blocks) in enumerate(counts.items()):
        for k, rows in enumerate(blocks):
            for x, row in enumerate(rows):
                colour = ORANGE if x >= len(first[k]) else GREY if k == 5 else BLUE
                axis.add_patch(plt.Rectangle((starts[k] + x, y), 0.86, 0.68, facecolor=colour))
                axis.text(
                    starts[k] + x + 0.43, y + 0.34, row.shape[0], color="white", ha="center", va="center", rotation=90
                )
        axis.text(-0.4, y + 0.34, name, ha="right", va="center", weight="bold")
    for k in range(6):
        axis.text(starts[k] + widest[k] / 2, -0.15, f"block {k + 1}" if k < 5 else "classifier", ha="center")
    axis.set(xlim=(-2.4, starts[-1] + widest[-1]), ylim=(len(tables) - 0.1, -0.6))
    axis.set_axis_off()
    show(
        figure,
        "Layers with weights, block by block: "
        + "; ".join(f"{name} {', '.join(str(len(rows)) for rows in blocks)}" for name, blocks in counts.items())
        + ". The number in a box is its output channels; orange boxes are added.",
    )


def filters(groups: dict, columns: int = 16) -> None:
    """Groups of filters, each (n, 3, kernel, kernel) from 0 to 1, under the group's name."""
    columns = min(columns, max(len(group) for group in groups.values()))
    rows = [-(-len(group) // columns) for group in groups.values()]
    side = min(8.6 / columns, 0.85)
    figure = plt.figure(figsize=(max(columns * side, 6), sum(rows) * side + 0.45 * len(groups)))
    parts = figure.subfigures(len(groups), 1, height_ratios=[count * side + 0.45 for count in rows], squeeze=False)
    for part, (name, group), count in zip(parts[:, 0], groups.items(), rows, strict=True):
        part.suptitle(name, fontsize=13)
        axes = part.subplots(count, columns, squeeze=False)
        for k, axis in enumerate(axes.flat):
            axis.set_axis_off()
            if k < len(group):
                axis.imshow(np.asarray(group[k]).transpose(1, 2, 0), vmin=0, vmax=1)
    show(
        figure,
        "First-layer filters as small colour squares: "
        + ", ".join(f"{name} ({len(group)})" for name, group in groups.items())
        + ".",
    )


def maps_by_block(blocks: dict, columns: int = 7) -> None:
    """One row a block: its name, then maps (n, h, w)."""
    figure, axes = plt.subplots(
        len(blocks), columns + 1, figsize=(9, 1.12 * len(blocks)), squeeze=False, width_ratios=[1.25] + [1] * columns
    )
    for row, (name, maps) in zip(axes, blocks.items(), strict=True):
        for axis in row:
            axis.set_axis_off()
        row[0].text(0.9, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=12)
        for axis, values in zip(row[1:], maps, strict=False):
            _map(axis, values)
    show(
        figure,
        f"Feature maps of one image, one row for each of {len(blocks)} blocks: fine outlines in the first, a "
        "few bright cells in the last.",
    )


def stretching(small, large) -> None:
    """A small map and the larger one that average pooling makes of it, both with their values: (h, w) and (H, W)."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 4), width_ratios=[1, 1.9])
    top = np.asarray(small).max()
    decimals = min(2, max(0, 4 - len(f"{top:.0f}")))  # at most five characters fit into a cell
    for axis, values, word in zip(axes, (small, large), ("what arrives", "after avgpool"), strict=True):
        values = np.asarray(values)
        shown = axis.imshow(values, cmap="magma", vmin=0, vmax=top)
        axis.set_title(f"{word}: {values.shape[0]} x {values.shape[1]}")
        axis.set_axis_off()
        for (y, x), value in np.ndenumerate(values):
            axis.text(
                x,
                y,
                f"{value:.{decimals}f}",
                ha="center",
                va="center",
                fontsize=11,
                color=ink(shown.to_rgba(value)[:3]),
            )
    show(
        figure,
        f"A {small.shape[0]} x {small.shape[1]} map, and the {large.shape[0]} x {large.shape[1]} map that "
        "average pooling makes of it: only copies and averages of the same values.",
    )


def layer_view(image, layer, maps, channels, unit) -> None:
    """One layer at work: image (3, H, W) with the field of `unit` of the first map, and the maps (n, h, w).

    `layer` is the layer's row of the table, `channels` names the maps, `unit` is (row, column). All is drawn on one
    axis, whose unit is an inch: an axis for each map, laid out by matplotlib, would take five times as long, and the
    explorer draws anew for every step of its slider.
    """
    figure = plt.figure(figsize=(9, 3.7), layout="none")
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, 9), ylim=(3.7, 0))
    axis.set_axis_off()
    numbers = f"{layer.parameters:,} parameters, {layer.multiply_adds:,} multiply-adds"
    shape = " x ".join(map(str, layer.shape))
    axis.text(4.5, 0.28, f"{layer.name} ({layer.kind}), output {shape}:  {numbers}", ha="center", fontsize=13)
    x, y, side, size = 0.05, 0.65, 3, image.shape[-1]
    axis.imshow(np.asarray(image).transpose(1, 2, 0), extent=(x, x + side, y + side, y), aspect="auto")
    left, top, right, bottom = np.multiply(layer.visible(*unit, size), side / size)
    _field(axis, (x + left, y + top, x + right, y + bottom), SKY)
    seen = f"a unit sees {layer.receptive_field} x {layer.receptive_field} pixels"
    axis.text(x + side / 2, y - 0.07, seen, ha="center", fontsize=12)
    columns, (height, width) = -(-len(maps) // 2), maps[0].shape
    step = 5.8 / columns
    side = min(step - 0.1, 1.35)
    for k, values in enumerate(maps):
        x, y = 3.2 + step * (k % columns), 0.65 + 1.65 * (k // columns)
        axis.imshow(np.asarray(values), cmap="magma", extent=(x, x + side, y + side, y), aspect="auto")
        axis.text(x + side / 2, y - 0.07, f"channel {channels[k]}", ha="center", fontsize=11)
        if k == 0:
            place = x + side * (unit[1] + 0.5) / width, y + side * (unit[0] + 0.5) / height
            ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
            for thick, colour in ((5, "black"), (2.5, SKY)):  # the black one keeps the ring visible on a light map
                axis.plot(*place, **ring, markeredgecolor=colour, markeredgewidth=thick)
    show(
        figure,
        f"{layer.name}: its {len(maps)} strongest feature maps, and on the image the "
        f"{layer.receptive_field} pixels a side that the brightest unit of the first one sees.",
    )


# --- notebook 04 ---


def learning_rate(rates: list[float], epochs: int) -> None:
    """The learning rate of every step over `epochs` epochs."""
    figure, axis = plt.subplots(figsize=(7, 2.8))
    axis.plot(np.arange(len(rates)) * epochs / len(rates), rates, color=BLUE)
    axis.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None), xlim=(0, epochs))
    axis.xaxis.get_major_locator().set_params(integer=True)
    show(figure, f"The learning rate rises over the first tenth of {epochs} epochs, then falls along a cosine to zero.")


def training_curves(histories: dict[str, list]) -> None:
    """Loss (left) and accuracy (right) by epoch, training dashed, validation solid. `histories[method]`: one a seed."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.9))
    for method, runs in histories.items():
        colour = METHOD_COLOURS[method]
        for axis, quantity, scale in zip(axes, ("loss", "accuracy"), (1, 100), strict=True):
            for part, style in (("train", "--"), ("val", "-")):
                lines = scale * np.array([run.column(f"{part}_{quantity}") for run in runs])
                epochs = np.arange(1, lines.shape[1] + 1)
                if len(runs) > 1:
                    axis.plot(epochs, lines.T, style, color=colour, linewidth=0.8, alpha=0.5)
                name = {"train": "training", "val": "validation"}[part]
                axis.plot(epochs, lines.mean(0), style, color=colour, label=f"{method}, {name}")
    axes[0].set(xlabel="epoch", ylabel="loss (cross-entropy)", ylim=(0, None))
    axes[1].set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 102))
    for axis in axes:
        axis.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    axes[1].legend(loc="lower right")
    show(figure, f"Training and validation loss and accuracy by epoch for {' and '.join(histories)}.")


def learning_rate_search(search: dict[str, dict[float, float]]) -> None:
    """Validation accuracy (0 to 1) against learning rate, one line a method; the best is ringed."""
    figure, axis = plt.subplots(figsize=(7, 3.8))
    for method, scores in search.items():
        rates, values = list(scores), [100 * v for v in scores.values()]
        axis.plot(rates, values, color=METHOD_COLOURS[method], marker=METHOD_MARKERS[method], label=method)
        best = int(np.argmax(values))
        axis.plot(rates[best], values[best], "o", markersize=18, fillstyle="none", color=METHOD_COLOURS[method])
    axis.set(xscale="log", xlabel="peak learning rate", ylabel="validation accuracy (%)", ylim=(0, 105))
    axis.legend(loc="lower left")
    show(figure, f"Validation accuracy against learning rate for {' and '.join(search)}; the best of each is ringed.")


def comparison_table(results: dict, runs: dict, trained: dict, memory: dict, peak: dict, rates: dict) -> None:
    """The outcome as a table: one column a method, with mean and range of the test accuracy over the seeds.

    `memory` holds the parts of a step's memory in bytes, `peak` what was measured on a GPU, or None.
    """
    rows = {
        name: []
        for name in (
            "test accuracy, mean of the seeds",
            "lowest and highest seed",
            "peak learning rate",
            "trained parameters",
            "seconds an epoch",
            "memory of a training step",
            "peak memory, measured on the GPU",
        )
    }
    for method, evaluations in results.items():
        scores = [100 * evaluation.accuracy for evaluation in evaluations]
        seconds = np.mean([history.column("seconds") for _, history in runs[method]])
        cells = (
            f"{np.mean(scores):.1f} %",
            f"{min(scores):.1f} to {max(scores):.1f} %",
            f"{rates[method]:g}",
            f"{trained[method]:,}",
            f"{seconds:.3f}",
            f"{sum(memory[method].values()) / 1e6:.0f} MB",
            f"{peak[method] / 1e6:.0f} MB" if peak[method] else "no GPU",
        )
        for row, cell in zip(rows.values(), cells, strict=True):
            row.append(cell)
    lines = ["| quantity | " + " | ".join(results) + " |", "|:--|" + "--:|" * len(results)]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]
    display(Markdown("\n".join(lines)))


def confusion(counts, classes) -> None:
    """Confusion matrix (classes, classes) of counts: rows are true classes, columns the network's answers."""
    counts = np.asarray(counts)
    figure, axis = plt.subplots(figsize=(7.2, 6.2))
    shares = counts / counts.sum(1, keepdims=True)
    shown = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, x in np.ndindex(counts.shape):
        if counts[y, x]:
            colour = ink(shown.to_rgba(shares[y, x])[:3])
            axis.text(x, y, int(counts[y, x]), ha="center", va="center", fontsize=11, color=colour)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="the network's answer", ylabel="true class")
    axis.grid(visible=False)
    right = 100 * np.trace(counts) / counts.sum()
    show(figure, f"Confusion matrix of {len(classes)} classes; {right:.0f} percent of the images lie on the diagonal.")


def mistakes(split, evaluation, chosen, maps) -> None:
    """Images that were answered wrong, each beside its heat map, four pairs in a row, with the answer and the truth.

    `chosen`: their numbers in `split`; `maps`: a map (H, W) from 0 to 1 for each of them.
    """
    columns, gap, title = 4, 0.12, 0.42  # in widths of an image
    rows = -(-len(chosen) // columns)
    height, width = split.images.shape[2:]
    step = (int((2 + gap) * width), int((1 + title) * height))
    page = np.full((rows * step[1], columns * step[0] - int(gap * width), 3), 255, np.uint8)
    figure = Figure(figsize=(9.6, 9.6 * page.shape[0] / page.shape[1]), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    confidences, answers = evaluation.confidences, evaluation.predictions
    for place, (k, one) in enumerate(zip(chosen, maps, strict=True)):
        left, top = place % columns * step[0], place // columns * step[1] + int(title * height)
        image = np.asarray(split.images[k]).transpose(1, 2, 0)
        heat = 255 * plt.get_cmap("magma")(np.asarray(one))[..., :3]
        page[top : top + height, left : left + width] = image
        page[top : top + height, left + width : left + 2 * width] = 0.35 * image.mean(2, keepdims=True) + 0.65 * heat
        truth = split.classes[evaluation.labels[k]]
        words = f"{split.classes[answers[k]]}, {100 * confidences[k]:.0f} %\n(is a {truth})"
        axis.text(left + width, top - 4, words, ha="center", va="bottom", fontsize=12, linespacing=1.1)
    axis.imshow(page)
    axis.set_axis_off()
    pairs = ", ".join(f"{split.classes[evaluation.labels[k]]} taken for {split.classes[answers[k]]}" for k in chosen)
    show(figure, f"{len(chosen)} test images that the network got wrong, each beside its heat map: {pairs}.")


PART_COLOURS = {"weights": GREY, "gradients": SKY, "optimiser": GREEN, "activations": PINK}


def freeze_depth(layers, memory: dict, depth: int) -> None:
    """The layers that have weights, the last `depth` of them trainable, above the memory of a step for every depth.

    `layers`: rows of a layer table, first layer first; `memory[d]`: bytes by part for the depth d. The bar under a
    layer is what training costs if it and all layers behind it learn.
    """
    figure = Figure(figsize=(9.5, 4.9), layout="none")
    drawing, bars = figure.subplots(2, 1, height_ratios=[1, 1.25])
    figure.subplots_adjust(0.085, 0.19, 0.995, 0.93, hspace=0.2)
    first = len(layers) - depth  # the first one that learns
    for x, layer in enumerate(layers):
        side = layer.shape[1] if len(layer.shape) == 3 else 8
        tall, wide = 0.16 + 0.84 * side / layers[0].shape[1], 0.62 if len(layer.shape) == 3 else 0.3
        box = plt.Rectangle((x - wide / 2, -tall / 2), wide, tall, linewidth=2)
        box.set(facecolor=ORANGE if x >= first else "#e4e4e4", edgecolor=ORANGE if x >= first else GREY)
        drawing.add_patch(box)
    for x, words, colour in (((first - 1) / 2, "frozen", GREY), ((first + len(layers) - 1) / 2, "learn", ORANGE)):
        if colour == ORANGE or first:
            drawing.text(x, 0.58, words, ha="center", va="bottom", weight="bold", color=colour, fontsize=13)
    drawing.set(xlim=(-0.6, len(layers) - 0.4), ylim=(-0.55, 0.62))
    drawing.set_axis_off()
    places, bottom = np.arange(len(layers))[::-1], np.zeros(len(layers))
    for part, colour in PART_COLOURS.items():
        sizes = np.array([memory[d][part] for d in range(1, len(layers) + 1)]) / 1e6
        for bar in bars.bar(places, sizes, bottom=bottom, width=0.62, color=colour, label=part, alpha=0.3):
            if round(bar.get_x() + 0.31) == first:
                bar.set_alpha(1)
        bottom += sizes
    bars.text(first, bottom[depth - 1] + 0.02 * bottom.max(), f"{bottom[depth - 1]:.1f}", ha="center", weight="bold")
    bars.set(ylabel="memory of a step (MB)", xlim=(-0.6, len(layers) - 0.4), ylim=(0, 1.15 * bottom.max()))
    bars.set_xticks([])  # names are plain text: ticks take a third of the time that the whole figure does
    for x, layer in enumerate(layers):
        bars.text(x + 0.25, -0.03 * bars.get_ylim()[1], layer.name, rotation=40, ha="right", va="top", fontsize=11)
    legend = bars.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=4, handlelength=1.2, columnspacing=1.2)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    learn = f"the last {depth} of {len(layers)} layers" if depth < len(layers) else f"all {depth} layers"
    show(figure, f"Drawing of the network, {learn} marked as trainable; below, the memory of a training step by depth: "
         + ", ".join(f"{d}: {sum(parts.values()) / 1e6:.1f} MB" for d, parts in memory.items()) + ".")


RUN_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY)


def live_curves(runs: dict, epochs: int) -> None:
    """Loss (left) and accuracy (right) by epoch, training dashed, validation solid; the best epoch of each is ringed.

    `runs[label]`: the `History` of a run, which may still be going on. Draws without pyplot, so any thread may call it.
    """
    figure = Figure(figsize=(9.5, 4.3), layout="none")
    axes = figure.subplots(1, 2)
    figure.subplots_adjust(0.07, 0.12, 0.99, 0.82, wspace=0.2)
    for (label, history), colour in zip(runs.items(), RUN_COLOURS, strict=False):
        done = np.arange(1, len(history.epochs) + 1)
        for axis, quantity, scale in zip(axes, ("loss", "accuracy"), (1, 100), strict=True):
            for part, style in (("train", "--"), ("val", "-")):
                values = scale * np.array(history.column(f"{part}_{quantity}"))
                axis.plot(done, values, style, color=colour, label=label if (axis, part) == (axes[0], "val") else None)
            best = history.best_epoch
            axis.plot(done[best], values[best], "o", markersize=12, fillstyle="none", color=colour)
    axes[0].set(xlabel="epoch", ylabel="loss (cross-entropy)", ylim=(0, None), xlim=(0.5, epochs + 0.5))
    axes[1].set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 102), xlim=(0.5, epochs + 0.5))
    for axis in axes:
        axis.xaxis.get_major_locator().set_params(integer=True)
    if runs:
        figure.legend(loc="upper center", ncols=3)
    axes[1].text(
        0.98, 0.03, "dashed: training\nsolid: validation", transform=axes[1].transAxes, ha="right", fontsize=11
    )
    scores = "; ".join(
        f"{label}: {len(history.epochs)} epochs, best {100 * history.best_accuracy:.1f} %"
        for label, history in runs.items()
    )
    show(figure, f"Training and validation loss and accuracy by epoch. Validation accuracy: {scores}.")


# --- notebook 03 ---

CHANNEL_COLOURS = (("red", ORANGE, "-"), ("green", GREEN, "--"), ("blue", BLUE, "-."))
AUGMENT_COLOURS = {"without": PINK, "with": GREEN}


def draws(original, pictures, changed=(), alt: str = "") -> None:
    """One image (3, H, W) on the left, random draws of it (n, 3, H, W) in two rows beside it. All uint8.

    `changed` says for each draw whether it gets an orange frame. The draws are laid out as one sheet of pixels on one
    axis: an axis for each would take too long for a panel that follows a slider.
    """
    original, gap = np.asarray(original).transpose(1, 2, 0), 10
    height, width = original.shape[:2]
    columns, start = -(-len(pictures) // 2), 2 * width + 4 * gap
    right, bottom = start + columns * (width + gap), 2 * (height + gap)
    figure = plt.figure(figsize=(7.5, 7.5 * (bottom + 36) / right), layout="none")
    axis = figure.add_axes([0, 0, 1, 1])
    axis.imshow(original, extent=(gap, gap + 2 * width, bottom - gap, gap))
    axis.text(gap + width, 0, "stored image", ha="center", va="bottom", fontsize=13)
    axis.text((start + right - gap) / 2, 0, f"{len(pictures)} draws", ha="center", va="bottom", fontsize=13)
    sheet = np.full((2, columns, height + gap, width + gap, 3), 255, np.uint8)
    for k, drawn in enumerate(np.asarray(pictures).transpose(0, 2, 3, 1)):
        sheet[k // columns, k % columns, :height, :width] = drawn
    sheet = sheet.swapaxes(1, 2).reshape(bottom, right - start, 3)
    axis.imshow(sheet, extent=(start, right, bottom + gap // 2, gap // 2))
    for k in np.flatnonzero(changed):
        corner = start - 2 + k % columns * (width + gap), k // columns * (height + gap) + gap // 2 - 2
        axis.add_patch(plt.Rectangle(corner, width + 4, height + 4, fill=False, edgecolor=ORANGE, linewidth=4))
    axis.set(xlim=(0, right), ylim=(bottom + gap // 2, -30))
    axis.set_axis_off()
    framed = f", {sum(map(bool, changed))} of them with an orange frame" if any(changed) else ""
    show(figure, alt or f"One image, and {len(pictures)} random draws of it{framed}.")


def value_histograms(groups: dict) -> None:
    """Histograms of the three channels, one panel for each entry of `groups`: label -> values (n, 3, H, W)."""
    figure, axes = plt.subplots(1, len(groups), figsize=(9, 3.3))
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
    colours = (ORANGE, BLUE, PINK)
    height, width = np.asarray(padded).shape[1:]
    border = (width - size) // 2
    figure, axes = plt.subplots(1, len(corners) + 1, figsize=(7.5, 2.75), width_ratios=[1.7] + [1] * len(corners))
    axes[0].imshow(np.asarray(padded).transpose(1, 2, 0))
    axes[0].set_title(f"padded: {height} x {width}")
    axes[0].set_axis_off()
    axes[0].add_patch(
        plt.Rectangle((border - 0.5, border - 0.5), size, size, fill=False, color="white", linestyle=":", linewidth=1.5)
    )
    for axis, (top, left), colour in zip(axes[1:], corners, colours, strict=False):
        axes[0].add_patch(plt.Rectangle((left - 0.5, top - 0.5), size, size, fill=False, color=colour, linewidth=3))
        picture(axis, np.asarray(padded)[:, top : top + size, left : left + size])
        axis.add_patch(plt.Rectangle((-0.5, -0.5), size, size, fill=False, color=colour, linewidth=6))
        axis.set_title(f"top {top}, left {left}")
    show(
        figure,
        f"A padded image with {len(corners)} windows of {size} x {size} pixels drawn on it, and beside it the "
        f"crops: top and left corner at {', '.join(map(str, corners))}.",
    )


def before_and_after(pairs: dict, question: str) -> None:
    """Columns of two images: as it was, as it is now. `pairs[change]` = (name, before, after), uint8 (3, H, W)."""
    figure, axes = plt.subplots(2, len(pairs), figsize=(7, 3.7))
    for column, (change, (name, before, after)) in zip(axes.T, pairs.items(), strict=True):
        picture(column[0], before)
        picture(column[1], after)
        column[0].set_title(name)
        column[1].set_title(f"{change}:\n{name}?", fontsize=12)
    figure.suptitle(question, weight="bold")
    show(figure, f"{question} Changes, each with the image before and after: {', '.join(pairs)}.")


def augmentation_curves(histories: dict) -> None:
    """Training and validation accuracy by epoch, one panel a method. `histories[method]`: a `History` for each seed."""
    figure, axes = plt.subplots(1, len(histories), figsize=(9, 4), sharey=True)
    for axis, (method, runs) in zip(axes, histories.items(), strict=True):
        for name, line, marker in (("train", "--", "s"), ("val", "-", "o")):
            scores = 100 * np.array([run.column(f"{name}_accuracy") for run in runs])
            epochs = np.arange(1, scores.shape[1] + 1)
            label = {"train": "training, as it happens", "val": "validation"}[name]
            colour = AUGMENT_COLOURS[method]
            axis.fill_between(epochs, scores.min(0), scores.max(0), color=colour, alpha=0.18, linewidth=0)
            axis.plot(epochs, scores.mean(0), line, marker=marker, markersize=5, color=colour, label=label)
        axis.set(title=f"{method} augmentation", xlabel="epoch", ylim=(0, 103))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(loc="best")
    axes[0].set_ylabel("accuracy (%)")
    show(
        figure,
        f"Training and validation accuracy by epoch, {' and '.join(histories)} augmentation; lines are means "
        f"over {len(runs)} seeds, bands run from the lowest to the highest.",
    )


def accuracy_gaps(scores: dict) -> None:
    """Training and validation accuracy of each finished network, joined by the gap between them.

    `scores[method]` = (training accuracies, validation accuracies), 0 to 1, one for each seed, same order.
    """
    figure, axis = plt.subplots(figsize=(7.5, 3.5))
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
    axis.set(
        xlabel="accuracy (%)\ncircle: validation; square: training images, not augmented", ylim=(0.4 - len(rows), 0.8)
    )
    axis.grid(axis="y", visible=False)
    show(figure, "For each network, its accuracy on validation and on training images, and the gap between them.")


# --- notebook 04: a picture of one's own ---


def picture_answers(image, answers: dict) -> None:
    """An image (3, H, W) uint8, and beside it bars of confidence: `answers[label]` = [(class, 0 to 1), ...].

    All on one axis, whose unit is a tenth of an inch: three axes with their ticks would take three times as long.
    """
    tall = max(33, 1 + sum(3.6 + 2.3 * len(given) for given in answers.values()))
    figure = plt.figure(figsize=(9.5, tall / 10), layout="none")
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, 95), ylim=(tall, 0))
    axis.set_axis_off()
    axis.imshow(np.asarray(image).transpose(1, 2, 0), extent=(1, 30, 32, 3), aspect="auto", interpolation="nearest")
    axis.text(1, 1.6, f"the picture, {image.shape[-1]} x {image.shape[-2]} pixels", va="center", fontsize=12)
    y = 1.6
    for k, (label, given) in enumerate(answers.items()):
        axis.text(56, y, label, ha="left", va="center", fontsize=12, weight="bold")
        axis.plot((56, 56), (y + 1.4, y + 1.4 + 2.3 * len(given)), color="black", linewidth=1)
        for name, share in given:
            y += 2.3
            axis.barh(y + 0.3, 31 * share, left=56, height=1.6, color=(GREY, ORANGE)[k % 2])
            axis.text(55, y + 0.3, name if len(name) < 27 else name[:25] + "…", ha="right", va="center", fontsize=11)
            axis.text(56.7 + 31 * share, y + 0.3, f"{100 * share:.0f} %", va="center", fontsize=11)
        y += 3.6
    said = [f"{label}: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in given)
            for label, given in answers.items()]
    show(figure, f"A picture of {image.shape[-1]} x {image.shape[-2]} pixels, and what networks take it for. "
                 + "; ".join(said) + ".")
