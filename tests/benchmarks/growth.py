"""How the cost of training grows: seconds against the number of images, the image size and the number of classes.

    python -m tests.benchmarks.growth             # about five minutes on two cores; the small network

Two jobs. "frozen": the features of all images computed once, then 20 epochs of a head. "full": one epoch of every
layer. One size varies at a time, the others are 500 images of 96 x 96 pixels and 10 classes. Each time is the fastest
of three runs, taken by turns; the slope is the least-squares fit of log time on log size: 1 means in proportion.
(Images a class is images / classes, so a label-efficiency curve moves along the first line.)
Writes `build/growth.json` and `build/growth.png`.
"""
from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch.nn.functional import interpolate

from helpers import datasets, features, networks
from helpers.images import ImageSplit
from helpers.preprocess import Preprocess
from helpers.training import fit

OUT = Path("build")
USUAL = {"images": 500, "pixels a side": 96, "classes": 10}
SIZES = {
    "images": (250, 500, 1000, 2000, 4000, 8000),
    "pixels a side": (64, 96, 128, 160, 192, 224),
    "classes": (2, 10, 100, 250),
}
JOBS = ("frozen", "full")


def split_of(images: int, side: int, classes: int) -> ImageSplit:
    """`images` pocket images (some twice, if there are not enough), `side` pixels wide, labels dealt out in turn."""
    pocket = datasets.pocket("train").images
    chosen = pocket[torch.arange(images) * 7 % len(pocket)]
    if side != chosen.shape[-1]:
        chosen = interpolate(chosen, (side, side), mode="bilinear", antialias=True)
    return ImageSplit(chosen, torch.arange(images) % classes, tuple(map(str, range(classes))))


def seconds(job: str, images: int, side: int, classes: int) -> float:
    """One run of a job; building the images and the network is not counted."""
    train = split_of(images, side, classes)
    val = train.pick(torch.arange(10))  # as good as nothing: an epoch's evaluation is not what is measured
    model = networks.build("pocket_vgg", num_classes=classes)
    preprocess, start = Preprocess(*networks.normalisation("pocket_vgg")), time.perf_counter()
    if job == "frozen":
        few, exam = (features.extract(model, split, preprocess) for split in (train, val))
        fit(networks.head(model), few, exam, epochs=20)
    else:
        if side < 224:
            networks.fold_first_linear(model, side)
        fit(model, train, val, epochs=1, preprocess=preprocess)
    return time.perf_counter() - start


def slope(sizes: list[float], times: list[float]) -> float:
    """The exponent p of time = c * size ** p, fitted by least squares on the logarithms."""
    return statistics.linear_regression([math.log(s) for s in sizes], [math.log(t) for t in times]).slope


def draw(results: dict, path: Path) -> None:
    """One panel a size, one line a job, both axes logarithmic."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (name, jobs) in zip(figure.subplots(1, len(results), sharey=True), results.items(), strict=True):
        for (job, times), marker in zip(jobs.items(), "os", strict=True):
            axes.loglog(SIZES[name], times, marker=marker, label=f"{job}, slope {slope(SIZES[name], times):.2f}")
        axes.set(xlabel=name, xticks=SIZES[name], xticklabels=SIZES[name])
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.legend()
    figure.axes[0].set_ylabel("seconds")
    figure.savefig(path, dpi=120)


def main() -> None:
    seconds("full", 64, 96, 10)  # the first steps of a process are slow
    results = {name: {job: [] for job in JOBS} for name in SIZES}
    print("| what grows | job | seconds | slope |\n|:--|:--|:--|--:|")
    for name, sizes in SIZES.items():
        runs = [[[seconds(job, *{**USUAL, name: size}.values()) for job in JOBS] for size in sizes] for _ in range(3)]
        for k, job in enumerate(JOBS):
            times = results[name][job] = [min(run[i][k] for run in runs) for i in range(len(sizes))]
            cells = ", ".join(f"{size}: {t:.2f}" for size, t in zip(sizes, times, strict=True))
            print(f"| {name} | {job} | {cells} | {slope(sizes, times):.2f} |", flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "growth.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results, OUT / "growth.png")


if __name__ == "__main__":
    main()
