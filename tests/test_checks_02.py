"""Notebook 02's exercises: the right answer, near misses and nonsense, each with the message it should give."""
import numpy as np
import pytest
import torch
from torch import nn

from helpers import networks
from helpers.lesson_02 import checks

NAN = float("nan")


class Unprintable:
    def __repr__(self):
        raise ValueError("no text")


def verdict(capsys, check, *answer):
    check(*answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Exercise 2.") and printed.count("Exercise") == 1
    return printed


def test_every_check_names_its_exercise(capsys):
    for k, check in enumerate((checks.half_the_image, checks.smallest_image, checks.receptive_field), 1):
        assert verdict(capsys, check, ...).startswith(f"Exercise 2.{k}: not answered yet")
    assert verdict(capsys, checks.folded_for_64, ..., "pocket_vgg").startswith("Exercise 2.5: not answered yet")
    assert verdict(capsys, checks.without_large_layers, ..., ...).startswith("Exercise 2.4: not answered yet")


@pytest.mark.parametrize("answer, expected", [
    ("features.24", "right"), ("features.23", "sees 100 x 100 pixels, which is less than half"),
    ("features.0", "sees 3 x 3 pixels"), ("features.25", "is a ReLU"), ("features.26", "an earlier layer sees enough"),
    ("features.30", "an earlier layer sees enough"), ("classifier.0", "no layer called 'classifier.0'"),
    ("Features.24", "no layer called"), ("", "no layer called"), ("x" * 999, "no layer called"), (24, "in quotes"),
    (132, "in quotes"), (NAN, "in quotes"), (["features.24"], "in quotes"), (torch.zeros(2), "in quotes"),
    (nn.Linear(2, 2), "in quotes"), (Unprintable(), "in quotes"), (None, "not answered"), (..., "not answered")])
def test_half_the_image(capsys, answer, expected):
    assert expected in verdict(capsys, checks.half_the_image, answer)


@pytest.mark.parametrize("answer, expected", [
    (32, "right"), (np.int64(32), "right"), (32.0, "right"), (31, "does not get through"), (1, "does not get through"),
    (33, "smaller images do"), (224, "smaller images do"), (225, "smaller images do"), (10**100, "smaller images do"),
    (-3, "whole"), (0, "whole"), ("32", "whole"), (32.5, "whole"), (True, "whole"), (torch.zeros(2), "whole"),
    (NAN, "whole"), (float("inf"), "whole"), ([32], "whole"), (Unprintable(), "whole"),
    (None, "not answered"), (..., "not answered")])
def test_smallest_image(capsys, answer, expected):
    assert expected in verdict(capsys, checks.smallest_image, answer)


def field_of(layers):
    field = jump = 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def stride_too_early(layers):
    field = jump = 1
    for kernel, stride in layers:
        jump *= stride
        field += (kernel - 1) * jump
    return field


def next_layer_alone(layers):
    field = before = 1
    for kernel, stride in layers:
        field, before = field + (kernel - 1) * before, stride
    return field


def strides_of_two(layers):
    field = jump = 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * min(stride, 2)
    return field


def empty_error(layers):
    raise ValueError


@pytest.mark.parametrize("answer, expected", [
    (field_of, "right"), (lambda layers: float(field_of(layers)), "right"),
    (lambda layers: 1 + sum(k - 1 for k, _ in layers),
     "[(2, 2), (3, 1)] it gives 4, which is too small. Behind a stride, neighbouring units lie more"),
    (stride_too_early, "[(2, 2), (3, 1)] it gives 7, which is too large. A stride moves the units of its own layer"),
    (lambda layers: sum(k for k, _ in layers), "(3, 1)] it gives 6, which is too large. The windows of neighbouring"),
    (lambda layers: 3, "[(3, 1), (3, 1)] it gives 3, which is too small. A second layer makes the field larger"),
    (lambda layers: 1, "[(3, 1)] it gives 1, which is too small. The first layer's units see as many pixels"),
    (lambda layers: 9, "[(3, 1)] it gives 9, which is too large. The first layer's units see no more pixels"),
    (next_layer_alone, "it gives 11, which is too small. A stride counts for all layers that follow it"),
    (lambda layers: field_of(layers) + layers[-1][1] - 1, "it gives 15, which is too large. The last layer's own"),
    (strides_of_two, "[(7, 4), (5, 1), (3, 2)] it gives 19, which is too small. Kernels and strides can"),
    (lambda layers: (3, 3), "it gives (3, 3); one number is wanted, the side"),
    (lambda layers: None, "return"), (lambda layers: layers.clear(), "return"), (lambda: 3, "TypeError"),
    (lambda layers: "seven", "it gives 'seven'"), (lambda layers: NAN, "it gives nan"),
    (lambda layers: torch.zeros(3), "it gives tensor("), (lambda layers: Unprintable(), "it gives"),
    (empty_error, "ValueError"), (nn.Linear, "TypeError"), (field_of([(3, 1)]), "function"), ("field_of", "function"),
    (NAN, "function"), (None, "not answered"), (..., "not answered")])
def test_receptive_field(capsys, answer, expected):
    assert expected in verdict(capsys, checks.receptive_field, answer)


CHANNELS = networks.build("pocket_vgg", device="meta").classifier[0].in_features // 49  # of the last feature map


def half_folded(build):
    build.classifier[0] = nn.Linear(CHANNELS * 4, build.classifier[0].out_features)
    return build


def wrong_weights(build):
    half_folded(build).avgpool = nn.Identity()
    return build


def changed(build, **parts):
    for name, part in parts.items():
        setattr(build, name, part)
    return build


def with_nan(build):
    networks.fold_first_linear(build, 64).classifier[0].bias.data.fill_(NAN)
    return build


@pytest.mark.parametrize("make, expected", [
    (lambda build: networks.fold_first_linear(build, 64), "right"),
    (lambda build: networks.fold_first_linear(build, 64).double(), "right"),
    (lambda build: build, f"still has {CHANNELS * 49:,} inputs"),
    (lambda build: networks.fold_first_linear(build, 96), f"has {CHANNELS * 9:,} inputs. How many cells"),
    (half_folded, "Shown images of 64 x 64 pixels, it stopped with RuntimeError: mat1"),
    (wrong_weights, "differ"), (with_nan, "differ"),
    (lambda build: networks.replace_head(networks.fold_first_linear(build, 64), 10), "logits of shape (4, 10)"),
    (lambda build: changed(build, classifier=nn.Identity()), "should be a linear layer"),
    (lambda build: changed(build, classifier=nn.Sequential()), "should be a linear layer"),
    (lambda build: changed(build, classifier=None), "can't be checked"),
    (lambda build: changed(networks.fold_first_linear(build, 64), features=None),
     "Shown images of 64 x 64 pixels, it stopped with TypeError"),
    (lambda build: networks.fold_first_linear(build, 64).to("meta"), "on the meta device"),
    (lambda build: "folded", "is a network"), (lambda build: nn.Linear(2, 2), "is a network"),
    (lambda build: CHANNELS * 4, "is a network"), (lambda build: NAN, "is a network"),
    (lambda build: type(build), "is a network"),
    (lambda build: None, "not answered"), (lambda build: ..., "not answered")])
def test_folded_for_64(capsys, make, expected):
    assert expected in verdict(capsys, checks.folded_for_64, make(networks.build("pocket_vgg")), "pocket_vgg")


def lean(avgpool, classifier, name="vgg16"):
    with torch.device("meta"):
        return changed(networks.build(name, device="meta"), avgpool=avgpool(), classifier=classifier())


average, ten = lambda: nn.AdaptiveAvgPool2d(1), lambda: nn.Linear(512, 10)
LEFT = 14_719_818


@pytest.mark.parametrize("predicted, expected", [
    (LEFT, "right"), (np.int64(LEFT), "right"), (14_714_688, "convolutions alone"), (LEFT - 10, "bias"),
    (5_130, "the new layer alone"), (15_227_688, "ImageNet's classes"), (134_301_514, "VGG-16 with a new head"),
    (14_965_578, "all its places"), (138_357_544, "too many. Do you count a layer that goes"), (10**100, "too many"),
    (0, "too few. Of the layers in the table all convolutions stay"), (-1, "too few"),
    (float(LEFT), "right"), (LEFT + 0.5, "whole number"),
    (NAN, "whole number"), ("many", "whole number"),
    (True, "whole number"), (torch.zeros(2), "whole number"), (Unprintable(), "whole number"),
    (None, "not answered"), (..., "not answered")])
def test_without_large_layers_prediction(capsys, predicted, expected):
    assert expected in verdict(capsys, checks.without_large_layers, lean(average, ten), predicted)


@pytest.mark.parametrize("make, expected", [
    (lambda: lean(average, ten), "right"),
    (lambda: lean(average, lambda: nn.Sequential(nn.Dropout(), ten())), "right"),
    (lambda: changed(networks.build("vgg16", device="meta"), avgpool=average(), classifier=ten()), "right"),
    (lambda: networks.build("vgg16", device="meta"), "avgpool leaves 25,088 numbers"),
    (lambda: lean(nn.Identity, ten), "avgpool leaves 4,608 numbers"),
    (lambda: lean(lambda: nn.AdaptiveMaxPool2d(1), ten), "not the average"),
    (lambda: lean(lambda: nn.AvgPool2d(7), ten), "Given maps of 3 x 3, avgpool stopped with RuntimeError"),
    (lambda: lean(average, lambda: nn.Linear(512 * 49, 10)), "has 25,088 inputs: it should get one number"),
    (lambda: lean(average, lambda: nn.Linear(512, 1000)), "has 1,000 outputs: it should give one logit"),
    (lambda: lean(average, lambda: nn.Linear(512, 10, bias=False)), "no bias"),
    (lambda: lean(average, nn.Identity), "has 0 linear layers"),
    (lambda: lean(average, lambda: nn.Sequential(nn.Linear(512, 512), ten())), "has 2 linear layers"),
    (lambda: changed(networks.build("vgg16", device="meta"), avgpool=average()), "has 3 linear layers"),
    (lambda: lean(average, lambda: nn.Sequential(nn.Linear(512, 10), nn.Conv2d(1, 1, 1))), "does not get through"),
    (lambda: lean(average, ten, "vgg19"), "features is not VGG-16's"),
    (lambda: networks.build("pocket_vgg"), "features is not VGG-16's"),
    (lambda: changed(lean(average, ten), classifier=None), "can't be checked"),
    (lambda: changed(lean(average, ten), avgpool=None), "Given maps of 3 x 3, avgpool stopped with"),
    (lambda: nn.Linear(512, 10), "is a network"), (lambda: LEFT, "is a network"), (lambda: "VGG", "is a network"),
    (lambda: NAN, "is a network"), (lambda: None, "not answered"), (lambda: ..., "not answered")])
def test_without_large_layers(capsys, make, expected):
    assert expected in verdict(capsys, checks.without_large_layers, make(), LEFT)
