"""Mistakes: which classes a matrix shows, and a panel whose squares can be chosen."""
import re

import numpy as np
import pytest
import torch

from helpers import figures, intervals, mistakes
from helpers.images import ImageSplit
from helpers.inference import Evaluation
from helpers.mistakes import ANY

LABELS = torch.tensor([0, 0, 1, 0])
LOGITS = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # the first and the last are wrong: 0 for 1


def images_of(labels, classes=("cat", "dog"), origin=()) -> ImageSplit:
    return ImageSplit(torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8), labels, tuple(classes), origin)


def answered(counts) -> tuple[ImageSplit, Evaluation]:
    """An exam with such a confusion matrix."""
    counts = torch.as_tensor(counts)
    labels, answers = (place.repeat_interleave(counts.flatten()) for place in
                       torch.cartesian_prod(*[torch.arange(len(counts))] * 2).T)
    split = images_of(labels, (f"class {k}" for k in range(len(counts))))
    return split, Evaluation(0.0, 0.5, torch.eye(len(counts))[answers], labels)


def explain(images, classes):
    return torch.rand(len(images), *images.shape[2:])


@pytest.fixture
def panel():
    return mistakes.browser(images_of(LABELS), Evaluation(0.0, 0.5, LOGITS, LABELS), explain)


def words(panel) -> str:
    return re.sub(r"<[^>]*>", " ", panel.children[1].value)


# --- what is looked at -------------------------------------------------------------------------------------------

def test_mistakes_are_filtered_and_ordered():
    result = Evaluation(0.0, 0.5, LOGITS, LABELS)
    assert result.mistakes() == [0, 3] and result.mistakes(most_certain=False) == [3, 0]
    assert result.mistakes(true=0, answer=1) == [0, 3] and result.mistakes(true=1) == result.mistakes(answer=0) == []
    assert result.confidences.tolist() == pytest.approx(LOGITS.softmax(1).amax(1).tolist())


def test_of_several_drawings_of_one_thing_only_the_first_is_shown():
    origin = ("ann: cat; outline", "ann: cat; filled", "bob: dog; outline", "ann: dog; outline", "bob: dog; filled")
    split = images_of(torch.tensor([0, 0, 1, 1, 1]), origin=origin)
    assert intervals.one_per_thing([4, 1, 0, 2, 3], split) == [4, 1, 3]
    assert intervals.one_per_thing([], split) == []
    assert intervals.one_per_thing([4, 1, 0, 2, 3], images_of(split.labels)) == [4, 1, 0, 2, 3]


def test_of_many_classes_the_pairs_most_often_confused_are_shown():
    counts = np.diag([90] * 40)
    counts[30, 7], counts[7, 12], counts[3, 30] = 5, 4, 1
    assert mistakes.most_confused(counts, 3) == [7, 12, 30]
    assert mistakes.most_confused(counts, 4) == [3, 7, 12, 30]
    assert len(mistakes.most_confused(counts)) == mistakes.MOST and {3, 7, 12, 30} < set(mistakes.most_confused(counts))
    assert mistakes.most_confused(counts[:12, :12]) == list(range(12)) and counts[30, 30] == 90


# --- the panel ---------------------------------------------------------------------------------------------------

def test_a_square_shows_its_mistakes(panel):
    square, order, speaks_for, page = panel.children[0].children
    assert "2 mistakes (any class taken for any other), most certain first. Page 1 of 1: 2, 88 to 73 % certain" \
        in words(panel)
    order.value = False
    assert "least certain first. Page 1 of 1: 2, 73 to 88 % certain" in words(panel)
    square.value = (0, 1)
    assert "2 mistakes (cat taken for dog)" in words(panel)
    assert panel.children[1].value.count("alt='cat taken for dog, beside its heat map'") == 2
    assert re.search(r"dog, 73 %\s+\(in truth: cat\)", words(panel))


def test_heat_maps_speak_for_the_answer_or_for_the_truth():
    asked = []

    def explain(images, classes):
        asked.append(classes.tolist())
        return torch.rand(len(images), 8, 8)

    panel = mistakes.browser(images_of(LABELS), Evaluation(0.0, 0.5, LOGITS, LABELS), explain)
    panel.children[0].children[2].value = "the true class"
    assert asked == [[1, 1], [0, 0]] and "what speaks for the true class" in words(panel)


def test_squares_are_buttons(panel):
    square = panel.children[0].children[0]
    texts = {place: (one.description, one.disabled) for place, one in square.buttons.items()}
    assert texts == {(ANY, ANY): ("2", False), (ANY, 0): ("", True), (ANY, 1): ("2", False), (0, ANY): ("2", False),
                     (1, ANY): ("", True), (0, 0): ("1", True), (0, 1): ("2", False), (1, 0): ("", True),
                     (1, 1): ("1", True)}
    assert square.buttons[0, 1].tooltip == "cat taken for dog: 2"
    square.buttons[0, 1].click()
    assert square.value == (0, 1) and "(cat taken for dog)" in words(panel)
    looks = {place: one.style for place, one in square.buttons.items()}
    assert [place for place, look in looks.items() if look is square.chosen_style] == [(0, 1)]
    square.buttons[ANY, 1].click()
    assert "(any class taken for dog)" in words(panel)
    assert [place for place, one in square.buttons.items() if one.style is square.chosen_style] == [(ANY, 1)]
    assert square.buttons[0, 1].style.button_color == figures.SKY.lower() != looks[ANY, ANY].button_color


def test_the_darkest_square_is_the_largest_share_of_a_row():
    split, evaluation = answered([[8, 2, 0], [3, 3, 0], [0, 1, 99]])
    buttons = mistakes.browser(split, evaluation, explain).children[0].children[0].buttons
    dark = {place: figures.to_rgb(buttons[place].style.button_color) for place in ((1, 0), (0, 1), (2, 1), (0, 2))}
    assert dark[1, 0] < dark[0, 1] < dark[2, 1] == dark[0, 2]


def test_pages_turn_and_a_square_with_fewer_shows_its_last():
    logits = LOGITS.clone()
    logits[2] = torch.tensor([0.5, 0.0])  # now the dog is a mistake as well
    panel = mistakes.browser(images_of(LABELS), Evaluation(0.0, 0.2, logits, LABELS), explain, count=1)
    square, *_, page = panel.children[0].children
    assert page.max == 3 and "Page 1 of 3: 1, 88 to 88 % certain" in words(panel)
    page.value = 3
    assert "Page 3 of 3: 1, 62 to 62 % certain" in words(panel)
    square.value = (0, ANY)
    assert "Page 2 of 2: 1, 73 to 73 % certain" in words(panel)
    square.value = (1, 0)
    assert "1 mistake (dog taken for cat)" in words(panel)


def test_one_drawing_of_each_thing():
    origin = ("ann: cat; filled", "bob: cat; filled", "cid: dog; filled", "ann: cat; outline")
    panel = mistakes.browser(images_of(LABELS, origin=origin), Evaluation(0.0, 0.5, LOGITS, LABELS), explain)
    assert "2 mistakes (any class taken for any other), most certain first, one of each thing. Page 1 of 1: 1, 88 to " \
        in words(panel)


def test_of_forty_classes_twelve_are_shown_and_the_margins_count_all():
    counts = np.diag([2] * 40)
    counts[np.arange(39), np.arange(1, 40)] = [3] * 6 + [1] * 33
    panel = mistakes.browser(*answered(counts), explain)
    square = panel.children[0].children[0]
    assert "Shown are the 12 of 40 classes most often confused." in square.children[0].value
    assert len(square.buttons) == 13**2 and square.buttons[ANY, ANY].description == str(6 * 3 + 33)
    for place, kind in (((ANY, 1), "any class taken for class 1"), ((0, ANY), "class 0 taken for any other"),
                        ((0, 1), "class 0 taken for class 1")):
        square.value = place
        assert f"{square.buttons[place].description} mistakes ({kind})" in words(panel)


def test_no_mistakes_at_all():
    panel = mistakes.browser(*answered(np.diag([1, 1])), explain)
    assert [child.value for child in panel.children] == [mistakes.paragraph(
        "All 2 images were answered right: there are no mistakes to look at.")]


def test_names_are_no_markup():
    split = images_of(LABELS, ("<b>cat", "d&g'"))
    panel = mistakes.browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), explain)
    cells = panel.children[0].children[0].children[1].children
    shown = panel.children[1].value + "".join(cell.value for cell in cells if hasattr(cell, "value"))
    assert "<b>" not in shown and "&lt;b&gt;cat" in shown and "d&amp;g&#x27;" in shown


# --- the figures -------------------------------------------------------------------------------------------------

def test_a_gallery_of_nothing_is_a_sentence(capsys):
    split, evaluation = answered(np.diag([1, 1]))
    mistakes.gallery(split, evaluation, [], explain(split.images[[]], split.labels[[]]))
    assert capsys.readouterr().out == "There are no mistakes to show here.\n"


def test_a_class_without_images_in_the_exam_has_an_empty_row(monkeypatch):
    alts = []
    monkeypatch.setattr(mistakes, "show", lambda figure, alt: alts.append(alt))
    mistakes.confusion([[3, 1], [0, 0]], ("cat", "dog"))
    mistakes.confusion(np.diag([1] * 30), [f"class {k}" for k in range(30)])
    assert alts == ["Confusion matrix of 2 classes. 3 of 4 images lie on the diagonal. The largest share that went "
                    "wrong: 1 of 4 cat images, taken for dog.",
                    "Confusion matrix of 30 classes. 30 of 30 images lie on the diagonal. Shown are the first 12 of 30 "
                    "classes; no class is confused with another."]
