"""How much pre-training helps: on three targets, with 1 to all labels per class, and four ways to learn.

    python -m tests.benchmarks.transfer                 # hours; a run that was stopped goes on where it was
    python -m tests.benchmarks.transfer --share 0/2     # one of two processes that share the work
    python -m tests.benchmarks.transfer --report        # the table and the figure of what there is

*near*: coloured drawings of the ten classes, in the manner of the source task. *middle*: one-coloured pictograms of
these classes, for which the source task has not prepared. *far*: ten letters in hundreds of typefaces.

*scratch* begins with random weights and gets what helps it: batch norm, as the pre-trained network had it; no
dropout, with which it hardly begins to learn (45 in place of 60 % of the middle target's validation things); and it
looks at every picture more than twice as often. *frozen* trains a new head; *full* trains everything, the head at ten
times the rate; *LP-FT* trains the head first and then everything (Kumar et al., 2022, arXiv 2202.10054).

Five folds over things, so that every thing is examined once; each fold draws other labels. The epoch is chosen on the
validation things of each fold. The peak rate is searched for in steps of three, until the best has a worse one on
either side, on the validation things of fold 0. Fold 1, whose exam shows just these things, searches for itself. The
other folds begin with fold 0's rate and, with few labels, try the next lower one as well: too large a rate fails at
once, so the choice of one fold's few pictures can spoil the others. With all labels one rate has to do, for these runs
are long. So nothing is ever chosen on an exam. Scores are class-balanced.

What to know when reading *scratch* with few labels: as many pictures are made of twenty labels per class as of one, so
with twenty each drawing comes once, in one colour. It learns these by heart, and comes out no better than with five.
That, and the choice of epoch and rate by few validation things, make its row a lower bound.

Reported: the mean over all things with its interval, the spread over the folds, and differences in pairs.
`build/transfer.jsonl` keeps every run; `helpers/assets/transfer.json` is what ships.
"""
from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from helpers import evidence, features, figures, networks
from helpers.folds import FOLDS, exam, lessons, validation
from helpers.inference import evaluate
from helpers.intervals import accuracy_interval, paired_difference, things_of
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks.ledger import Ledger, write_json

NAME, SCRATCH = "pocket_vgg", "pocket_vgg_bn"
RUNS, OUT, PICTURE = Path("build/transfer.jsonl"), evidence.FILE, evidence.FILE.with_name("results.png")
TARGETS = ("near", "middle", "far")
LABELS = (None, 20, 5, 1)  # per class; None: all
ALL = {"near": None, "middle": None, "far": 100}  # a hundred letters are as many as the other targets have
PICTURES = {None: 100, 20: 20, 5: 20, 1: 20}  # of each class, made of these labels; more where there are more labels
BATCH = {None: 32, 20: 16, 5: 16, 1: 16}  # so that there are some hundred steps even with few labels
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
FIRST = {"frozen": 3e-3, "full": 1e-3, "LP-FT": 1e-3, "scratch": 3e-3}  # the rate that is tried first
EPOCHS = {"frozen": 20, "full": 8, "LP-FT": 8, "scratch": 20}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = {"weight_decay": 0.05, "label_smoothing": 0.1}  # the same for all


def learnt(method: str, name: str, labels: int | None, number: int, rate: float, head_rate: float):
    """Train once. Returns the network, its best validation accuracy, and what prepares images for it."""
    train = lessons(name, number, labels or ALL[name], PICTURES[labels])
    val = validation(name, number)
    preprocess = Preprocess(*networks.normalisation(NAME), flip=0 if name == "far" else 0.5)  # a mirrored b is a d
    weights, network = (None, SCRATCH) if method == "scratch" else ("default", NAME)
    model = networks.build(network, weights=weights, num_classes=len(train.classes), seed=number).to(DEVICE)
    networks.fold_first_linear(model, train.images.shape[-1])  # the same logits, and a calmer start without weights
    if method == "scratch":
        for layer in model.classifier:
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
    settings = {"epochs": EPOCHS[method], "batch_size": BATCH[labels], "seed": number, **RECIPE}
    if method in ("frozen", "LP-FT"):  # the head on stored features: the same as training it in a frozen network
        kept = [features.extract(model, split, preprocess) for split in (train, val)]
        history = fit(networks.head(model), *kept, lr=head_rate, **settings | {"epochs": EPOCHS["frozen"]})
    if method != "frozen":
        groups = networks.parameter_groups(model, rate, (10 if method == "full" else 1) * rate)
        history = fit(model, train, val, groups=groups, preprocess=preprocess, **settings)
    return model, history.best_accuracy, preprocess


def searched(score: Callable[[float], float], first: float) -> dict[float, float]:
    """Scores by rate: of `first` and its neighbours, and further until the best has a neighbour on either side."""
    scores: dict[float, float] = {}
    wanted = {first}
    while wanted:
        scores |= {rate: score(rate) for rate in sorted(wanted)}
        place = RATES.index(max(scores, key=scores.get))
        wanted = set(RATES[max(0, place - 1):place + 2]) - set(scores)
    return scores


def fold_of(method: str, name: str, labels: int | None, number: int, head_rate: float, rate: float) -> dict:
    """Choose a rate on validation data, beginning with `rate`; then sit the exam once."""
    start, found = time.process_time(), {}

    def score(rate: float) -> float:
        trained = learnt(method, name, labels, number, rate, rate if method == "frozen" else head_rate)
        if not found or trained[1] > found["best"][1]:
            found["best"], found["rate"] = trained, rate
        return trained[1]

    lower = RATES[max(0, RATES.index(rate) - 1)]
    tried = searched(score, rate) if number < 2 else {one: score(one) for one in ({rate, lower} if labels else {rate})}
    model, _, preprocess = found["best"]
    result = evaluate(model, exam(name, number), preprocess)
    return {"rate": found["rate"], "validation": tried, "accuracy": result.accuracy,
            "minutes": (time.process_time() - start) / 60,
            "right": "".join(map(str, (result.predictions == result.labels).int().tolist()))}


def measure(share: int, of: int) -> None:
    """Every fold that is not in RUNS yet, each appended when it is done; this process takes each `of`-th column."""
    columns = [(name, labels) for names in (TARGETS[:2], TARGETS[2:]) for labels in LABELS for name in names]
    columns.sort(key=lambda column: column == ("far", None))  # the longest comes last
    for name, labels in columns[share::of]:
        for number in range(FOLDS):
            own = [run for run in runs() if (run["target"], run["labels"]) == (name, labels)]
            first = {run["method"]: run for run in own if run["fold"] == 0}
            done = {run["method"]: run for run in own if run["fold"] == number}
            for method in FIRST:  # in this order: LP-FT takes the rate that was best for the frozen head
                if method in done:
                    continue
                rate = first[method]["rate"] if number else FIRST[method]
                head_rate = done["frozen"]["rate"] if "frozen" in done else 0.0
                found = fold_of(method, name, labels, number, head_rate, rate)
                done[method] = Ledger(RUNS, {}).add(target=name, labels=labels, fold=number, method=method,
                                                    device=DEVICE, **found)
                if number == 0:
                    first[method] = done[method]
                print(name, labels or "all", "fold", number, method, f"{100 * done[method]['accuracy']:.1f} %",
                      f"rate {done[method]['rate']:g}, {done[method]['minutes']:.1f} min", flush=True)


def runs() -> list[dict]:
    """All runs that have been kept; a line that was cut off when the process was stopped does not count."""
    return Ledger(RUNS, {}).results()


def answers_of(own: list[dict]) -> list[int]:
    """Which answers were right, 1 or 0, of these runs in their order."""
    return [int(answer) for run in own for answer in run["right"]]


def pooled(name: str) -> tuple[list[int], list[str]]:
    """Labels and things of all five exams, in the order of the folds."""
    exams = [exam(name, number) for number in range(FOLDS)]
    return [label for one in exams for label in one.labels.tolist()], [t for one in exams for t in things_of(one)]


def report() -> dict:
    """Accuracies with interval and spread, and differences in pairs, of all cells whose five folds are done."""
    rows, right = [], {}
    for run in sorted(runs(), key=lambda run: run["fold"]):
        right.setdefault((run["target"], run["labels"], run["method"]), []).append(run)
    right = {key: own for key, own in right.items() if len(own) == FOLDS}
    for (name, labels, method), own in right.items():
        answers = answers_of(own)
        interval = accuracy_interval(answers, *pooled(name))
        folds = [run["accuracy"] for run in own]
        rows.append({"target": name, "labels": labels, "method": method, "accuracy": interval.estimate,
                     "low": interval.low, "high": interval.high, "folds": folds, "spread": statistics.stdev(folds),
                     "rates": [run["rate"] for run in own], "minutes": sum(run["minutes"] for run in own)})
    differences = []
    for name, labels, a, b in [(name, labels, a, b) for name in TARGETS for labels in LABELS
                               for a, b in (("full", "frozen"), ("full", "scratch"), ("frozen", "scratch"),
                                            ("LP-FT", "full"), ("LP-FT", "frozen"))]:
        if (name, labels, a) in right and (name, labels, b) in right:
            one, other = (answers_of(right[name, labels, method]) for method in (a, b))
            found = paired_difference(one, other, *pooled(name))
            differences.append({"target": name, "labels": labels, "pair": [a, b], "difference": found.estimate,
                                "low": found.low, "high": found.high, "text": str(found)})
    settings = {name: {str(k or "all"): v for k, v in values.items()}
                for name, values in (("pictures", PICTURES), ("batch", BATCH))} | {"epochs": EPOCHS, **RECIPE}
    settings["device"] = sorted({run["device"] for run in runs()})
    return {"settings": settings, "torch": torch.__version__, "rows": rows, "differences": differences}


def table(found: dict) -> str:
    """The results as Markdown: accuracy in % with its interval, a row for each target and number of labels."""
    cells = {(row["target"], row["labels"], row["method"]): row for row in found["rows"]}
    lines = ["| target | labels per class | " + " | ".join(FIRST) + " |", "|:--|--:|" + "--:|" * len(FIRST)]
    for name in TARGETS:
        for labels in LABELS:
            own = [cells.get((name, labels, method)) for method in FIRST]
            if any(own):
                lines.append(f"| {name} | {labels or 'all'} | " + " | ".join(
                    f"{100 * r['accuracy']:.1f} ({100 * r['low']:.1f} to {100 * r['high']:.1f})" if r else ""
                    for r in own) + " |")
    pairs = [f"{d['target']}, {d['labels'] or 'all'} labels: {d['pair'][0]} - {d['pair'][1]} {d['text']}"
             for d in found["differences"]]
    return "\n".join([*lines, "", *pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", default="0/1", help="which part of the work: 0/2 and 1/2 for two processes")
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the table of what there is")
    args = parser.parse_args()
    if not args.report:
        measure(*map(int, args.share.split("/")))
    found = report()
    write_json(OUT, found)
    print(table(found))
    figures.transfer_curves(evidence.rows(), PICTURE)


if __name__ == "__main__":
    main()
