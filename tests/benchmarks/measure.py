"""One run of one benchmark task in a process of its own, so that its peak memory is its own; prints one line of JSON.

    python -m tests.benchmarks.measure "frozen pocket" ours --seed 0

"seconds" is the whole training: the recipe's data loaders, the features computed once, every epoch's evaluation.
Building the network and composing the images are left out, as both sides need them.
"""
from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import torch
from torch import nn

from helpers import datasets, features, networks
from helpers.images import ImageSplit
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks import usual_recipe
from tests.benchmarks.work import operations


@dataclass(frozen=True)
class Task:
    """`per_class` training images, many of them renderings of the same drawings.

    `recipe_lr` and `our_lr` were chosen on validation images (`--tune` shows how).
    """

    backbone: str
    frozen: bool
    per_class: int
    val_per_class: int
    epochs: int
    recipe_lr: float
    our_lr: float


TASKS = {
    "frozen pocket": Task("pocket_vgg", True, 200, 20, 20, 1e-2, 1e-2),
    "frozen vgg16": Task("vgg16", True, 50, 10, 20, 1e-2, 3e-3),
    "full pocket": Task("pocket_vgg", False, 100, 20, 20, 1e-2, 1e-3),
    "full vgg16": Task("vgg16", False, 20, 5, 2, 1e-3, 3e-5),
}


def run(task: Task, side: str, seed: int, lr: float | None = None) -> dict:
    """Train once; `side` is "recipe" or "ours".

    Returns "seconds", "accuracy" (best epoch on validation images), and "operations": additions and multiplications in
    the whole run, evaluation included.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train = datasets.pocket("train", renderings=20).few(task.per_class, seed)  # a class has not so many drawings
    val = datasets.pocket("val").at_most(task.val_per_class, seed)
    mean, std = networks.normalisation(task.backbone)
    model = networks.build(task.backbone, num_classes=10, seed=seed).to(device)
    if task.frozen:
        networks.unfreeze(networks.head(networks.freeze(model)))
    preprocess, rate = Preprocess(mean, std), lr or (task.recipe_lr if side == "recipe" else task.our_lr)
    if side == "recipe":
        found = usual_recipe.train(model, train, val, mean, std, rate, task.epochs, seed)
    else:
        found = course(model, train, val, preprocess, task, rate, seed)
    forward, both = operations(model, preprocess(train.images[:1].to(device)))
    once = side == "ours" and task.frozen  # the features are computed once, whatever the number of epochs
    return {**found, "operations": (both * len(train) + forward * len(val)) * (1 if once else task.epochs)}


def course(model: nn.Module, train: ImageSplit, val: ImageSplit, preprocess: Preprocess, task: Task, lr: float,
           seed: int) -> dict:
    """The course's way: of a frozen network the features once; otherwise all layers, the new head in larger steps."""
    start = time.perf_counter()
    if task.frozen:
        few, exam = (features.extract(model, split, preprocess) for split in (train, val))
        history = fit(networks.head(model), few, exam, lr=lr, epochs=task.epochs, seed=seed)
    else:
        networks.fold_first_linear(model)
        history = fit(model, train, val, groups=networks.parameter_groups(model, lr, 3 * lr), epochs=task.epochs,
                      preprocess=preprocess, seed=seed)
    return {"seconds": time.perf_counter() - start, "accuracy": history.best_accuracy}


def peak_memory() -> int:
    """Bytes: the GPU's where there is one, otherwise the most that this process and its largest worker held."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    own, worker = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return unit * max(own, worker)


def in_own_process(module: str, *arguments: str, **environment: str):
    """What `python -m module arguments` prints last, one line of JSON; `environment` is added to this process's own."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True, text=True,
                          env=os.environ | environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("side", choices=("recipe", "ours"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float)
    args = parser.parse_args()
    print(json.dumps({**run(TASKS[args.task], args.side, args.seed, args.lr), "memory": peak_memory()}))


if __name__ == "__main__":
    main()
