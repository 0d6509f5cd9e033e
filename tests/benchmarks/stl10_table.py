"""The article's experiment as numbers with their intervals, and as Markdown for notebooks/RESULTS.md."""
from __future__ import annotations

import math
import statistics

import numpy as np

from helpers.intervals import STUDENT, Interval, accuracy_interval, both_kinds, paired_difference
from tests.benchmarks.ledger import Ledger

PAIRS = (("full", "frozen"), ("LP-FT", "frozen"), ("LP-FT", "full"), ("full", "scratch"))


def report(ledger: Ledger) -> dict:
    """"rows": accuracies with their intervals; "differences": in pairs, on the same exam; and where it was measured."""
    exams = {(one["size"], one["fold"], one["method"]): one for one in ledger.results(kind="exam")}
    if not exams:
        return {"machines": [], "rows": [], "differences": []}
    labels = [int(digit) for digit in ledger.results(kind="labels")[0]["labels"]]
    groups: dict[tuple, dict[str, list[dict]]] = {}
    for (size, fold, method), one in sorted(exams.items(), key=lambda item: (item[0][0], item[0][1] is not None)):
        groups.setdefault((size, "all" if fold is None else "folds"), {}).setdefault(method, []).append(one)
    rows = [row(size, data, method, own, labels) for (size, data), methods in groups.items()
            for method, own in methods.items()]
    differences = [
        {"size": size, "data": data, "pair": [a, b], "text": str(difference(methods[a], methods[b], labels))}
        for (size, data), methods in groups.items() for a, b in PAIRS
        if a in methods and b in methods and len(methods[a]) == len(methods[b])]
    machines = [dict(items) for items in dict.fromkeys(tuple(one["machine"].items()) for one in exams.values())]
    return {"machines": machines, "rows": rows, "differences": differences}


def row(size: int, data: str, method: str, own: list[dict], labels: list[int]) -> dict:
    """One method's accuracy, the mean where there are several folds, with its interval."""
    interval = accuracy(own, labels)
    return {"size": size, "data": data, "method": method, "images": own[0]["images"], "networks": len(own),
            "accuracy": interval.estimate, "low": interval.low, "high": interval.high,
            "each": [one["accuracy"] for one in own], "rates": [one["rate"] for one in own],
            "minutes": sum(one["minutes"] for one in own)}


def answers(own: list[dict]) -> np.ndarray:
    """Which answers were right, (networks, images), 1 or 0."""
    return np.array([[int(digit) for digit in one["right"]] for one in own])


def accuracy(own: list[dict], labels: list[int]) -> Interval:
    """The mean over the networks. Its interval has both kinds of luck, of the exam and of the images to learn from.

    They add up as in `intervals.both_kinds`. With one network, the exam's is all that can be known.
    """
    exam = accuracy_interval(answers(own).mean(0), labels)
    luck = 0.0
    if len(own) > 1:
        luck = STUDENT[len(own)] * statistics.stdev(one["accuracy"] for one in own) / math.sqrt(len(own))
    middle = exam.estimate
    return Interval(middle, middle - math.hypot(middle - exam.low, luck), middle + math.hypot(exam.high - middle, luck))


def difference(a: list[dict], b: list[dict], labels: list[int]) -> Interval:
    """Method a minus method b, pair by pair on the same images."""
    a, b = (sorted(own, key=lambda one: one["fold"] or 0) for own in (a, b))
    if len(a) == 1:
        return paired_difference(answers(a)[0], answers(b)[0], labels)
    return both_kinds(answers(a), answers(b), labels)


def table(found: dict) -> str:
    """Accuracy in % with its interval, a row for each size and set of images; then the differences in pairs."""
    if not found["rows"]:
        return "Nothing has been examined yet."
    methods = list(dict.fromkeys(row["method"] for row in found["rows"]))
    cells = {(row["size"], row["data"], row["method"]): row for row in found["rows"]}
    lines = ["| pixels | learnt from | " + " | ".join(methods) + " |", "|--:|:--|" + "--:|" * len(methods)]
    for size, data in dict.fromkeys((row["size"], row["data"]) for row in found["rows"]):
        own = [cells.get((size, data, method)) for method in methods]
        first = next(filter(None, own))
        words = f"{first['images']:,} images" if data == "all" else f"folds of {first['images']:,}, the mean"
        lines.append(f"| {size} | {words} | " + " | ".join(shown(one) if one else "" for one in own) + " |")
    pairs = [f"{d['size']} pixels, {d['data']}: {' - '.join(d['pair'])} {d['text']}" for d in found["differences"]]
    machines = ["; ".join(f"{name} {value}" for name, value in machine.items()) for machine in found["machines"]]
    return "\n".join([*lines, "", *pairs, "", *machines])


def shown(row: dict) -> str:
    spread = f", {row['networks']} folds ± {100 * statistics.stdev(row['each']):.1f}" if row["networks"] > 1 else ""
    return f"{100 * row['accuracy']:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f}){spread}"
