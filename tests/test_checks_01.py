"""The exercises of notebook 01: the right answer, near misses and nonsense."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helpers import networks
from helpers.features import Features
from helpers.intervals import Interval
from helpers.lesson_01 import checks
from helpers.preprocess import Preprocess
from helpers.training import fit


def curve(*random: float) -> dict:
    """These accuracies on the random backbone with 1, 5 and 12 labels; the pre-trained one has 45 % with 1."""
    points = {name: dict(zip((1, 5, 12), values, strict=True)) for name, values in (
        ("pre-trained", (0.45, 0.6, 0.7)), ("random", random))}
    return {name: {count: Interval(value, value, value) for count, value in own.items()}
            for name, own in points.items()}


def grey(split, change=lambda mean: mean.round()):
    images = change(split.images.float().mean(1, keepdim=True)).to(torch.uint8).expand_as(split.images)
    return replace(split, images=images.contiguous())


RISING, HOPELESS = curve(0.1, 0.5, 0.6), curve(0.1, 0.2, 0.3)
PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3, flip=0.0)
NUMBERS = torch.randn((60, 30), generator=torch.Generator().manual_seed(0))
FEATURES = Features(NUMBERS, torch.arange(60) % 4, tuple("abcd"))
NONSENSE = [None, "text", "", 3.5, float("nan"), float("inf"), True, [], [1, 2], {}, {"a": 1}, (), object(), int, len,
            torch.zeros(3), np.zeros(3), nn.Linear(2, 2), lambda: None, b"bytes", 10**400, -1, 1j]


def verdict(capsys, check, *answer) -> str:
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer)[:20])
@pytest.mark.parametrize("check, rest", [
    (checks.labels_needed, (RISING,)), (checks.head_size, (256, 37)), (checks.convolutions_frozen, (10,)),
    (checks.without_colour, (None, None, PREPROCESS)), (checks.learnt_nothing, (FEATURES, FEATURES)),
], ids=lambda value: getattr(value, "__name__", ""))
def test_nonsense_gets_one_calm_line(capsys, check, rest, answer):
    said = verdict(capsys, check, answer, *rest)
    assert said.count("\n") == 1 and ("not yet. " in said or "not answered yet" in said), said
    assert ("not answered yet" in said) == (answer is None)


@pytest.mark.parametrize("number", range(1, 6))
def test_unanswered(capsys, number):
    check, *rest = [(checks.labels_needed, RISING), (checks.head_size, 256, 37), (checks.convolutions_frozen, 10),
                    (checks.without_colour, None, None, PREPROCESS), (checks.learnt_nothing, FEATURES, FEATURES),
                    ][number - 1]
    assert verdict(capsys, check, ..., *rest).startswith(f"Exercise 1.{number}: not answered yet.")


def test_networks_that_were_taken_apart(capsys, slim):
    for k in range(3):
        model = slim("pocket_vgg", num_classes=10)
        if k == 0:
            model.classifier = nn.Identity()
        elif k == 1:
            model.classifier[6] = nn.Identity()
        else:
            model.features = nn.Sequential()
        assert "not yet. " in verdict(capsys, checks.convolutions_frozen, model, 10)


# --- 1.1 to 1.3 ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer, curve, expected", [
    (5, RISING, "right"), (1, RISING, "still below 45.0 %"), (12, RISING, "fewer labels already"),
    ("never", RISING, "There is"), ("never", HOPELESS, "right"), (12, HOPELESS, "still below"),
    (1, curve(0.5, 0.6, 0.7), "right"), (7, RISING, "one of 1, 5, 12"), ("5", RISING, "one of"),
    (..., RISING, "not answered")])
def test_labels_needed(capsys, answer, curve, expected):
    assert expected in verdict(capsys, checks.labels_needed, answer, curve)


@pytest.mark.parametrize("answer, expected", [
    (2570, "right"), (2560, "bias"), (10, "one weight for each pair"), ("2570", "whole number"), (True, "whole number"),
    (..., "not answered")])
def test_head_size(capsys, answer, expected):
    assert expected in verdict(capsys, checks.head_size, answer, 256, 10)


def test_convolutions_frozen(capsys, slim):
    model = slim("pocket_vgg", num_classes=10)
    say = lambda answer: verdict(capsys, checks.convolutions_frozen, answer, 10)
    assert "features.0.weight still requires grad" in say(model)
    networks.freeze(model)
    assert "classifier.0.weight does not require grad" in say(model)
    networks.unfreeze(model.classifier)
    assert "right" in say(model)
    assert "3 outputs" in say(networks.replace_head(model, 3))
    assert "is a network" in say("done") and "not answered" in say(...)


# --- 1.4 and 1.5 -----------------------------------------------------------------------------------------------------

def test_without_colour(capsys, slim, tiny):
    exam, model = tiny(20), slim("pocket_vgg", num_classes=3)
    say = lambda answer: verdict(capsys, checks.without_colour, answer, exam, model, PREPROCESS)
    assert "right. Grey instead of coloured: " in say(grey(exam)) and "points" in say(grey(exam))
    assert "right. " in say(grey(exam, lambda mean: mean.floor())), "rounding is a matter of taste"
    assert "in colour" in say(exam)
    assert "still differ" in say(replace(exam, images=exam.images.roll(1, dims=2)))
    assert "away from the mean" in say(grey(exam, lambda mean: mean / 2))
    wrapped = exam.images.sum(1, dtype=torch.uint8)[:, None] // 3  # 200 + 200 + 200 is 88 in uint8
    assert "wrapped" in say(replace(exam, images=wrapped.expand_as(exam.images).contiguous()))
    assert "in their order" in say(grey(exam.pick(list(range(59)))))
    assert "in their order" in say(grey(exam.pick(list(range(59, -1, -1)))))
    assert "an `ImageSplit`" in say(grey(exam).images)


def trained(labels, epochs: int = 200) -> nn.Linear:
    data = Features(FEATURES.tensors[0], labels, FEATURES.classes)
    head = nn.Linear(30, 4)
    fit(head, data, data, lr=3e-2, epochs=epochs)
    return head


def test_learnt_nothing(capsys):
    inputs, labels = FEATURES.tensors
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    head = trained(shuffled)
    say = lambda *answer: verdict(capsys, checks.learnt_nothing, answer, FEATURES, FEATURES)
    assert "right. Of the shuffled training labels it has " in say(head, shuffled)
    assert "still have their own label" in say(trained(labels), labels)
    assert "hardly more than guessing" in say(trained(labels), shuffled)
    assert "each as often" in say(head, torch.randint(4, (len(labels),)))
    assert "each as often" in say(head, shuffled[:-1]) and "each as often" in say(head, shuffled.tolist())
    assert "takes 30 features and has 4 outputs" in say(nn.Linear(30, 5), shuffled)
    assert "takes 30 features" in say(shuffled, shuffled) and "a pair" in say(head)


@pytest.mark.parametrize("classes", [2, 3, 40, 100])
def test_learnt_nothing_with_any_number_of_classes(capsys, classes):
    """With two classes, shuffling leaves half of the labels as they were, and twice as good as chance is perfect."""
    labels = torch.arange(4 * classes) % classes
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    inputs = 3.0 * torch.nn.functional.one_hot(shuffled, classes)
    few = Features(inputs, labels, tuple(map(str, range(classes))))
    head = nn.Linear(classes, classes, bias=False)
    nn.init.eye_(head.weight)
    say = lambda head, labels: verdict(capsys, checks.learnt_nothing, (head, labels), few, few)
    assert "right. Of the shuffled training labels it has 100 % right" in say(head, shuffled)
    assert "still have their own label" in say(head, labels)
    nn.init.zeros_(head.weight)
    assert "hardly more than guessing" in say(head, shuffled)


def test_without_colour_where_the_exam_is_too_small_for_an_interval(capsys, tiny, slim):
    exam, model = tiny(1), slim("pocket_vgg", num_classes=3)
    assert "right. Grey instead of coloured: " in verdict(capsys, checks.without_colour, grey(exam), exam, model,
                                                          PREPROCESS)
