"""Draw the README's picture from the drawings and from what `tests.benchmarks.transfer` measured.

    python -m tests.benchmarks.picture         # reads build/transfer.json, writes helpers/assets/results.png
"""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np

from helpers import datasets
from helpers.plots import METHOD_COLOURS, METHOD_MARKERS, picture
from tests.benchmarks.transfer import OUT

NAMES = {"scratch": "from scratch", "frozen": "pre-trained, frozen", "full": "pre-trained, full"}


def main() -> None:
    rows = [row for row in json.loads(OUT.read_text()) if row["data"] == "pocket"]
    figure = plt.figure(figsize=(11, 4.3), dpi=110)
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    axes = left.subplots(5, 4, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    examples = datasets.pocket("train").few(2, seed=5)
    for k, axis in enumerate(axes.flat):
        picture(axis, examples.images[k])
    left.suptitle("ten classes, drawn by three families of artists", fontsize=12)
    axis = right.subplots()
    for method in METHOD_COLOURS:
        own = sorted((row["per_class"], row["test"]) for row in rows if row["method"] == method)
        counts, scores = [count for count, _ in own], np.array([test for _, test in own])
        axis.errorbar(counts, scores.mean(1), yerr=scores.std(1, ddof=1), capsize=4, color=METHOD_COLOURS[method],
                      marker=METHOD_MARKERS[method], label=NAMES[method])
    axis.set(xscale="log", ylim=(0, 100), xlabel="labelled training images a class", ylabel="test accuracy (%)")
    axis.set_xticks(counts, counts)
    axis.minorticks_off()
    axis.legend(loc="lower right")
    right.suptitle("what pre-training is worth (five seeds)", fontsize=12)
    figure.savefig(datasets.ASSETS / "results.png")


if __name__ == "__main__":
    main()
