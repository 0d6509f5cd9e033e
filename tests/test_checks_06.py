"""Notebook 06: its exercises (the right answer, near misses and nonsense), its example's folder and its panel."""
from pathlib import Path

import nbformat
import pytest
import torch
from PIL import Image
from torch import nn

from helpers import audit, model_card, networks, takeaway
from helpers.inference import Evaluation
from helpers.intervals import Interval
from helpers.lesson_06 import checks, example, panels
from helpers.preprocess import Preprocess

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "06_your_own_pictures.ipynb"
LABELS = torch.tensor([0] * 9 + [1] * 6 + [2] * 5)
BINS = [(60, 0.9, 45), (40, 0.5, 20)]


def verdict(capsys, check, *answer):
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer, expected", [
    ((0.45, 1 / 3), "right"), ([0.45, 0.333], "right"), (torch.tensor([0.45, 0.33]).tolist(), "right"),
    ((1 / 3, 0.45), "share of right answers is another"), ((0.45, 0.45), "class-balanced accuracy is another"),
    ((45, 33), "not in per cent"), (0.45, "a pair"), ((0.45,), "a pair"), (("a", "b"), "a pair"),
    (..., "not answered")])
def test_always_the_commonest(capsys, answer, expected):
    assert expected in verdict(capsys, checks.always_the_commonest, answer, LABELS)


@pytest.mark.parametrize("answer, expected", [
    (0.09, "right"), (9, "not in points"), (0.075, "as much as it has images"), (0.15, "as much as it has images"),
    (0.1, "to three digits"), ("9 %", "a number"), (..., "not answered")])
def test_error_by_hand(capsys, answer, expected):
    assert expected in verdict(capsys, checks.error_by_hand, answer, BINS)


def soft(labels):
    raw = torch.bincount(labels).float() ** -0.5
    return raw / raw[labels].mean()


@pytest.mark.parametrize("answer, expected", [
    (soft, "right"), (lambda labels: soft(labels).tolist(), "right"), (soft(LABELS), "without brackets"),
    (lambda labels: torch.bincount(labels).float() ** -0.5, "mean over all images is 0."),
    (lambda labels: len(labels) / (torch.bincount(labels) * len(torch.bincount(labels))), "weighs 9.00 times as much"),
    (lambda labels: torch.ones(3), "gives 3 numbers"), (lambda labels: -soft(labels), "above zero"),
    (lambda labels: labels / 0, "gives 100 numbers"), (lambda labels: 1 / 0, "stopped with"),
    (lambda labels: None, "stopped with"), (..., "not answered")])
def test_softer_weights(capsys, answer, expected):
    assert expected in verdict(capsys, checks.softer_weights, answer)


def of_confidences(confidences: list[float], right: list[bool]) -> Evaluation:
    """Answers of two classes with these confidences, each from 0.5 to 1."""
    logits = torch.tensor([[value, 1 - value] for value in confidences]).log()
    return Evaluation(0.0, 0.5, logits, torch.tensor([0 if one else 1 for one in right]))


def test_promise(capsys):
    mixed = of_confidences([0.95, 0.9, 0.8, 0.7, 0.6], [True, True, False, True, False])
    say = lambda answer, share=0.75: verdict(capsys, checks.promise, answer, mixed, share)
    assert "right. It answers for 4 of 5" in say(0.7) and "right" in say(mixed.confidences[3])
    assert "right. It answers for 4 of 5" in say(0.65), "whatever lies between two confidences does the same"
    assert "60.0 % are right; promised are 75 %" in say(0.5)
    assert "a lower threshold keeps it, too; this one accepts 2 of 5" in say(0.9)
    assert "from 0 to 1" in say(70) and "a number" in say("sure")
    assert "right. It answers for 2 of 5" in say(0.85, 0.9)


def test_a_promise_that_nothing_keeps_is_kept_by_silence(capsys):
    wrong = of_confidences([0.9, 0.8], [False, True])
    assert "right. It answers for 0 of 2" in verdict(capsys, checks.promise, 0.95, wrong, 0.9)
    assert "0.0 % are right" in verdict(capsys, checks.promise, 0.85, wrong, 0.9)


KNOWN, OTHER = (torch.randn(50, 4, generator=torch.Generator().manual_seed(k)) * scale for k, scale in ((0, 5), (1, 1)))


@pytest.mark.parametrize("answer, expected", [
    (lambda logits: logits.amax(1), "right. It puts a known image above another one"),
    (lambda logits: logits.logsumexp(1), "right"), (lambda logits: -logits.topk(2, 1)[0].diff(dim=1)[:, 0], "right"),
    (lambda logits: logits.softmax(1).amax(1), "same order as the confidence"),
    (lambda logits: -logits.amax(1), "higher than where all are equal"),
    (lambda logits: logits, "gives the shape (1, 4)"),
    (lambda logits: logits.amax(1) / 0, "not numbers"), (lambda logits: logits.nothing(), "stopped with Attribute"),
    (0.5, "without brackets"), (..., "not answered")])
def test_other_score(capsys, answer, expected):
    said = verdict(capsys, checks.other_score, answer, KNOWN, OTHER)
    assert expected in said and said.count("\n") == 1


@pytest.fixture
def taken(tmp_path):
    """A network at home, and a card beside it."""
    model, home = networks.build("pocket_resnet", weights=None, num_classes=2), tmp_path / "home"
    takeaway.save(model, home, network="pocket_resnet", classes=("fern", "moss"), size=64,
                  preprocess=Preprocess((0.5,) * 3, (0.25,) * 3), accuracy=Interval(0.8, 0.7, 0.9))
    (home / model_card.FILE).write_text(model_card.card("Green", dict.fromkeys(model_card.HEADINGS, "Said.")))
    return home


def test_challenge(capsys, taken, tmp_path):
    say = lambda answer, classes=("cat", "dog"): verdict(capsys, checks.network_of_your_own, answer, classes)
    assert "right. pocket_resnet tells 2 classes of yours apart: 80.0 % (70.0 to 90.0)" in say(taken)
    assert "right" in say(str(taken)) and "classes of this lesson" in say(taken, ("cat", "moss"))
    (taken / model_card.FILE).write_text("# Green\n\n## What it is for\n\nFerns.\n")
    assert "says nothing under 'What it was trained on'" in say(taken)
    (taken / model_card.FILE).unlink()
    assert "says nothing under 'What it is for'" in say(taken)
    assert "There is no network.json" in say(tmp_path) and "as a path" in say(nn.Flatten())


# --- the example ---------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return example.make(tmp_path_factory.mktemp("six") / "mine", {"cat": 12, "dog": 9})


def test_the_example_has_something_for_each_point_of_an_audit(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TL_CACHE", str(tmp_path))
    report = audit.audit(folder)
    told = "\n".join(report.points)
    for word in ("is empty", "damaged or incomplete", "not a picture", "Left out: 1 hidden", "notes.txt",
                 "in two classes", "more than once in one class", "look-alikes"):
        assert word in told
    assert len({photo.format for photo in report.albums[""].photos if photo.format}) == 3
    assert {file.suffix for file in folder.rglob("*.*")} >= {".jpg", ".JPG", ".png", ".webp"}
    things = [set(split.origin) for split in report.splits().values()]
    assert sum(map(len, things)) == len(report.names) == 12 + 9 + 2


def test_the_example_holds_pictures_lying_on_their_side_that_are_read_upright(folder):
    turned = [file for file in folder.rglob("*.[jJ][pP][gG]") if file.stat().st_size and file.name != "not_found.jpg"
              and Image.open(file).getexif().get(0x0112) == 6]
    assert turned and all(path.stem[-3:].isdigit() for path in turned)


def test_the_example_is_made_once_and_whole(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert example.make(folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert [path.name for path in folder.parent.iterdir()] == ["mine"], "nothing half made lies beside it"


def test_other_things_are_of_no_class_of_the_folder():
    others = example.other_things(("car", "ship"), most=20)
    assert len(others) == 20 and not {others.classes[k] for k in others.labels.tolist()} & {"car", "ship"}
    assert len({name.split(";")[0] for name in others.origin}) == 20


def test_the_panel_counts_what_a_threshold_refuses():
    panel = panels.refusals({"known": torch.tensor([0.9, 0.4]), "other": torch.tensor([0.3, 0.2, 0.8])}, 0.5)
    (slider,), shown = panel.children[0].children, panel.children[1]
    assert slider.value == 50 and "1 of 2 (known), 2 of 3 (other)" in shown.value and "<img" in shown.value
    slider.value = 85
    assert "1 of 2 (known), 3 of 3 (other)" in shown.value
    slider.value = 0
    assert "0 of 2 (known), 0 of 3 (other)" in shown.value


# --- the notebook --------------------------------------------------------------------------------------------------

def test_no_cell_counts_classes_images_or_pixels_by_itself():
    code = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code")
    lesson = code.split("answer = ...")[0]
    assert [word for word in ("96", "224", "num_classes=5", "range(5)", "airplane") if word in lesson] == []


def test_the_solutions_as_committed_are_right():
    notebook = nbformat.read(ROOT / "notebooks" / "solutions" / "06_solutions.ipynb", as_version=4)
    said = "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output)
    verdicts = [line for line in said.splitlines() if line.startswith(("Exercise", "Challenge"))]
    assert [line.split(":")[0] for line in verdicts] == [*(f"Exercise 6.{k}" for k in range(1, 6)), "Challenge"]
    assert all(": right." in line for line in verdicts), verdicts
