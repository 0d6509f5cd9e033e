"""Does a network from scratch catch up, if it may train for longer? With few labels, and with all.

    python -m tests.benchmarks.transfer                # first: it chooses the rates
    python -m tests.benchmarks.patience                # an hour or two on one core; goes on where it was stopped
    python -m tests.benchmarks.patience --share 0/2    # one of two processes that share the work

K. He, R. Girshick and P. Dollár (2019, arXiv 1811.08883) saw detectors from scratch catch up with pre-trained ones,
given many more steps; with few labels they did not. Here: one target, and a quarter of the epochs that `transfer` gives
to *scratch*, as many, and four times as many, beside *full* at its usual length. Each length has a schedule of its own;
the peak rate is the one that `transfer` has chosen for the fold, at its own length. `measured/patience.jsonl` keeps
every training; `helpers/assets/patience.json` is what ships.
"""
from __future__ import annotations

import argparse

from helpers import evidence
from helpers.folds import FOLDS
from tests.benchmarks import transfer
from tests.benchmarks.ledger import MEASURED, Ledger, write_json

TARGET, LABELS = "near", (5, None)
TIMES = (0.25, 1, 4)  # as many epochs as in `transfer`
RUNS, OUT = MEASURED / "patience.jsonl", evidence.PATIENCE


def epochs_of(times: float) -> int:
    return round(times * transfer.EPOCHS["scratch"])


def usual(labels: int | None, method: str) -> list[dict]:
    """The training of each fold at its usual length; `SystemExit` if it has not been measured."""
    if not (chosen := transfer.counted(TARGET, labels, method)):
        raise SystemExit(f"Measure {TARGET} with {labels or 'all'} labels first: python -m tests.benchmarks.transfer")
    return chosen


def trained(labels: int | None, times: float) -> list[dict]:
    """The training of each fold from scratch, done now where it has not been kept."""
    found, ledger, epochs = usual(labels, "scratch"), Ledger(RUNS, {}), epochs_of(times)
    if times == 1:
        return found
    for number in range(FOLDS):
        key = {"labels": labels, "epochs": epochs, "fold": number, "rate": found[number]["rate"]}
        if not (kept := ledger.results(**key)):
            new = transfer.learnt("scratch", TARGET, labels, number, key["rate"], 0.0, epochs)
            kept = [ledger.add(**key, **new)]
            print(f"{labels or 'all'} labels, {epochs} epochs, fold {number}: {new['minutes']:.1f} min", flush=True)
        found[number] = kept[0]
    return found


def measure(share: int, of: int) -> None:
    """Every training that is not in RUNS yet; this process takes each `of`-th pair of number of labels and length."""
    for labels, times in [(labels, times) for times in TIMES for labels in LABELS][share::of]:
        trained(labels, times)


def report() -> dict:
    """Accuracies from scratch with intervals, and what *full* is ahead at each length, in pairs."""
    rows = []
    for labels in LABELS:
        full = usual(labels, "full")
        for times in TIMES:
            own = trained(labels, times)
            accuracy, (lead, _) = transfer.accuracy(TARGET, own), transfer.lead(TARGET, full, own)
            rows.append({"labels": labels, "epochs": epochs_of(times), "accuracy": accuracy.estimate,
                         "low": accuracy.low, "high": accuracy.high, "minutes": sum(run["minutes"] for run in own),
                         "lead": {"difference": lead.estimate, "low": lead.low, "high": lead.high}})
    return {"target": TARGET, "epochs of full": transfer.EPOCHS["full"], "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", default="0/1", help="which part of the work: 0/2 and 1/2 for two processes")
    share, of = map(int, parser.parse_args().share.split("/"))
    measure(share, of)
    if of > 1:
        print("When the other processes are done, this command without --share writes the results.")
        return
    found = report()
    write_json(OUT, found)
    for row in found["rows"]:
        print(f"{row['labels'] or 'all'} labels, scratch, {row['epochs']} epochs: {100 * row['accuracy']:.1f} % "
              f"({100 * row['low']:.1f} to {100 * row['high']:.1f}), {row['minutes']:.0f} min; full is ahead by "
              f"{100 * row['lead']['difference']:.1f} points ({100 * row['lead']['low']:.1f} to "
              f"{100 * row['lead']['high']:.1f})")


if __name__ == "__main__":
    main()
