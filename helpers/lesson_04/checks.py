"""The checks of notebook 4's exercises: frozen or full?"""
from __future__ import annotations

import math

import torch
from torch import nn
from torchvision.models.vgg import VGG

from helpers.inference import AT_ONCE, evaluate, in_batches
from helpers.verdict import is_number, report


def loss_of_probability(answer, probability: float) -> None:
    """Exercise 4.1: the cross-entropy of an image whose right class got `probability`."""
    truth = -math.log(probability)
    problem = None
    if not is_number(answer):
        problem = "The answer is a number."
    elif math.isclose(answer, -truth, abs_tol=0.01):
        problem = "Mind the sign: a loss is never negative."
    elif math.isclose(answer, truth / math.log(2), abs_tol=0.01) or math.isclose(
        answer, truth / math.log(10), abs_tol=0.01
    ):
        problem = "That is the logarithm to another base; the loss uses the natural one."
    elif not math.isclose(answer, truth, abs_tol=0.01):
        problem = "Minus the natural logarithm of the probability, to two digits after the point."
    report("Exercise 4.1", answer, problem, "Certain and right would cost nothing.")


def two_rates(answer, model: VGG) -> None:
    """Exercise 4.2: an optimiser in which every backbone parameter has a tenth of the head's learning rate."""
    problem = None
    if not isinstance(answer, torch.optim.Optimizer):
        problem = "The answer is an optimiser from torch.optim."
    else:
        rate = {p: float(group["lr"]) for group in answer.param_groups for p in group["params"]}
        missing = [name for name, p in model.named_parameters() if p not in rate]
        head = {rate.get(p) for p in model.classifier[6].parameters()}
        below = {rate.get(p) for name, p in model.named_parameters() if not name.startswith("classifier.6")}
        if missing:
            problem = f"{missing[0]} of this network is in none of the optimiser's groups."
        elif len(head) > 1 or len(below) > 1:
            problem = "Use one rate for the whole head and one for everything below."
        elif min(head | below) <= 0:
            problem = "With a rate of zero nothing is learnt."
        elif not math.isclose(head.pop(), 10 * below.pop(), rel_tol=1e-6):
            problem = "The head's rate is not ten times the backbone's."
    report("Exercise 4.2", answer, problem, "The pre-trained layers take small steps, the new one large steps.")


def _ten_class_problem(answer, val, preprocess) -> tuple[str | None, float]:
    """What keeps `answer` from being a network for the classes of `val`, if anything; and its accuracy there, in %."""
    if isinstance(answer, tuple) and any(isinstance(part, nn.Module) for part in answer):
        return "The answer is the trained network alone, without its history.", 0.0
    if not isinstance(answer, nn.Module) or next(answer.parameters(), None) is None:
        return "The answer is the trained network.", 0.0
    try:
        logits = in_batches(answer, val, preprocess, lambda model, inputs: model(inputs), AT_ONCE)[0].cpu()
    except Exception as error:  # whatever a network that does not fit these images may raise
        return f"It can't be shown the validation images: {type(error).__name__}, {str(error).splitlines()[0]}", 0.0
    if logits.shape != (len(val), len(val.classes)):
        outputs = " x ".join(map(str, logits.shape[1:]))
        return f"It has {outputs} outputs for an image; there are {len(val.classes)} classes.", 0.0
    if not logits.isfinite().all():
        return "Some of its logits are not numbers: did the training diverge?", 0.0
    return None, 100 * (logits.argmax(1) == val.labels).float().mean().item()


def in_between(answer, val, preprocess, frozen_runs) -> None:
    """Exercise 4.3: a trained VGG with frozen `features`; reports its validation accuracy beside the frozen runs'."""
    problem, praise = None, ""
    if answer is not ...:
        problem, own = _ten_class_problem(answer, val, preprocess)
        problem = problem or _in_between_problem(answer)
        if not problem and own < 200 / len(val.classes):
            problem = f"It gets {own:.1f} % of the validation images right, hardly more than guessing: was it trained?"
        others = [100 * history.best_accuracy for _, history in frozen_runs]
        praise = (
            f"In between: {own:.1f} % of the validation images; frozen: {min(others):.1f} to {max(others):.1f} %. "
            "Was your prediction right?"
        )
    report("Exercise 4.3", answer, problem, praise)


def _in_between_problem(model) -> str | None:
    if not isinstance(model, VGG):
        return "The answer is the whole network, as networks.build returns it."
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    if wrong := [name for name in learning if name.startswith("features")]:
        return f"{wrong[0]} still requires grad."
    if frozen := [name for name, p in model.classifier.named_parameters() if not p.requires_grad]:
        return f"classifier.{frozen[0]} does not require grad: all of the classifier should learn."
    return None


def temperature(answer, evaluation) -> None:
    """Exercise 4.4: a number to divide the logits by, so that mean confidence and accuracy agree to a point."""
    problem = None
    if isinstance(answer, torch.Tensor) and answer.numel() == 1:
        answer = answer.item()
    if not is_number(answer):
        problem = "The answer is a number."
    elif answer <= 0:
        problem = "Zero or less would turn the logits upside down or make them endless."
    else:
        confidence = 100 * (evaluation.logits / answer).softmax(1).amax(1).mean().item()
        gap = confidence - 100 * evaluation.accuracy
        if abs(gap) > 1:
            problem = (
                f"With this temperature the network is {confidence:.1f} % sure on average, and right in "
                f"{100 * evaluation.accuracy:.1f} % of the cases: it is still too {'sure' if gap > 0 else 'modest'}."
            )
    report("Exercise 4.4", answer, problem, "On average it is now as sure as it is right.")


def challenge(answer, own, val, preprocess, goal: float) -> None:
    """The challenge: a network trained on the images `own` that reaches the accuracy `goal` (0 to 1) on `val`.

    What can be checked is checked: that `own` has at most 50 labels a class, that the network is one for these classes,
    and that it knows `own`, on which it was trained, at least as well as `val`.
    """
    problem, praise = None, ""
    if answer is not ...:
        problem, reached = _ten_class_problem(answer, val, preprocess)
        counts = torch.bincount(own.labels)
        missing = math.ceil(goal * len(val) - 1e-6) - round(reached / 100 * len(val))
        if counts.max() > 50:
            problem = f"There are {counts.max()} images of {own.classes[counts.argmax()]} in `own`; 50 are allowed."
        elif not problem and reached > 100 * evaluate(answer, own, preprocess).accuracy + 2:
            problem = (
                "It knows the validation images better than your own training images, which is the wrong way "
                "round: which images was it trained on?"
            )
        elif not problem and missing > 0:
            problem = (
                f"{reached:.1f} % of the validation images; the goal is {100 * goal:.1f} %. "
                f"{missing} more of the {len(val)} images would do."
            )
        else:
            praise = f"{reached:.1f} % of the validation images; the goal was {100 * goal:.1f} %."
    report("Challenge", answer, problem, praise)
