"""Train the three networks of the drawing pad; writes their weights and card, which ship with the course.

    python -m helpers.make.pad                  # ten minutes on one core; a run that was stopped goes on
    python -m helpers.make.pad scratch          # one of the three, so that they can be trained side by side

Few labels are what this course is about: all three learn from the same drawings, at most LABELS of each class. Of each
class equally many pictures are made of them, so that a scarce class is not forgotten. Each network has a rate that
suits it, and its epoch is chosen on the validation drawings. The one from scratch may look at every picture more often;
the frozen one's head learns from the features of four random views of each.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from helpers import drawings, features, guessers, networks, pocket
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.intervals import accuracy_interval, paired_difference, things_of
from helpers.make.half import save_half
from helpers.training import fit

LABELS = 20  # drawings of each class, or as many as there are
PICTURES = 200  # of each class, in an epoch
RATES = {"scratch": 3e-3, "frozen": 3e-3, "full": 1e-3}
HEAD_FASTER = {"scratch": 1, "full": 10}  # the head's rate, times that of the layers below: a new head on old layers
EPOCHS = {"scratch": 10, "frozen": 8, "full": 8}
VIEWS = 4  # that the frozen network's head sees of each picture
RECIPE = {"weight_decay": 0.05, "label_smoothing": 0.1}  # the same for all
SEED = 0


def lessons() -> ImageSplit:
    """PICTURES pictures of each class, made of LABELS of its training drawings in turn."""
    rng, chosen, numbers = np.random.RandomState(SEED), [], drawings.numbers_of("train")
    for name in pocket.CLASSES:
        own = [k for k in numbers if drawings.table()[k].label == name]
        chosen += np.resize(rng.permutation(own)[:LABELS], PICTURES).tolist()
    return pocket.rendered(chosen, stream=8, seed=SEED)  # a stream that no split has


def learnt(method: str, work: Path) -> nn.Module:
    """Train one of the three, or go on where it was stopped."""
    train, val, prepare = lessons(), pocket.pocket("val"), guessers.preprocess()
    weights = None if method == "scratch" else "default"
    model = networks.build(guessers.BACKBONE, weights=weights, num_classes=len(train.classes), seed=SEED)
    settings = {"epochs": EPOCHS[method], "seed": SEED, "checkpoint": work / f"pad_{method}.pt", **RECIPE,
                "on_epoch": lambda history: print(f"{method}, epoch {len(history.epochs)} of {EPOCHS[method]}: "
                                                  f"{100 * history.epochs[-1]['val_accuracy']:.1f} %", flush=True)}
    if method == "frozen":
        kept = features.extract(model, train, prepare, views=VIEWS), features.extract(model, val, prepare)
        fit(networks.head(model), *kept, lr=RATES[method], **settings)
    else:
        groups = networks.parameter_groups(model, RATES[method], HEAD_FASTER[method] * RATES[method])
        fit(model, train, val, groups=groups, preprocess=prepare, **settings)
    return model


def ship(method: str, model: nn.Module) -> None:
    """Write the weights in half precision; of the frozen network the head alone, the rest ships already."""
    part = networks.head(model) if method == "frozen" else model
    file = guessers.ASSETS / f"{method}.safetensors"
    file.parent.mkdir(exist_ok=True)
    save_half(part.state_dict(), file)
    print(f"wrote {file.name} ({file.stat().st_size / 1e6:.2f} MB)")


def card() -> dict:
    """How the three were made, and how good they are as they ship, on the drawings that their epochs were chosen on."""
    val, right = pocket.pocket("val"), {}
    for method in guessers.METHODS:
        result = evaluate(guessers.read(method, len(val.classes)), val, guessers.preprocess())
        right[method] = (result.predictions == result.labels).tolist()
    exam = val.labels, things_of(val)
    return {
        "networks": "three times " + guessers.BACKBONE,
        "classes": val.classes,
        "labels_per_class": LABELS,
        "pictures_of_each_class": PICTURES,
        "epochs": EPOCHS,
        "rates": RATES,
        "head_rates": {method: RATES[method] * HEAD_FASTER.get(method, 1) for method in RATES},
        "frozen_views": VIEWS,
        **RECIPE,
        "seed": SEED,
        "torch": torch.__version__,
        "validation_drawings": len(val),
        "validation_accuracy": {method: str(accuracy_interval(own, *exam)) for method, own in right.items()},
        "validation_differences": {f"{a} - {b}": str(paired_difference(right[a], right[b], *exam))
                                   for a, b in (("full", "frozen"), ("full", "scratch"), ("frozen", "scratch"))},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", metavar="method", help=f"of {', '.join(guessers.METHODS)}; else all")
    parser.add_argument("--work", type=Path, default=Path("build"), help="keeps training")
    args = parser.parse_args()
    args.work.mkdir(exist_ok=True)
    for method in args.methods or guessers.METHODS:
        start = time.process_time()
        ship(method, learnt(method, args.work))
        print(f"{method}: {(time.process_time() - start) / 60:.1f} core-minutes", flush=True)
    if all((guessers.ASSETS / f"{method}.safetensors").exists() for method in guessers.METHODS):
        (guessers.ASSETS / "card.json").write_text(json.dumps(card(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
