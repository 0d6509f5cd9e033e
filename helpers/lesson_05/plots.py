"""The figures of notebook 5: how deep, and how?"""
from __future__ import annotations

import numpy as np
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.figures import BLUE, GREEN, GREY, ORANGE, PINK, SKY, bars, mark_break, show

PART_COLOURS = {"weights": GREY, "gradients": SKY, "optimiser": GREEN, "activations": PINK}


def freeze_depth(layers, memory: dict, depth: int) -> None:
    """The layers that have weights, the last `depth` of them trainable, above the memory of a step for every depth.

    `layers`: rows of a layer table, first layer first; `memory[d]`: bytes by part for the depth d. The bar under a
    layer is what training costs if it and all layers behind it learn.
    """
    figure = Figure(figsize=(9.5, 4.9), layout="none")
    drawing, costs = figure.subplots(2, 1, height_ratios=[1, 1.25])
    figure.subplots_adjust(0.085, 0.19, 0.995, 0.93, hspace=0.2)
    first = len(layers) - depth  # the first one that learns
    for x, layer in enumerate(layers):
        side = layer.shape[1] if len(layer.shape) == 3 else 8
        tall, wide = 0.16 + 0.84 * side / layers[0].shape[1], 0.62 if len(layer.shape) == 3 else 0.3
        box = Rectangle((x - wide / 2, -tall / 2), wide, tall, linewidth=2)
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
        for bar in costs.bar(places, sizes, bottom=bottom, width=0.62, color=colour, label=part, alpha=0.3):
            if round(bar.get_x() + 0.31) == first:
                bar.set_alpha(1)
        bottom += sizes
    costs.text(first, bottom[depth - 1] + 0.02 * bottom.max(), f"{bottom[depth - 1]:.1f}", ha="center", weight="bold")
    costs.set(ylabel="memory of a step (MB)", xlim=(-0.6, len(layers) - 0.4), ylim=(0, 1.15 * bottom.max()))
    costs.set_xticks([])  # names are plain text: ticks take a third of the time that the whole figure does
    for x, layer in enumerate(layers):
        costs.text(x + 0.25, -0.03 * costs.get_ylim()[1], layer.name, rotation=40, ha="right", va="top", fontsize=11)
    legend = costs.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=4, handlelength=1.2, columnspacing=1.2)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    learn = f"the last {depth} of {len(layers)} layers" if depth < len(layers) else f"all {depth} layers"
    show(figure, f"Drawing of the network, {learn} marked as trainable; below, the memory of a training step by depth: "
         + ", ".join(f"{d}: {sum(parts.values()) / 1e6:.1f} MB" for d, parts in memory.items()) + ".")


RUN_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY)


def live_curves(runs: dict, epochs: int) -> None:
    """Loss (left) and accuracy (right) by epoch, training dashed, validation solid; the best epoch of each is ringed.

    `runs[label]`: the `History` of a run, which may still be going on.
    """
    figure = Figure(figsize=(9.5, 4.3), layout="none")
    axes = figure.subplots(1, 2)
    figure.subplots_adjust(0.09, 0.12, 0.99, 0.88, wspace=0.22)
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
    axes[1].text(0.98, 0.03, "dashed: training\nsolid: validation", transform=axes[1].transAxes, ha="right",
                 fontsize=11)
    scores = "; ".join(f"{label}: {len(history.epochs)} epochs, best {100 * history.best_accuracy:.1f} %"
                       for label, history in runs.items())
    show(figure, f"Training and validation loss and accuracy by epoch. Validation accuracy: {scores}.")


def by_depth(depths: dict[int, str], accuracy: dict, seconds: dict, memory: dict) -> None:
    """Accuracy, time and memory by depth, side by side. `depths[d]` says in a word or two what joins at depth d.

    `accuracy[d]`: an `Interval`; `seconds[how][d]`: seconds per epoch, a line for each way to compute the frozen part;
    `memory[d]`: bytes of a training step, by part.
    """
    figure = Figure(figsize=(9.5, 4.1))
    results, times, sizes = figure.subplots(1, 3)
    places = np.arange(len(depths))
    middle, reach = bars(accuracy[d] for d in depths)
    results.errorbar(places, middle, yerr=reach, capsize=4, color=BLUE, marker="o")
    results.set(title="accuracy (%)\nbars: 95 %, over things")
    mark_break(results)
    for (how, own), colour, marker in zip(seconds.items(), (GREY, ORANGE), "s^", strict=True):
        times.plot(places, [own[d] for d in depths], color=colour, marker=marker, label=how)
    times.set(title="seconds per epoch\n", ylim=(0, None))
    times.legend(loc="upper left", title="frozen part computed", alignment="left")
    times.set_ylim(0, 1.45 * times.get_ylim()[1])
    bottom = np.zeros(len(depths))
    for part, colour in PART_COLOURS.items():
        own = np.array([memory[d][part] for d in depths]) / 1e6
        sizes.bar(places, own, bottom=bottom, width=0.62, color=colour, label=part)
        bottom += own
    sizes.set(title="memory of a step (MB)\n", ylim=(0, 1.1 * bottom.max()))
    sizes.legend(loc="upper left")
    for axis in figure.axes:
        axis.set_xticks(places, [f"{d}" for d in depths])
        axis.set(xlim=(-0.5, len(depths) - 0.5))
        axis.grid(axis="x", visible=False)
    figure.supxlabel("depth: " + ", ".join(f"{d} = {words}" for d, words in depths.items()), fontsize=12)
    told = [f"{words} (depth {d}): {accuracy[d]}, "
            + ", ".join(f"{own[d]:.2f} s {how}" for how, own in seconds.items())
            + f", {sum(memory[d].values()) / 1e6:.0f} MB" for d, words in depths.items()]
    show(figure, "Accuracy with its 95 % interval, seconds per epoch and memory of a training step by depth. "
                 f"{'; '.join(told)}.")


def backbones(accuracy: dict, seconds: dict[str, float], sizes: dict[str, int]) -> None:
    """A row for each network: its accuracy, an `Interval`, beside the time that one image takes, in seconds.

    `sizes[name]`: its parameters.
    """
    figure = Figure(figsize=(9.5, 1.5 + 0.5 * len(accuracy)))
    results, times = figure.subplots(1, 2, sharey=True, width_ratios=(1.4, 1))
    places = -np.arange(len(accuracy))
    middle, reach = bars(accuracy.values())
    results.errorbar(middle, places, xerr=reach, capsize=4, color=BLUE, marker="o", linestyle="none")
    results.set_yticks(places, [f"{name}\n{sizes[name] / 1e6:.1f} million parameters" for name in accuracy])
    results.set(xlabel="accuracy (%); bars: 95 % interval over things", ylim=(places[-1] - 0.6, 0.6))
    mark_break(results, along="x")
    times.barh(places, [1000 * seconds[name] for name in accuracy], height=0.5, color=GREY)
    times.set(xlabel="milliseconds per image")
    for axis in figure.axes:
        axis.grid(axis="y", visible=False)
    told = "; ".join(f"{name}: {accuracy[name]}, {1000 * seconds[name]:.1f} ms, {sizes[name] / 1e6:.1f} million"
                     for name in accuracy)
    show(figure, f"Accuracy of a linear probe with its 95 % interval, milliseconds per image and parameters. {told}.")


def moved(drift: dict, alike: dict) -> None:
    """Left: how far each layer's weights have moved. Right: how alike the features are, block by block.

    `drift[layer]`: the share of its length for each of several runs; `alike[pair][block]`: linear CKA, 0 to 1, a line
    for each pair of networks.
    """
    figure = Figure(figsize=(9.5, 4.3))
    weights, likeness = figure.subplots(1, 2, width_ratios=[1.25, 1])
    shares = 100 * np.array(list(drift.values()))
    weights.bar(range(len(drift)), shares.mean(1), color=BLUE, alpha=0.45, width=0.62)
    for run in shares.T:
        weights.plot(range(len(drift)), run, "o", color=BLUE, markersize=5)
    weights.set_xticks(range(len(drift)), drift, rotation=50, ha="right", rotation_mode="anchor")
    weights.set(title="how far the weights moved", ylabel="% of the layer's own length\n(dots: single runs)",
                ylim=(0, None))
    for (pair, blocks), colour, marker, line in zip(alike.items(), (ORANGE, GREY), "^s", ("-", "--"), strict=True):
        likeness.plot(range(len(blocks)), list(blocks.values()), line, color=colour, marker=marker, label=pair)
    likeness.set_xticks(range(len(blocks)), blocks, rotation=50, ha="right", rotation_mode="anchor")
    likeness.set(title="how alike the features are", ylabel="linear CKA", ylim=(0, 1.05))
    likeness.legend(loc="lower left")
    for axis in figure.axes:
        axis.grid(axis="x", visible=False)
    told = "; ".join(f"{pair}: " + ", ".join(f"{block} {value:.2f}" for block, value in blocks.items())
                     for pair, blocks in alike.items())
    most = list(drift)[int(shares.mean(1).argmax())]
    show(figure, f"Weights moved farthest in {most}, by {shares.mean(1).max():.1f} % of their length. "
                 f"Likeness of features, {told}.")


def decision_sheet(rows: list[tuple[str, str, str]]) -> None:
    """What to do when, as a table: the situation, the advice, and the measurement on which the advice rests."""
    lines = [f"| {' | '.join(row)} |" for row in (("if", "then", "rests on"), *rows)]
    display(Markdown("\n".join([lines[0], "|:--|:--|:--|", *lines[1:]])))
