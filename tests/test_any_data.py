"""Any data: two classes or a hundred, small images or large, one image of a class, and exams without a mistake.

Every figure and panel that takes images or classes is drawn, without a warning; its text is neither cut off nor printed
over other text.
"""
import inspect
import itertools
import re
import warnings

import numpy as np
import pytest
import torch

from helpers import anatomy, figures, intervals, mistakes
from helpers.lesson_01 import plots as plots_01
from helpers.lesson_02 import plots as plots_02
from helpers.lesson_03 import plots as plots_03
from helpers.lesson_06 import plots as plots_06
from tests import invented
from tests.drawn import cut_off, drawn
from tests.invented import answered, exam, explain
from tests.test_plots import MODULES

WORLDS = [(2, 64), (3, 224), (12, 64), (40, 224), (100, 64)]  # classes, pixels


def spots(count: int) -> torch.Tensor:
    return torch.rand((count, 2), generator=torch.Generator().manual_seed(0))


def one_layer(split):
    """The rows of a small network's table, one of them, and maps of this layer."""
    table = anatomy.layer_table(invented.network(2), split.images.shape[-1])
    layer = anatomy.last_of_blocks(table, "Conv2d")[2]
    return table, layer, torch.rand(8, *layer.shape[1:])


def layer_view(split) -> None:
    _, layer, maps = one_layer(split)
    plots_02.layer_view(split.images[0], layer, maps, list(range(8)), (1, 1))


def favourites(split) -> None:
    places = torch.tensor([[k, 1, 1] for k in range(min(9, len(split)))])
    plots_02.favourites(split, one_layer(split)[1], 5, places)


def gallery(split) -> None:
    evaluation = answered(split)
    chosen = evaluation.mistakes()[:8]
    mistakes.gallery(split, evaluation, chosen, explain(split.images[chosen], split.labels[chosen]))


def crop_windows(split) -> None:
    size = split.images.shape[-1]
    plots_03.crop_windows(np.pad(split.images[0], ((0, 0), (4, 4), (4, 4))), [(0, 0), (2, 7), (8, 5)], size)


def by_class(split) -> None:
    shares = [k % 10 / 9 for k in range(len(split.classes))]
    plots_06.by_class({"without weights": shares, "with weights": shares[::-1]}, split.labels + 1, split.classes)


FIGURES = {
    "by_class": by_class,
    "images": lambda split: figures.images(split.images, split.classes, alt="Images."),
    "class_examples": figures.class_examples,
    "film_strip": lambda split: plots_01.film_strip({}, ["tench", "hook"], split),
    "feature_maps": lambda split: plots_01.feature_maps(split, dict.fromkeys(("random", "trained"), spots(len(split)))),
    "two_opinions": lambda split: plots_01.two_opinions(split, (split.labels, split.labels.flip(0)), ("one", "other")),
    "transfer_diagram": lambda split: plots_01.transfer_diagram(1000, len(split.classes)),
    "image_and_maps": lambda split: plots_02.image_and_maps(split.images[0], one_layer(split)[2], "abcdefgh", "layer"),
    "receptive_fields": lambda split: plots_02.receptive_fields(
        split.images[0], anatomy.last_of_blocks(one_layer(split)[0], "Conv2d"), one_layer(split)[0]),
    "layer_view": layer_view,
    "favourites": favourites,
    "draws": lambda split: plots_03.draws(split.images[0], split.images[:1].repeat(12, 1, 1, 1)),
    "crop_windows": crop_windows,
    "before_and_after": lambda split: plots_03.before_and_after(
        {"mirrored": ("tower", split.images[0], split.images[1])}, "The same label?"),
    "confusion": lambda split: mistakes.confusion(answered(split).confusion(), split.classes),
    "confusion without mistakes": lambda split: mistakes.confusion(answered(split, False).confusion(), split.classes),
    "gallery": gallery,
    "picture_answers": lambda split: plots_06.picture_answers(split.images[0], {
        "after": [(name, 0.1) for name in split.classes[:5]]}),
}


@pytest.fixture(scope="module", params=WORLDS, ids=lambda world: f"{world[0]} classes, {world[1]} pixels")
def world(request):
    """One image of each class."""
    return exam(*request.param)


@pytest.mark.parametrize("name", FIGURES)
def test_figures(world, name):
    calls = []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in MODULES:
            patch.setattr(module, "show", lambda *call: calls.append(call))
        FIGURES[name](world)
        (figure, alt), = calls
        shown = drawn(figure, alt)
    assert cut_off(shown) == []
    assert over_one_another(shown) == []
    assert shown.pixels.shape[0] <= 900 and shown.pixels.shape[1] <= 1000, "too large for a page"


def over_one_another(shown) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than two pixels both ways; slanted ones do not fill theirs."""
    straight = [text for text in shown.texts if text.rotation % 90 == 0]
    return [(a.string, b.string) for a, b in itertools.combinations(straight, 2)
            if (np.minimum(a.box[2:], b.box[2:]) - np.maximum(a.box[:2], b.box[:2]) > 2).all()]


def test_every_figure_that_takes_images_or_classes_is_drawn():
    """They are known by the names of their arguments; those left out show the source task, or are tools."""
    takes = {"split", "image", "pictures", "original", "classes", "target", "target_classes", "padded", "pairs"}
    found = {name for module in MODULES for name, function in inspect.getmembers(module, inspect.isfunction)
             if function.__module__ == module.__name__ and not name.startswith("_")
             and takes & set(inspect.signature(function).parameters)}
    assert found - {"picture", "browser", "source_examples", "filters_and_answers"} == {
        name.split()[0] for name in FIGURES}


@pytest.mark.parametrize("name", invented.PANELS)
def test_panels(world, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panel = invented.PANELS[name](world)
    words = re.sub(r"<[^>]*>", " ", panel.children[-1].value)
    assert "<img" in panel.children[-1].value and (name == "panels.LiveTraining" or words.strip())


# --- what a figure says where it can't show everything ---

def alt_of(monkeypatch, plot, *arguments) -> str:
    alts = []
    for module in MODULES:
        monkeypatch.setattr(module, "show", lambda figure, alt: alts.append(alt))
    plot(*arguments)
    return alts[0]


def test_of_many_classes_the_first_are_shown_and_said(monkeypatch):
    many, few = exam(60, 64), exam(10, 64)
    for name, words in (("class_examples", "Shown are the first 20 of 60 classes."),
                        ("feature_maps", "Shown are the first 10 of 60 classes."),
                        ("two_opinions", "Shown are the first 10 of 60 images."),
                        ("confusion", "Shown are the 12 of 60 classes most often confused."),
                        ("images", "Shown are the first 50 of 60 images.")):
        assert alt_of(monkeypatch, FIGURES[name], many).endswith(f" {words}"), name
        assert "Shown are" not in alt_of(monkeypatch, FIGURES[name], few), name


def test_names_are_cut_and_never_taken_for_formulas():
    assert figures.class_name("$x_1$ 2") == r"\$x_1\$ 2" and figures.class_name("cat") == "cat"
    assert figures.class_name("Norwegian forest cat") == "Norwegian fores…"
    assert figures.class_name("Norwegian forest cat", 11) == "Norwegian…"


def test_an_exam_of_one_thing_per_class_is_told_in_a_sentence():
    split = exam(3, 64)
    with pytest.raises(ValueError, match="^The exam has too few things of class 0 for an interval, namely one"):
        intervals.accuracy_interval(split.labels >= 0, split.labels, intervals.things_of(split))
