"""What a network is worth on drawings by artists whom it has never met, on white paper, as a reader's own would come.

    python -m tests.benchmarks.artists    # a quarter of an hour

Pictograms of the ten classes (the target "middle" of `tests.benchmarks.transfer`), full fine-tuning with all labels.
Five folds over things. All things that one of three artists has drawn are taken out of what is learnt, chosen on and
examined. They make an exam of their own, composed as usual and again on white. Writes `build/artists.json`.
"""
from __future__ import annotations

import json
import math
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from helpers import composition, drawings, folds, networks
from helpers.inference import evaluate
from helpers.intervals import accuracy_interval, things_of
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks.transfer import EPOCHS, NAME, RECIPE, TARGETS

# Of the artists with 50 to 80 pictograms of whom the source task has nothing, the three who drew the most classes:
ARTISTS = ("Lorc, Delapouite and contributors to game-icons.net", "ByteDance", "Quincy Morgan")
RATE = 1e-3
OUT = Path("build/artists.json")
PLAIN = TARGETS[1]


def apart() -> tuple[list[int], set[str]]:
    """The three artists' drawings, by number in the target, and the things that these show."""
    table = drawings.table()
    rows = [row for row in table if not row.coloured]
    own = [k for k, row in enumerate(rows) if row.artist in ARTISTS]
    return own, {rows[k].thing for k in own}


def without(split, things: set[str]):
    return split.pick([k for k, thing in enumerate(things_of(split)) if thing not in things])


def main() -> None:
    data, (own, things), preprocess = folds.target(PLAIN), apart(), Preprocess(*networks.normalisation(NAME))
    usual = data.picture(own, 2)
    with patch.object(composition, "KINDS", np.array(["white"])):
        white = data.picture(own, 2)
    right = {"test": [], "usual": [], "white": []}
    labels, shown = [], []
    for number in range(folds.FOLDS):
        train, val, exam = (without(split, things) for split in (
            folds.lessons(PLAIN, number, None, 100), folds.validation(PLAIN, number), folds.exam(PLAIN, number)))
        model = networks.build(NAME, num_classes=len(data.classes), seed=number)
        groups = networks.parameter_groups(model, RATE, 10 * RATE)
        fit(model, train, val, groups=groups, epochs=EPOCHS["full"], seed=number, preprocess=preprocess, **RECIPE)
        for name, split in {"test": exam, "usual": usual, "white": white}.items():
            result = evaluate(model, split, preprocess)
            right[name].append((result.predictions == result.labels).double())
            print(f"fold {number}, {name}: {100 * result.accuracy:.1f} %", flush=True)
        labels, shown = labels + exam.labels.tolist(), shown + list(things_of(exam))
    found = {"test": accuracy_interval(torch.cat(right["test"]), labels, shown)}
    for name, split in (("usual", usual), ("white", white)):  # of each picture: how many of five networks were right
        found[name] = accuracy_interval(torch.stack(right[name]).mean(0), split.labels, things_of(split))
    for name, text in (("test", "test set"), ("usual", "three unseen artists"), ("white", "the same on white")):
        print(f"{text}: {found[name]}")
    drop, half = found["test"].estimate - found["white"].estimate, math.hypot(
        *((one.high - one.low) / 2 for one in (found["test"], found["white"])))
    print(f"{len(own)} drawings of {len(things)} things; lost on white: {100 * drop:.1f} points ± {100 * half:.1f}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({name: [one.estimate, one.low, one.high] for name, one in found.items()}) + "\n")


if __name__ == "__main__":
    main()
