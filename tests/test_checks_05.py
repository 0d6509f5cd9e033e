"""The checks of notebook 05: right, wrong, and nonsense; none of them gives the answer away."""
import copy

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from helpers import networks
from helpers.lesson_05 import checks

NONSENSE = ["deep", [1, 2], torch.zeros(3), {}, True, float("nan"), float("inf"), object(), int, -1, 0]


@pytest.fixture(scope="module")
def model():
    return networks.build("pocket_vgg", weights=None, num_classes=10)


@pytest.fixture(scope="module")
def after(model):
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for p in moved.parameters():
            p.add_(0.01 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    return moved


def verdict(capsys, check, answer, *arguments) -> str:
    check(answer, *arguments)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    return printed


def test_unanswered_and_nonsense(capsys, model, after):
    for check, arguments in ((checks.rate_further_down, (1e-3, 2.6, 3)),
                             (checks.drift_of_layer, (model, after, "classifier.0")), (checks.frozen_by_hand, ()),
                             (checks.falling_rates, (model, 1.5))):
        for answer in (..., None):
            assert "not answered yet" in verdict(capsys, check, answer, *arguments)
        for answer in NONSENSE:
            assert "not yet." in verdict(capsys, check, answer, *arguments)


def test_rate_further_down(capsys):
    right = 1e-3 / 2.6**3
    for answer in (right, 5.69e-5, torch.tensor(right)):
        assert "right" in verdict(capsys, checks.rate_further_down, answer, 1e-3, 2.6, 3)
    for answer, hint in ((1e-3 * 2.6**3, "risen"), (1e-3 / 7.8, "once for each block"), (1e-3 / 2.6**2, "Count"),
                         (1e-3 / 2.6**4, "Count"), (1e-3, "Divide")):
        assert hint in verdict(capsys, checks.rate_further_down, answer, 1e-3, 2.6, 3)


def test_drift_of_layer(capsys, model, after):
    old, new = (network.classifier[0].weight for network in (model, after))
    step, length = (new - old).norm().item(), old.norm().item()
    assert "right" in verdict(capsys, checks.drift_of_layer, step / length, model, after, "classifier.0")
    for answer, hint in ((step, "How long"), (length / step, "fraction"), (100 * step / length, "percentage"),
                         (1.5 * step / length, "Subtract")):
        printed = verdict(capsys, checks.drift_of_layer, answer, model, after, "classifier.0")
        assert "not yet" in printed and hint in printed


def by_hand(model, head=True, norms=True, train=True) -> None:
    model.requires_grad_(False)
    networks.head(model).requires_grad_(head)
    model.train(train)
    for layer in model.modules():
        if norms and isinstance(layer, _BatchNorm):
            layer.eval()


def from_the_helper(model) -> None:
    networks.unfreeze(networks.head(networks.freeze(model)))
    model.train()


def too_little(model) -> None:
    by_hand(model)
    model.features[1].train()


@pytest.mark.parametrize("answer, hint", [
    (by_hand, ": right. "), (from_the_helper, ": right. "),
    (lambda model: by_hand(model, norms=False), "features.1.running_mean is another"),
    (too_little, "features.1.running_mean is another"),
    (lambda model: by_hand(model, head=False), "The head should learn"),
    (lambda model: by_hand(model, train=False), "dropout is not in training mode either"),
    (lambda model: None, "features.0.weight still requires a gradient"),
    (lambda model: model.nothing, "Given a network, your function stopped with AttributeError"),
    (networks.build("pocket_vgg_bn", None, 3), "a function that takes a network")])
def test_frozen_by_hand(capsys, answer, hint):
    assert hint in verdict(capsys, checks.frozen_by_hand, answer)


def rates(model, factor, rate=1e-3, kind=torch.optim.AdamW):
    return kind([{"params": [p for layer in layers for p in layer.parameters(recurse=False)], "lr": rate / factor**k}
                 for k, layers in enumerate(networks.layers_from_top(model))], lr=rate)


def test_falling_rates(capsys, model):
    for kind in (torch.optim.AdamW, torch.optim.SGD):
        assert "right" in verdict(capsys, checks.falling_rates, rates(model, 1.5, kind=kind), model, 1.5)
    without_bias = rates(model, 1.5)
    without_bias.param_groups[3]["params"].pop()
    for answer, hint in ((rates(model, 1.4), "not 1.5 times as much"), (rates(model, 1 / 1.5), "not 1.5 times"),
                         (rates(model, 1.5, rate=0.0), "above 0"), (without_bias, "features.18.bias"),
                         (torch.optim.SGD(model.parameters(), lr=0.1), "the layer above it 0.1"),
                         (rates(copy.deepcopy(model), 1.5), "in none of the optimiser's groups")):
        printed = verdict(capsys, checks.falling_rates, answer, model, 1.5)
        assert "not yet" in printed and hint in printed, printed


def test_falling_rates_takes_a_network_with_batch_norm(capsys):
    model = networks.build("pocket_vgg_bn", None, 3)
    assert "right" in verdict(capsys, checks.falling_rates, rates(model, 1.5), model, 1.5)
    mixed = torch.optim.SGD([{"params": [p for p in model.parameters() if p.ndim > 1], "lr": 1.0},
                             {"params": [p for p in model.parameters() if p.ndim == 1], "lr": 0.5}])
    assert "different rates" in verdict(capsys, checks.falling_rates, mixed, model, 1.5)


def test_checks_leave_a_network_and_the_readers_generator_alone(capsys, model, after):
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    verdict(capsys, checks.drift_of_layer, 0.5, model, after, "classifier.0")
    verdict(capsys, checks.falling_rates, rates(model, 1.5), model, 1.5)
    verdict(capsys, checks.frozen_by_hand, by_hand)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and all(p.requires_grad for p in model.parameters())
