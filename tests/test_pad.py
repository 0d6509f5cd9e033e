"""The drawing pad without a browser: from strokes to a picture, to three networks' answers, to what a reader sees."""
import gc
import json
import re
import shutil
import time
import weakref

import numpy as np
import pytest
import torch

from helpers import drawings, figures, guessers, intervals, networks, pad, pocket, sketches
from helpers.composition import DIFFICULTY, SIZE, dial
from helpers.inference import evaluate
from helpers.make import pad as making


def ink(picture) -> np.ndarray:
    """Left, top, right and bottom of what is dark in a picture, in pixels."""
    rows, columns = np.nonzero(picture[0].numpy() < 128)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def zigzag(count: int = 40, left: float = 0.1, top: float = 0.3, width: float = 0.8) -> list:
    """One stroke, twice as wide as it is high."""
    return [[[left + width * k / (count - 1), top + width / 2 * (k % 2)] for k in range(count)]]


# --- from strokes to a picture ---------------------------------------------------------------------------------------

def test_an_empty_pad_is_white_paper():
    for strokes in ([], [[]], [[], []]):
        picture = sketches.picture(strokes)
        assert picture.dtype == torch.uint8 and picture.shape == (3, SIZE, SIZE) and picture.min() == 255


def test_a_sketch_is_black_on_white_and_grey():
    picture = sketches.picture(zigzag(5))
    assert picture.min() == 0 and picture.max() == 255
    assert torch.equal(picture[0], picture[1]) and torch.equal(picture[0], picture[2])
    picture[0, 0, 0] = 7
    assert picture[1, 0, 0] == 255  # the three channels are not one and the same memory


@pytest.mark.parametrize("left, top, width", [(0.1, 0.3, 0.8), (0.0, 0.0, 0.3), (0.7, 0.85, 0.25), (0.0, 0.5, 1.0)])
def test_wherever_and_however_large_it_is_drawn_it_fills_the_picture_and_is_centred(left, top, width):
    box = ink(sketches.picture(zigzag(5, left, top, width)))
    assert abs(box[2] - box[0] - sketches.WIDTH) <= 1
    assert abs(box[3] - box[1] - (sketches.WIDTH - sketches.LINE) / 2 - sketches.LINE) <= 1
    assert np.abs(box[:2] + box[2:] - SIZE).max() <= 1


def test_a_tall_sketch_is_scaled_by_its_height():
    box = ink(sketches.picture([[[0.5, 0.2], [0.52, 0.5], [0.5, 0.9]]]))
    assert abs(box[3] - box[1] - sketches.WIDTH) <= 1


def test_sketches_are_as_large_as_the_drawings_of_the_pocket_data():
    assert sketches.WIDTH == (dial(DIFFICULTY).width + SIZE) / 2


@pytest.mark.parametrize("stroke", [[[0.1, 0.5], [0.9, 0.5]], [[0.5, 0.1], [0.5, 0.9]]])
def test_the_line_has_its_width(stroke):
    dark = sketches.picture([stroke])[0].numpy() < 128
    across = dark[:, SIZE // 2] if stroke[0][1] == stroke[1][1] else dark[SIZE // 2]
    assert across.sum() == sketches.LINE


def test_a_dot_is_a_small_dot_in_the_middle():
    for stroke in ([[0.2, 0.7]], [[0.2, 0.7], [0.2, 0.7]]):
        box = ink(sketches.picture([stroke]))
        assert np.abs(box - [46, 46, 50, 50]).max() <= 1


def test_a_tiny_scribble_is_not_blown_up():
    box = ink(sketches.picture(zigzag(5, 0.5, 0.5, 0.02)))
    assert box[2] - box[0] < sketches.WIDTH / 3


def test_points_beyond_the_pad_count_as_the_nearest_on_it():
    beyond = sketches.picture([[[-3, 0.5], [0.5, 40], [1.5, 0.5]]])
    assert torch.equal(beyond, sketches.picture([[[0, 0.5], [0.5, 1], [1, 0.5]]]))


def test_thousands_of_points_are_drawn_at_once():
    start = time.process_time()
    box = ink(sketches.picture(zigzag(20_000)))
    assert time.process_time() - start < 5  # well below one second
    assert abs(box[2] - box[0] - sketches.WIDTH) <= 1


@pytest.mark.parametrize("strokes", [[[[0.1, 0.2, 0.3]]], ["scribble"], [[0.1, 0.2]], [[[0.1, float("nan")]]], [[None]],
                                     [5], [[[0.1, 0.2], [0.3]]]])
def test_what_is_no_stroke_is_refused_with_a_sentence(strokes):
    with pytest.raises(ValueError, match=r"^A stroke is a list of points \(x, y\), each a pair of numbers from 0 to "):
        sketches.picture(strokes)


# --- the sketches that ship ------------------------------------------------------------------------------------------

def test_three_sketches_of_each_class_ship():
    labels = [label for label, _ in sketches.shipped().values()]
    assert {name: labels.count(name) for name in pocket.CLASSES} == dict.fromkeys(pocket.CLASSES, 3)
    assert len(labels) == 30
    for name, (label, strokes) in sketches.shipped().items():
        points = np.concatenate([np.asarray(stroke) for stroke in strokes])
        assert name.rpartition("_")[0] == label and 0 <= points.min() and points.max() <= 1


@pytest.mark.parametrize("content", ["", '{"class": "cat"}', '{"class": "cat", "strokes": [[1]]}', "[]", None])
def test_a_damaged_sketch_is_reported(content, tmp_path, monkeypatch):
    if content is not None:
        (tmp_path / "cat_1.json").write_text(content)
    monkeypatch.setattr(sketches, "ASSETS", tmp_path)
    with pytest.raises(RuntimeError, match=r"is missing or damaged; get a fresh copy of the course\.$"):
        sketches.shipped.__wrapped__()


# --- the three networks ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def cat():
    return sketches.shipped()["cat_1"][1]


def test_each_networks_answers_sum_to_one_and_the_surest_comes_first(cat):
    found = guessers.guesses(sketches.picture(cat), count=len(pocket.CLASSES))
    assert tuple(found) == guessers.METHODS == tuple(pad.NAMES) == tuple(pad.PASTS)
    for given in found.values():
        names, shares = zip(*given, strict=True)
        assert sorted(names) == sorted(pocket.CLASSES) and list(shares) == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_the_frozen_one_is_the_backbone_with_a_new_head_and_the_others_are_not():
    before = networks.build(guessers.BACKBONE).state_dict()
    for method, (model, _) in guessers.trio().items():
        below = [name for name in before if not name.startswith("fc.") and "num_batches" not in name]
        same = all(torch.equal(before[name], model.state_dict()[name]) for name in below)
        assert same == (method == "frozen") and not model.training


def test_the_card_tells_how_good_the_three_are_on_validation_drawings():
    val = pocket.pocket("val")
    for method, (model, classes) in guessers.trio().items():
        assert classes == val.classes
        result = evaluate(model, val, guessers.preprocess())
        found = intervals.accuracy_interval(result.predictions == result.labels, val.labels, intervals.things_of(val))
        told = [float(number) for number in re.findall(r"[\d.]+", guessers.card()["validation_accuracy"][method])]
        assert told == pytest.approx([100 * found.estimate, 100 * found.low, 100 * found.high], abs=1)


@pytest.mark.parametrize("name", ["card.json", "scratch.safetensors", "frozen.safetensors", "full.safetensors"])
def test_damaged_assets_are_reported_in_one_sentence(name, tmp_path, monkeypatch):
    shutil.copytree(guessers.ASSETS, tmp_path / "pad")
    monkeypatch.setattr(guessers, "ASSETS", tmp_path / "pad")
    file = tmp_path / "pad" / name
    for damage in (lambda: file.write_bytes(file.read_bytes()[:50]), file.unlink):
        damage()
        with pytest.raises(RuntimeError, match=f"^The asset {name} is missing or damaged; get a fresh copy of the "):
            guessers.card.__wrapped__() if name == "card.json" else guessers.read(name.split(".")[0], 10)


# --- how they are made -----------------------------------------------------------------------------------------------

def test_they_learn_from_training_drawings_alone_and_as_much_of_each_class(monkeypatch):
    monkeypatch.setattr(making, "PICTURES", 15)
    lessons = making.lessons()
    assert lessons.labels.bincount().tolist() == [15] * len(pocket.CLASSES)
    assert set(intervals.things_of(lessons)) <= set(drawings.split_things()["train"])
    deer = lessons.pick(lessons.labels == lessons.classes.index("deer"))
    assert len(set(deer.origin)) == 12  # all there are, and some of them twice


def test_one_command_makes_them_and_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    val = pocket.pocket("val").at_most(3)
    monkeypatch.setattr(making, "PICTURES", 2)
    monkeypatch.setattr(making, "EPOCHS", dict.fromkeys(guessers.METHODS, 1))
    monkeypatch.setattr(making.pocket, "pocket", lambda split: val)
    monkeypatch.setattr(guessers, "ASSETS", tmp_path / "pad")
    monkeypatch.setattr("sys.argv", ["pad", "--work", str(tmp_path / "work"), "frozen", "full"])
    making.main()
    assert not (tmp_path / "pad/card.json").exists()  # one is still missing
    monkeypatch.setattr("sys.argv", ["pad", "--work", str(tmp_path / "work")])
    capsys.readouterr()
    making.main()
    assert capsys.readouterr().out.count("resumed after epoch 1 of 1") == 2
    card = json.loads((tmp_path / "pad/card.json").read_text())
    assert tuple(card["classes"]) == pocket.CLASSES and set(card["validation_accuracy"]) == set(guessers.METHODS)
    for method in guessers.METHODS:
        assert guessers.read(method, len(pocket.CLASSES)).training is False


def test_they_are_small():
    assert sum(file.stat().st_size for file in (*guessers.ASSETS.iterdir(), *sketches.ASSETS.iterdir())) < 6e6


# --- the widget ------------------------------------------------------------------------------------------------------

def test_every_change_of_the_strokes_is_answered(cat):
    widget = pad.DrawingPad()
    assert widget.guesses["networks"] == {} and "Draw one of these: airplane, bird" in widget.guesses["sentence"]
    widget.strokes = cat
    expected = guessers.guesses(sketches.picture(cat))
    assert widget.guesses["networks"] == expected and widget.guesses["strokes"] == len(cat)
    for method, given in expected.items():
        assert f"{pad.NAMES[method]}: {given[0][0]}, {100 * given[0][1]:.0f} %" in widget.guesses["sentence"].lower()
    widget.strokes = []
    assert widget.guesses["networks"] == {}


def test_a_stroke_that_changes_nothing_is_answered_as_well(cat):
    """Otherwise the page would wait for an answer, and call the kernel busy."""
    widget, seen = pad.DrawingPad(), []
    widget.observe(lambda change: seen.append(change.new["networks"]), "guesses")
    widget.strokes = cat
    widget.strokes = [*cat, cat[-1]]
    assert len(seen) == 2 and seen[0] == seen[1]


def test_the_answers_come_at_once(cat):
    widget, seconds = pad.DrawingPad(), []
    for count in range(1, len(cat) + 1):
        start = time.process_time()
        widget.strokes = cat[:count]
        seconds.append(time.process_time() - start)
    assert sorted(seconds)[len(seconds) // 2] < 0.2  # about 25 milliseconds of one core


def test_example_shows_one_sketch_after_another():
    widget = pad.DrawingPad()
    widget.receive(widget, {"kind": "something else"}, [])
    assert widget.strokes == []
    shown = []
    for _ in range(3):
        widget.receive(widget, {"kind": "example"}, [])
        shown.append(widget.strokes)
    assert shown == [strokes for _, strokes in list(sketches.shipped().values())[:3]]


def test_a_new_pad_takes_the_place_of_the_one_before():
    """ipywidgets keeps every widget that nobody closes."""
    gone = weakref.ref(pad.DrawingPad())
    gc.collect()
    assert gone() is pad.DrawingPad.latest
    second = pad.DrawingPad()
    gc.collect()
    assert gone() is None and pad.DrawingPad.latest is second


def test_where_no_widget_runs_words_stand_in_its_place():
    assert repr(pad.DrawingPad()) == "(Here stands a drawing pad. Run the notebook to draw on it.)"


def test_the_pad_asks_no_track(cat, monkeypatch):
    expected = guessers.guesses(sketches.picture(cat))
    monkeypatch.setenv("TL_TRACK", "full")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    guessers.trio.cache_clear()
    widget = pad.DrawingPad()
    widget.strokes = cat
    assert widget.guesses["networks"] == expected


# --- without a browser -----------------------------------------------------------------------------------------------

def test_the_strip_is_a_picture_whose_alternative_text_states_the_result():
    html = figures.rendered(pad.strip)
    assert html.count("<img") == 1
    alt = re.search(r'alt="([^"]*)"', html)[1]
    given = {name: guessers.guesses(sketches.picture(sketches.shipped()[f"{name}_1"][1]), 1) for name in pocket.CLASSES}
    for method, name in pad.NAMES.items():
        right = sum(answers[method][0][0] == label for label, answers in given.items())
        assert re.search(rf"the first of each class, are recognised:.* {name} {right}[,.]", alt)
    for label, answers in given.items():
        assert f"{label}: from scratch says {answers['scratch'][0][0]}, frozen says {answers['frozen'][0][0]}" in alt


def test_the_score_counts_all_thirty(capsys):
    pad.score()
    printed = capsys.readouterr().out
    for method, name in pad.NAMES.items():
        right = [guessers.guesses(sketches.picture(strokes), 1)[method][0][0] == label
                 for label, strokes in sketches.shipped().values()]
        assert re.search(rf"\n  {name} +{sum(right)} +{100 * sum(right) / 30:.1f} % \(", printed)
    assert "Of 30 sketches" in printed and "full minus frozen: " in printed
