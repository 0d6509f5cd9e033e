"""Notebook 02's exercises: the right answer, near misses and nonsense."""
import pytest
import torch
from torch import nn

from helpers import backbones, checks


def verdict(capsys, check, *answer):
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer, expected", [
    (32, "right"), (31, "does not get through"), (33, "smaller images do"), (224, "smaller images do"), (-3, "whole"),
    ("32", "whole"), (32.0, "whole"), (True, "whole"), (torch.zeros(2), "whole"), (..., "not answered")])
def test_smallest_image(capsys, answer, expected):
    assert expected in verdict(capsys, checks.smallest_image, answer)


def field_of(layers):
    field = jump = 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


@pytest.mark.parametrize("answer, expected", [
    (field_of, "right"), (lambda layers: 1 + sum(k - 1 for k, _ in layers), "it gives"), (lambda: 3, "TypeError"),
    (lambda layers: "seven", "it gives"), (lambda layers: torch.zeros(3), "RuntimeError"), (7, "function"),
    (..., "not answered")])
def test_receptive_field(capsys, answer, expected):
    assert expected in verdict(capsys, checks.receptive_field, answer)


def half_folded(build):
    build.classifier[0] = nn.Linear(96 * 4, build.classifier[0].out_features)
    return build


def wrong_weights(build):
    half_folded(build).avgpool = nn.Identity()
    return build


@pytest.mark.parametrize("make, expected", [
    (lambda build: backbones.fold_first_linear(build, 64), "right"),
    (lambda build: build, "still has"),
    (lambda build: backbones.fold_first_linear(build, 96), "How many cells"),
    (half_folded, "do not get through"),
    (wrong_weights, "differ"),
    (lambda build: backbones.replace_head(backbones.fold_first_linear(build, 64), 10), "logits for an image"),
    (lambda build: "folded", "is a network"), (lambda build: nn.Linear(2, 2), "is a network"),
    (lambda build: ..., "not answered")])
def test_folded_for_64(capsys, make, expected):
    assert expected in verdict(capsys, checks.folded_for_64, make(backbones.build("pocket_vgg")), "pocket_vgg")
