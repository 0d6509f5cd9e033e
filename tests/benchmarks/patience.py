"""Does a network from scratch catch up, if it may train for longer?

    python -m tests.benchmarks.transfer    # first: it chooses the rates
    python -m tests.benchmarks.patience    # some two hours on one core; a run that was stopped goes on where it was

K. He, R. Girshick and P. Dollár (2019, arXiv 1811.08883) saw detectors from scratch catch up with pre-trained ones,
given many more steps. Here: one target, one number of labels, and a quarter of the epochs that `transfer` gives, as
many, and four times as many. Each length has a schedule of its own; the peak rate is the one that `transfer` has chosen
for the fold. `build/patience.jsonl` keeps every training; `helpers/assets/patience.json` is what ships.
"""
from __future__ import annotations

from pathlib import Path

from helpers import evidence
from helpers.folds import FOLDS
from helpers.intervals import accuracy_interval, paired_difference
from tests.benchmarks import transfer
from tests.benchmarks.ledger import Ledger, write_json

TARGET, LABELS = "near", 20
METHODS = ("scratch", "full")
TIMES = (0.25, 1, 4)  # as many epochs as in `transfer`
RUNS, OUT = Path("build/patience.jsonl"), evidence.FILE.with_name("patience.json")


def epochs_of(method: str, times: float) -> int:
    return round(times * transfer.EPOCHS[method])


def trained(method: str, times: float) -> list[dict]:
    """The training of each fold, done now where it has not been kept."""
    chosen = transfer.counted(TARGET, LABELS, method)
    if not chosen:
        raise SystemExit(f"Measure {TARGET} with {LABELS} labels first: python -m tests.benchmarks.transfer")
    if times == 1:
        return chosen
    ledger, epochs, found = Ledger(RUNS, {}), epochs_of(method, times), []
    for number in range(FOLDS):
        rate = chosen[number]["rate"]
        key = {"method": method, "epochs": epochs, "fold": number, "rate": rate}
        kept = ledger.results(**key)
        if not kept:
            kept = [ledger.add(**key, **transfer.learnt(method, TARGET, LABELS, number, rate, 0.0, epochs))]
            print(f"{method}, {epochs} epochs, fold {number}: {kept[0]['minutes']:.1f} min", flush=True)
        found.append(kept[0])
    return found


def report() -> dict:
    """Accuracies with intervals, and what *full* at its usual length is ahead of *scratch* at each length, in pairs."""
    rows, answers, exams = [], {}, transfer.pooled(TARGET)
    for method in METHODS:
        for times in TIMES:
            own = trained(method, times)
            answers[method, times] = transfer.answers_of(own)
            interval = accuracy_interval(answers[method, times], *exams)
            rows.append({"method": method, "epochs": epochs_of(method, times), "accuracy": interval.estimate,
                         "low": interval.low, "high": interval.high, "minutes": sum(run["minutes"] for run in own)})
    leads = []
    for times in TIMES:
        lead = paired_difference(answers["full", 1], answers["scratch", times], *exams)
        leads.append({"epochs": epochs_of("scratch", times), "difference": lead.estimate, "low": lead.low,
                      "high": lead.high, "text": str(lead)})
    return {"target": TARGET, "labels": LABELS, "rows": rows, "leads": leads}


def main() -> None:
    found = report()
    write_json(OUT, found)
    for row in found["rows"]:
        print(f"{row['method']}, {row['epochs']} epochs: {100 * row['accuracy']:.1f} % ({100 * row['low']:.1f} to "
              f"{100 * row['high']:.1f}), {row['minutes']:.0f} min")
    for lead in found["leads"]:
        print(f"full, {transfer.EPOCHS['full']} epochs - scratch, {lead['epochs']} epochs: {lead['text']}")


if __name__ == "__main__":
    main()
