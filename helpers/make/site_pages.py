"""The pages of the web site that are filled when it is built: the start and the results."""
from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat

from helpers import evidence
from helpers.make.notebooks import NOTEBOOKS
from helpers.make.site_figures import figure
from helpers.make.site_links import rewritten

SITE = NOTEBOOKS / "site"
METHODS = evidence.METHODS
PAIRS = (("frozen", "scratch"), ("full", "scratch"), ("full", "frozen"), ("LP-FT", "full"), ("LP-FT", "frozen"))
CURVES = ("Three charts: accuracy against labels per class, on a near, a middle and a far target, for four ways to "
          "learn.")


def filled(name: str, parts: dict[str, str]) -> str:
    """The page `name` of notebooks/site, with each `<!-- part -->` in place."""
    text = (SITE / name).read_text(encoding="utf-8")
    for part, content in parts.items():
        if text.count(f"<!-- {part} -->") != 1:
            raise ValueError(f"notebooks/site/{name} should have one place for {part!r}: put back `<!-- {part} -->`.")
        text = text.replace(f"<!-- {part} -->", content)
    return text


def start(address: str | None, figures: Path) -> str:
    """The page on which a reader arrives."""
    get = (f"Get the course with `git clone https://github.com/{address}`, and then, in its folder:" if address else
           "One command, in the course's folder, makes an environment and opens the lessons:")
    times = {f"time {int(path.name[:2])}": time(path) for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))}
    return filled("index.md", {"picture": picture(figures), "run": get, **times})


def time(path: Path) -> str:
    """How long a lesson takes, as its first cell says."""
    words = re.search(r"\*\*Time:\*\* (.*?\.)\s", nbformat.read(path, as_version=4).cells[0].source, re.DOTALL)[1]
    return f"Time: {' '.join(words.split())}"


def picture(figures: Path) -> str:
    """The curves of the results, which were drawn from the same file as the tables."""
    return figure(evidence.FILE.with_name("results.png").read_bytes(), CURVES, "results", figures, "figures/")


def results(address: str | None) -> dict[str, str]:
    """The tables of the results, and how they were made, from the file that ships; and the course's notes on them."""
    found = json.loads(evidence.FILE.read_text(encoding="utf-8"))
    counts = {target: evidence.label_counts(target) for target in evidence.TARGETS}
    cases = [(target, labels) for target in counts for labels in reversed(counts[target])]
    accuracies = [[str(evidence.result(*case, method).accuracy).replace(" %", "") for method in METHODS]
                  for case in cases]
    differences = [[str(evidence.difference(*case, *pair)).replace(" points", "") for pair in PAIRS] for case in cases]
    epochs = ", ".join(f"{method} {number}" for method, number in found["settings"]["epochs"].items())
    return {"settings": f"Epochs: {epochs}. Torch {found['torch']}, on {' and '.join(found['settings']['device'])}.",
            "notes": rewritten(notes(), "notebooks/RESULTS.md", "results.md", address),
            "accuracies": markdown(cases, METHODS, accuracies),
            "differences": markdown(cases, [" - ".join(pair) for pair in PAIRS], differences)}


def notes() -> str:
    """What the course's own page of results says below its first table, of which the site has a fuller one."""
    text = (NOTEBOOKS / "RESULTS.md").read_text(encoding="utf-8")
    return re.split(r"(?:^\|.*\n)+", text, maxsplit=1, flags=re.MULTILINE)[1].strip()


def markdown(cases: list[tuple], heads, rows: list[list[str]]) -> str:
    """A table with a row for each target and number of labels."""
    lines = [["target", "labels per class", *heads], [":--", "--:", *("--:" for _ in heads)],
             *([target, str(labels or "all"), *row] for (target, labels), row in zip(cases, rows, strict=True))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
