"""The exercises of notebook 04: the right answer, near misses and nonsense; and the memory that 04 reports."""
import math

import pytest
import torch
from torch import nn

from helpers import backbones, checks
from helpers.augment import Preprocess
from helpers.training import History, memory_of_step


def verdict(capsys, check, *answer):
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer, expected", [
    (-math.log(0.5), "right"), (0.69, "right"), (math.log(0.5), "sign"), (1, "another base"), (0.3, "another base"),
    (0.5, "natural logarithm"), ("log 2", "a number"), (..., "not answered")])
def test_loss_of_probability(capsys, answer, expected):
    assert expected in verdict(capsys, checks.loss_of_probability, answer, 0.5)


def test_two_rates(capsys, slim):
    model = slim("pocket_vgg")
    say = lambda answer: verdict(capsys, checks.two_rates, answer, model)
    sgd = lambda below, head: torch.optim.SGD(backbones.parameter_groups(model, below, head), lr=1, momentum=0.9)
    assert "right" in say(sgd(0.01, 0.1))
    assert "not ten times" in say(sgd(0.1, 0.01)) and "not ten times" in say(sgd(0.1, 0.1))
    assert "features.0.weight of this network is in none" in say(torch.optim.SGD(model.classifier.parameters(), lr=1))
    assert "optimiser from torch.optim" in say(0.1) and "not answered" in say(...)


def test_in_between(capsys, slim, tiny):
    model, val = slim("pocket_vgg"), tiny(10)
    frozen = [(None, History([{"val_accuracy": accuracy}])) for accuracy in (0.5, 0.6)]
    say = lambda answer: verdict(capsys, checks.in_between, answer, val, Preprocess((0.5,) * 3, (0.25,) * 3), frozen)
    assert "features.0.weight still requires grad" in say(model)
    backbones.freeze(model.features)
    nn.init.zeros_(model.classifier[6].weight)  # it can only guess
    assert "hardly more than guessing" in say(model)
    backbones.freeze(model.classifier[0])
    assert "classifier.0.weight does not require grad" in say(model)
    assert "10 outputs" in say(backbones.replace_head(backbones.unfreeze(model.classifier) and model, 10))
    assert "trained network" in say(3) and "not answered" in say(...)


def test_the_memory_of_a_step_counts_what_training_must_hold():
    model = nn.Sequential(nn.Linear(8, 100), nn.ReLU(), nn.Linear(100, 3))
    inputs, labels = torch.randn(16, 8), torch.zeros(16, dtype=torch.int64)
    first, last = (8 * 100 + 100) * 4, (100 * 3 + 3) * 4  # bytes
    full = memory_of_step(model, inputs, labels)
    assert (full["weights"], full["gradients"], full["optimiser"]) == (first + last, first + last, 2 * (first + last))
    model[0].requires_grad_(False)
    frozen = memory_of_step(model, inputs, labels)
    assert (frozen["weights"], frozen["gradients"], frozen["optimiser"]) == (first + last, last, 2 * last)
    assert 16 * 100 * 4 <= frozen["activations"] < full["activations"]
    assert all(p.grad is None for p in model.parameters())
