"""The article's experiment in miniature: stopped in the middle, and taken up again by the same command."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.benchmarks import stl10
from tests.slow.full_track import ROOT

COMMAND = [sys.executable, "-m", "tests.benchmarks.stl10"]
EXAMS = len(stl10.MINIATURE.sizes) * (stl10.MINIATURE.folds + 1) * len(stl10.FIRST)


def surroundings() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def exams(path) -> list[dict]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if '"kind": "exam"' in line and line.endswith("}")]


@pytest.mark.limit(600)
def test_it_goes_on_where_it_was_stopped_and_nobody_sits_an_exam_twice(tmp_path):
    ledger = tmp_path / "build" / "stl10_miniature.jsonl"
    first = subprocess.Popen([*COMMAND, "--miniature"], cwd=tmp_path, env=surroundings(), stdout=subprocess.PIPE,
                             text=True)
    while len(exams(ledger)) < 2 and first.poll() is None:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    said = first.communicate()[0]
    assert first.returncode == 0 and "Stopped; the same command goes on from here." in said
    kept = exams(ledger)
    assert 2 <= len(kept) < EXAMS and "| 32 | 60 images |" in said
    done = subprocess.run([*COMMAND, "--miniature"], cwd=tmp_path, env=surroundings(), stdout=subprocess.PIPE,
                          text=True, check=True).stdout
    found = exams(ledger)
    assert found[:len(kept)] == kept and len(found) == EXAMS
    assert len({(one["size"], one["fold"], one["method"]) for one in found}) == EXAMS
    assert all(one["images"] == (60 if one["fold"] is None else 30) and len(one["right"]) == 30 for one in found)
    report = json.loads((tmp_path / "build" / "stl10_miniature.json").read_text())
    assert {(row["size"], row["data"]) for row in report["rows"]} == {
        (size, data) for size in stl10.MINIATURE.sizes for data in ("all", "folds")}
    assert report["machines"][0]["torch"] in done and len(report["differences"]) == 16
    assert len(re.findall(r"^\| \d+ \| .* images?, the mean|^\| \d+ \| folds of 30", done, re.MULTILINE)) == 2


def test_the_rate_is_chosen_on_validation_images_and_lp_ft_begins_with_the_frozen_heads(monkeypatch, tmp_path):
    """Told apart by what `learnt` and `evaluate` are given; nothing is trained."""
    seen = {"learnt": [], "evaluated": []}
    monkeypatch.setattr(stl10, "images", lambda split, fold, size, settings: (split, fold))

    def learnt(method, train, rate, head_rate, settings, seed):
        seen["learnt"].append((method, train, rate, head_rate))
        return method, rate

    monkeypatch.setattr(stl10, "learnt", learnt)
    scores = {("frozen", 1e-2): 0.9, ("LP-FT", 1e-5): 0.9}

    def evaluate(model, split, preprocess):
        seen["evaluated"].append(split)
        return type("Result", (), {"accuracy": scores.get(model, 0.5)})

    monkeypatch.setattr(stl10, "evaluate", evaluate)
    ledger = stl10.Ledger(tmp_path / "l.jsonl", {})
    assert stl10.chosen(96, 7, "LP-FT", stl10.FULL, ledger) == 1e-5
    assert set(seen["evaluated"]) == {("val", 0)} and {train for _, train, _, _ in seen["learnt"]} == {("train", 0)}
    assert {head for method, _, _, head in seen["learnt"] if method == "LP-FT"} == {1e-2}
    before = len(seen["learnt"])
    assert stl10.chosen(96, 3, "frozen", stl10.FULL, ledger) == 1e-2 and len(seen["learnt"]) == before
    stl10.chosen(96, None, "frozen", stl10.FULL, ledger)
    assert len(seen["learnt"]) > before and seen["evaluated"][-1] == ("val", None)
