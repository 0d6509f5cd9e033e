"""Which learning rates suit VGG-16, and what becomes of it without pre-training? On the course's drawings, on a CPU.

    python -m tests.benchmarks.recipes            # an hour and a half on two cores; goes on where it was stopped
    python -m tests.benchmarks.recipes --report   # the table of what there is

torchvision's cache has to hold VGG-16's original convolutions, "IMAGENET1K_FEATURES". That file has no classifier. So
all networks here have a plain one, as newer networks do: the mean of each of the last 512 maps, and one linear layer.
What is found holds for the convolutions; a classifier of three layers, with dropout, is another matter.

*frozen* trains the linear layer; *full* everything, that layer at ten times the rate; *LP-FT* the layer first, at the
rate that was best for frozen; *scratch* begins with random weights, plain as VGG-16 is, or with batch norm. Labels,
epochs and batches are those of lesson 4 on a CPU; *scratch* has the epochs of lesson 1, and inputs that are normalised
with the constants of its own training images. And, for *full* and *LP-FT*: what a hundred times the weight decay does,
and a rate that neither rises nor falls. Scores are class-balanced accuracies on validation images.
"""
from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import torch
from torch import nn

from helpers import datasets, features, networks, training
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.preprocess import Preprocess, channel_statistics
from helpers.training import fit
from tests.benchmarks.ledger import MEASURED, Ledger

WEIGHTS = "IMAGENET1K_FEATURES"
LABELS, BATCH, VIEWS, DRAWS = 12, 16, 4, (0, 1)
RUNS = MEASURED / "recipes.jsonl"


@dataclass(frozen=True)
class Method:
    rates: tuple[float, ...]
    epochs: int = 6
    pretrained: bool = True
    batch_norm: bool = False
    weight_decay: float = 0.01  # as `fit` has it
    constant: bool = False  # the rate stays at its peak


METHODS = {
    "frozen": Method((3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
    "full": Method((1e-5, 3e-5, 1e-4, 3e-4)),
    "LP-FT": Method((1e-5, 3e-5, 1e-4, 3e-4)),
    "full, weight decay 1": Method((3e-5, 1e-4), weight_decay=1.0),
    "LP-FT, weight decay 1": Method((3e-5, 1e-4), weight_decay=1.0),
    "full, constant rate": Method((1e-5, 3e-5, 1e-4), constant=True),
    "LP-FT, constant rate": Method((1e-5, 3e-5, 1e-4), constant=True),
    "scratch, plain": Method((3e-5, 1e-4, 3e-4), epochs=20, pretrained=False),
    "scratch, batch norm": Method((1e-4, 3e-4, 1e-3), epochs=20, pretrained=False, batch_norm=True),
}


def network(method: Method, seed: int, classes: int = 10) -> nn.Module:
    """VGG-16, plain or with batch norm, with one linear layer on the means of its last maps."""
    model = networks.build("vgg16_bn" if method.batch_norm else "vgg16", WEIGHTS if method.pretrained else None,
                           num_classes=classes, seed=seed)
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier = nn.Sequential(nn.Linear(networks.last_channels(model), classes))
    torch.manual_seed(seed)
    nn.init.normal_(model.classifier[0].weight, 0, 0.01)
    nn.init.zeros_(model.classifier[0].bias)
    return model


def train(name: str, rate: float, seed: int, images: ImageSplit, val: ImageSplit, head_rate: float = 0.0) -> dict:
    """Train once: "accuracy" on `val`, and the "losses" of all epochs."""
    start, method, way = time.perf_counter(), METHODS[name], name.split(",")[0]
    model = network(method, seed, len(images.classes))
    preprocess = Preprocess(*(networks.normalisation("vgg16", WEIGHTS) if method.pretrained
                              else channel_statistics(images.images)))
    settings = {"epochs": method.epochs, "batch_size": BATCH, "seed": seed}
    if way in ("frozen", "LP-FT"):
        seen = features.extract(model, images, preprocess, views=VIEWS, seed=seed)
        history = fit(networks.head(model), seen, lr=rate if way == "frozen" else head_rate, **settings)
    if way != "frozen":
        groups = networks.parameter_groups(model, rate, (10 if way == "full" else 1) * rate)
        with patch.object(training, "rise_and_fall", lambda step, steps: 1.0) if method.constant else nullcontext():
            history = fit(model, images, groups=groups, preprocess=preprocess, weight_decay=method.weight_decay,
                          **settings)
    return {"accuracy": evaluate(model, val, preprocess).accuracy, "losses": history.column("train_loss"),
            "head_rate": head_rate, "seconds": time.perf_counter() - start}


def kept(name: str, **wanted) -> list[dict]:
    """The trainings of this method that are in RUNS, made with today's settings."""
    return ledger().results(method=name, epochs=METHODS[name].epochs, **wanted)


def ledger() -> Ledger:
    return Ledger(RUNS, {"labels": LABELS, "batch": BATCH})


def best_rate(runs: list[dict]) -> float:
    """The rate with the best mean over the draws."""
    return max(sorted({run["rate"] for run in runs}),
               key=lambda rate: statistics.mean(run["accuracy"] for run in runs if run["rate"] == rate))


def measure() -> None:
    """Every training that has not been kept yet."""
    everything, val = datasets.pocket("train"), datasets.pocket("val").at_most(20)
    for name, method in METHODS.items():
        for rate in method.rates:
            for seed in DRAWS:
                if kept(name, rate=rate, seed=seed):
                    continue
                head_rate = best_rate(kept("frozen")) if name.startswith("LP-FT") else 0.0
                found = train(name, rate, seed, everything.few(LABELS, seed), val, head_rate)
                ledger().add(method=name, epochs=method.epochs, rate=rate, seed=seed, **found)
                print(f"{name}, rate {rate:g}, draw {seed}: {100 * found['accuracy']:.1f} %, loss "
                      f"{found['losses'][0]:.2f} to {found['losses'][-1]:.2f}, {found['seconds']:.0f} s", flush=True)


def table() -> str:
    """A row for each method and rate: each draw's accuracy, and the mean loss of the first and last epoch."""
    lines = ["| method | epochs | rate | accuracy, % | loss, first epoch | last epoch |", "|:--|--:|--:|:--|--:|--:|"]
    for name, method in METHODS.items():
        for rate in method.rates:
            if runs := kept(name, rate=rate):
                accuracies = ", ".join(f"{100 * run['accuracy']:.1f}" for run in runs)
                first, last = (statistics.mean(run["losses"][place] for run in runs) for place in (0, -1))
                lines.append(f"| {name} | {method.epochs} | {rate:g} | {accuracies} | {first:.2f} | {last:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the table of what there is")
    if not parser.parse_args().report:
        measure()
    print(table())


if __name__ == "__main__":
    main()
