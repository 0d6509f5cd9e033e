"""The checks of notebook 4's exercises: frozen or full?"""
from __future__ import annotations

import math

import torch
from torch import nn
from torchvision.models.vgg import VGG

from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.networks import head
from helpers.verdict import NotYet, accuracy_of, exercise, more_than_guessing, near, number


@exercise("Exercise 4.1")
def loss_of_probability(answer, probability: float) -> str:
    """Exercise 4.1: the cross-entropy of an image whose right class got `probability`."""
    truth, given = -math.log(probability), number(answer)
    if given is None:
        raise NotYet("The answer is a number.")
    if near(given, -truth):
        raise NotYet("Mind the sign: a loss is never negative.")
    if near(given, truth / math.log(2)) or near(given, truth / math.log(10)):
        raise NotYet("That is the logarithm to another base; the loss uses the natural one.")
    if not near(given, truth):
        raise NotYet("Minus the natural logarithm of the probability, to two digits after the point.")
    return "Certain and right would cost nothing."


@exercise("Exercise 4.2")
def two_rates(answer, model: nn.Module) -> str:
    """Exercise 4.2: an optimiser in which every backbone parameter has a tenth of the head's learning rate."""
    if not isinstance(answer, torch.optim.Optimizer):
        raise NotYet("The answer is an optimiser from torch.optim.")
    rate = {p: float(group["lr"]) for group in answer.param_groups for p in group["params"]}
    if missing := [name for name, p in model.named_parameters() if p not in rate]:
        raise NotYet(f"{missing[0]} of this network is in none of the optimiser's groups.")
    on_top = set(head(model).parameters())
    top, below = {rate[p] for p in on_top}, {rate[p] for p in model.parameters() if p not in on_top}
    if len(top) > 1 or len(below) > 1:
        raise NotYet("Use one rate for the whole head and one for everything below.")
    if min(top | below) <= 0:
        raise NotYet("With a rate of zero nothing is learnt.")
    if not math.isclose(top.pop(), 10 * below.pop(), rel_tol=1e-6):
        raise NotYet("The head's rate is not ten times the backbone's.")
    return "The pre-trained layers take small steps, the new one large steps."


@exercise("Exercise 4.3")
def in_between(answer, val, preprocess, frozen: list[float]) -> str:
    """Exercise 4.3: a trained VGG with frozen `features`; reports its validation accuracy beside the frozen heads'.

    `frozen`: theirs, 0 to 1, one for each draw of the labels.
    """
    own = accuracy_of(answer, val, preprocess)
    if not isinstance(answer, VGG):
        raise NotYet("The answer is the whole network, as networks.build returns it.")
    learns = {name: p.requires_grad for name, p in answer.named_parameters()}
    if wrong := [name for name in learns if name.startswith("features") and learns[name]]:
        raise NotYet(f"{wrong[0]} still requires grad.")
    if wrong := [name for name in learns if name.startswith("classifier") and not learns[name]]:
        raise NotYet(f"{wrong[0]} does not require grad: all of the classifier should learn.")
    if own < more_than_guessing(len(val.classes)):
        raise NotYet(f"Its validation accuracy is {100 * own:.1f} %, hardly more than guessing: was it trained?")
    return (f"In between: {100 * own:.1f} % on the validation images; frozen: {100 * min(frozen):.1f} to "
            f"{100 * max(frozen):.1f} %. Was your prediction right?")


@exercise("Exercise 4.4")
def temperature(answer, evaluation) -> str:
    """Exercise 4.4: a number to divide the logits by, so that mean confidence and share of right answers agree.

    They may differ by a point. Every image counts the same in both, unlike in the class-balanced accuracy.
    """
    given = number(answer)
    if given is None:
        raise NotYet("The answer is a number.")
    if given <= 0:
        raise NotYet("Zero or less would turn the logits upside down or make them endless.")
    divisor = float(min(max(given, 1e-9), 1e9))  # beyond these nothing changes any more, but numbers run out of range
    confidence = 100 * (evaluation.logits.double() / divisor).softmax(1).amax(1).mean().item()
    right = 100 * (evaluation.predictions == evaluation.labels).double().mean().item()
    if not abs(confidence - right) <= 1:
        raise NotYet(f"With this temperature the network is {confidence:.1f} % sure on average, and right in "
                     f"{right:.1f} % of the cases: it is still too {'sure' if confidence > right else 'modest'}.")
    return "On average it is now as sure as it is right."


@exercise("Challenge")
def challenge(answer, own, val, preprocess, goal: float, per_class: int) -> str:
    """The challenge: a network trained on the images `own` that reaches the accuracy `goal` (0 to 1) on `val`.

    What can be checked is checked: that `own` has at most `per_class` labels per class, that the network is one for
    these classes, and that it knows `own`, on which it was trained, at least as well as `val`.
    """
    if not isinstance(own, ImageSplit) or not len(own):
        raise NotYet("`own` should hold the images that it was trained on, as `few` returns them.")
    counts = torch.bincount(own.labels)
    if counts.max() > per_class:
        raise NotYet(f"There are {counts.max()} images of {own.classes[counts.argmax()]} in `own`; {per_class} are "
                     "allowed.")
    reached = accuracy_of(answer, val, preprocess)
    if reached > evaluate(answer, own, preprocess).accuracy + 0.02:
        raise NotYet("It knows the validation images better than your own training images, which is the wrong way "
                     "round: which images was it trained on?")
    if round(100 * reached, 1) < round(100 * goal, 1):  # as they are printed
        raise NotYet(f"{100 * reached:.1f} % on the validation images; the goal is {100 * goal:.1f} %.")
    return f"{100 * reached:.1f} % on the validation images; the goal was {100 * goal:.1f} %."
