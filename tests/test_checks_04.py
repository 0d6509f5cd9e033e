"""The exercises of notebook 04: the right answer, near misses and nonsense; and the memory that 04 reports."""
import math
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from torch import nn

from helpers import networks
from helpers.anatomy import memory_of_step
from helpers.features import extract
from helpers.images import ImageSplit
from helpers.inference import Evaluation, evaluate
from helpers.lesson_04 import checks
from helpers.preprocess import Preprocess
from helpers.training import History

ROOT = Path(__file__).resolve().parent.parent
PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3)
NOTEBOOK = ROOT / "notebooks" / "04_frozen_vs_full.ipynb"
FROZEN = [0.5, 0.6]  # validation accuracies of frozen heads


def verdict(capsys, check, *answer):
    check(*answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer, expected", [
    (-math.log(0.5), "right"), (0.69, "right"), (math.log(0.5), "sign"), (1, "another base"), (0.3, "another base"),
    (0.5, "natural logarithm"), ("log 2", "a number"), (..., "not answered")])
def test_loss_of_probability(capsys, answer, expected):
    assert expected in verdict(capsys, checks.loss_of_probability, answer, 0.5)


def test_two_rates(capsys, slim):
    model = slim("pocket_vgg")
    say = lambda answer: verdict(capsys, checks.two_rates, answer, model)
    sgd = lambda below, head: torch.optim.SGD(networks.parameter_groups(model, below, head), lr=1, momentum=0.9)
    assert "right" in say(sgd(0.01, 0.1))
    assert "right" in say(torch.optim.Adagrad(networks.parameter_groups(model, 1e-4, 1e-3)))
    assert "not ten times" in say(sgd(0.1, 0.01)) and "not ten times" in say(sgd(0.1, 0.1))
    assert "features.0.weight of this network is in none" in say(torch.optim.SGD(model.classifier.parameters(), lr=1))
    still = sgd(0.01, 0.1)
    for group in still.param_groups:
        group["lr"] = 0.0
    assert "rate of zero" in say(still)
    groups = [{"params": [p], "lr": 0.1 * k} for k, p in enumerate(model.parameters(), 1)]
    assert "one rate for the whole head" in say(torch.optim.SGD(groups))
    assert "is in none" in say(torch.optim.SGD(slim("pocket_vgg").parameters(), lr=0.1)), "another network's"


@pytest.fixture
def fitted(slim, tiny):
    """A VGG for the three classes of `tiny`, with frozen convolutions, that has learnt to tell them apart."""
    model = slim("pocket_vgg")
    networks.freeze(model.features)
    inputs, labels = extract(model, tiny(20, seed=1), PREPROCESS).tensors
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1).double()
    weights = torch.linalg.lstsq(inputs, nn.functional.one_hot(labels).double(), driver="gelsd").solution.float()
    with torch.no_grad():
        model.classifier[6].weight.copy_(weights[:-1].T)
        model.classifier[6].bias.copy_(weights[-1])
    return model


class Wrapped(nn.Module):
    """A network of another class, or one that goes wrong."""

    def __init__(self, model, after=lambda logits: logits):
        super().__init__()
        self.model, self.after = model, after

    def forward(self, inputs):
        return self.after(self.model(inputs))


def stop(logits):
    raise IndexError("no such layer\nsecond line")


# What is wrong with a network, whichever exercise asks for one
BROKEN = [
    (lambda model: (model, History()), "alone, without its history"),
    (lambda model: nn.Flatten(), "is the trained network"),
    (lambda model: networks.replace_head(model, 10), "10 outputs for an image; there are 3 classes"),
    (lambda model: networks.fold_first_linear(model, 96), "Shown two images, it stopped with RuntimeError: mat1"),
    (lambda model: Wrapped(model, stop), "Shown two images, it stopped with IndexError: no such layer."),
    (lambda model: Wrapped(model, lambda logits: logits * math.nan), "not numbers"),
    (lambda model: Wrapped(model, lambda logits: logits[:, None]), "1 x 3 outputs"),
    (lambda model: Wrapped(model, lambda logits: "cat"), "type str; a tensor is needed"),
    (lambda model: model.to("meta"), "on the meta device"),
]


@pytest.mark.parametrize("change, expected", BROKEN)
def test_networks_that_do_not_work(capsys, fitted, tiny, change, expected):
    answer = change(fitted)
    for check, rest in ((checks.in_between, (tiny(10), PREPROCESS, FROZEN)),
                        (checks.challenge, (tiny(5), tiny(10), PREPROCESS, 0.5, 50))):
        said = verdict(capsys, check, answer, *rest)
        assert "not yet" in said and expected in said and said.count("\n") == 1


@pytest.mark.parametrize("right, expected", [(0.4, "hardly more than guessing"), (0.7, "right. In between: 70.0 %")])
def test_in_between_with_two_classes(capsys, slim, right, expected):
    """Twice as good as guessing would be perfect there."""
    split = ImageSplit(torch.zeros(20, 3, 32, 32, dtype=torch.uint8), torch.arange(20) % 2, ("cat", "dog"))
    split.images[:, 0, 0, 0] = torch.arange(20)  # so that the network can be told which image it is shown

    class Known(type(slim("pocket_vgg"))):
        def forward(self, inputs):
            numbers = ((inputs[:, 0, 0, 0] * 0.25 + 0.5) * 255).round().long()
            return nn.functional.one_hot((numbers + (numbers >= 20 * right)) % 2, 2).float()

    model = slim("pocket_vgg", num_classes=2)
    model.__class__ = Known
    networks.freeze(model.features)
    assert expected in verdict(capsys, checks.in_between, model, split, PREPROCESS, FROZEN)


def test_in_between(capsys, fitted, tiny):
    say = lambda answer: verdict(capsys, checks.in_between, answer, tiny(10), PREPROCESS, FROZEN)
    said = say(fitted)
    assert "right. In between" in said and "frozen: 50.0 to 60.0 %" in said
    assert "whole network" in say(Wrapped(fitted))
    networks.unfreeze(fitted.features[0])
    assert "features.0.weight still requires grad" in say(fitted)
    networks.freeze(fitted.features)
    networks.freeze(fitted.classifier[3])
    assert "classifier.3.weight does not require grad" in say(fitted)
    networks.unfreeze(fitted.classifier)
    nn.init.zeros_(fitted.classifier[6].weight)  # it can only guess
    assert "hardly more than guessing" in say(fitted)


def test_temperature(capsys):
    logits = torch.randn(400, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.multinomial(logits.softmax(1), 1, generator=torch.Generator().manual_seed(1)).flatten()
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    say = lambda answer: verdict(capsys, checks.temperature, answer, Evaluation(0.0, accuracy, 3 * logits, labels))
    gap = lambda t: abs((3 * logits / t).softmax(1).amax(1).mean() - accuracy)
    right = min((t / 100 for t in range(50, 900)), key=gap)
    assert 2 < right < 4, "the logits were made three times too large"
    assert "right. On average" in say(right) and "right. On average" in say(torch.tensor(right))
    assert "still too sure" in say(1) and "still too modest" in say(30.0)
    assert "upside down" in say(0) and "upside down" in say(-2.5)
    assert f"{right:.2f}" not in say(1)


def test_confidence_is_compared_with_the_share_of_right_answers_where_classes_differ_in_size(capsys):
    """Nine images of one class, all right, and one of the other, wrong: 90 % are right, and half if classes count."""
    labels = torch.tensor([0] * 9 + [1])
    evaluation = Evaluation(0.0, 0.5, torch.tensor([math.log(9.0), 0.0]).repeat(10, 1), labels)  # each 90 % sure
    say = lambda answer: verdict(capsys, checks.temperature, answer, evaluation)
    assert "right. On average" in say(1.0)
    assert "right in 90.0 % of the cases: it is still too modest" in say(2.0)


def test_the_loop_written_by_hand_measures_what_evaluate_does(slim, tiny):
    """Classes of different size: with the share of right answers the two would part."""
    uneven = tiny(20).pick(torch.tensor([*range(30), *range(30, 60, 3)]))
    assert torch.bincount(uneven.labels).tolist() == [20, 10, 10]
    source = next(cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if "def evaluate(" in cell.source)
    names = {"torch": torch, "preprocess": PREPROCESS, "classes": 3, "lab": SimpleNamespace(device="cpu")}
    exec(source, names)
    for seed in range(3):
        model = slim("pocket_vgg", seed=seed)
        assert names["evaluate"](model, uneven) == pytest.approx(evaluate(model, uneven, PREPROCESS).accuracy)


def test_challenge(capsys, fitted, tiny):
    own, val = tiny(20, seed=1), tiny(10)
    say = lambda answer, own=own, goal=0.5: verdict(capsys, checks.challenge, answer, own, val, PREPROCESS, goal, 20)
    accuracy = evaluate(fitted, val, PREPROCESS).accuracy
    assert 0.5 < accuracy, "the fixture has learnt something"
    assert f"right. {100 * accuracy:.1f} %" in say(fitted) and "right" in say(Wrapped(fitted))
    assert "right" in say(fitted, goal=accuracy)
    assert f"not yet. {100 * accuracy:.1f} % on the validation images; the goal is 110.0 %." in say(fitted, goal=1.1)
    assert "21 images of r in `own`; 20 are allowed" in say(fitted, own=tiny(21))
    swapped = ImageSplit(own.images, (own.labels + 1) % 3, own.classes)
    assert "wrong way round" in say(fitted, own=swapped)


@pytest.mark.parametrize("nonsense", ["done", 3, math.nan, [1], {}, True, torch.zeros(3), float, nn.Linear, print])
def test_nonsense_gets_one_line(capsys, slim, tiny, nonsense):
    """No traceback may reach the reader, and nothing that is no answer is right."""
    logits = torch.randn(20, 10, generator=torch.Generator().manual_seed(0))
    evaluation = Evaluation(0.0, 1.0, logits, logits.argmax(1))  # always right, and hardly ever sure
    for check, rest in ((checks.loss_of_probability, (0.5,)), (checks.two_rates, (slim("pocket_vgg"),)),
                        (checks.in_between, (tiny(2), PREPROCESS, FROZEN)), (checks.temperature, (evaluation,)),
                        (checks.challenge, (tiny(2), tiny(2), PREPROCESS, 0.5, 50))):
        said = verdict(capsys, check, nonsense, *rest)
        assert "not yet" in said and said.count("\n") == 1
        for unanswered in (..., None):
            assert "not answered yet" in verdict(capsys, check, unanswered, *rest)


def test_the_memory_of_a_step_counts_what_training_must_hold():
    model = nn.Sequential(nn.Linear(8, 100), nn.ReLU(), nn.Linear(100, 3))
    inputs, labels = torch.randn(16, 8), torch.zeros(16, dtype=torch.int64)
    first, last = (8 * 100 + 100) * 4, (100 * 3 + 3) * 4  # bytes
    full = memory_of_step(model, inputs, labels)
    assert (full["weights"], full["gradients"], full["optimiser"]) == (first + last, first + last, 2 * (first + last))
    model[0].requires_grad_(False)
    frozen = memory_of_step(model, inputs, labels)
    assert (frozen["weights"], frozen["gradients"], frozen["optimiser"]) == (first + last, last, 2 * last)
    assert 16 * 100 * 4 <= frozen["activations"] < full["activations"]
    assert all(p.grad is None for p in model.parameters())


def test_the_solutions_as_committed_are_right():
    notebook = nbformat.read(ROOT / "notebooks" / "solutions" / "04_solutions.ipynb", as_version=4)
    said = "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output)
    verdicts = [line for line in said.splitlines() if line.startswith(("Exercise", "Challenge"))]
    asked = ["Exercise 4.1", "Exercise 4.2", "Exercise 4.3", "Exercise 4.4", "Challenge"]
    assert [line.split(":")[0] for line in verdicts] == asked
    assert all(": right." in line for line in verdicts), verdicts
