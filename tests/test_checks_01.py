"""The exercises of notebook 01: the right answer, near misses and nonsense."""
import numpy as np
import pytest
import torch
from torch import nn

from helpers import networks
from helpers.lesson_01 import checks
from helpers.preprocess import Preprocess
from helpers.training import fit

CURVE = {"scratch": {2: [0.2, 0.3], 5: [0.5, 0.7], 15: [0.8, 0.9]}, "frozen": {2: [0.6], 5: [0.7], 15: [0.8]}}
HOPELESS = CURVE | {"scratch": {2: [0.1], 5: [0.1], 15: [0.1]}}
SCORES = {"scratch": [0.84, 0.86], "frozen": [0.76, 0.78], "full": [0.8, 0.8]}
PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3, flip=0.0)
NONSENSE = [None, "text", "", 3.5, float("nan"), float("inf"), True, [], [1, 2], {}, {"a": 1}, (), object(), int, len,
            torch.zeros(3), np.zeros(3), nn.Linear(2, 2), lambda: None, b"bytes", 10**400, -1, 1j]


def verdict(capsys, check, *answer) -> str:
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer)[:20])
@pytest.mark.parametrize("check, rest", [
    (checks.labels_needed, (CURVE,)), (checks.head_size, (256, 37)), (checks.convolutions_frozen, ()),
    (checks.more_labels, (SCORES, 1, 15)), (checks.never_pretrained, ("pocket_vgg", None, PREPROCESS, SCORES)),
], ids=lambda value: getattr(value, "__name__", ""))
def test_nonsense_gets_one_calm_line(capsys, check, rest, answer):
    said = verdict(capsys, check, answer, *rest)
    assert said.count("\n") == 1 and ("not yet. " in said or "not answered yet" in said), said
    assert ("not answered yet" in said) == (answer is None)


@pytest.mark.parametrize("number", range(1, 6))
def test_unanswered(capsys, number):
    check, *rest = [(checks.labels_needed, CURVE), (checks.head_size, 256, 37), (checks.convolutions_frozen,),
                    (checks.more_labels, SCORES, 1, 15),
                    (checks.never_pretrained, "pocket_vgg", None, PREPROCESS, SCORES)][number - 1]
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
        assert "not yet. " in verdict(capsys, checks.convolutions_frozen, model)
        assert "not yet. " in verdict(capsys, checks.never_pretrained, model, "pocket_vgg", None, PREPROCESS, SCORES)


# --- 1.1 to 1.3 ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer, curve, expected", [
    (5, CURVE, "right"), (2, CURVE, "still lower"), (15, CURVE, "fewer labels already"), ("never", CURVE, "There is"),
    ("never", HOPELESS, "right"), (15, HOPELESS, "still below"), (7, CURVE, "one of"), ("5", CURVE, "one of"),
    (..., CURVE, "not answered")])
def test_labels_needed(capsys, answer, curve, expected):
    assert expected in verdict(capsys, checks.labels_needed, answer, curve)


@pytest.mark.parametrize("answer, expected", [
    (2570, "right"), (2560, "bias"), (10, "one weight for each pair"), ("2570", "whole number"), (True, "whole number"),
    (..., "not answered")])
def test_head_size(capsys, answer, expected):
    assert expected in verdict(capsys, checks.head_size, answer, 256, 10)


def test_convolutions_frozen(capsys, slim):
    model = slim("pocket_vgg", num_classes=10)
    say = lambda answer: verdict(capsys, checks.convolutions_frozen, answer)
    assert "features.0.weight still requires grad" in say(model)
    networks.freeze(model)
    assert "classifier.0.weight does not require grad" in say(model)
    networks.unfreeze(model.classifier)
    assert "right" in say(model)
    assert "3 outputs" in say(networks.replace_head(model, 3))
    assert "is a network" in say("done") and "not answered" in say(...)


# --- 1.4 -------------------------------------------------------------------------------------------------------------

def broken(count, seed):
    raise KeyError("far_train")


@pytest.mark.parametrize("labels", [15, 20])
@pytest.mark.parametrize("answer, expected", [
    (lambda count, seed: 0.76 if count < 60 else 0.88,
     "right. Frozen with {few} labels per class: 76.0 %, with {many}: 88.0 %; from scratch with {few}: 85.0 %."),
    (lambda count, seed: 0.76, "The same accuracy with {few} and with {many} labels per class: does it use its first"),
    (lambda count, seed: count, "It returns {few} and {many}; an accuracy lies between 0 and 1"),
    (lambda count, seed: 0.5 + count / 1000, "With {few} labels per class and seed 1 it returns 0.5{few}; above, 0.76"),
    (lambda count, seed: None, "It returns None and None; an accuracy lies between 0 and 1"),
    (lambda count, seed: f"{count / 100:.2f}", "It returns '0.{few}' and '0.{many}'; an accuracy lies"),
    (lambda count, seed: torch.tensor(0.76 if count < 60 else 0.88), "right. Frozen with {few}"),
    (lambda count: 0.76, "It stopped with TypeError"),
    (lambda count, seed: print(end=""), "It returns None"),
    (lambda count, seed: float("nan"), "an accuracy lies between 0 and 1"),
    (broken, "It stopped with KeyError: 'far_train'"),
    (0.76, "without brackets")], ids=range(12))
def test_more_labels(capsys, answer, expected, labels):
    said = verdict(capsys, checks.more_labels, answer, SCORES, 1, labels)
    assert expected.format(few=labels, many=4 * labels) in said


# --- 1.5 -------------------------------------------------------------------------------------------------------------

@pytest.fixture
def learner(tiny):
    """Ten classes that a head on random features can tell apart, and the check on them."""
    train = tiny(12, classes=3)
    labels = train.labels
    ten = type(train)(train.images, labels, tuple("0123456789"))
    return ten, lambda capsys, answer: verdict(capsys, checks.never_pretrained, answer, "pocket_vgg", ten, PREPROCESS,
                                               SCORES)


def fresh(weights=None, num_classes=10):
    model = networks.build("pocket_vgg", weights=weights, num_classes=num_classes)
    networks.unfreeze(networks.freeze(model).classifier[6])
    return model


def test_a_random_frozen_backbone_with_a_trained_head_is_right(capsys, learner):
    data, say = learner
    model = fresh()
    fit(model, data, data, lr=1e-2, epochs=8, preprocess=PREPROCESS, augment=False)
    said = say(capsys, model)
    assert "right. Random and frozen: " in said and "pre-trained and frozen: 77.0 %" in said, said


def test_what_is_wrong_with_a_backbone_is_named(capsys, learner, slim):
    data, say = learner
    assert "features.0.weight is the pre-trained one" in say(capsys, fresh("default"))
    assert "features.0.weight still requires grad" in say(capsys, networks.unfreeze(fresh()))
    thawed = fresh()
    networks.unfreeze(thawed.classifier)
    assert "classifier.0.weight still requires grad" in say(capsys, thawed)
    assert "It has 91 outputs for an image; there are 10 classes" in say(capsys, fresh(num_classes=91))
    assert "Its first layer is not pocket_vgg's" in say(capsys, slim("vgg11", num_classes=10))
    learnt = fresh()
    nn.init.ones_(learnt.features[3].bias)
    assert "features.3.bias is zero in a fresh network" in say(capsys, learnt)
    hopeless = fresh()
    nn.init.zeros_(hopeless.classifier[6].weight)
    nn.init.constant_(hopeless.classifier[6].bias[9:], 1.0)  # it always answers 9
    assert "hardly more than guessing" in say(capsys, hopeless)
