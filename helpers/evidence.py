"""What was measured beforehand: every network of `tests.benchmarks.transfer`, which wrote the file that is read here,
and of `tests.benchmarks.patience`, which wrote another.

One row for each target, number of labels and method; accuracies are class-balanced and pooled over five folds, in which
every thing is examined once. A lesson shows these numbers beside a few that it measures itself.
"""
from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

from helpers.intervals import Difference, Interval
from helpers.shipped import damaged

FILE = Path(__file__).resolve().parent / "assets" / "transfer.json"
PATIENCE = FILE.with_name("patience.json")
TARGETS = {"near": "coloured drawings", "middle": "pictograms", "far": "letters"}
METHODS = ("scratch", "frozen", "full", "LP-FT")


class Row(NamedTuple):
    """The result of one method on one target."""

    target: str  # one of TARGETS
    labels: int | None  # per class; None: all that there are
    method: str  # one of METHODS
    accuracy: Interval
    folds: tuple[float, ...]  # the accuracy in each fold, 0 to 1; each drew its own labels
    rates: tuple[float, ...]  # the peak learning rate that each fold chose


class Longer(NamedTuple):
    """A network from scratch that was trained for a shorter or a longer time than in `rows`."""

    target: str  # one of TARGETS
    labels: int | None  # per class; None: all that there are
    epochs: int
    accuracy: Interval
    lead: Difference  # of *full*, which was trained as in `rows`, in pairs on the same exams


@functools.lru_cache(maxsize=2)
def _document(file: Path) -> dict:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not document["rows"]:
            raise ValueError("empty")
        return document
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(file) from error


@functools.lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """All results."""
    return tuple(Row(row["target"], row["labels"], row["method"], Interval(row["accuracy"], row["low"], row["high"]),
                     tuple(row["folds"]), tuple(row["rates"])) for row in _document(FILE)["rows"])


@functools.lru_cache(maxsize=1)
def longer() -> tuple[Longer, ...]:
    """What a network from scratch gains by more epochs, with few labels and with all, from few epochs to many."""
    found = _document(PATIENCE)
    return tuple(Longer(found["target"], row["labels"], row["epochs"],
                        Interval(row["accuracy"], row["low"], row["high"]), Difference(*row["lead"].values()))
                 for row in found["rows"])


def result(target: str, labels: int | None, method: str) -> Row:
    """The result of `method` on `target` with so many `labels` per class (None: all).

    Raises `ValueError` if that was not measured.
    """
    for row in rows():
        if (row.target, row.labels, row.method) == (target, labels, method):
            return row
    raise ValueError(f"{method!r} on {target!r} with {labels or 'all'} labels per class was not measured; "
                     "`evidence.rows()` lists what was.")


def label_counts(target: str) -> tuple[int | None, ...]:
    """With how many labels per class all methods were measured on `target`: from few to many, None (all) at the end."""
    measured = [(row.labels, row.method) for row in rows() if row.target == target]
    counts = {labels for labels, _ in measured if all((labels, method) in measured for method in METHODS)}
    return tuple(sorted(counts, key=lambda labels: labels or float("inf")))


def difference(target: str, labels: int | None, a: str, b: str) -> Difference:
    """The accuracy of method `a` minus that of `b`, in pairs on the same exams.

    Raises `ValueError` if that was not measured.
    """
    for row in _document(FILE)["differences"]:
        if (row["target"], row["labels"], row["pair"]) == (target, labels, [a, b]):
            return Difference(row["difference"], row["low"], row["high"])
        if (row["target"], row["labels"], row["pair"]) == (target, labels, [b, a]):
            return Difference(-row["difference"], -row["high"], -row["low"])
    raise ValueError(f"{a!r} was not compared with {b!r} on {target!r} with {labels or 'all'} labels per class.")
