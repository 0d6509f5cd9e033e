"""The checks of notebook 1's exercises: what is transfer learning?"""
from __future__ import annotations

import torch
from torch import nn
from torchvision.models.vgg import VGG

from helpers import networks
from helpers.inference import evaluate
from helpers.preprocess import Preprocess
from helpers.verdict import report


def labels_needed(answer, curve: dict[str, dict[int, list[float]]]) -> None:
    """Exercise 1.1: the label count at which scratch first reaches what frozen has with the fewest, or "never"."""
    means = {method: {count: sum(v) / len(v) for count, v in points.items()} for method, points in curve.items()}
    counts = sorted(means["scratch"])
    goal = means["frozen"][counts[0]]
    truth = next((count for count in counts if means["scratch"][count] >= goal), "never")
    problem = None
    if not isinstance(answer, (int, float, str)) or answer not in [*counts, "never"]:
        problem = f"The answer is one of {', '.join(map(str, counts))} or 'never'."
    elif answer == "never" and truth != "never":
        problem = "There is a label count at which the curve from scratch gets there. Compare the means."
    elif truth == "never" and answer != "never":
        problem = (
            f"With {answer} labels a class the mean from scratch is still below the frozen one's with {counts[0]}."
        )
    elif answer != truth:
        problem = (
            "It gets there with fewer labels already."
            if answer > truth
            else f"With {answer} labels a class the mean from scratch is still lower."
        )
    report("Exercise 1.1", answer, problem, "That is how many labels pre-training stood in for.")


def head_size(answer, features: int, classes: int) -> None:
    """Exercise 1.2: parameters of a linear layer from `features` inputs to `classes` outputs."""
    truth = features * classes + classes
    problem = None
    if not isinstance(answer, (int, float)) or isinstance(answer, bool):
        problem = "The answer is a whole number."
    elif answer == features * classes:
        problem = "These are the weights; each class has a bias as well."
    elif answer != truth:
        problem = (
            f"The layer has {features} inputs and {classes} outputs: one weight for each pair, one bias an output."
        )
    report("Exercise 1.2", answer, problem, "Weights and biases.")


def convolutions_frozen(answer) -> None:
    """Exercise 1.3: a VGG with ten outputs whose `features` are frozen and whose `classifier` learns."""
    problem = None
    if answer is not ... and not isinstance(answer, VGG):
        problem = "The answer is a network, as networks.build returns it."
    elif answer is not ...:
        frozen = [name for name, p in answer.named_parameters() if not p.requires_grad]
        learning = [name for name, p in answer.named_parameters() if p.requires_grad]
        if (outputs := _outputs(answer)) != 10:
            problem = f"The head has {outputs} outputs; the target task has 10 classes."
        elif wrong := [name for name in learning if name.startswith("features")]:
            problem = f"{wrong[0]} still requires grad."
        elif not any(name.startswith("features") for name in frozen):
            problem = "It has no convolutions that could be frozen."
        elif wrong := [name for name in frozen if name.startswith("classifier")]:
            problem = f"{wrong[0]} does not require grad, so it would not learn."
    report("Exercise 1.3", answer, problem, "The convolutions stay, the fully connected layers learn.")


def _outputs(model: VGG) -> int | str:
    """How many outputs the head has, or "no" where slot 6 holds no linear layer."""
    slots = list(model.classifier.children())
    return slots[6].out_features if len(slots) == 7 and isinstance(slots[6], nn.Linear) else "no"


def more_labels(answer, scores: dict[str, list[float]], seed: int) -> None:
    """Exercise 1.4: a function (labels a class, seed) -> accuracy (0 to 1) of the frozen network on the digits.

    `scores`: what the notebook measured with 20 labels a class, by method, the first of them with `seed`.
    """
    problem, praise, known = None, "", scores["frozen"][0]
    if answer is not ... and answer is not None:
        try:
            few, many = (float(answer(count, seed)) for count in (20, 80))
        except Exception as error:  # the reader's code may raise anything, and the answer may be no function at all
            problem = (f"It stopped with {type(error).__name__}: {error}" if callable(answer)
                       else "The answer is a function of a label count and a seed; give its name, without brackets.")
        else:
            scratch = sum(scores["scratch"]) / len(scores["scratch"])
            praise = (f"Frozen with 20 labels a class: {100 * few:.1f} %, with 80: {100 * many:.1f} %; "
                      f"from scratch with 20: {100 * scratch:.1f} %. How far off was your prediction?")
            if not (0 <= few <= 1 and 0 <= many <= 1):
                problem = f"It returns {few:g} and {many:g}; an accuracy lies between 0 and 1."
            elif few == many:
                problem = "The same accuracy with 20 and with 80 labels a class: does it use its first argument?"
            elif abs(few - known) > 0.02:
                problem = (f"With 20 labels a class and seed {seed} it returns {few:.3f}; above, {known:.3f} was "
                           "measured. Are method, splits, epochs and preprocessing the same?")
    report("Exercise 1.4", answer, problem, praise)


def never_pretrained(answer, name: str, exam, preprocess: Preprocess, scores: dict[str, list[float]]) -> None:
    """Exercise 1.5: the backbone `name`, random and frozen, with a head trained on the digits.

    `scores`: accuracies on `exam` that the notebook measured, by method; "frozen" is the pre-trained backbone's.
    """
    problem, praise = None, ""
    if answer is not ... and not isinstance(answer, VGG):
        problem = "The answer is a network, as networks.build returns it."
    elif answer is not ...:
        problem = _random_backbone_problem(answer, name)
        try:
            own = 100 * evaluate(answer, exam, preprocess).accuracy if problem is None else None
        except Exception as error:  # whatever a network that was taken apart may raise
            problem = f"It can't be applied to the digits: {error}"
        if problem is None:
            frozen = 100 * sum(scores["frozen"]) / len(scores["frozen"])
            praise = (f"Random and frozen: {own:.1f} % of the test digits; pre-trained and frozen: {frozen:.1f} %. "
                      "What do the digits not need that the ten classes do?")
            if own < 200 / len(exam.classes):
                problem = f"It gets {own:.1f} % of the digits right, hardly more than guessing: was its head trained?"
    report("Exercise 1.5", answer, problem, praise)


def _random_backbone_problem(model: VGG, name: str) -> str | None:
    """What keeps `model` from being the network `name` with ten outputs, a random frozen backbone and a free head."""
    parameters = dict(model.named_parameters())
    first, taught = parameters.get("features.0.weight"), networks.read_weights(name)["features.0.weight"]
    biases = [key for key, p in parameters.items() if key.startswith("features") and key.endswith("bias")]
    if first is None or first.shape != taught.shape:
        return f"Its first layer is not {name}'s; build it with networks.build."
    if (outputs := _outputs(model)) != 10:
        return f"The head has {outputs} outputs; there are 10 digits."
    if torch.equal(first.detach().cpu(), taught):
        return "features.0.weight is the pre-trained one."
    if moved := [key for key in biases if parameters[key].any()]:
        return f"{moved[0]} is zero in a fresh network, and is not here: the backbone has learnt something."
    if learning := [k for k, p in parameters.items() if p.requires_grad and not k.startswith("classifier.6")]:
        return f"{learning[0]} still requires grad."
    return None
