"""How much pre-training helps: on three targets, with 1 to all labels per class, and four ways to learn.

    python -m tests.benchmarks.transfer                 # hours; a run that was stopped goes on where it was
    python -m tests.benchmarks.transfer --share 0/2     # one of two processes that share the work
    python -m tests.benchmarks.transfer --report        # the table and the figure of what there is

*near*: coloured drawings of the ten classes, in the manner of the source task. *middle*: one-coloured pictograms of
these classes, for which the source task has not prepared. *far*: ten letters in hundreds of typefaces.

*scratch* begins with random weights and gets what helps it: batch norm, as the pre-trained network had it; no
dropout, with which it hardly begins to learn (45 in place of 60 % of the middle target's validation things); and it
looks at every picture more than twice as often. *frozen* trains a new head, on four stored views of each picture;
*full* trains everything, the head at ten times the rate; *LP-FT* trains the head first and then everything (Kumar et
al., 2022, arXiv 2202.10054).

Five folds over things, so that every thing is examined once; each fold draws other labels. However few the labels are,
a hundred pictures per class are made of them, and training takes as many steps: along a row of results nothing changes
but the labels. The last epoch counts. The peak rate is searched for in steps of three, in every fold, until
the best has a worse one on either side. A fold takes the rate that is best on the validation things of all folds but
the one that validates on what this fold is examined on: so nothing is chosen on an exam, and a training that fails
speaks against its rate. Scores are class-balanced.

Reported: accuracies pooled over all things, and differences in pairs, with intervals that count the luck of the exam
and that of the training (`intervals.of_folds`).
`measured/transfer.jsonl` keeps every training, rate by rate; `helpers/assets/transfer.json` is what ships.
"""
from __future__ import annotations

import argparse
import time
from functools import lru_cache

import torch
from torch import nn

from helpers import evidence, features, figures, networks
from helpers.folds import FOLDS, exam, lessons, validation
from helpers.inference import evaluate
from helpers.intervals import Difference, Interval, accuracy_interval, of_folds, paired_difference, things_of
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks.ledger import MEASURED, Ledger, write_json

NAME, SCRATCH = "pocket_vgg", "pocket_vgg_bn"
RUNS = MEASURED / "transfer.jsonl"
OUT, PICTURE = evidence.FILE, evidence.FILE.with_name("results.png")
TARGETS = ("near", "middle", "far")
LABELS = (None, 20, 5, 1)  # per class; None: all
ALL = {"near": None, "middle": None, "far": 100}  # a hundred letters are as many as the other targets have
PICTURES, BATCH = 100, 32  # pictures of each class are made of its labels; more where there are more labels
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
FIRST = {"frozen": 3e-3, "full": 1e-3, "LP-FT": 1e-3, "scratch": 3e-3}  # the rate that is tried first
EPOCHS = {"frozen": 20, "full": 8, "LP-FT": 8, "scratch": 20}
VIEWS = 4  # of each picture, cropped and mirrored at random, of which a frozen network's features are stored
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = {"weight_decay": 0.05, "label_smoothing": 0.1}  # the same for all


def prepared(name: str) -> Preprocess:
    """What makes a network's inputs of this target's pictures; a mirrored b is a d."""
    return Preprocess(*networks.normalisation(NAME), flip=0 if name == "far" else 0.5)


@lru_cache(maxsize=1)
def stored(name: str, labels: int | None, number: int) -> features.Features:
    """What the head of the frozen network sees of the pictures that fold `number` learns from."""
    train = lessons(name, number, labels or ALL[name], PICTURES)
    model = networks.build(NAME, num_classes=len(train.classes)).to(DEVICE)
    networks.fold_first_linear(model, train.images.shape[-1])
    return features.extract(model, train, prepared(name), views=VIEWS, seed=number)


def learnt(method: str, name: str, labels: int | None, number: int, rate: float, head_rate: float,
           epochs: int | None = None) -> dict:
    """Train once, and return the validation accuracy, the exam's answers, and what the training took.

    The exam is sat at once, but no choice looks at it: see `chosen`. `head_rate` is for the first part of LP-FT;
    `epochs` are EPOCHS, unless given.
    """
    start = time.process_time()
    train, preprocess = lessons(name, number, labels or ALL[name], PICTURES), prepared(name)
    weights, network = (None, SCRATCH) if method == "scratch" else ("default", NAME)
    model = networks.build(network, weights=weights, num_classes=len(train.classes), seed=number).to(DEVICE)
    networks.fold_first_linear(model, train.images.shape[-1])  # the same logits, and a calmer start without weights
    if method == "scratch":
        for layer in model.classifier:
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
    settings = {"batch_size": BATCH, "seed": number, **RECIPE}
    if method in ("frozen", "LP-FT"):  # the head on stored features: the same as training it in a frozen network
        fit(networks.head(model), stored(name, labels, number), lr=rate if method == "frozen" else head_rate,
            epochs=EPOCHS["frozen"], **settings)
    if method != "frozen":
        groups = networks.parameter_groups(model, rate, (10 if method == "full" else 1) * rate)
        fit(model, train, groups=groups, preprocess=preprocess, epochs=epochs or EPOCHS[method], **settings)
    result = evaluate(model, exam(name, number), preprocess)
    return {"validation": evaluate(model, validation(name, number), preprocess).accuracy, "accuracy": result.accuracy,
            "right": "".join(map(str, (result.predictions == result.labels).int().tolist())),
            "minutes": (time.process_time() - start) / 60}


def chosen(scores: dict[int, dict[float, float]], number: int) -> float:
    """The rate that fold `number` takes: the best one on average over the folds that may choose for it.

    `scores` are validation accuracies by fold and by rate. A fold may not choose for the one whose exam shows its
    validation things.
    """
    judges = [own for fold, own in scores.items() if (fold + 1) % FOLDS != number]
    return max(sorted(judges[0]), key=lambda rate: sum(own[rate] for own in judges))


def beside(rate: float) -> set[float]:
    """The rate, and the next one of RATES on either side."""
    place = RATES.index(rate)
    return set(RATES[max(0, place - 1):place + 2])


def wanted(scores: dict[int, dict[float, float]], first: float) -> set[float]:
    """The rates to try next: `first`; then whatever is beside a chosen one and has not been tried."""
    tried = set(scores[0])
    if first not in tried:
        return {first}
    return set().union(*(beside(chosen(scores, number)) for number in range(FOLDS))) - tried


def trainings(name: str, labels: int | None, method: str) -> dict[tuple[int, float], dict]:
    """What has been trained so far, by fold and rate; of LP-FT only what began with the head as it is chosen now."""
    own = Ledger(RUNS, {}).results(target=name, labels=labels, method=method)
    if method == "LP-FT":
        heads = head_rates(name, labels)
        own = [run for run in own if run["head_rate"] == heads.get(run["fold"])]
    return {(run["fold"], run["rate"]): run for run in own}


def head_rates(name: str, labels: int | None) -> dict[int, float]:
    """The rate that each fold has chosen for the frozen head; {} if that is not known yet."""
    return {run["fold"]: run["rate"] for run in counted(name, labels, "frozen")}


def scores_of(own: dict[tuple[int, float], dict]) -> dict[int, dict[float, float]]:
    """Validation accuracies by fold and by rate, of the rates that all folds have tried."""
    rates = [rate for rate in RATES if all((fold, rate) in own for fold in range(FOLDS))]
    return {fold: {rate: own[fold, rate]["validation"] for rate in rates} for fold in range(FOLDS)}


def column(name: str, labels: int | None, method: str) -> None:
    """Train `method` until every fold has its rate; each training is kept when it is done."""
    own, heads = trainings(name, labels, method), head_rates(name, labels) if method == "LP-FT" else {}
    while rates := wanted(scores_of(own), FIRST[method]):
        for number in range(FOLDS):
            for rate in sorted(rate for rate in rates if (number, rate) not in own):
                head_rate = heads.get(number, 0.0)
                found = learnt(method, name, labels, number, rate, head_rate)
                own[number, rate] = Ledger(RUNS, {}).add(
                    target=name, labels=labels, method=method, fold=number, rate=rate, head_rate=head_rate,
                    device=DEVICE, **found)
                print(f"{name} {labels or 'all'} {method} fold {number} rate {rate:g}: validation "
                      f"{100 * found['validation']:.1f} %, {found['minutes']:.1f} min", flush=True)


def measure(share: int, of: int) -> None:
    """Every training that is not in RUNS yet; this process takes each `of`-th pair of target and number of labels."""
    says_most_first = sorted(LABELS, key=(5, None, 20, 1).index)
    pairs = [(name, labels) for labels in says_most_first for name in TARGETS]
    for name, labels in pairs[share::of]:
        for method in FIRST:  # in this order: LP-FT takes the rate that was best for the frozen head
            column(name, labels, method)


def counted(name: str, labels: int | None, method: str) -> list[dict]:
    """The training of each fold that counts, at the rate that was chosen for it; [] if that is not known yet."""
    own = trainings(name, labels, method)
    if wanted(scores := scores_of(own), FIRST[method]):
        return []
    return [own[number, chosen(scores, number)] for number in range(FOLDS)]


def answers_of(own: list[dict]) -> list[int]:
    """Which answers were right, 1 or 0, of these runs in their order."""
    return [int(answer) for run in own for answer in run["right"]]


def pooled(name: str) -> tuple[list[int], list[str]]:
    """Labels and things of all five exams, in the order of the folds."""
    exams = [exam(name, number) for number in range(FOLDS)]
    return [label for one in exams for label in one.labels.tolist()], [t for one in exams for t in things_of(one)]


def folds_of(own: list[dict]) -> list[float]:
    """The accuracy in each fold."""
    return [run["accuracy"] for run in own]


def accuracy(name: str, own: list[dict]) -> Interval:
    """The accuracy over all things of a target, of the runs of its five folds."""
    return of_folds(accuracy_interval(answers_of(own), *pooled(name)), folds_of(own))


def lead(name: str, a: list[dict], b: list[dict]) -> tuple[Difference, list[float]]:
    """How far the runs `a` are ahead of `b`, in pairs: over all things of a target, and in each fold."""
    folds = [one - other for one, other in zip(folds_of(a), folds_of(b), strict=True)]
    return of_folds(paired_difference(answers_of(a), answers_of(b), *pooled(name)), folds), folds


def report() -> dict:
    """Accuracies with interval and spread, and differences in pairs, of all cells whose five folds are done."""
    rows, right = [], {(name, labels, method): own for name in TARGETS for labels in LABELS for method in FIRST
                       if (own := counted(name, labels, method))}
    for (name, labels, method), own in right.items():
        interval = accuracy(name, own)
        rows.append({"target": name, "labels": labels, "method": method, "accuracy": interval.estimate,
                     "low": interval.low, "high": interval.high, "folds": folds_of(own),
                     "rates": [run["rate"] for run in own],
                     "minutes": sum(run["minutes"] for run in trainings(name, labels, method).values())})
    differences = []
    for name, labels, a, b in [(name, labels, a, b) for name in TARGETS for labels in LABELS
                               for a, b in (("full", "frozen"), ("full", "scratch"), ("frozen", "scratch"),
                                            ("LP-FT", "full"), ("LP-FT", "frozen"))]:
        if (name, labels, a) in right and (name, labels, b) in right:
            found, folds = lead(name, right[name, labels, a], right[name, labels, b])
            differences.append({"target": name, "labels": labels, "pair": [a, b], "difference": found.estimate,
                                "low": found.low, "high": found.high, "folds": folds, "text": str(found)})
    settings = {"pictures": PICTURES, "batch": BATCH, "epochs": EPOCHS, "views": VIEWS, **RECIPE}
    settings["device"] = sorted({run["device"] for own in right.values() for run in own})
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
