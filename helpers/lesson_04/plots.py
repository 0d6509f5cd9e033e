"""The figures of notebook 4: frozen or full?"""
from __future__ import annotations

import numpy as np
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from helpers.figures import BLUE, GREY, METHOD_COLOURS, METHOD_MARKERS, bars, mark_break, show


def learning_rate(rates: list[float], epochs: int) -> None:
    """The learning rate of every step over `epochs` epochs."""
    figure = Figure(figsize=(7, 2.8))
    axis = figure.add_subplot()
    axis.plot(np.arange(len(rates)) * epochs / len(rates), rates, color=BLUE)
    axis.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None), xlim=(0, epochs))
    axis.xaxis.get_major_locator().set_params(integer=True)
    show(figure, f"The learning rate rises over the first tenth of {epochs} epochs, then falls along a cosine to zero.")


def training_curves(histories: dict[str, list]) -> None:
    """Loss (left) and accuracy (right) by epoch, training dashed, validation solid.

    `histories[method]`: a `History` for each seed; with several, thin lines are seeds and the thick one is their mean.
    """
    figure = Figure(figsize=(9.5, 2.9))
    axes = figure.subplots(1, 2)
    for method, runs in histories.items():
        colour = METHOD_COLOURS[method]
        for axis, quantity, scale in zip(axes, ("loss", "accuracy"), (1, 100), strict=True):
            for part, name, style in (("train", "training", "--"), ("val", "validation", "-")):
                lines = scale * np.array([run.column(f"{part}_{quantity}") for run in runs])
                epochs = np.arange(1, lines.shape[1] + 1)
                if len(runs) > 1:
                    axis.plot(epochs, lines.T, style, color=colour, linewidth=0.8, alpha=0.5)
                axis.plot(epochs, lines.mean(0), style, color=colour, label=f"{method}, {name}")
    axes[0].set(xlabel="epoch", ylabel="loss (cross-entropy)", ylim=(0, None))
    axes[1].set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, None))
    for axis in axes:
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[1].legend(loc="lower right")
    ends = ", ".join(f"{method} {100 * np.mean([run.column(f'{part}_accuracy')[-1] for run in runs]):.0f} % in {name}"
                     for method, runs in histories.items() for part, name in (("train", "training"),
                                                                              ("val", "validation")))
    show(figure, f"Training and validation loss and accuracy by epoch. Accuracy in the last epoch: {ends}.")


def learning_rate_search(search: dict[str, dict[float, list[float]]]) -> None:
    """Validation accuracy against peak learning rate, a line for each method; the best rate of each is ringed.

    `search[method][rate]`: the accuracy (0 to 1) in each draw of the labels. The line is their mean, and the bars reach
    from the lowest to the highest.
    """
    figure = Figure(figsize=(7.5, 3.9))
    axis = figure.add_subplot()
    told = []
    for k, (method, scores) in enumerate(search.items()):
        rates, values = list(scores), 100 * np.array(list(scores.values()))
        places = np.array(rates) * 1.06 ** (k - 1)  # side by side, so that none is hidden
        mean, colour = values.mean(1), METHOD_COLOURS[method]
        axis.errorbar(places, mean, yerr=[mean - values.min(1), values.max(1) - mean], color=colour, capsize=4,
                      elinewidth=1.2, marker=METHOD_MARKERS[method], label=method)
        best = int(np.argmax(mean))
        axis.plot(places[best], mean[best], "o", markersize=18, fillstyle="none", color=colour)
        told.append(f"{method} {mean[best]:.0f} % at {rates[best]:.0e}")
    axis.set(xscale="log", xlabel="peak learning rate (of the pre-trained layers, where they learn)",
             ylabel="validation accuracy (%)")
    mark_break(axis)
    figure.legend(loc="outside upper center", ncols=len(search),
                  title="line: mean of the draws; bar: lowest to highest; ring: best")
    show(figure, f"Validation accuracy against learning rate. Best on average: {', '.join(told)}.")


def contest(scores: dict[str, list[float]], intervals: dict) -> None:
    """The exam's accuracy of each method in every draw of the labels, and their mean with its interval.

    `scores[method]`: 0 to 1, draw by draw in the same order, so that a line can join what learnt from the same images;
    `intervals[method]`: an `Interval` around their mean.
    """
    figure = Figure(figsize=(7.5, 3.1))
    axis = figure.add_subplot()
    lines = axis.plot(np.arange(len(scores)), 100 * np.array(list(scores.values())), "o-", color=GREY, linewidth=1,
                      markersize=4, alpha=0.7)
    lines[0].set_label("one draw of the labels")
    for x, (method, interval) in enumerate(intervals.items()):
        middle, reach = bars([interval])
        axis.errorbar(x + 0.09, middle, yerr=reach, fmt=METHOD_MARKERS[method], color=METHOD_COLOURS[method],
                      markersize=10, capsize=5)
    axis.errorbar([], [], yerr=[], fmt="o", color="black", capsize=5, label="mean; bar: 95 % interval over things")
    axis.set_xticks(np.arange(len(scores)), scores)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.set(ylabel="accuracy in the exam (%)", xlim=(-0.4, len(scores) - 0.6))
    mark_break(axis)
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside upper center", ncols=2)
    told = ", ".join(f"{method} {interval}" for method, interval in intervals.items())
    show(figure, f"Accuracy in the exam, mean over {len(lines)} draws of the labels, with 95 % intervals over things: "
                 f"{told}.")


def comparison_table(results: dict, seconds: dict, trained: dict, memory: dict, peak: dict, rates: dict) -> None:
    """The outcome as a table: a column for each method, with mean and range of the exam's accuracy over the draws.

    `results[method]`: an `Evaluation` for each draw; `seconds`: what training took, on average; `memory` holds the
    parts of a step's memory in bytes, `peak` what was measured on a GPU, or None.
    """
    columns = []
    for method, evaluations in results.items():
        scores = [100 * evaluation.accuracy for evaluation in evaluations]
        columns.append({
            "quantity": method,
            "accuracy in the exam, mean of the draws": f"{np.mean(scores):.1f} %",
            "lowest and highest draw": f"{min(scores):.1f} to {max(scores):.1f} %",
            "peak learning rate": f"{rates[method]:.0e}",
            "seconds to train, on average": f"{seconds[method]:.1f}",
            "trained parameters": f"{trained[method]:,}",
            "memory of a training step": f"{sum(memory[method].values()) / 1e6:.0f} MB",
            "peak memory, measured on the GPU": f"{peak[method] / 1e6:.0f} MB" if peak[method] else "no GPU",
        })
    head, *lines = [f"| {name} | {' | '.join(column[name] for column in columns)} |" for name in columns[0]]
    display(Markdown("\n".join([head, "|:--|" + "--:|" * len(columns), *lines])))
