"""Checks for the exercises: each says whether an answer is right and, if not, what is wrong, never what is right.

An answer that is still `...` is reported as not answered yet.
"""

from __future__ import annotations

import copy
import math
import numbers
import reprlib

import torch
from torch import nn
from torchvision.models.vgg import VGG
from torchvision.transforms import v2

from helpers import anatomy, backbones
from helpers.augment import Preprocess, normalise
from helpers.features import AT_ONCE, in_batches
from helpers.training import evaluate


def _report(name: str, answer, problem: str | None, praise: str) -> None:
    """Print the verdict on an exercise: `problem` says what is wrong, None means the answer is right."""
    if answer is ... or answer is None:
        print(f"{name}: not answered yet. Replace the ... above and run the cell again.")
    elif problem:
        print(f"{name}: not yet. {problem}")
    else:
        print(f"{name}: right. {praise}")


# --- notebook 01 ---


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
    _report("Exercise 1.1", answer, problem, "That is how many labels pre-training stood in for.")


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
    _report("Exercise 1.2", answer, problem, "Weights and biases.")


def convolutions_frozen(answer) -> None:
    """Exercise 1.3: a VGG with ten outputs whose `features` are frozen and whose `classifier` learns."""
    problem = None
    if answer is not ... and not isinstance(answer, VGG):
        problem = "The answer is a network, as backbones.build returns it."
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
    _report("Exercise 1.3", answer, problem, "The convolutions stay, the fully connected layers learn.")


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
    _report("Exercise 1.4", answer, problem, praise)


def never_pretrained(answer, name: str, exam, preprocess: Preprocess, scores: dict[str, list[float]]) -> None:
    """Exercise 1.5: the backbone `name`, random and frozen, with a head trained on the digits.

    `scores`: accuracies on `exam` that the notebook measured, by method; "frozen" is the pre-trained backbone's.
    """
    problem, praise = None, ""
    if answer is not ... and not isinstance(answer, VGG):
        problem = "The answer is a network, as backbones.build returns it."
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
    _report("Exercise 1.5", answer, problem, praise)


def _random_backbone_problem(model: VGG, name: str) -> str | None:
    """What keeps `model` from being the network `name` with ten outputs, a random frozen backbone and a free head."""
    parameters = dict(model.named_parameters())
    first, taught = parameters.get("features.0.weight"), backbones.read_weights(name)["features.0.weight"]
    biases = [key for key, p in parameters.items() if key.startswith("features") and key.endswith("bias")]
    if first is None or first.shape != taught.shape:
        return f"Its first layer is not {name}'s; build it with backbones.build."
    if (outputs := _outputs(model)) != 10:
        return f"The head has {outputs} outputs; there are 10 digits."
    if torch.equal(first.detach().cpu(), taught):
        return "features.0.weight is the pre-trained one."
    if moved := [key for key in biases if parameters[key].any()]:
        return f"{moved[0]} is zero in a fresh network, and is not here: the backbone has learnt something."
    if learning := [k for k, p in parameters.items() if p.requires_grad and not k.startswith("classifier.6")]:
        return f"{learning[0]} still requires grad."
    return None


# --- notebook 02 ---


def half_the_image(answer) -> None:
    """Exercise 2.1: VGG-16's first layer, by name, whose units see at least 112 x 112 of 224 x 224 pixels."""
    rows = {row.name: row for row in _vgg16_table(224) if row.name.startswith("features")}
    seen = {name: row.receptive_field for name, row in rows.items()}
    truth = next(name for name, field in seen.items() if field >= 112)
    problem = None
    if not isinstance(answer, str):
        problem = 'The answer is a name as in the first column of the table, in quotes, like "features.0".'
    elif answer not in rows:
        problem = f"There is no layer called {_short(answer)} in features. Take a name from the table's first column."
    elif seen[answer] < 112:
        problem = f"A unit of {answer} sees {seen[answer]} x {seen[answer]} pixels, which is less than half a side."
    elif rows[answer].kind == "ReLU":
        problem = f"{answer} is a ReLU, which sees what the layer before it sees. That one comes first."
    elif answer != truth:
        problem = f"A unit of {answer} sees {seen[answer]} x {seen[answer]} pixels, but an earlier layer sees enough."
    _report("Exercise 2.1", answer, problem, "All layers before it judge the image by smaller pieces.")


def smallest_image(answer) -> None:
    """Exercise 2.2: the side in pixels of the smallest square image that VGG-16 accepts."""
    problem = None
    if not _whole(answer) or answer < 1:
        problem = "The answer is a whole number of pixels, at least 1."
    elif answer > 224:
        problem = f"{_short(answer)} pixels a side get through, but smaller images do as well."
    elif not _fits(answer):
        problem = f"An image of {answer} pixels a side does not get through: a pooling layer is left with nothing."
    elif _fits(answer - 1):
        problem = f"{answer} pixels a side get through, but smaller images do as well."
    _report("Exercise 2.2", answer, problem, "Every max pooling needs at least two rows to make one of.")


def _whole(answer) -> bool:
    return isinstance(answer, numbers.Integral) and not isinstance(answer, bool)


def _short(answer) -> str:
    """An answer as it is written in Python, cut if it is long; never fails, whatever the answer is."""
    return reprlib.repr(answer)


def _vgg16_table(side: int) -> list[anatomy.Layer]:
    return anatomy.layer_table(backbones.build("vgg16", device="meta"), side)


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
                problem = f"For the (kernel, stride) pairs {stack} it gives {_short(given)}; a unit sees more or less."
            if problem:
                break
    _report("Exercise 2.3", answer, problem, f"It agrees with the layer table on {len(stacks)} stacks of layers.")


def folded_for_64(answer, name: str) -> None:
    """Exercise 2.4: the backbone `name` with its first fully connected layer folded for images of 64 x 64 pixels."""
    problem = None
    if answer is not ... and answer is not None:
        problem = _guarded(_folding_problem, answer, name)
    _report("Exercise 2.4", answer, problem, "Fewer weights, the same logits.")


def _guarded(find_problem, *arguments) -> str | None:
    """What `find_problem` finds; if the answer is so odd that looking at it fails, then that."""
    try:
        return find_problem(*arguments)
    except Exception as error:
        return f"The answer can't be checked, looking at it stopped with {type(error).__name__}: {error}"


def _folding_problem(answer, name: str) -> str | None:
    if not isinstance(answer, VGG):
        return "The answer is a network, as backbones.build returns it."
    if [type(layer) for layer in answer.classifier.children()][:1] != [nn.Linear]:
        return "classifier[0] should be a linear layer."
    truth = backbones.build(name).eval()
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
    convolutions = backbones.build("vgg16", device="meta").features
    kept, channels = backbones.count_parameters(convolutions), 512
    truth = kept + channels * 10 + 10
    problem = None
    if predicted is ... or predicted is None:
        answer = ...  # predict first
    elif not _whole(predicted):
        problem = "predicted should be a whole number."
    elif predicted == kept:
        problem = f"{predicted:,} are the parameters of the convolutions alone; the new layer has some as well."
    elif predicted == truth - 10:
        problem = "So close: your prediction forgets that each output of a linear layer has a bias."
    elif predicted != truth:
        problem = (
            f"You predict {_short(predicted)} parameters, which is too {'many' if predicted > truth else 'few'}. Which "
            "layers of the table stay? And how many inputs has the new layer, if each channel gives it one number?"
        )
    elif answer is not ... and answer is not None:
        problem = _guarded(_lean_problem, answer, convolutions, channels)
    before = anatomy.totals(_vgg16_table(224))["parameters"]
    praise = f"{before:,} parameters became {truth:,}, and the work stays where it was, in the convolutions."
    _report("Exercise 2.5", answer, problem, praise)


def _lean_problem(answer, convolutions: nn.Sequential, channels: int) -> str | None:
    if not isinstance(answer, VGG):
        return "The answer is a network, as backbones.build returns it."
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


# --- notebook 04 ---


def _is_number(answer) -> bool:
    return isinstance(answer, (int, float)) and not isinstance(answer, bool) and math.isfinite(answer)


def loss_of_probability(answer, probability: float) -> None:
    """Exercise 4.1: the cross-entropy of an image whose right class got `probability`."""
    truth = -math.log(probability)
    problem = None
    if not _is_number(answer):
        problem = "The answer is a number."
    elif math.isclose(answer, -truth, abs_tol=0.01):
        problem = "Mind the sign: a loss is never negative."
    elif math.isclose(answer, truth / math.log(2), abs_tol=0.01) or math.isclose(
        answer, truth / math.log(10), abs_tol=0.01
    ):
        problem = "That is the logarithm to another base; the loss uses the natural one."
    elif not math.isclose(answer, truth, abs_tol=0.01):
        problem = "Minus the natural logarithm of the probability, to two digits after the point."
    _report("Exercise 4.1", answer, problem, "Certain and right would cost nothing.")


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
    _report("Exercise 4.2", answer, problem, "The pre-trained layers take small steps, the new one large steps.")


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
    _report("Exercise 4.3", answer, problem, praise)


def _in_between_problem(model) -> str | None:
    if not isinstance(model, VGG):
        return "The answer is the whole network, as backbones.build returns it."
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
    if not _is_number(answer):
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
    _report("Exercise 4.4", answer, problem, "On average it is now as sure as it is right.")


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
    _report("Challenge", answer, problem, praise)


# --- notebook 03 ---


def black_border(answer, mean, std) -> None:
    """Exercise 3.1: what normalisation with `mean` and `std` (each for red, green, blue) makes of black, in red."""
    truth = (0 - mean[0]) / std[0]
    near = lambda value: math.isclose(answer, value, abs_tol=0.01)
    problem = None
    if not isinstance(answer, (int, float)) or isinstance(answer, bool):
        problem = "The answer is a number."
    elif near(truth):
        pass
    elif near(0):
        problem = "After normalisation, 0 is an average pixel. Black is darker than that."
    elif near(-truth):
        problem = "Mind the sign: black is darker than the average pixel, which becomes 0."
    elif near(-mean[0]):
        problem = "The mean is subtracted, but that is only one of the two steps."
    elif any(near((0 - m) / s) for m, s in zip(mean[1:], std[1:], strict=True)):
        problem = "That is another channel's value; red comes first."
    else:
        problem = "That is not what comes out for 0. Are these the backbone's constants, and the red channel's?"
    _report("Exercise 3.1", answer, problem, "So many standard deviations lies black below the average.")


def count_crops(answer, padding: int) -> None:
    """Exercise 3.2: how many different images random crop with `padding` pixels, then a random flip, makes of one."""
    places = 2 * padding + 1
    problem = None
    if not isinstance(answer, (int, float)) or isinstance(answer, bool):
        problem = "The answer is a whole number."
    elif answer == places**2:
        problem = "These are the windows; some of the images come out mirrored as well."
    elif answer in (places, 2 * places):
        problem = "The window moves in two directions, independently."
    elif answer in (padding**2, 2 * padding**2, (2 * padding) ** 2, 2 * (2 * padding) ** 2):
        problem = "Count the places again: the window may also stay where it is, and the border is on both sides."
    elif answer != 2 * places**2:
        problem = "Count the places from top to bottom, then those from left to right, then think of the mirror."
    _report("Exercise 3.2", answer, problem, "All from one stored image, and all with the same label.")


def digits_preprocess(answer, mean, std) -> None:
    """Exercise 3.3: a `Preprocess` fit for handwritten digits and a backbone that expects `mean` and `std`."""
    problem = None
    if answer is ... or answer is None:
        pass
    elif not isinstance(answer, Preprocess):
        problem = f"The answer is a Preprocess(mean, std, padding=..., flip=...), not {type(answer).__name__}."
    else:
        images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        try:
            unchanged, expected = answer(images), normalise(images, mean, std)
            drawn = answer.augment(images, torch.Generator().manual_seed(0))
        except Exception as error:  # any setting can be nonsense; say what it led to
            problem = f"It can't be applied to images: {error}"
        else:
            if not torch.allclose(unchanged, expected, atol=1e-4):
                problem = "The pre-trained network expects other constants than these."
            elif answer.flip:
                problem = "Some training images would come out mirrored. Is a mirrored 3 still a 3?"
            elif torch.equal(drawn, unchanged):
                problem = "It changes nothing at all: digits may well sit a few pixels further left or lower."
            elif answer.padding > 16:
                problem = f"With padding {answer.padding}, parts of a digit are cut away. Would you still read it?"
    _report("Exercise 3.3", answer, problem, "It moves the digit and leaves its meaning alone.")


def random_brightness(answer) -> None:
    """Exercise 3.4: a function (images, strength, generator) -> images, each with its own brightness."""
    problem = None
    if callable(answer):
        try:
            problem = _brightness_problem(answer)
        except Exception as error:  # the reader's code may raise anything
            problem = f"It stopped with {type(error).__name__}: {error}"
    elif answer is not ... and answer is not None:
        problem = f"The answer is a function, not {type(answer).__name__}."
    _report("Exercise 3.4", answer, problem, "One factor an image, repeatable, and nothing wraps around.")


def _brightness_problem(function) -> str | None:
    seeded = lambda seed: torch.Generator().manual_seed(seed)
    grey = torch.full((64, 3, 8, 8), 100, dtype=torch.uint8)
    before = grey.clone()
    out = function(grey, 0.4, seeded(0))
    if not isinstance(out, torch.Tensor):
        return f"It returns {type(out).__name__}; a tensor of images is needed."
    if out.shape != grey.shape or out.dtype != torch.uint8:
        return f"Given uint8 images of shape {tuple(grey.shape)}, it returns {out.dtype} of shape {tuple(out.shape)}."
    if not torch.equal(grey, before):
        return "It changes the images that it was given; the stored images must stay as they are."
    if torch.equal(out, grey):
        return "The images come out as they went in."
    if not (out == out[:, :1, :1, :1]).all():
        return "Pixels or channels of one image get different factors, which is noise or a change of colour."
    levels = out[:, 0, 0, 0].float() / 100
    if (levels == levels[0]).all():
        return "All images of the batch get the same factor; each needs a draw of its own."
    if not torch.equal(out, function(grey, 0.4, seeded(0))):
        return "The same seed gives other draws. Does the random call use the generator?"
    if torch.equal(out, function(grey, 0.4, seeded(1))):
        return "Another seed gives the same draws."
    if levels.min() < 0.59 or levels.max() > 1.41:
        return "With strength 0.4 a factor lies between 0.6 and 1.4; some of these do not."
    if levels.min() > 0.75 or levels.max() < 1.25:
        return "With strength 0.4 factors should fill the range from 0.6 to 1.4, darker and brighter alike."
    if (function(grey + 100, 0.4, seeded(0)).float() < 119).any():
        return "A bright image came out darker than its factor allows: values above 255 must be clipped, or they wrap."
    return None


def four_ways_up(answer, gap, trial) -> None:
    """Exercise 3.5: a pipeline whose draws show an image all four ways up, and a prediction of what it does to the gap.

    `trial(pipeline)` trains with it and returns the accuracies on training images and on the task's (notebook 03).
    """
    problem, praise = None, ""
    if answer is not ... and answer is not None:
        if not isinstance(gap, str) or gap not in ("narrower", "wider", "same"):
            problem = 'Commit yourself first: gap is "narrower", "wider" or "same".'
        elif not callable(answer):
            problem = f"The answer is a pipeline, v2.Compose([...]), not {type(answer).__name__}."
        else:
            try:
                problem = _ways_up_problem(answer)
                if problem is None:
                    problem, praise = _trial_verdict(gap, trial(v2.Identity()), trial(answer))
            except Exception as error:  # the reader's pipeline may raise anything
                problem = f"It stopped with {type(error).__name__}: {error}"
    _report("Exercise 3.5", answer, problem, praise)


def _ways_up_problem(pipeline) -> str | None:
    """What is wrong with the draws of an image whose upper half is bright, or None."""
    probe = torch.full((3, 96, 96), 20, dtype=torch.uint8)
    probe[:, :48] = 220
    drawn = [pipeline(probe.clone()) for _ in range(100)]
    if odd := [one for one in drawn if not isinstance(one, torch.Tensor)]:
        return f"It returns {type(odd[0]).__name__}; the trial needs an image, as a tensor."
    if odd := [one for one in drawn if one.dtype != torch.uint8 or one.shape != probe.shape]:
        return f"It makes {odd[0].dtype} of shape {tuple(odd[0].shape)} from a uint8 image of shape (3, 96, 96)."
    sides = {"top": (slice(24), slice(None)), "bottom": (slice(72, None), slice(None)),
             "left": (slice(None), slice(24)), "right": (slice(None), slice(72, None))}
    brightest = {max(sides, key=lambda side: float(one.float().mean(0)[sides[side]].mean())) for one in drawn}
    if missing := [side for side in sides if side not in brightest]:
        return f"In 100 draws an image's upper edge never came to lie at the {missing[0]}; with this camera it does."
    return None


def _trial_verdict(gap: str, without, with_it) -> tuple[str | None, str]:
    """Problem and praise from the accuracies (training images, the camera's) without and with the pipeline."""
    if with_it[1] <= without[1]:
        return (f"The draws lie all four ways, but {100 * with_it[1]:.1f} % of the camera's pictures are recognised, "
                f"no more than without ({100 * without[1]:.1f} %). Look at the draws: what do they show that the "
                "camera never would?"), ""
    change = (with_it[0] - with_it[1]) - (without[0] - without[1])
    truth = "same" if abs(change) < 0.02 else "wider" if change > 0 else "narrower"
    outcome = f"the gap is {'the same' if truth == 'same' else truth}"
    guess = "as you predicted" if gap == truth else f"not {gap}: which of its two accuracies did you expect to move"
    return None, f"More of the camera's pictures are recognised than without it, and {outcome}, {guess}."
