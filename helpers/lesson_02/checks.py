"""The checks of notebook 2's exercises: inside VGG"""
from __future__ import annotations

import copy

import torch
from torch import nn
from torchvision.models.vgg import VGG

from helpers import anatomy, networks
from helpers.verdict import guarded, is_whole, report, short


def half_the_image(answer) -> None:
    """Exercise 2.1: VGG-16's first layer, by name, whose units see at least 112 x 112 of 224 x 224 pixels."""
    rows = {row.name: row for row in _vgg16_table(224) if row.name.startswith("features")}
    seen = {name: row.receptive_field for name, row in rows.items()}
    truth = next(name for name, field in seen.items() if field >= 112)
    problem = None
    if not isinstance(answer, str):
        problem = 'The answer is a name as in the first column of the table, in quotes, like "features.0".'
    elif answer not in rows:
        problem = f"There is no layer called {short(answer)} in features. Take a name from the table's first column."
    elif seen[answer] < 112:
        problem = f"A unit of {answer} sees {seen[answer]} x {seen[answer]} pixels, which is less than half a side."
    elif rows[answer].kind == "ReLU":
        problem = f"{answer} is a ReLU, which sees what the layer before it sees. That one comes first."
    elif answer != truth:
        problem = f"A unit of {answer} sees {seen[answer]} x {seen[answer]} pixels, but an earlier layer sees enough."
    report("Exercise 2.1", answer, problem, "All layers before it judge the image by smaller pieces.")


def smallest_image(answer) -> None:
    """Exercise 2.2: the side in pixels of the smallest square image that VGG-16 accepts."""
    problem = None
    if not is_whole(answer) or answer < 1:
        problem = "The answer is a whole number of pixels, at least 1."
    elif answer > 224:
        problem = f"{short(answer)} pixels a side get through, but smaller images do as well."
    elif not _fits(answer):
        problem = f"An image of {answer} pixels a side does not get through: a pooling layer is left with nothing."
    elif _fits(answer - 1):
        problem = f"{answer} pixels a side get through, but smaller images do as well."
    report("Exercise 2.2", answer, problem, "Every max pooling needs at least two rows to make one of.")


def _vgg16_table(side: int) -> list[anatomy.Layer]:
    return anatomy.layer_table(networks.build("vgg16", device="meta"), side)


def _fits(side: int) -> bool:
    """Whether an image of this side gets through VGG-16 (built without weights)."""
    try:
        _vgg16_table(int(side))
    except ValueError:
        return False
    return True


def receptive_field(answer) -> None:
    """Exercise 2.3: a function from a list of (kernel, stride) pairs, first layer first, to the field's side in pixels.

    Tried on small stacks of layers, each measured by `anatomy.layer_table`.
    """
    stacks = (
        [(3, 1)],
        [(3, 1), (3, 1)],
        [(2, 2), (3, 1)],
        [(3, 1), (2, 2), (3, 1), (3, 1), (2, 2)],
        [(7, 4), (5, 1), (3, 2)],
    )
    problem = None
    if answer is not ... and not callable(answer):
        problem = "The answer is a function; give its name, without brackets behind it."
    elif answer is not ...:
        for stack in stacks:
            layers = nn.Sequential(*(nn.Conv2d(3, 3, kernel, stride) for kernel, stride in stack))
            truth = anatomy.layer_table(layers, 96)[-1].receptive_field
            try:
                given = answer(list(stack))
                right = bool(given == truth)
            except Exception as error:  # whatever a reader's function may raise
                problem = f"For the layers {stack} the function stopped with {type(error).__name__}: {error}."
                break
            if given is None:
                problem = "The function gives None. Does it end with return?"
            elif not right:
                problem = f"For the (kernel, stride) pairs {stack} it gives {short(given)}; a unit sees more or less."
            if problem:
                break
    report("Exercise 2.3", answer, problem, f"It agrees with the layer table on {len(stacks)} stacks of layers.")


def folded_for_64(answer, name: str) -> None:
    """Exercise 2.4: the backbone `name` with its first fully connected layer folded for images of 64 x 64 pixels."""
    problem = None
    if answer is not ... and answer is not None:
        problem = guarded(_folding_problem, answer, name)
    report("Exercise 2.4", answer, problem, "Fewer weights, the same logits.")


def _folding_problem(answer, name: str) -> str | None:
    if not isinstance(answer, VGG):
        return "The answer is a network, as networks.build returns it."
    if [type(layer) for layer in answer.classifier.children()][:1] != [nn.Linear]:
        return "classifier[0] should be a linear layer."
    truth = networks.build(name).eval()
    inputs = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    channels = anatomy.layer_table(truth, 64)[-8].shape[0]  # of avgpool, the layer before the seven slots
    first = answer.classifier[0]
    if first.in_features == truth.classifier[0].in_features:
        return f"classifier[0] still has {first.in_features:,} inputs."
    if first.in_features != channels * 4:
        return (
            f"classifier[0] has {first.in_features:,} inputs. How many cells has the feature map of a "
            f"64-pixel image, and how many channels?"
        )
    with torch.no_grad():
        expected = truth(inputs)
        try:
            logits = copy.deepcopy(answer).cpu().float().eval()(inputs)
            shape = tuple(logits.shape)
        except Exception as error:  # whatever a half-folded network may raise
            return f"Images of 64 pixels do not get through: {(str(error).splitlines() or [type(error).__name__])[0]}"
    if shape != tuple(expected.shape):
        return f"For 4 images it gives logits of shape {shape}; the original gives {tuple(expected.shape)}."
    if not torch.allclose(logits, expected, rtol=1e-3, atol=1e-3):
        largest = (logits - expected).abs().max()
        return f"The logits of 64-pixel images differ from the original's by up to {largest:.3g}."
    return None


def without_large_layers(answer, predicted) -> None:
    """Exercise 2.5: VGG-16 with a global average and one linear layer for ten classes; how many parameters it has.

    `answer` is the network, on any device, `predicted` the number that was expected before it was built.
    """
    convolutions = networks.build("vgg16", device="meta").features
    kept, channels = networks.count_parameters(convolutions), 512
    truth = kept + channels * 10 + 10
    problem = None
    if predicted is ... or predicted is None:
        answer = ...  # predict first
    elif not is_whole(predicted):
        problem = "predicted should be a whole number."
    elif predicted == kept:
        problem = f"{predicted:,} are the parameters of the convolutions alone; the new layer has some as well."
    elif predicted == truth - 10:
        problem = "So close: your prediction forgets that each output of a linear layer has a bias."
    elif predicted != truth:
        problem = (
            f"You predict {short(predicted)} parameters, which is too {'many' if predicted > truth else 'few'}. Which "
            "layers of the table stay? And how many inputs has the new layer, if each channel gives it one number?"
        )
    elif answer is not ... and answer is not None:
        problem = guarded(_lean_problem, answer, convolutions, channels)
    before = anatomy.totals(_vgg16_table(224))["parameters"]
    praise = f"{before:,} parameters became {truth:,}, and the work stays where it was, in the convolutions."
    report("Exercise 2.5", answer, problem, praise)


def _lean_problem(answer, convolutions: nn.Sequential, channels: int) -> str | None:
    if not isinstance(answer, VGG):
        return "The answer is a network, as networks.build returns it."
    if repr(answer.features) != repr(convolutions):
        return "features is not VGG-16's; only what comes after it should change."
    maps = torch.rand(2, channels, 3, 3, generator=torch.Generator().manual_seed(0))
    try:
        pooled = copy.deepcopy(answer.avgpool)(maps).flatten(1)
    except Exception as error:  # whatever a reader's layer may raise
        return f"avgpool stopped with {type(error).__name__} on a 3 x 3 map: {error}"
    if pooled.shape != (2, channels):
        return f"avgpool leaves {pooled.shape[1]:,} numbers of {channels} channels; one number a channel is wanted."
    if not torch.allclose(pooled.float(), maps.mean((2, 3)), atol=1e-4):
        return "avgpool leaves one number a channel, but it is not the average."
    linear = [layer for layer in answer.classifier.modules() if isinstance(layer, nn.Linear)]
    if len(linear) != 1:
        return f"The classifier has {len(linear)} linear layers; there should be one."
    if (linear[0].in_features, linear[0].out_features) != (channels, 10):
        return f"The linear layer has {linear[0].in_features:,} inputs and {linear[0].out_features:,} outputs."
    if linear[0].bias is None:
        return "The linear layer has no bias."
    try:
        anatomy.layer_table(answer, 96)
    except ValueError:
        return "An image of 96 pixels does not get through the network."
    return None
