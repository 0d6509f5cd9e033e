"""The checks of notebook 2's exercises: inside VGG"""
from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from helpers import anatomy, networks
from helpers.verdict import NotYet, check_vgg, exercise, number, outputs_of, readers_code, short, whole_number


@exercise("Exercise 2.1")
def half_the_image(answer) -> str:
    """Exercise 2.1: VGG-16's first layer, by name, whose units see at least 112 x 112 of 224 x 224 pixels."""
    rows = {row.name: row for row in _vgg16_table(224) if row.name.startswith("features")}
    first = next(row for row in rows.values() if row.receptive_field >= 112)
    if not isinstance(answer, str):
        raise NotYet('The answer is a name as in the first column of the table, in quotes, like "features.0".')
    if answer not in rows:
        raise NotYet(f"There is no layer called {short(answer)} in features. Take a name from the table's first "
                     "column.")
    side = rows[answer].receptive_field
    if side < 112:
        raise NotYet(f"A unit of {answer} sees {side} x {side} pixels, which is less than half a side.")
    if rows[answer].kind == "ReLU":
        raise NotYet(f"{answer} is a ReLU, which sees what the layer before it sees. That one comes first.")
    if answer != first.name:
        raise NotYet(f"A unit of {answer} sees {side} x {side} pixels, but an earlier layer sees enough.")
    return "All layers before it judge the image by smaller pieces."


@exercise("Exercise 2.2")
def smallest_image(answer) -> str:
    """Exercise 2.2: the side in pixels of the smallest square image that VGG-16 accepts."""
    side = whole_number(answer)
    if side is None or side < 1:
        raise NotYet("The answer is a whole number of pixels, at least 1.")
    if side <= 224 and not _fits(side):
        raise NotYet(f"An image of {side} x {side} pixels does not get through: a pooling layer is left with nothing.")
    if side > 224 or _fits(side - 1):
        raise NotYet(f"With {short(side)} pixels on a side it gets through, but smaller images do as well.")
    return "Every max pooling needs at least two rows to make one of."


def _vgg16_table(side: int) -> list[anatomy.Layer]:
    return anatomy.layer_table(networks.build("vgg16", device="meta"), side)


def _fits(side: int) -> bool:
    """Whether an image of this side gets through VGG-16 (built without weights)."""
    try:
        _vgg16_table(side)
    except ValueError:
        return False
    return True


# Stacks of (kernel, stride) pairs, and what a function has overlooked whose number is too small or too large for them.
STACKS = {
    ((3, 1),): ("The first layer's units see as many pixels on a side as the kernel has.",
                "The first layer's units see no more pixels on a side than the kernel has."),
    ((3, 1), (3, 1)): ("A second layer makes the field larger: it takes in neighbours of the first layer's units.",
                       "The windows of neighbouring units overlap, and no pixel counts twice."),
    ((2, 2), (3, 1)): ("Behind a stride, neighbouring units lie more than one pixel apart.",
                       "A stride moves the units of its own layer apart, not those of the layer before."),
    ((3, 1), (2, 2), (3, 1), (3, 1), (2, 2)): (
        "A stride counts for all layers that follow it, not for the next one alone.",
        "The last layer's own stride does not change what one of its units sees."),
    ((7, 4), (5, 1), (3, 2)): ("Kernels and strides can have any size: is a 2 or a 3 written into the function?",
                               "Kernels and strides can have any size: is a 2 or a 3 written into the function?"),
}


@exercise("Exercise 2.3")
def receptive_field(answer) -> str:
    """Exercise 2.3: a function from a list of (kernel, stride) pairs, first layer first, to the field's side in pixels.

    Tried on small stacks of layers, each measured by `anatomy.layer_table`.
    """
    if not callable(answer):
        raise NotYet("The answer is a function; give its name, without brackets behind it.")
    for stack, (if_small, if_large) in STACKS.items():
        layers = nn.Sequential(*(nn.Conv2d(3, 3, kernel, stride, device="meta") for kernel, stride in stack))
        truth = anatomy.layer_table(layers, 96)[-1].receptive_field
        with readers_code(f"For the layers {list(stack)} the function"):
            given = answer(list(stack))
        if given is None:
            raise NotYet("The function gives None. Does it end with return?")
        side, said = number(given), f"For the (kernel, stride) pairs {list(stack)} it gives {short(given)}"
        if side is None:
            raise NotYet(f"{said}; one number is wanted, the side of the field in pixels.")
        if side != truth:
            raise NotYet(f"{said}, which is too {'small' if side < truth else 'large'}. "
                         f"{if_small if side < truth else if_large}")
    return f"It agrees with the layer table on {len(STACKS)} stacks of layers."


@exercise("Exercise 2.4")
def without_large_layers(answer, predicted) -> str:
    """Exercise 2.4: VGG-16 with a global average and one linear layer for ten classes; how many parameters it has.

    `answer` is the network, on any device, `predicted` the number that was expected before it was built.
    """
    if predicted is ... or predicted is None:
        return ...  # predict first
    convolutions, channels = networks.build("vgg16", device="meta").features, 512
    kept = networks.count_parameters(convolutions)
    truth, given = kept + channels * 10 + 10, whole_number(predicted)
    if given is None:
        raise NotYet("predicted should be a whole number.")
    if given in (known := _known_slips(kept, channels)):
        raise NotYet(f"You predict {given:,} parameters. {known[given]}")
    if given > truth:
        raise NotYet(f"You predict {short(given)} parameters, which is too many. Do you count a layer that goes? Of "
                     "the fully connected layers none stays.")
    if given < truth:
        raise NotYet(f"You predict {short(given)} parameters, which is too few. Of the layers in the table all "
                     "convolutions stay, with their biases, and one new layer comes on top.")
    _check_lean(answer, convolutions, channels)
    before = anatomy.totals(_vgg16_table(224))["parameters"]
    return f"{before:,} parameters became {truth:,}, and the work stays where it was, in the convolutions."


def _known_slips(kept: int, channels: int) -> dict[int, str]:
    """Wrong numbers of parameters that have a reason, and what was overlooked; `kept` are the convolutions'."""
    weights = channels * 10
    return {
        kept: "Those are the convolutions alone; the new layer has some as well.",
        weights + 10: "That is the new layer alone; the convolutions stay as they are.",
        kept + weights: "So close: each output of a linear layer has a bias as well.",
        kept + channels * 49 * 10 + 10: "That would be right if each channel still gave all its places to the new "
                                        "layer; the average leaves one number of them.",
        kept + channels * 1000 + 1000: "That is a layer for ImageNet's classes; ten are wanted here.",
        134_301_514: "That is VGG-16 with a new head; here the two layers before it go as well.",
    }


def _check_lean(answer, convolutions: nn.Sequential, channels: int) -> None:
    """Raise `NotYet` unless the answer is these convolutions, a global average, and one linear layer for 10 classes."""
    check_vgg(answer, ghost=True)
    if repr(answer.features) != repr(convolutions) or _shapes(answer.features) != _shapes(convolutions):
        raise NotYet("features is not VGG-16's; only what comes after it should change.")
    maps = torch.rand(2, channels, 3, 3, generator=torch.Generator().manual_seed(0))
    pooled = outputs_of(answer.avgpool, maps, "Given maps of 3 x 3, avgpool").flatten(1)
    if pooled.shape != (2, channels):
        raise NotYet(f"avgpool leaves {pooled.shape[1]:,} numbers where {channels} channels come in; one number per "
                     "channel is wanted, the average of all its places.")
    if not torch.allclose(pooled.float(), maps.mean((2, 3)), atol=1e-4):
        raise NotYet("avgpool leaves one number per channel, but it is not the average of the channel's places.")
    linear = [layer for layer in answer.classifier.modules() if isinstance(layer, nn.Linear)]
    if len(linear) != 1:
        raise NotYet(f"The classifier has {len(linear)} linear layers. There should be one, which makes the logits "
                     "from the averages.")
    outputs, inputs = _weights(linear[0]).shape
    if (inputs, outputs) != (channels, 10):
        wrong = (f"{inputs:,} inputs: it should get one number for each channel of the last map"
                 if inputs != channels else f"{outputs:,} outputs: it should give one logit for each of ten classes")
        raise NotYet(f"The linear layer has {wrong}.")
    if linear[0].bias is None:
        raise NotYet("The linear layer has no bias; leave bias=False out.")
    try:
        logits = anatomy.layer_table(answer, 96)[-1].shape
    except ValueError:
        raise NotYet("An image of 96 x 96 pixels does not get through the network.") from None
    if logits != (10,):
        raise NotYet(f"For an image of 96 x 96 pixels it gives numbers of shape {logits}; ten logits are wanted.")


def _shapes(layers: nn.Module) -> list[torch.Size]:
    return [p.shape for p in layers.parameters()]


@exercise("Exercise 2.5")
def folded_for_64(answer, name: str) -> str:
    """Exercise 2.5: the backbone `name` with its first fully connected layer folded for images of 64 x 64 pixels."""
    check_vgg(answer)
    if [type(layer) for layer in answer.classifier.children()][:1] != [nn.Linear]:
        raise NotYet("classifier[0] should be a linear layer.")
    truth = networks.build(name).eval()
    channels = anatomy.layer_table(truth, 64)[-8].shape[0]  # of avgpool, the layer before the seven slots
    inputs = _weights(answer.classifier[0]).shape[1]
    if inputs == _weights(truth.classifier[0]).shape[1]:
        raise NotYet(f"classifier[0] still has {inputs:,} inputs.")
    if inputs != channels * 4:
        raise NotYet(f"classifier[0] has {inputs:,} inputs. How many cells has the feature map of a 64-pixel image, "
                     "and how many channels?")
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    subject, own = "Shown images of 64 x 64 pixels, it", copy.deepcopy(answer).cpu().float()
    logits, expected = outputs_of(own, images, subject), outputs_of(truth, images)
    if logits.shape != expected.shape:
        raise NotYet(f"For 4 images it gives logits of shape {tuple(logits.shape)}; the original gives "
                     f"{tuple(expected.shape)}.")
    if not torch.allclose(logits, expected, rtol=1e-3, atol=1e-3):
        largest = (logits - expected).abs().max()
        raise NotYet(f"The logits of 64-pixel images differ from the original's by up to {largest:.3g}.")
    return "Fewer weights, the same logits."


def _weights(layer: nn.Linear) -> Tensor:
    """The weights (outputs, inputs), by which a layer counts: what it says of itself can be set to anything."""
    return layer.weight.detach()
