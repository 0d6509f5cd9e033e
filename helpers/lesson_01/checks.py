"""The checks of notebook 1's exercises: what is transfer learning?"""
from __future__ import annotations

import torch
from torch import nn

from helpers.features import Features
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.intervals import Interval, balanced_accuracy, paired_difference, things_of
from helpers.preprocess import Preprocess
from helpers.verdict import NotYet, check_vgg, exercise, more_than_guessing, outputs_of, short, whole_number


@exercise("Exercise 1.1")
def labels_needed(answer, curve: dict[str, dict[int, Interval]]) -> str:
    """Exercise 1.1: the label count at which random first reaches what pre-trained has with the fewest, or "never"."""
    random = {count: accuracy.estimate for count, accuracy in curve["random"].items()}
    counts = sorted(random)
    goal = curve["pre-trained"][counts[0]].estimate
    truth = next((count for count in counts if random[count] >= goal), "never")
    given = answer if isinstance(answer, str) else whole_number(answer)
    if given not in (*counts, "never"):
        raise NotYet(f"The answer is one of {', '.join(map(str, counts))} or 'never'.")
    if given == "never":
        if truth != "never":
            raise NotYet("There is a label count at which the random backbone gets there.")
        return "On this curve it does not get there; more labels might do it."
    if random[given] < goal:
        raise NotYet(f"With {given} labels per class the random backbone is still below {100 * goal:.1f} %.")
    if given != truth:
        raise NotYet("It gets there with fewer labels already.")
    return "Going by the dots, that is how many labels pre-training stands in for here."


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
def convolutions_frozen(answer, classes: int) -> str:
    """Exercise 1.3: a VGG with so many outputs whose `features` are frozen and whose `classifier` learns."""
    check_vgg(answer)
    logits = outputs_of(answer, torch.zeros(2, 3, 96, 96))
    if logits.shape[1:] != (classes,):
        outputs = " x ".join(map(str, logits.shape[1:])) or "no"
        raise NotYet(f"The head has {outputs} outputs; the target task has {classes} classes.")
    learns = {name: p.requires_grad for name, p in answer.named_parameters()}
    if wrong := [name for name in learns if name.startswith("features") and learns[name]]:
        raise NotYet(f"{wrong[0]} still requires grad.")
    if not any(name.startswith("features") for name in learns):
        raise NotYet("It has no convolutions that could be frozen.")
    if wrong := [name for name in learns if name.startswith("classifier") and not learns[name]]:
        raise NotYet(f"{wrong[0]} does not require grad, so it would not learn.")
    return "The convolutions stay, the fully connected layers learn."


@exercise("Exercise 1.4")
def without_colour(answer, exam: ImageSplit, model: nn.Module, preprocess: Preprocess) -> str:
    """Exercise 1.4: a copy of `exam` whose images are grey, the mean of the three channels; `model` sits both."""
    if not isinstance(answer, ImageSplit):
        raise NotYet(f"The answer is an `ImageSplit`, a copy of the exam; this is {short(answer)}.")
    if answer.images.shape != exam.images.shape or not torch.equal(answer.labels, exam.labels):
        raise NotYet("It should hold the exam's images in their order and size, with their labels: only colour goes.")
    if torch.equal(answer.images, exam.images):
        raise NotYet("These are the exam's images as they were, in colour.")
    if not (answer.images == answer.images[:, :1]).all():
        raise NotYet("The three channels of an image still differ, so it is not grey.")
    off = (answer.images[:, 0].float() - exam.images.float().mean(1)).abs().max().item()
    if off > 1:
        raise NotYet(f"A pixel's grey is up to {off:.0f} away from the mean of its channels. Was it cut off or wrapped "
                     "around? uint8 numbers end at 255: take the mean as a float.")
    grey, coloured = (evaluate(model, split, preprocess).predictions == exam.labels for split in (answer, exam))
    try:
        change = str(paired_difference(grey, coloured, exam.labels, things_of(exam)))
    except ValueError:  # too few things for an interval
        grey, coloured = (balanced_accuracy(right, exam.labels) for right in (grey, coloured))
        change = f"{100 * (grey - coloured):+.1f} points, of an exam too small for an interval"
    return f"Grey instead of coloured: {change}."


@exercise("Exercise 1.5")
def learnt_nothing(answer, train: Features, exam: Features) -> str:
    """Exercise 1.5: (head, labels), the shuffled labels of `train` and a head that has learnt them."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise NotYet(f"The answer is a pair, the head and the shuffled labels; this is {short(answer)}.")
    head, labels = answer
    (inputs, true), classes = train.tensors, len(train.classes)
    if not isinstance(labels, torch.Tensor) or not torch.equal(labels.cpu().sort().values, true.sort().values):
        raise NotYet("The labels should be those of few_features, each as often as there, in another order.")
    if balanced_accuracy(labels.cpu() == true, true) > (1 + 2 / classes) / 3:  # well above what shuffling leaves
        raise NotYet("Most images still have their own label: shuffle all of them.")
    if not isinstance(head, nn.Linear) or (head.in_features, head.out_features) != (inputs.shape[1], classes):
        raise NotYet(f"The head takes {inputs.shape[1]} features and has {classes} outputs: a `torch.nn.Linear`.")
    with torch.no_grad():
        own, passed = (head(numbers.to(head.weight)).argmax(1).cpu() for numbers in (inputs, exam.tensors[0]))
    learnt = balanced_accuracy(own == labels.cpu(), labels.cpu())
    if learnt < more_than_guessing(classes):
        raise NotYet(f"It has {100 * learnt:.0f} % of the shuffled labels right, hardly more than guessing: was it "
                     "trained on them, and long enough?")
    return (f"Of the shuffled training labels it has {100 * learnt:.0f} % right, of the exam "
            f"{100 * balanced_accuracy(passed == exam.tensors[1], exam.tensors[1]):.0f} %.")
