"""What holds for the checks of all exercises: odd answers get one calm line, and what is checked stays as it was."""
import inspect
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from helpers import networks, verdict
from helpers.features import Features
from helpers.inference import Evaluation
from helpers.intervals import Interval
from helpers.lesson_01 import checks as checks_01
from helpers.lesson_02 import checks as checks_02
from helpers.lesson_03 import checks as checks_03
from helpers.lesson_04 import checks as checks_04
from helpers.lesson_05 import checks as checks_05
from helpers.lesson_06 import checks as checks_06
from helpers.preprocess import Preprocess
from helpers.training import History

MODULES = (checks_01, checks_02, checks_03, checks_04, checks_05, checks_06)
PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3, flip=0.0)
CURVE = {name: {count: Interval(value, value, value) for count, value in zip((5, 20, 50), values, strict=True)}
         for name, values in (("random", (0.2, 0.6, 0.85)), ("pre-trained", (0.6, 0.7, 0.8)))}
NUMBERS = torch.randn((60, 30), generator=torch.Generator().manual_seed(0))
FEATURES = Features(NUMBERS, torch.arange(60) % 4, tuple("abcd"))
FROZEN = [(None, History([{"val_accuracy": 0.5}]))]
GUESSES = 3 * torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
LOGITS = Evaluation(0.0, 0.7, GUESSES, (GUESSES.argmax(1) + (torch.arange(200) < 60)) % 10)  # 60 of them are wrong


class Refuses(nn.Module):
    """A layer whose forward raises what it was given."""

    def __init__(self, error):
        super().__init__()
        self.error, self.weight = error, nn.Parameter(torch.ones(1))

    def forward(self, inputs):
        raise self.error


class Says(nn.Module):
    """A layer that makes something else of the logits."""

    def __init__(self, after):
        super().__init__()
        self.after, self.weight = after, nn.Parameter(torch.ones(1))

    def forward(self, inputs):
        return self.after(inputs)


class WithoutWords(Exception):
    def __str__(self):
        raise ValueError("no text")


class Unprintable:
    def __repr__(self):
        raise ValueError("no text")


def vgg(last: nn.Module | None = None):
    """The pocket network with ten outputs and random weights; `last` is put behind its head."""
    model = networks.build("pocket_vgg", weights=None, num_classes=10)
    if last is not None:
        model.classifier[6] = nn.Sequential(model.classifier[6], last)
    return model


def raises(error):
    def function(*_):
        raise error
    return function


ZOO = {
    "None": lambda: None, "bool": lambda: True, "nan": lambda: math.nan, "inf": lambda: -math.inf, "1j": lambda: 1j,
    "huge": lambda: 10**400, "huger": lambda: 10**5000, "minus huge": lambda: -(10**400), "tiny": lambda: 1e-320,
    "fraction": lambda: Fraction(1, 3), "text": lambda: "text", "number as text": lambda: "0.69", "empty": lambda: "",
    "lines": lambda: "two\nlines", "bytes": lambda: b"5", "list": lambda: [32], "dict": dict, "object": object,
    "unprintable": Unprintable, "float32": lambda: np.float32(7.5), "numpy nan": lambda: np.float64("nan"),
    "numpy bool": lambda: np.bool_(True), "numpy zeros": lambda: np.zeros((2, 2)), "0-d array": lambda: np.array(7.5),
    "0-d tensor": lambda: torch.tensor(7.5), "1-element tensor": lambda: torch.tensor([7.5]),
    "tensor": lambda: torch.zeros(2, 2), "meta tensor": lambda: torch.tensor(0.5, device="meta"),
    "class": lambda: nn.Linear, "int": lambda: int, "function": lambda: lambda: 3,
    "any": lambda: lambda *_: Unprintable(),
    "raises": lambda: raises(AssertionError()), "raises without words": lambda: raises(WithoutWords()),
    "raises lines": lambda: raises(ValueError("\n\nfirst\nsecond")),
    "optimiser": lambda: torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=math.nan),
    "preprocess": lambda: Preprocess("mean", None, padding=math.nan), "linear": lambda: nn.Linear(2, 2),
    "no parameters": nn.Flatten, "networks": lambda: [vgg(), vgg()], "network class": lambda: nn.Sequential,
    "meta network": lambda: vgg().to("meta"), "with history": lambda: (vgg(), History()),
    "bare assert": lambda: vgg(Refuses(AssertionError())), "without words": lambda: vgg(Refuses(WithoutWords())),
    "key error": lambda: vgg(Refuses(KeyError())), "tuple": lambda: vgg(Says(lambda logits: (logits, None))),
    "dict of logits": lambda: vgg(Says(lambda logits: {"logits": logits})), "no batch": lambda: vgg(Says(torch.sum)),
    "only nan": lambda: vgg(Says(lambda logits: logits * math.nan)), "no layers": lambda: gutted(nn.Sequential()),
    "no classifier": lambda: gutted(None), "another's parts": lambda: gutted(nn.Linear(3, 3)),
}


def gutted(classifier):
    model = vgg()
    model.classifier = classifier
    return model


def lean():
    model = networks.build("vgg16", device="meta")
    model.avgpool, model.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10, device="meta")
    return model


@pytest.fixture(scope="module")
def checks(tiny):
    """Every check, ready to be given an answer; those that look at a second thing of the reader's, once for each."""
    images = tiny(4)
    images = type(images)(images.images, images.labels, tuple("0123456789"))
    optimised, other = networks.build("pocket_vgg", device="meta"), nn.Linear(2, 2)
    trial = lambda pipeline: (0.9, 0.5)
    return {
        "labels_needed": lambda answer: checks_01.labels_needed(answer, CURVE),
        "head_size": lambda answer: checks_01.head_size(answer, 256, 37),
        "convolutions_frozen": lambda answer: checks_01.convolutions_frozen(answer, 10),
        "without_colour": lambda answer: checks_01.without_colour(answer, images, optimised, PREPROCESS),
        "learnt_nothing": lambda answer: checks_01.learnt_nothing(answer, FEATURES, FEATURES),
        "half_the_image": checks_02.half_the_image,
        "smallest_image": checks_02.smallest_image,
        "receptive_field": checks_02.receptive_field,
        "folded_for_64": lambda answer: checks_02.folded_for_64(answer, "pocket_vgg"),
        "without_large_layers": lambda answer: checks_02.without_large_layers(answer, 14_719_818),
        "predicted": lambda answer: checks_02.without_large_layers(lean(), answer),
        "black_border": lambda answer: checks_03.black_border(answer, (0.4, 0.6, 0.7), (0.2, 0.25, 0.2)),
        "count_crops": lambda answer: checks_03.count_crops(answer, padding=6),
        "digits_preprocess": lambda answer: checks_03.digits_preprocess(answer, (0.5,) * 3, (0.25,) * 3),
        "random_brightness": checks_03.random_brightness,
        "four_ways_up": lambda answer: checks_03.four_ways_up(answer, "same", trial),
        "gap": lambda answer: checks_03.four_ways_up(lambda image: image, answer, trial),
        "loss_of_probability": lambda answer: checks_04.loss_of_probability(answer, 0.5),
        "two_rates": lambda answer: checks_04.two_rates(answer, optimised),
        "in_between": lambda answer: checks_04.in_between(answer, images, PREPROCESS, FROZEN),
        "temperature": lambda answer: checks_04.temperature(answer, LOGITS),
        "challenge": lambda answer: checks_04.challenge(answer, images, images, PREPROCESS, 0.5, 50),
        "own": lambda answer: checks_04.challenge(other, answer, images, PREPROCESS, 0.5, 50),
        "rate_further_down": lambda answer: checks_05.rate_further_down(answer, 1e-3, 2.6, 3),
        "drift_of_layer": lambda answer: checks_05.drift_of_layer(answer, vgg(), vgg(), "classifier.0"),
        "frozen_by_hand": checks_05.frozen_by_hand,
        "falling_rates": lambda answer: checks_05.falling_rates(answer, optimised, 1.5),
        "always_the_commonest": lambda answer: checks_06.always_the_commonest(answer, FEATURES.tensors[1]),
        "error_by_hand": lambda answer: checks_06.error_by_hand(answer, [(60, 0.9, 45), (40, 0.5, 20)]),
        "softer_weights": checks_06.softer_weights,
        "promise": lambda answer: checks_06.promise(answer, LOGITS, 0.9),
        "other_score": lambda answer: checks_06.other_score(answer, GUESSES, GUESSES[:50]),
        "network_of_your_own": lambda answer: checks_06.network_of_your_own(answer, ("a", "b")),
    }


def state(answer):
    """All that a check could change in a network: weights, gradients, who learns, modes."""
    if not isinstance(answer, nn.Module):
        return None
    return ([(name, p.device, p.requires_grad, p.grad, p._version) for name, p in answer.named_parameters()],
            [(name, b.device, b._version) for name, b in answer.named_buffers()],
            [layer.training for layer in answer.modules()])


def test_no_check_is_left_out(checks):
    own = {name for module in MODULES for name, function in inspect.getmembers(module, inspect.isfunction)
           if function.__module__ == module.__name__ and not name.startswith("_")}
    assert own == set(checks) - {"predicted", "gap", "own"}


@pytest.mark.parametrize("name", ZOO)
def test_an_odd_answer_gets_one_calm_line_and_stays_as_it_was(capsys, checks, name):
    for check in checks.values():
        answer = ZOO[name]()
        if isinstance(answer, nn.Module):
            for k, layer in enumerate(answer.modules()):
                layer.training = k % 3 > 0
        before = state(answer)
        check(answer)
        said = capsys.readouterr().out
        assert said.count("\n") == 1 and said.endswith("\n"), said
        assert ": not yet. " in said or answer is None and ": not answered yet." in said, said
        assert state(answer) == before


def test_no_check_draws_from_the_readers_generator(checks):
    answers = [lambda layers: 3, networks.build("pocket_vgg", num_classes=10), "features.24", 32, 14_719_818]
    before = torch.get_rng_state()
    for check in checks.values():
        for answer in answers:
            check(answer)
    checks_03.four_ways_up(v2.RandomHorizontalFlip(), "same", None)  # a pipeline draws from it, the check puts it back
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("check", ["convolutions_frozen", "in_between", "challenge"])
def test_an_interrupt_stays_one_and_leaves_the_network_as_it_was(checks, check):
    model = vgg(Refuses(KeyboardInterrupt()))
    networks.freeze(model)
    before = state(model.train())
    with pytest.raises(KeyboardInterrupt):
        checks[check](model)
    assert state(model) == before


@pytest.mark.parametrize("check, right", [
    ("labels_needed", 20), ("head_size", 256 * 37 + 37), ("smallest_image", 32), ("predicted", 14_719_818),
    ("black_border", -2.0), ("count_crops", 338), ("loss_of_probability", math.log(2))])
def test_a_number_may_come_in_any_dress(capsys, checks, check, right):
    dresses = [float, np.float64, np.array, lambda value: np.array([value]), torch.tensor,
               lambda value: torch.tensor([float(value)], dtype=torch.float64, requires_grad=True)]
    if right == round(right):
        dresses += [int, np.int64, lambda value: torch.tensor(int(value))]
    for dress in dresses:
        checks[check](dress(right))
        said = capsys.readouterr().out
        assert ": right. " in said, (dress(right), said)


def test_the_loss_as_torch_computes_it_is_a_number(capsys):
    checks_04.loss_of_probability(-torch.log(torch.tensor(0.5)), 0.5)
    assert ": right." in capsys.readouterr().out


# --- what a network does, not what it says of itself ---------------------------------------------------------------

def test_a_head_that_was_only_relabelled_is_found_out(capsys, checks):
    model = networks.build("pocket_vgg", weights=None)
    networks.freeze(model.features)
    model.classifier[6].out_features = 10
    checks["convolutions_frozen"](model)
    assert "The head has 91 outputs; the target task has 10 classes." in capsys.readouterr().out
    networks.unfreeze(networks.freeze(model).classifier[6])
    for check in ("in_between", "challenge"):
        checks[check](model)
        assert "It has 91 outputs for an image; there are 10 classes." in capsys.readouterr().out


def test_a_head_of_another_make_that_gives_ten_logits_is_right(capsys, checks):
    model = networks.build("pocket_vgg", weights=None)
    networks.freeze(model.features)
    model.classifier[6] = nn.Sequential(nn.Dropout(), nn.Linear(model.classifier[6].in_features, 10))
    checks["convolutions_frozen"](model)
    assert ": right." in capsys.readouterr().out


def test_a_layer_that_was_folded_by_hand_counts_by_its_weights(capsys, checks):
    model, by_hand = (networks.build("pocket_vgg") for _ in range(2))
    folded = networks.fold_first_linear(model, 64)
    by_hand.avgpool, by_hand.classifier[0].weight = nn.Identity(), folded.classifier[0].weight
    assert by_hand.classifier[0].in_features > folded.classifier[0].in_features, "it says so, though it has as few"
    checks["folded_for_64"](by_hand)
    assert ": right." in capsys.readouterr().out


def test_a_lean_network_that_was_only_relabelled_is_found_out(capsys, checks):
    model = lean()
    model.classifier = nn.Linear(512, 1000, device="meta")
    model.classifier.out_features = 10
    checks["without_large_layers"](model)
    assert "The linear layer has 1,000 outputs" in capsys.readouterr().out
    model = lean()
    wide = networks.build("vgg16", device="meta").features
    model.features[28] = nn.Conv2d(512, 256, 3, padding=1, device="meta")
    model.features[28].out_channels = 512
    assert repr(model.features) == repr(wide)
    checks["without_large_layers"](model)
    assert "features is not VGG-16's" in capsys.readouterr().out


def test_no_temperature_divides_by_nothing(capsys):
    for answer in (1e-320, 5e-324, 1e308, 10**400):
        checks_04.temperature(answer, LOGITS)
        said = capsys.readouterr().out
        assert ("too sure" if answer < 1 else "too modest") in said, said


# --- the tools -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer, expected", [
    (3, 3), (10**400, 10**400), (2.5, 2.5), (np.int8(3), 3), (np.float32(0.5), 0.5), (np.longdouble(0.5), 0.5),
    (np.array(3), 3), (torch.tensor(0.5), 0.5), (torch.tensor([2]), 2), (Fraction(1, 2), 0.5), (True, None),
    (np.bool_(True), None), (torch.tensor(True), None), (math.nan, None), (np.inf, None), (1j, None), ("3", None),
    (torch.tensor(math.nan), None), (torch.zeros(2), None), (torch.zeros(0), None), (np.zeros(2), None), ([3], None),
    (torch.zeros(1, device="meta"), None), (np.array("3"), None), (Fraction(10**400, 1), None), (None, None)])
def test_number(answer, expected):
    assert verdict.number(answer) == expected and type(verdict.number(answer)) is type(expected)


def test_an_exception_becomes_one_line():
    assert verdict.reason(ValueError("first\nsecond")) == "ValueError: first"
    assert verdict.reason(AssertionError()) == verdict.reason(AssertionError(" \n")) == "AssertionError"
    assert verdict.reason(WithoutWords()) == "WithoutWords"
    assert "\n" not in verdict.short(torch.zeros(9, 9)) and "int" in verdict.short(10**5000)


def test_a_check_shows_the_arguments_of_its_exercise():
    assert list(inspect.signature(checks_03.four_ways_up).parameters) == ["answer", "prediction", "trial", "size"]
    assert checks_03.four_ways_up.__doc__.startswith("Exercise 3.5")
