"""The benchmark of transfer: its folds, how it chooses, that it goes on after a stop; and what lessons read of it."""
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helpers import evidence, figures, folds
from helpers.intervals import things_of
from tests.benchmarks import transfer

NAMES = transfer.TARGETS


# --- folds -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_every_thing_is_examined_once_and_every_class_in_every_fold(name):
    data = folds.target(name)
    part = folds.parts(data.labels, data.things)
    assert len({(thing, k) for thing, k in zip(data.things, part.tolist(), strict=True)}) == len(set(data.things))
    for k in range(folds.FOLDS):
        assert set(data.labels[part == k]) == set(range(len(data.classes)))
    sizes = Counter(dict(zip(data.things, part.tolist(), strict=True)).values())
    assert max(sizes.values()) - min(sizes.values()) <= len(data.classes)


@pytest.mark.parametrize("name, number", [("near", 0), ("near", 4)])
def test_no_thing_that_is_learnt_or_chosen_on_is_examined(name, number):
    learn, val, exam = folds.lessons(name, number, 5, 5), folds.validation(name, number), folds.exam(name, number)
    for one, other in ((learn, val), (learn, exam), (val, exam)):
        assert not set(things_of(one)) & set(things_of(other))


def test_a_label_is_a_drawing_and_each_fold_draws_others():
    drawn = [folds.lessons("near", number, 5, 8) for number in (0, 3)]
    for split in drawn:
        assert Counter(split.labels.tolist()) == dict.fromkeys(range(10), 8)
        one_each = [split.origin.index(text) for text in set(split.origin)]
        assert Counter(split.labels[one_each].tolist()) == dict.fromkeys(range(10), 5)
    assert set(drawn[0].origin) != set(drawn[1].origin)


def test_all_labels_are_all_drawings():
    """A scarce class is shown more often; none of a large class is left out."""
    data = folds.target("near")
    learn = ~np.isin(folds.parts(data.labels, data.things), (2, 3))
    split = folds.lessons("near", 2, None, 12)
    assert len(set(split.origin)) == learn.sum()
    assert min(Counter(split.labels.tolist()).values()) == 12


# --- choosing ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("best", [1e-4, 3e-3, 3e-2])
def test_the_search_ends_between_two_worse_rates(best):
    place, asked = transfer.RATES.index(best), []

    def score(rate):
        asked.append(rate)
        return -abs(transfer.RATES.index(rate) - place)

    scores = transfer.searched(score, 3e-3)
    assert max(scores, key=scores.get) == best and {transfer.RATES[place - 1], transfer.RATES[place + 1]} <= set(scores)
    assert len(asked) == len(set(asked)) == len(scores)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """The benchmark without its training: a method's accuracy hangs on its rate. Tells what was trained."""
    trained = []

    def learnt(method, name, labels, number, rate, head_rate):
        trained.append((method, number, rate, head_rate))
        return method, 0.5 - abs(transfer.RATES.index(rate) - 5) / 10, None

    class Result:
        def __init__(self, exam, share):
            self.labels = exam.labels
            self.predictions = exam.labels.where(exam.labels.new_tensor(range(len(exam))) % 10 < 10 * share, -1)
            self.accuracy = share

    monkeypatch.setattr(transfer, "learnt", learnt)
    monkeypatch.setattr(transfer, "evaluate", lambda method, exam, _: Result(
        exam, {"scratch": 0.2, "frozen": 0.5, "full": 0.6, "LP-FT": 0.6}[method]))
    monkeypatch.setattr(transfer, "RUNS", tmp_path / "build" / "runs.jsonl")
    monkeypatch.setattr(transfer, "TARGETS", ("near",))
    monkeypatch.setattr(transfer, "LABELS", (5,))
    return trained


@pytest.mark.parametrize("labels, rates", [(5, [1e-3, 3e-3]), (None, [3e-3])])
def test_no_rate_is_chosen_on_the_exam_that_it_sits(quick, monkeypatch, labels, rates):
    """Folds 0 and 1 search, each on the next part; the others begin with fold 0's rate."""
    monkeypatch.setattr(transfer, "LABELS", (labels,))
    transfer.measure(0, 1)
    tried = [sorted({rate for method, fold, rate, _ in quick if (method, fold) == ("full", number)})
             for number in range(folds.FOLDS)]
    assert len(tried[0]) >= 3 and len(tried[1]) >= 3 and tried[2:] == [rates] * 3
    assert {head_rate for method, *_, head_rate in quick if method == "LP-FT"} == {3e-3}, "the frozen head's best"


def test_a_stopped_run_goes_on_where_it_was(quick):
    transfer.measure(0, 1)
    whole, lines = transfer.report(), transfer.RUNS.read_text().splitlines()
    transfer.RUNS.write_text("\n".join(lines[:9]) + '\n{"target": "near", "labe')
    done = len(transfer.runs())
    quick.clear()
    transfer.measure(0, 1)
    assert 0 < done < 4 * folds.FOLDS == len(transfer.runs())
    again = transfer.report()
    for row in [*whole["rows"], *again["rows"]]:
        row.pop("minutes")
    assert again == whole


def test_shares_do_all_of_the_work_once(quick, monkeypatch):
    monkeypatch.setattr(transfer, "LABELS", (5, 1))
    transfer.measure(0, 2)
    assert {run["labels"] for run in transfer.runs()} == {5}
    transfer.measure(1, 2)
    assert len(transfer.runs()) == 2 * 4 * folds.FOLDS


# --- what lessons read -------------------------------------------------------------------------------------------

@pytest.fixture
def measured(quick, monkeypatch, tmp_path):
    """A file of results, as the benchmark writes it."""
    transfer.measure(0, 1)
    (tmp_path / "transfer.json").write_text(json.dumps(transfer.report()))
    monkeypatch.setattr(evidence, "FILE", tmp_path / "transfer.json")


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    """Evidence is read once; these tests read several files."""
    yield
    evidence._document.cache_clear()
    evidence.rows.cache_clear()


def test_results_are_read_as_they_were_measured(measured):
    found = evidence.result("near", 5, "full")
    assert found.accuracy.low < 0.6 < found.accuracy.high and len(found.folds) == folds.FOLDS
    ahead, behind = (evidence.difference("near", 5, *pair) for pair in (("full", "frozen"), ("frozen", "full")))
    assert ahead.word == "higher" and behind.word == "lower" and ahead.estimate == -behind.estimate > 0
    assert (ahead.low, ahead.high) == (-behind.high, -behind.low)
    assert evidence.label_counts("near") == (5,) and evidence.label_counts("far") == ()
    with pytest.raises(ValueError, match="'full' on 'near' with all labels per class was not measured"):
        evidence.result("near", None, "full")
    with pytest.raises(ValueError, match="'full' was not compared with 'soup'"):
        evidence.difference("near", 5, "full", "soup")


def test_the_figure_shows_each_accuracy_with_its_interval(measured, monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(figures, "show", lambda *given: shown.append(given))
    figures.transfer_curves(evidence.rows(), tmp_path / "results.png")
    (figure, alt), = shown
    assert alt == "Accuracy in % by number of labels. near, 5 per class: scratch 21, frozen 50, full 61, LP-FT 61."
    lines = {bar.get_label(): bar for bar in figure.axes[0].containers}
    assert set(lines) == set(figures.METHOD_COLOURS) == set(evidence.METHODS)
    for method, bar in lines.items():
        own = evidence.result("near", 5, method).accuracy
        assert bar[0].get_ydata() == pytest.approx([100 * own.estimate])
        low, high = bar[2][0].get_segments()[0][:, 1]
        assert (low, high) == pytest.approx((100 * own.low, 100 * own.high))
    assert (tmp_path / "results.png").stat().st_size > 5_000


@pytest.mark.parametrize("text", ["", "{}", '{"rows": []}', None])
def test_a_damaged_file_is_said_in_one_sentence(text, monkeypatch, tmp_path):
    if text is not None:
        (tmp_path / "transfer.json").write_text(text)
    monkeypatch.setattr(evidence, "FILE", tmp_path / "transfer.json")
    with pytest.raises(RuntimeError, match="^The asset transfer.json is missing or damaged; get a fresh copy"):
        evidence.rows()

def test_the_readme_has_the_table_that_ships():
    """Of the numbers as they were measured, each row as `table` writes it."""
    rows = [line for line in transfer.table(json.loads(evidence.FILE.read_text(encoding="utf-8"))).splitlines()
            if line.startswith("|")]
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    assert len(rows) > 4 and "\n".join(rows) in readme
