"""The checks of notebook 5's exercises: how deep, and how?"""
from __future__ import annotations

import copy
import math

import torch
from torch import nn

from helpers import networks
from helpers.drift import weight_drift
from helpers.verdict import NotYet, exercise, number, readers_code


def _close(value: float, truth: float) -> bool:
    """Whether two numbers agree to one part in a hundred: rates and shares are small, so digits won't do."""
    return math.isclose(value, truth, rel_tol=0.01)


@exercise("Exercise 5.1")
def rate_further_down(answer, rate: float, factor: float, steps: int) -> str:
    """Exercise 5.1: the learning rate `steps` blocks below one that has `rate`, if each block has 1/`factor` of it."""
    given = number(answer)
    if given is None:
        raise NotYet("The answer is a number.")
    if _close(given, rate * factor**steps):
        raise NotYet("The rates fall towards the image; this one has risen.")
    if _close(given, rate / (factor * steps)):
        raise NotYet("The factor applies once for each block, to the rate of the block above.")
    if any(_close(given, rate / factor**k) for k in (steps - 1, steps + 1)):
        raise NotYet("Count the blocks on the way down again.")
    if not _close(given, rate / factor**steps):
        raise NotYet("Divide by the factor once for each block on the way down.")
    return "Each block takes smaller steps than the one above it."


@exercise("Exercise 5.2")
def drift_of_layer(answer, before: nn.Module, after: nn.Module, name: str) -> str:
    """Exercise 5.2: how far the weights of the layer `name` have moved, as a share of their length before."""
    given = number(answer)
    if given is None:
        raise NotYet("The answer is a number.")
    old, new = before.get_submodule(name), after.get_submodule(name)
    step, length = (new.weight - old.weight).norm().item(), old.weight.norm().item()
    if _close(given, step):
        raise NotYet("That is how far they moved. How long is the layer's list of weights?")
    if _close(given, length / max(step, 1e-12)):
        raise NotYet("Turn the fraction over: the way by the length.")
    if _close(given, 100 * step / length):
        raise NotYet("A share is a number like 0.1, not a percentage.")
    if not any(_close(given, share) for share in (step / length, weight_drift(before, after)[name])):
        raise NotYet("Subtract the weights before from those after, and divide the length of the difference by the "
                     "length before. Are these the right layer and the right two networks?")
    return f"{name} has moved by {100 * given:.1f} % of its own length."


@exercise("Exercise 5.3")
def frozen_by_hand(answer) -> str:
    """Exercise 5.3: a function that freezes all of a network with batch norm but the head, and readies it for training.

    It is tried on an untrained network: after forward passes nothing but the head may have changed or want to learn.
    """
    if isinstance(answer, nn.Module) or not callable(answer):
        raise NotYet("The answer is a function that takes a network.")
    model = networks.build("pocket_vgg_bn", weights=None, num_classes=10)
    head, before = networks.head(model), copy.deepcopy(model.state_dict())
    with readers_code("Given a network, your function"):
        answer(model)
    if not all(p.requires_grad for p in head.parameters()):
        raise NotYet("The head should learn, and its parameters do not require gradients.")
    learn = [name for name, p in model.named_parameters() if p.requires_grad and "classifier.6." not in name]
    if learn:
        raise NotYet(f"{learn[0]} still requires a gradient.")
    images = torch.randn((8, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # dropout would draw from the reader's generator
        model(images)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    if changed:
        raise NotYet(f"After one batch, {changed[0]} is another: that layer was in training mode.")
    if not any(layer.training for layer in model.modules() if isinstance(layer, nn.Dropout)):
        raise NotYet("Now dropout is not in training mode either. Call model.train() first, then set the batch "
                     "norm layers back.")
    return "Nothing below the head changes any more, whatever passes through."


@exercise("Exercise 5.4")
def falling_rates(answer, model: nn.Module, factor: float) -> str:
    """Exercise 5.4: an optimiser for `model` in which each layer has 1/`factor` of the rate of the one above it.

    Layers are those of `networks.layers_from_top`.
    """
    if not isinstance(answer, torch.optim.Optimizer):
        raise NotYet("The answer is an optimiser from torch.optim.")
    rate = {p: float(group["lr"]) for group in answer.param_groups for p in group["params"]}
    names = {p: name for name, p in model.named_parameters()}
    layers = [[p for layer in layers for p in layer.parameters(recurse=False)]
              for layers in networks.layers_from_top(model)]
    if missing := [names[p] for own in layers for p in own if p not in rate]:
        raise NotYet(f"{missing[0]} of this network is in none of the optimiser's groups.")
    if mixed := [names[own[0]] for own in layers if len({rate[p] for p in own}) > 1]:
        raise NotYet(f"{mixed[0]} and the other parameters of its layer have different rates.")
    rates = [rate[own[0]] for own in layers]
    if not all(0 < one < math.inf for one in rates):
        raise NotYet("A learning rate is a number above 0.")
    for own, above, below in zip(layers[1:], rates, rates[1:], strict=False):
        if not _close(below * factor, above):
            raise NotYet(f"{names[own[0]]} has the rate {below:.3g}, the layer above it {above:.3g}: that is not "
                         f"{factor:g} times as much.")
    return f"From {rates[0]:.2g} at the head down to {rates[-1]:.2g} at the image."
