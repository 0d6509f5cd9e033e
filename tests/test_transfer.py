"""The benchmark of transfer: its folds, how it chooses, that it goes on after a stop; and what lessons read of it."""
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helpers import evidence, figures, folds
from helpers.intervals import things_of
from tests.benchmarks import patience, transfer

ROOT = Path(__file__).resolve().parents[1]
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

def searched(score, first=3e-3):
    """Scores by fold and rate as `column` finds them, if training in a fold at a rate comes to `score(fold, rate)`."""
    scores = {fold: {} for fold in range(folds.FOLDS)}
    while rates := transfer.wanted(scores, first):
        for fold, own in scores.items():
            own |= {rate: score(fold, rate) for rate in rates}
    return scores


@pytest.mark.parametrize("best", [[1e-4] * 5, [3e-3] * 5, [3e-2, 1e-3, 3e-3, 3e-3, 1e-2],
                                  [1e-5, 3e-1, 1e-5, 3e-1, 1e-5]])
def test_the_search_ends_between_two_worse_rates(best):
    """Whatever the folds think best: each choice has been tried with its neighbours, and is the best on average."""
    places = [transfer.RATES.index(rate) for rate in best]
    scores = searched(lambda fold, rate: 1 - (transfer.RATES.index(rate) - places[fold]) ** 2 / 100)
    for number in range(folds.FOLDS):
        place = transfer.RATES.index(transfer.chosen(scores, number))
        assert set(transfer.RATES[max(0, place - 1):place + 2]) <= set(scores[0])
        mean = np.mean([places[fold] for fold in range(folds.FOLDS) if (fold + 1) % folds.FOLDS != number])
        assert abs(place - mean) <= 0.5, "the peak of a sum of parabolas is the mean of their peaks"


def test_no_rate_is_chosen_on_the_exam_that_it_sits():
    """Fold 0 validates on what fold 1 is examined on, and so on: all other folds decide there, its own among them."""
    for number in range(folds.FOLDS):
        for fold in range(folds.FOLDS):
            even = {other: {1e-3: 0.5, 3e-3: 0.4} for other in range(folds.FOLDS)}
            moved = even | {fold: {1e-3: 0.1, 3e-3: 0.9}}
            asked = transfer.chosen(even, number) != transfer.chosen(moved, number)
            things = [set(things_of(split)) for split in (folds.validation("near", fold), folds.exam("near", number))]
            assert asked != bool(things[0] & things[1])


def test_a_training_that_fails_speaks_against_its_rate():
    """As it did once: with the higher rate one training in five came to nothing, its own fold unasked."""
    scores = {fold: {3e-3: 0.70, 1e-2: 0.72 if fold != 2 else 0.33} for fold in range(folds.FOLDS)}
    assert [transfer.chosen(scores, number) for number in (0, 1, 2, 4)] == [3e-3] * 4


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """The benchmark without its training: a method's accuracy hangs on its rate. Tells what was trained."""
    trained = []

    def learnt(method, name, labels, number, rate, head_rate, epochs=None):
        trained.append((method, number, rate, epochs or head_rate))
        share = {"scratch": 5 if epochs == 80 else 2, "frozen": 5, "full": 6, "LP-FT": 6}[method]
        right = [int(k % 10 < share) for k in range(len(folds.exam(name, number)))]
        return {"validation": 0.5 - abs(transfer.RATES.index(rate) - 5) / 10, "accuracy": share / 10,
                "right": "".join(map(str, right)), "minutes": 1.0}

    monkeypatch.setattr(transfer, "learnt", learnt)
    monkeypatch.setattr(transfer, "RUNS", tmp_path / "build" / "runs.jsonl")
    monkeypatch.setattr(transfer, "TARGETS", ("near",))
    monkeypatch.setattr(transfer, "LABELS", (5,))
    return trained


def test_every_fold_tries_the_rates_that_are_chosen_and_their_neighbours(quick):
    transfer.measure(0, 1)
    for number in range(folds.FOLDS):
        tried = sorted({rate for method, fold, rate, _ in quick if (method, fold) == ("full", number)})
        assert tried == [3e-4, 1e-3, 3e-3, 1e-2]
    assert {head_rate for method, *_, head_rate in quick if method == "LP-FT"} == {3e-3}, "the frozen head's best"
    assert len(quick) == len(set(quick)), "nothing is trained twice"


def test_what_began_with_another_head_is_trained_again(quick):
    """LP-FT begins with the frozen head at its best rate: if another rate is best now, older trainings do not count."""
    transfer.measure(0, 1)
    lines = [json.loads(line) for line in transfer.RUNS.read_text().splitlines() if line]
    old = [line | {"head_rate": 1e-1} if line["method"] == "LP-FT" else line for line in lines]
    transfer.RUNS.write_text("\n".join(map(json.dumps, old)))
    assert transfer.counted("near", 5, "full") and not transfer.counted("near", 5, "LP-FT")
    quick.clear()
    transfer.measure(0, 1)
    assert {method for method, *_ in quick} == {"LP-FT"} and len(transfer.counted("near", 5, "LP-FT")) == folds.FOLDS


def test_a_training_that_is_not_chosen_does_not_count(quick, monkeypatch):
    """The exam of the rates that were only tried is written down, and read by nobody."""
    transfer.measure(0, 1)
    before = transfer.report()
    lines = [json.loads(line) for line in transfer.RUNS.read_text().splitlines() if line]
    for line in lines:
        if line["rate"] != 3e-3:
            line |= {"accuracy": 1.0, "right": "1" * len(line["right"])}
    transfer.RUNS.write_text("\n".join(map(json.dumps, lines)))
    assert transfer.report() == before


def test_a_stopped_run_goes_on_where_it_was(quick):
    transfer.measure(0, 1)
    whole, text = transfer.report(), transfer.RUNS.read_text()
    lines = [line for line in text.splitlines() if line]
    transfer.RUNS.write_text("\n".join(lines[:17]) + '\n{"target": "near", "labe')
    assert {row["method"] for row in transfer.report()["rows"]} == {"frozen"}, "a method counts once all its folds do"
    done = len(quick)
    quick.clear()
    transfer.measure(0, 1)
    assert len(quick) == done - 17 and transfer.report() == whole


def test_shares_do_all_of_the_work_once(quick, monkeypatch):
    monkeypatch.setattr(transfer, "LABELS", (5, 1))
    transfer.measure(0, 2)
    half = len(quick)
    assert transfer.trainings("near", 5, "full") and not transfer.trainings("near", 1, "full")
    transfer.measure(1, 2)
    assert len(quick) == 2 * half and transfer.trainings("near", 1, "full")


def test_longer_and_shorter_trainings_take_the_rates_of_the_table(quick, monkeypatch, tmp_path):
    monkeypatch.setattr(patience, "RUNS", tmp_path / "patience.jsonl")
    monkeypatch.setattr(transfer, "LABELS", patience.LABELS)
    with pytest.raises(SystemExit, match="^Measure near with 5 labels first: python -m tests.benchmarks.transfer$"):
        patience.measure(0, 1)
    transfer.measure(0, 1)
    quick.clear()
    patience.measure(0, 2)
    half = len(quick)
    patience.measure(1, 2)
    assert half == len(quick) / 2 and len(quick) == 4 * folds.FOLDS
    assert set(quick) == {("scratch", fold, 3e-3, epochs) for epochs in (5, 80) for fold in range(folds.FOLDS)}
    quick.clear()
    found = patience.report()
    assert not quick, "nothing is trained twice"
    assert [(row["labels"], row["epochs"]) for row in found["rows"]] == [(n, e) for n in (5, None) for e in (5, 20, 80)]
    leads = [row["lead"] for row in found["rows"]]
    assert [round(lead["difference"], 1) for lead in leads] == [0.4, 0.4, 0.1] * 2
    assert all(lead["low"] < lead["difference"] < lead["high"] for lead in leads)

    (tmp_path / "patience.json").write_text(json.dumps(found))
    monkeypatch.setattr(evidence, "PATIENCE", tmp_path / "patience.json")
    evidence.longer.cache_clear()
    read = evidence.longer()
    evidence.longer.cache_clear()
    assert [(one.target, one.labels, one.epochs) for one in read][:2] == [("near", 5, 5), ("near", 5, 20)]
    assert all((one.lead.low, one.lead.high) == (lead["low"], lead["high"]) and one.lead.word == "higher"
               for one, lead in zip(read, leads, strict=True))


def test_frozen_and_lpft_start_from_one_head(monkeypatch):
    """One training, of a few pictures, for each way to learn: what counts is there, and only *scratch* is random."""
    monkeypatch.setattr(transfer, "PICTURES", 1)
    monkeypatch.setattr(transfer, "EPOCHS", dict.fromkeys(transfer.FIRST, 1))
    transfer.stored.cache_clear()
    for method in transfer.FIRST:
        found = transfer.learnt(method, "near", 1, 0, 1e-3, 1e-3)
        assert set(found["right"]) <= set("01") and len(found["right"]) == len(folds.exam("near", 0))
        assert 0 <= found["validation"] <= 1 and 0 <= found["accuracy"] <= 1 and found["minutes"] > 0
    assert len(transfer.stored("near", 1, 0)) == 10 * transfer.VIEWS
    transfer.stored.cache_clear()


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


def test_what_was_not_measured_is_no_part_of_the_figures_description(measured, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "show", lambda *given: shown.append(given))
    near = evidence.rows()
    figures.transfer_curves([*near, *(row._replace(target="far", labels=20) for row in near)])
    accuracies = "scratch 21, frozen 50, full 61, LP-FT 61"
    assert shown[0][1] == (f"Accuracy in % by number of labels. near, 5 per class: {accuracies}; far, 20 per class: "
                           f"{accuracies}.")


@pytest.mark.parametrize("text", ["", "{}", '{"rows": []}', None])
def test_a_damaged_file_is_said_in_one_sentence(text, monkeypatch, tmp_path):
    if text is not None:
        (tmp_path / "transfer.json").write_text(text)
    monkeypatch.setattr(evidence, "FILE", tmp_path / "transfer.json")
    with pytest.raises(RuntimeError, match="^The asset transfer.json is missing or damaged; get a fresh copy"):
        evidence.rows()


def test_what_ships_is_what_the_kept_trainings_give():
    """Every accuracy and every difference: anyone can count them again, from the answers of each network."""
    shipped, counted = json.loads(evidence.FILE.read_text(encoding="utf-8")), transfer.report()
    for part, key, name in (("rows", "method", "accuracy"), ("differences", "pair", "difference")):
        again = {(one["target"], one["labels"], str(one[key])): one for one in counted[part]}
        for one in shipped[part]:
            same = again[one["target"], one["labels"], str(one[key])]
            assert [one[end] for end in (name, "low", "high")] == pytest.approx(
                [same[end] for end in (name, "low", "high")])


def test_the_page_of_results_has_the_table_that_ships():
    """Of the numbers as they were measured, each row as `table` writes it."""
    rows = [line for line in transfer.table(json.loads(evidence.FILE.read_text(encoding="utf-8"))).splitlines()
            if line.startswith("|")]
    assert len(rows) > 4 and "\n".join(rows) in (ROOT / "notebooks/RESULTS.md").read_text(encoding="utf-8")


def test_the_page_of_results_says_what_patience_gave():
    text = " ".join((ROOT / "notebooks/RESULTS.md").read_text(encoding="utf-8").split())
    last = [one for one in evidence.longer() if one.epochs == 80]
    assert [one.labels for one in last] == [5, None]
    for one in last:
        assert str(one.accuracy) in text and str(one.lead) in text


def test_the_readme_has_three_results_of_those_that_ship():
    """Differences as `report` writes them, in the order in which the README asks for them."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Three results\n")[1].split("\n## ")[0]
    found = json.loads(evidence.FILE.read_text(encoding="utf-8"))
    said = {(d["target"], d["labels"], *d["pair"]): d["text"] for d in found["differences"]}
    longest = {row.labels: str(row.lead) for row in evidence.longer()}
    asked = [said["near", None, "full", "scratch"], longest[None], said["near", 5, "full", "scratch"], longest[5],
             said["near", None, "full", "frozen"], said["near", 5, "full", "frozen"]]
    asked += [said["middle", labels, "full", "scratch"] for labels in (5, 20, None)]
    asked += [said["far", labels, "full", "scratch"] for labels in (5, None)]
    asked += [said["far", 5, "frozen", "scratch"]]
    text = " ".join(section.split())
    assert asked == re.findall(r"\S+ points \([^)]*\): \w+", text)
    near = {row["method"]: row["accuracy"] for row in found["rows"] if (row["target"], row["labels"]) == ("near", None)}
    assert f"scratch {100 * near['scratch']:.0f} %, full {100 * near['full']:.0f} %" in text
