"""The exercises of notebook 01: the right answer, near misses and nonsense."""
import pytest

from helpers import backbones, checks

CURVE = {"scratch": {5: [0.2, 0.3], 20: [0.5, 0.7], 50: [0.8, 0.9]}, "frozen": {5: [0.6], 20: [0.7], 50: [0.8]}}
HOPELESS = CURVE | {"scratch": {5: [0.1], 20: [0.1], 50: [0.1]}}


def verdict(capsys, check, *answer):
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer, curve, expected", [
    (20, CURVE, "right"), (5, CURVE, "still lower"), (50, CURVE, "fewer labels already"), ("never", CURVE, "There is"),
    ("never", HOPELESS, "right"), (50, HOPELESS, "still below"), (7, CURVE, "one of"), ("20", CURVE, "one of"),
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
    backbones.freeze(model)
    assert "classifier.0.weight does not require grad" in say(model)
    backbones.unfreeze(model.classifier)
    assert "right" in say(model)
    assert "3 outputs" in say(backbones.replace_head(model, 3))
    assert "is a network" in say("done") and "not answered" in say(...)
