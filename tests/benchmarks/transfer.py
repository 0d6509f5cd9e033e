"""How much pre-training helps, by number of labels, on a near and on a far target.

    python -m tests.benchmarks.transfer                        # the table of the README
    python -m tests.benchmarks.transfer --seeds 2 --labels 5   # a quick look

Each method gets its own peak learning rate, chosen on the validation split with two tuning seeds that are not used
again; then the network is trained with five new seeds (another random subset, another order, another random head) and
measured on the test split, once each. Full fine-tuning gives the new head ten times the rate of the pre-trained layers
(the rate in the table is the latter). Scratch gets three times as many epochs as full (twice as many with all labels),
since it learns more slowly. Weight decay and label smoothing are the same for all. Also writes `build/transfer.json`
and the near target's label-efficiency curve, `build/transfer.html`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from torch import nn

from helpers import datasets, features, figures, networks
from helpers.inference import evaluate
from helpers.lesson_01 import plots
from helpers.preprocess import Preprocess
from helpers.training import fit

NAME = "pocket_vgg"
OUT = Path("build/transfer.json")
GRIDS = {"scratch": (5e-4, 1.5e-3, 5e-3), "frozen": (1e-3, 1e-2, 1e-1), "full": (1e-4, 3e-4, 1e-3, 3e-3)}
EPOCHS = {"scratch": {5: 75, 20: 60, 500: 24}, "frozen": {5: 75, 20: 60, 500: 24}, "full": {5: 25, 20: 20, 500: 12}}
RECIPE = {"weight_decay": 0.05, "label_smoothing": 0.1}  # the same for all three
TARGETS = (("pocket", 5), ("pocket", 20), ("pocket", 500), ("digits", 20))
TUNING_SEEDS = (100, 101)


def prepare(method: str, seed: int) -> nn.Module:
    """The network at the start of `method`: random everywhere, or pre-trained below a new head."""
    model = networks.build(NAME, weights=None if method == "scratch" else "default", num_classes=10, seed=seed)
    if method == "frozen":
        networks.unfreeze(networks.head(networks.freeze(model)))
    return model


def run(method: str, data: str, per_class: int, lr: float, seed: int, split: str) -> float:
    """Train once and return the accuracy on `split`, in percent."""
    few, val, exam = (datasets.load(data, name) for name in ("train", "val", split))
    few, val = few.few(per_class, seed), val if data == "digits" else val.few(20 if per_class < 500 else 100)
    preprocess = Preprocess(*networks.normalisation(NAME), flip=0.0 if data == "digits" else 0.5)
    model = prepare(method, seed)
    groups = networks.parameter_groups(model, lr, 10 * lr) if method == "full" else None
    if method == "frozen":  # the same as training the frozen model, without augmentation, but computed once
        few, val, exam = (features.extract(model, part, preprocess) for part in (few, val, exam))
        model, preprocess = networks.head(model), None
    epochs = EPOCHS[method][per_class]
    history = fit(model, few, val, lr=lr, groups=groups, epochs=epochs, preprocess=preprocess, seed=seed, **RECIPE)
    return 100 * (history.best_accuracy if split == "val" else evaluate(model, exam, preprocess).accuracy)


def measure(method: str, data: str, per_class: int, seeds: int) -> dict:
    """Tune the learning rate on validation data, then measure on test data."""
    tuning = TUNING_SEEDS if per_class < 500 else TUNING_SEEDS[:1]
    scores = {
        lr: statistics.mean(run(method, data, per_class, lr, seed, "val") for seed in tuning) for lr in GRIDS[method]
    }
    lr = max(scores, key=scores.get)
    test = [run(method, data, per_class, lr, seed, "test") for seed in range(seeds)]
    return {
        "data": data,
        "per_class": per_class,
        "method": method,
        "lr": lr,
        "validation": scores,
        "test": test,
        "mean": statistics.mean(test),
        "spread": statistics.stdev(test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="*", default=[5, 20, 500], help="which label counts to measure")
    args = parser.parse_args()
    rows = []
    print("Test accuracy in %, mean ± standard deviation over the seeds (peak learning rate chosen on validation data)")
    print("| target | labels per class | " + " | ".join(GRIDS) + " |\n|:--|--:|" + "--:|" * len(GRIDS))
    for data, per_class in TARGETS:
        if per_class not in args.labels:
            continue
        results = [measure(method, data, per_class, args.seeds) for method in GRIDS]
        cells = [f"{r['mean']:.1f} ± {r['spread']:.1f} ({r['lr']:g})" for r in results]
        print(f"| {data} | {per_class} | " + " | ".join(cells) + " |", flush=True)
        rows += results
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    near = [row for row in rows if row["data"] == "pocket"]
    curve = {
        method: {row["per_class"]: [x / 100 for x in row["test"]] for row in near if row["method"] == method}
        for method in GRIDS
    }
    OUT.with_suffix(".html").write_text(figures.rendered(plots.label_efficiency, curve), encoding="utf-8")


if __name__ == "__main__":
    main()
