"""The checks of notebook 1's exercises: what is transfer learning?"""
from __future__ import annotations

import torch
from torchvision.models.vgg import VGG

from helpers import pretrained
from helpers.preprocess import Preprocess
from helpers.verdict import (
    NotYet,
    accuracy_of,
    check_vgg,
    exercise,
    number,
    outputs_of,
    readers_code,
    short,
    whole_number,
)


@exercise("Exercise 1.1")
def labels_needed(answer, curve: dict[str, dict[int, list[float]]]) -> str:
    """Exercise 1.1: the label count at which scratch first reaches what frozen has with the fewest, or "never"."""
    means = {method: {count: sum(v) / len(v) for count, v in points.items()} for method, points in curve.items()}
    counts = sorted(means["scratch"])
    goal = means["frozen"][counts[0]]
    truth = next((count for count in counts if means["scratch"][count] >= goal), "never")
    given = answer if isinstance(answer, str) else whole_number(answer)
    if given not in (*counts, "never"):
        raise NotYet(f"The answer is one of {', '.join(map(str, counts))} or 'never'.")
    if given == "never" and truth != "never":
        raise NotYet("There is a label count at which the curve from scratch gets there. Compare the means.")
    if truth == "never" and given != "never":
        raise NotYet(f"With {given} labels per class the mean from scratch is still below the frozen one's with "
                     f"{counts[0]}.")
    if given != truth:
        raise NotYet("It gets there with fewer labels already." if given > truth
                     else f"With {given} labels per class the mean from scratch is still lower.")
    return "That is how many labels pre-training stood in for."


@exercise("Exercise 1.2")
def head_size(answer, features: int, classes: int) -> str:
    """Exercise 1.2: parameters of a linear layer from `features` inputs to `classes` outputs."""
    given = whole_number(answer)
    if given is None:
        raise NotYet("The answer is a whole number.")
    if given == features * classes:
        raise NotYet("These are the weights; each class has a bias as well.")
    if given != features * classes + classes:
        raise NotYet(f"The layer has {features} inputs and {classes} outputs: one weight for each pair, one bias for "
                     "each output.")
    return "Weights and biases."


@exercise("Exercise 1.3")
def convolutions_frozen(answer) -> str:
    """Exercise 1.3: a VGG with ten outputs whose `features` are frozen and whose `classifier` learns."""
    check_vgg(answer)
    logits = outputs_of(answer, torch.zeros(2, 3, 96, 96))
    if logits.shape[1:] != (10,):
        outputs = " x ".join(map(str, logits.shape[1:])) or "no"
        raise NotYet(f"The head has {outputs} outputs; the target task has 10 classes.")
    learns = {name: p.requires_grad for name, p in answer.named_parameters()}
    if wrong := [name for name in learns if name.startswith("features") and learns[name]]:
        raise NotYet(f"{wrong[0]} still requires grad.")
    if not any(name.startswith("features") for name in learns):
        raise NotYet("It has no convolutions that could be frozen.")
    if wrong := [name for name in learns if name.startswith("classifier") and not learns[name]]:
        raise NotYet(f"{wrong[0]} does not require grad, so it would not learn.")
    return "The convolutions stay, the fully connected layers learn."


@exercise("Exercise 1.4")
def more_labels(answer, scores: dict[str, list[float]], seed: int, labels: int) -> str:
    """Exercise 1.4: a function (labels per class, seed) -> accuracy (0 to 1) of the frozen network on the digits.

    `scores`: what the notebook measured with `labels` labels per class, by method, the first of them with `seed`.
    """
    if not callable(answer):
        raise NotYet("The answer is a function of a label count and a seed; give its name, without brackets.")
    with readers_code("It"):
        returned = [answer(count, seed) for count in (labels, 4 * labels)]
    few, many = accuracies = [number(value) for value in returned]
    if wrong := [short(value) for value, share in zip(returned, accuracies, strict=True)
                 if share is None or not 0 <= share <= 1]:
        raise NotYet(f"It returns {' and '.join(wrong)}; an accuracy lies between 0 and 1.")
    if few == many:
        raise NotYet(f"The same accuracy with {labels} and with {4 * labels} labels per class: does it use its first "
                     "argument?")
    known = scores["frozen"][0]
    if abs(few - known) > 0.02:
        raise NotYet(f"With {labels} labels per class and seed {seed} it returns {few:.3f}; above, {known:.3f} was "
                     "measured. Are method, splits, epochs and preprocessing the same?")
    scratch = sum(scores["scratch"]) / len(scores["scratch"])
    return (f"Frozen with {labels} labels per class: {100 * few:.1f} %, with {4 * labels}: {100 * many:.1f} %; "
            f"from scratch with {labels}: {100 * scratch:.1f} %. How far off was your prediction?")


@exercise("Exercise 1.5")
def never_pretrained(answer, name: str, exam, preprocess: Preprocess, scores: dict[str, list[float]]) -> str:
    """Exercise 1.5: the backbone `name`, random and frozen, with a head trained on the digits.

    `scores`: accuracies on `exam` that the notebook measured, by method; "frozen" is the pre-trained backbone's.
    """
    check_vgg(answer)
    _check_random_backbone(answer, name)
    own = accuracy_of(answer, exam, preprocess)
    if own < 2 / len(exam.classes):
        raise NotYet(f"It gets {100 * own:.1f} % of the digits right, hardly more than guessing: was its head trained?")
    frozen = sum(scores["frozen"]) / len(scores["frozen"])
    return (f"Random and frozen: {100 * own:.1f} % of the test digits; pre-trained and frozen: {100 * frozen:.1f} %. "
            "What do the digits not need that the ten classes do?")


def _check_random_backbone(model: VGG, name: str) -> None:
    """Raise `NotYet` unless `model` is the network `name` with a random, frozen backbone; the head may learn."""
    parameters = dict(model.named_parameters())
    first, taught = parameters.get("features.0.weight"), pretrained.read_weights(name)["features.0.weight"]
    if first is None or first.shape != taught.shape:
        raise NotYet(f"Its first layer is not {name}'s; build it with networks.build.")
    if torch.equal(first.detach().cpu().float(), taught):
        raise NotYet("features.0.weight is the pre-trained one.")
    biases = [key for key in parameters if key.startswith("features") and key.endswith("bias")]
    if moved := [key for key in biases if parameters[key].any()]:
        raise NotYet(f"{moved[0]} is zero in a fresh network, and is not here: the backbone has learnt something.")
    if learning := [key for key, p in parameters.items() if p.requires_grad and not key.startswith("classifier.6")]:
        raise NotYet(f"{learning[0]} still requires grad.")
