"""The figures of notebook 2: inside VGG"""
from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.figures import BLUE, GREEN, GREY, ORANGE, PINK, SKY, class_name, ink, outline, page, picture, show

BLOCK_COLOURS = (PINK, GREEN, SKY, ORANGE, BLUE)


def _map(axis, values, title: str = "") -> None:
    """One feature map (H, W) on `axis`, black for the smallest value of the map and light for the largest."""
    axis.imshow(np.asarray(values), cmap="magma", interpolation="nearest")  # smoothed, it would take twice the bytes
    axis.set_axis_off()
    if title:
        axis.set_title(title, fontsize=11, pad=3)


def image_and_maps(image, maps, titles, layer: str) -> None:
    """One image (3, H, W) uint8 on the left, feature maps (n, h, w) with a title each in two rows on the right."""
    columns = -(-len(maps) // 2)
    figure = Figure(figsize=(9, 3.6))
    grid = figure.add_gridspec(2, columns + 2, width_ratios=[1.02, 1.02] + [1] * columns)
    large = figure.add_subplot(grid[:, :2])
    picture(large, image)
    large.set_title("the image")
    for k, values in enumerate(maps):
        _map(figure.add_subplot(grid[k // columns, 2 + k % columns]), values, titles[k])
    share = 100 * np.mean([(np.asarray(values) > 0).mean() for values in maps])
    show(figure, f"An image, and {len(maps)} maps that {layer} makes of it. On "
                 f"average a filter answers at {share:.0f} % of all places.")


def parameters_and_work(table, title: str) -> None:
    """Mirrored bars for the rows of a layer table that have weights: share of parameters left, of work right."""
    rows = [row for row in table if row.parameters]
    figure = Figure(figsize=(9, 0.8 + 0.265 * len(rows)))
    axes = figure.subplots(1, 2, sharey=True)
    halves = (("parameters", "parameters (% of all)", ORANGE, "right", -4),
              ("multiply_adds", "multiply-adds (% of all)", BLUE, "left", 4))
    for axis, (key, label, colour, side, gap) in zip(axes, halves, strict=True):
        values = np.array([getattr(row, key) for row in rows], float)
        shares = 100 * values / values.sum()
        axis.barh(range(len(rows)), shares, color=colour, height=0.75)
        axis.set(xlabel=label, xlim=(0, 1.22 * shares.max()))
        axis.grid(axis="y", visible=False)
        for y, share in enumerate(shares):
            axis.annotate(f"{share:.1f}", (share, y), xytext=(gap, 0), textcoords="offset points", fontsize=11,
                          ha=side, va="center")
    axes[0].invert_xaxis()
    axes[0].invert_yaxis()
    axes[0].spines["left"].set_visible(False)
    axes[0].spines["right"].set_visible(True)
    axes[0].tick_params(left=False, labelleft=False)
    axes[1].tick_params(left=False, labelleft=True, pad=8)
    axes[1].set_yticks(range(len(rows)), [row.name for row in rows], ha="center", fontsize=11)
    axes[1].tick_params(axis="y", pad=42)
    figure.suptitle(title, fontsize=13)
    largest = {key: max(getattr(row, key) for row in rows) for key, *_ in halves}
    most = {key: ", ".join(row.name for row in rows if getattr(row, key) == largest[key]) for key in largest}
    alt = "; ".join(f"{row.name} {row.parameters:,} parameters, {row.multiply_adds:,} multiply-adds" for row in rows)
    show(figure, f"{title}: most parameters are in {most['parameters']}, most work is in {most['multiply_adds']}. For "
                 f"each layer: {alt}.")


def _field(axis, box, colour) -> None:
    """Outline a receptive field (left, top, right, bottom), given in the axis' own units."""
    outline(axis, box, "white", 4.5)  # keeps the coloured one visible on any image
    outline(axis, box, colour, 2.5)


def receptive_fields(image, layers, table) -> None:
    """The fields of the middle unit of each of `layers` on an image (3, H, W), and how the field grows over `table`."""
    size = image.shape[-1]
    boxes = [layer.field(layer.shape[1] // 2, layer.shape[2] // 2) for layer in layers]
    low, high = min(0, *(min(box) for box in boxes)), max(size, *(max(box) for box in boxes))
    figure = Figure(figsize=(9, 4.2))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.05])
    picture(left, image)
    left.set(xlim=(low - 2, high + 1), ylim=(high + 1, low - 2))
    left.add_patch(Rectangle((low - 1, low - 1), high - low + 1, high - low + 1, facecolor="#e8e8e8", zorder=-1))
    for k, box in reversed(list(enumerate(boxes))):
        _field(left, np.subtract(box, 0.5), BLOCK_COLOURS[k % 5])  # pixel 0 reaches from -0.5 to 0.5
    rows = [row for row in table if row.name.startswith("features")]
    right.step(range(len(rows)), [row.receptive_field for row in rows], where="mid", color=GREY)
    right.axhline(size, color=GREY, linewidth=1, linestyle=":")
    right.text(-0.5, size - 2, "the whole image", color=GREY, va="top")
    for k, layer in enumerate(layers):
        x = next(i for i, row in enumerate(rows) if row.name == layer.name)
        right.plot(x, layer.receptive_field, "o", color=BLOCK_COLOURS[k % 5], markersize=10, linestyle="none",
                   label=f"block {layer.block}: {layer.receptive_field} x {layer.receptive_field} pixels")
    beyond = [row.name for row in rows if row.receptive_field > size]
    right.legend(loc="upper left" if beyond else "center left", fontsize=12, handletextpad=0.2)  # below the words
    right.set(xlabel="place in features", ylabel="side of the receptive field (pixels)", xlim=(-1, len(rows)))
    sides = ", ".join(f"block {layer.block} {layer.receptive_field}" for layer in layers)
    where = f"From {beyond[0]} on they are larger than the image." if beyond else "None is larger than the image."
    show(figure, "Receptive fields of one unit drawn on an image as squares, and their side in pixels: "
                 f"{sides}. {where}")


def blocks_beside(tables: dict) -> None:
    """Networks as rows of boxes, one box for each layer with weights, blocks apart; in orange what the first lacks."""
    counts = {name: [[row for row in table if row.parameters and row.block == block] for block in (1, 2, 3, 4, 5, 0)]
              for name, table in tables.items()}
    first = next(iter(counts.values()))
    figure = Figure(figsize=(9, 0.9 + 0.95 * len(tables)))
    axis = figure.add_subplot()
    widest = [max(len(blocks[k]) for blocks in counts.values()) for k in range(6)]
    starts = np.cumsum([0] + [width + 0.7 for width in widest[:-1]])
    for y, (name, blocks) in enumerate(counts.items()):
        for k, rows in enumerate(blocks):
            for x, row in enumerate(rows):
                colour = ORANGE if x >= len(first[k]) else GREY if k == 5 else BLUE
                left = starts[k] + x
                axis.add_patch(Rectangle((left, y), 0.86, 0.68, facecolor=colour))
                axis.text(left + 0.43, y + 0.34, row.shape[0], color="white", ha="center", va="center", rotation=90)
        axis.text(-0.4, y + 0.34, name, ha="right", va="center", weight="bold")
    for k in range(6):
        axis.text(starts[k] + widest[k] / 2, -0.15, f"block {k + 1}" if k < 5 else "classifier", ha="center")
    axis.set(xlim=(-2.4, starts[-1] + widest[-1]), ylim=(len(tables) - 0.1, -0.6))
    axis.set_axis_off()
    layers = "; ".join(f"{name} {', '.join(str(len(rows)) for rows in blocks)}" for name, blocks in counts.items())
    show(figure, f"Layers with weights, block by block: {layers}. The number in a box is its output channels; what the "
                 "first network lacks is orange.")


def filters(groups: dict, result: str, columns: int = 16) -> None:
    """Groups of filters, each (n, 3, kernel, kernel) from 0 to 1, under its name; `result` is what they show."""
    columns = min(columns, max(len(group) for group in groups.values()))
    rows = [-(-len(group) // columns) for group in groups.values()]
    side = min(8.6 / columns, 0.85)
    figure = Figure(figsize=(max(columns * side, 6), sum(rows) * side + 0.45 * len(groups)))
    parts = figure.subfigures(len(groups), 1, height_ratios=[count * side + 0.45 for count in rows], squeeze=False)
    for part, (name, group), count in zip(parts[:, 0], groups.items(), rows, strict=True):
        part.suptitle(name, fontsize=13)
        axes = part.subplots(count, columns, squeeze=False)
        for k, axis in enumerate(axes.flat):
            axis.set_axis_off()
            if k < len(group):
                axis.imshow(np.asarray(group[k]).transpose(1, 2, 0), vmin=0, vmax=1)
    counts = ", ".join(f"{name} ({len(group)})" for name, group in groups.items())
    show(figure, f"First-layer filters as small squares, from colourless to colourful: {counts}. {result}")


def colour_shares(groups: dict) -> None:
    """A row of dots for each group, name -> (n,) from 0 to 1: how much of each filter is colour."""
    figure = Figure(figsize=(9, 0.9 + 0.75 * len(groups)))
    axis = figure.add_subplot()
    for y, (colour, shares) in enumerate(zip((BLUE, ORANGE, GREY), groups.values(), strict=False)):
        lift = 0.14 * (np.arange(len(shares)) % 5 - 2)  # side by side, dots of equal shares can be counted
        axis.plot(100 * np.sort(np.asarray(shares)), y + lift, "o", color=colour, markersize=6, alpha=0.75)
    axis.axvline(100 * 2 / 3, color=GREY, linewidth=1, linestyle=":")
    axis.text(100 * 2 / 3, -0.62, "expected by chance", ha="center", va="bottom", fontsize=11, color=GREY)
    axis.set(xlabel="share of colour in a filter (%)", xlim=(-2, 102), ylim=(len(groups) - 0.5, -0.6))
    axis.set_yticks(range(len(groups)), list(groups))
    axis.grid(axis="y", visible=False)
    counts = "; ".join(f"{name}: {int((np.asarray(shares) < 0.1).sum())} of {len(shares)} filters below 10 %, "
                       f"{int((np.asarray(shares) > 0.9).sum())} above 90 %" for name, shares in groups.items())
    show(figure, f"How much of each filter is colour. {counts}.")


def filters_and_answers(image, groups: dict) -> None:
    """An image (3, H, W), and a row for each group: filters (n, 3, k, k) from 0 to 1 above their answers (n, h, w)."""
    count = max(len(pictures) for pictures, _ in groups.values())
    figure = Figure(figsize=(9, 1.75 * len(groups)))
    grid = figure.add_gridspec(2 * len(groups), count + 2, height_ratios=[0.55, 1] * len(groups))
    large = figure.add_subplot(grid[:, :2])
    picture(large, image)
    large.set_title("the image", fontsize=12)
    for row, (name, (pictures, maps)) in enumerate(groups.items()):
        for k, (one, values) in enumerate(zip(pictures, maps, strict=True)):
            small = figure.add_subplot(grid[2 * row, 2 + k])
            small.imshow(np.asarray(one).transpose(1, 2, 0), vmin=0, vmax=1)
            small.set_axis_off()
            _map(figure.add_subplot(grid[2 * row + 1, 2 + k]), values)
            if k == 0:
                small.set_title(name, fontsize=12, loc="left")
    half = count // 2
    shares = "; ".join(
        f"{name}: the first {half} answer at {100 * (np.asarray(maps[:half]) > 0).mean():.0f} % of all places, the "
        f"others at {100 * (np.asarray(maps[half:]) > 0).mean():.0f} %" for name, (_, maps) in groups.items())
    show(figure, f"An image, and what filters answer to it: {half} less coloured ones, then {count - half} "
                 f"more coloured ones. {shares}.")


def maps_by_block(blocks: dict, columns: int = 7) -> None:
    """A row for each block: its name, then maps (n, h, w)."""
    figure = Figure(figsize=(9, 0.93 * len(blocks)))
    axes = figure.subplots(len(blocks), columns + 1, squeeze=False, width_ratios=[1.25] + [1] * columns)
    for row, (name, maps) in zip(axes, blocks.items(), strict=True):
        for axis in row:
            axis.set_axis_off()
        row[0].text(0.9, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=12)
        for axis, values in zip(row[1:], maps, strict=False):
            _map(axis, values)
    sides = ", ".join(f"{len(maps[0])} x {len(maps[0][0])}" for maps in blocks.values())
    show(figure, f"Feature maps of one image, one row for each of {len(blocks)} blocks. They become coarser from row "
                 f"to row: {sides} places.")


def stretching(small, large) -> None:
    """A small map and the larger one that average pooling makes of it, both with their values: (h, w) and (H, W)."""
    figure = Figure(figsize=(8.4, 4))
    axes = figure.subplots(1, 2, width_ratios=[1, 1.9])
    top = np.asarray(small).max()
    decimals = min(2, max(0, 4 - len(f"{top:.0f}")))  # at most five characters fit into a cell
    for axis, values, word in zip(axes, (small, large), ("what arrives", "after avgpool"), strict=True):
        values = np.asarray(values)
        shown = axis.imshow(values, cmap="magma", vmin=0, vmax=top)
        axis.set_title(f"{word}: {values.shape[0]} x {values.shape[1]}")
        axis.set_axis_off()
        for (y, x), value in np.ndenumerate(values):
            axis.text(x, y, f"{value:.{decimals}f}", ha="center", va="center", fontsize=11,
                      color=ink(shown.to_rgba(value)[:3]))
    show(figure, f"A {small.shape[0]} x {small.shape[1]} map, and the {large.shape[0]} x {large.shape[1]} map that "
                 "average pooling makes of it: only copies and averages of the same values.")


def layer_view(image, layer, maps, channels, unit, chosen: int = 0) -> None:
    """One layer at work: image (3, H, W) with the field of `unit` of the chosen map, and the maps (n, h, w).

    `layer` is the layer's row of the table, `channels` names the maps, `unit` is (row, column), `chosen` the position
    of its map. All is drawn on one axis, whose unit is an inch: the explorer draws anew for every step of its slider.
    """
    figure, axis = page(9, 3.7)
    axis.set(xlim=(0, 9), ylim=(3.7, 0))
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
        if k == chosen:
            place = x + side * (unit[1] + 0.5) / width, y + side * (unit[0] + 0.5) / height
            ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
            for thick, colour in ((5, "black"), (2.5, SKY)):  # the black one keeps the ring visible on a light map
                axis.plot(*place, **ring, markeredgecolor=colour, markeredgewidth=thick)
    left, top, right, bottom = layer.visible(*unit, size)
    show(figure, f"{layer.name}: its {len(maps)} strongest feature maps. The brightest unit of channel "
                 f"{channels[chosen]} sees rows {top} to {bottom - 1} and columns {left} to {right - 1} of the image.")


def favourites(pictures, layer, channel: int, places) -> None:
    """The images of an `ImageSplit` that excite a channel most, each with its class and what its brightest unit sees.

    `layer` is the layer's row of the table; `places` are (n, 3), image, row and column, as `anatomy.favourites` finds
    them for the channel.
    """
    figure, axis = page(9, 2.05)
    axis.set(xlim=(0, 9), ylim=(2.05, 0))
    title = f"{layer.name}, channel {channel}: the {len(places)} of {len(pictures)} images that excite it most"
    axis.text(4.5, 0.28, title, ha="center", fontsize=13)
    step, size, names = 9 / max(9, len(places)), pictures.images.shape[-1], []
    side = step - 0.06
    for k, (number, *unit) in enumerate(places.tolist()):
        x, y = step * k + 0.03, 0.7
        image = np.asarray(pictures.images[number]).transpose(1, 2, 0)
        axis.imshow(image, extent=(x, x + side, y + side, y), aspect="auto")
        left, top, right, bottom = np.multiply(layer.visible(*unit, size), side / size)
        _field(axis, (x + left, y + top, x + right, y + bottom), SKY)
        names.append(pictures.classes[pictures.labels[number]])
        axis.text(x + side / 2, y - 0.06, class_name(names[-1], 10), ha="center", fontsize=11)
    shared = f"All channels choose among the same {len(pictures)} images, so a count of classes has no interval"
    axis.text(4.5, 1.92, shared, ha="center", fontsize=11, color=GREY)
    show(figure, f"{title}: {', '.join(names)}; on each the square that its brightest unit sees. {shared}.")
