"""Notebook 04's panels: mistakes and their heat maps."""
import threading

import pytest
import torch

from helpers import figures, intervals
from helpers.images import ImageSplit
from helpers.inference import Evaluation
from helpers.lesson_04 import panels, plots


def test_a_figure_drawn_in_a_thread_does_not_mix_with_one_drawn_in_a_cell():
    ready, go = threading.Event(), threading.Event()

    def slow_plot():
        ready.set()
        assert go.wait(60)
        plots.learning_rate([0.0, 1.0], 1)

    found = []
    thread = threading.Thread(target=lambda: found.append(figures.rendered(slow_plot)))
    thread.start()
    assert ready.wait(60)
    assert figures.rendered(plots.learning_rate, [0.0, 1.0], 2).count("<img") == 1
    go.set()
    thread.join(60)
    assert found[0].count("<img") == 1


# --- mistakes ----------------------------------------------------------------------------------------------------

LABELS = torch.tensor([0, 0, 1, 0])
LOGITS = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # the first and the last are wrong: 0 for 1


def test_mistakes_are_filtered_and_ordered():
    result = Evaluation(0.0, 0.5, LOGITS, LABELS)
    assert result.mistakes() == [0, 3] and result.mistakes(most_certain=False) == [3, 0]
    assert result.mistakes(true=0, answer=1) == [0, 3] and result.mistakes(true=1) == result.mistakes(answer=0) == []
    assert result.confidences.tolist() == pytest.approx(LOGITS.softmax(1).amax(1).tolist())


def test_of_several_drawings_of_one_thing_only_the_first_is_shown():
    origin = ("ann: cat; outline", "ann: cat; filled", "bob: dog; outline", "ann: dog; outline", "bob: dog; filled")
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    split = ImageSplit(images, torch.tensor([0, 0, 1, 1, 1]), ("cat", "dog"), origin)
    assert intervals.one_per_thing([4, 1, 0, 2, 3], split) == [4, 1, 3]
    assert intervals.one_per_thing([], split) == []
    photographs = ImageSplit(images, split.labels, split.classes)
    assert intervals.one_per_thing([4, 1, 0, 2, 3], photographs) == [4, 1, 0, 2, 3]


def test_the_browser_shows_one_drawing_of_each_thing():
    asked = []

    def explain(images, classes):
        asked.append(len(images))
        return torch.rand(len(images), 8, 8)

    origin = ("ann: cat; filled", "bob: cat; filled", "cid: dog; filled", "ann: cat; outline")
    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"), origin)
    shown = panels.mistakes_browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), explain).children[1]
    assert asked == [1] and "2 mistakes (any class taken for any other)" in shown.value
    assert "most certain first, one of each thing. Page 1 of 1: 1, 88 to 88 % certain" in shown.value


def test_mistakes_browser():
    asked = []

    def explain(images, classes):
        asked.append((len(images), classes.tolist()))
        return torch.rand(len(images), 8, 8)

    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"))
    panel = panels.mistakes_browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), explain)
    order, true, answer, speaks_for, _ = panel.children[0].children
    shown = panel.children[1]
    assert "2 mistakes (any class taken for any other)" in shown.value and asked == [(2, [1, 1])]
    assert "most certain first. Page 1 of 1: 2, 88 to 73 % certain" in shown.value
    assert "2 test images that the network" in shown.value
    order.value = False
    assert "least certain first. Page 1 of 1: 2, 73 to 88 % certain" in shown.value
    speaks_for.value = "the true class"
    assert asked[-1] == (2, [0, 0]) and "what speaks for the true class" in shown.value
    true.value = 1
    assert "There is no such mistake: dog taken for any other." in shown.value and "<img" not in shown.value
    true.value, answer.value = 0, 1
    assert "2 mistakes (cat taken for dog)" in shown.value


def test_the_browser_turns_pages_and_a_kind_with_fewer_shows_its_last():
    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"))
    logits = LOGITS.clone()
    logits[2] = torch.tensor([0.5, 0.0])  # now the dog is a mistake as well
    panel = panels.mistakes_browser(split, Evaluation(0.0, 0.2, logits, LABELS), lambda *_: torch.rand(1, 8, 8), 1)
    (_, true, _, _, page), shown = panel.children[0].children, panel.children[1]
    assert page.max == 3 and "Page 1 of 3: 1, 88 to 88 % certain" in shown.value
    page.value = 3
    assert "Page 3 of 3: 1, 62 to 62 % certain" in shown.value
    true.value = 0
    assert "Page 2 of 2: 1, 73 to 73 % certain" in shown.value


def test_a_menu_shows_what_was_chosen_also_where_that_is_any():
    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"))
    panel = panels.mistakes_browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), lambda *_: torch.rand(2, 8, 8))
    controls, shown = panel.children
    for menu in controls.children[:-1]:
        for entry in (*range(len(menu.options)), 0):
            menu.index = entry
            assert menu.index == entry, f"the menu {menu.description!r} is blank"
    assert "2 mistakes (any class taken for any other)" in shown.value
