"""Freezing layers, cutting a network in two, and folding: what changes, and what stays."""
import copy
import io

import pytest
import torch
from torch import nn

from helpers import networks
from helpers.lab import BACKBONES
from helpers.training import training_mode
from tests.test_networks import changed, step


@pytest.fixture(params=BACKBONES)
def model(request, slim):
    return slim(request.param)


# --- freezing ----------------------------------------------------------------------------------------------------

def test_with_frozen_features_only_the_classifier_learns(model):
    networks.freeze(model.features)
    before = copy.deepcopy(model.state_dict())
    step(model.train())
    frozen = {name: p for name, p in model.named_parameters() if name.startswith("features.")}
    assert all(p.grad is None and not p.requires_grad for p in frozen.values())
    # A unit that never fires has no gradient, but weight decay still moves its weights; biases of zero may stay.
    weights = {name for name in before if name.startswith("classifier.") and name.endswith("weight")}
    assert weights <= changed(model, before) and not any(n.startswith("features.") for n in changed(model, before))


def test_with_all_but_the_head_frozen_only_the_head_learns(model):
    networks.freeze(model)
    networks.unfreeze(networks.head(model))
    before = copy.deepcopy(model.state_dict())
    step(training_mode(model))
    assert changed(model, before) == {"classifier.6.weight", "classifier.6.bias"}
    assert networks.count_parameters(model, trainable=True) == 16 * 3 + 3


def test_unfreeze_lets_everything_learn_again(model):
    networks.freeze(model)
    networks.unfreeze(model)
    before = copy.deepcopy(model.state_dict())
    step(model.train())
    assert {name for name, p in model.named_parameters() if p.grad is None} == set()
    assert {name for name in before if name.endswith(("weight", "running_mean"))} <= changed(model, before)


def test_statistics_of_the_frozen_blocks_stand_and_of_the_others_move(slim):
    model = slim("vgg11_bn")
    norms = [name for name, layer in model.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    networks.freeze(model.features[:15])
    before = copy.deepcopy(model.state_dict())
    step(model.train())
    moved = {name for name in norms if f"{name}.running_mean" in changed(model, before)}
    assert moved == {name for name in norms if int(name.split(".")[1]) >= 15} and 0 < len(moved) < len(norms)


def test_parameter_groups(slim):
    model = slim("vgg11")
    below, top = networks.parameter_groups(model, backbone_lr=0.1, head_lr=0.2)
    assert (below["lr"], top["lr"]) == (0.1, 0.2)
    assert [id(p) for p in top["params"]] == [id(p) for p in networks.head(model).parameters()]
    assert {id(p) for p in below["params"] + top["params"]} == {id(p) for p in model.parameters()}
    networks.freeze(model.features)
    assert len(networks.parameter_groups(model, 0.1, 0.2)[0]["params"]) == 4  # the two hidden layers
    networks.unfreeze(networks.head(networks.freeze(model)))
    assert [group["lr"] for group in networks.parameter_groups(model, 0.1, 0.2)] == [0.2]


def test_frozen_statistics_stand_in_a_copy_and_in_a_saved_network(slim):
    frozen = networks.freeze(slim("vgg11_bn"))
    file = io.BytesIO()
    torch.save(frozen, file)
    file.seek(0)
    for twin in (copy.deepcopy(frozen), torch.load(file, weights_only=False)):
        before = copy.deepcopy(twin.state_dict())
        networks.unfreeze(networks.head(twin))
        step(networks.freeze(twin.features) and twin.train())
        assert changed(twin, before) == {"classifier.6.weight", "classifier.6.bias"}
        assert len(twin.features[1]._forward_pre_hooks) == 1
        step(networks.unfreeze(twin).train())
        assert "features.1.running_mean" in changed(twin, before)
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("part", ["backbone_lr", "head_lr"])
def test_learning_rates_are_above_zero(slim, part):
    model = slim("pocket_vgg")
    for lr in (0, -1e-3, float("nan"), float("inf"), "0.1", None):
        with pytest.raises(ValueError, match=f"^{part} is {lr!r}, but a learning rate is a number above 0; to leave"):
            networks.parameter_groups(model, **({"backbone_lr": 0.1, "head_lr": 0.1} | {part: lr}))


def test_groups_of_a_frozen_network(slim):
    with pytest.raises(ValueError, match="^Every parameter is frozen, so there is nothing to train; unfreeze the head"):
        networks.parameter_groups(networks.freeze(slim("pocket_vgg")), 0.1, 0.1)


# --- cut in two --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, folded", [("pocket_vgg", False), ("pocket_vgg", True), ("vgg11_bn", False)])
def test_above_and_below_make_the_whole_network_wherever_it_is_cut(slim, name, folded):
    model = slim(name).eval()
    if folded:
        networks.fold_first_linear(model, 64)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    names = [name for name, part in model.named_modules() if name and not list(part.children())]
    with torch.no_grad():
        whole = model(images)
        for name in names[:-1]:
            below, above = networks.in_two(model, name)
            maps = below(images)
            kept = maps.clone()
            assert torch.equal(above(maps), whole), name
            assert torch.equal(maps, kept), f"above writes into the maps behind {name}"
            assert networks.count_parameters(below) + networks.count_parameters(above) \
                == networks.count_parameters(model)
            assert below[-1] is model.get_submodule(name)


def test_what_is_trained_above_the_cut_is_trained_in_the_network(slim):
    model = slim("vgg11_bn")
    below, above = networks.in_two(networks.freeze(model), "features.15")
    networks.unfreeze(above)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        maps = below.eval()(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    optimiser = torch.optim.AdamW(above.parameters(), lr=0.01)
    nn.functional.cross_entropy(above.train()(maps), torch.tensor([0, 1, 2, 0])).backward()
    optimiser.step()
    moved = {name for name in changed(model, before) if name.endswith("weight")}
    assert moved == {name for name, part in model.named_parameters() if name.endswith("weight") and part.requires_grad}


@pytest.mark.parametrize("name, sentence", [
    ("features.99", "No layer is called 'features.99'; names run from 'features.0' to 'classifier.6'."),
    ("features", "No layer is called 'features'; names run from"), ("", "No layer is called ''; names run from"),
    ("classifier.6", "Nothing is left above 'classifier.6', the last layer; cut behind an earlier one.")])
def test_where_no_cut_is_possible(slim, name, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        networks.in_two(slim("pocket_vgg"), name)


# --- folding -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, size", [("pocket_vgg", 96), ("pocket_vgg", 130), ("vgg16", 96), ("vgg16_bn", 64)])
def test_folding_keeps_the_logits(slim, name, size):
    model = (networks.build(name) if name == "pocket_vgg" else slim(name)).eval()
    if name != "pocket_vgg":
        networks.head(model).weight.data *= 100  # as large as those of a trained head
    inputs = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(inputs)
        side, channels = size // 32, model.classifier[0].in_features // 49
        assert networks.fold_first_linear(model, size) is model
        assert model.classifier[0].in_features == channels * side**2
        assert before.std() > 0.1 and torch.allclose(model(inputs), before, rtol=1e-5, atol=1e-5)


def test_folding_needs_a_feature_map(slim):
    with pytest.raises(ValueError, match="^Images of 31 pixels a side leave no feature map: they need 32 or more.$"):
        networks.fold_first_linear(slim("pocket_vgg"), 31)


@pytest.mark.parametrize("size", [224, 256, 300])
def test_where_folding_saves_nothing_the_network_is_left_as_it_is(slim, size):
    model = slim("pocket_vgg")
    before, pooling = copy.deepcopy(model.state_dict()), model.avgpool
    assert networks.fold_first_linear(model, size) is model
    assert model.avgpool is pooling and not changed(model, before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_folded_layer_is_of_the_old_ones_kind(slim, device, dtype, frozen, bias):
    model = slim("pocket_vgg")
    inputs = model.classifier[0].in_features
    model.classifier[0] = nn.Linear(inputs, 16, bias=bias).eval()
    model.to(device, dtype)
    model.classifier[0].weight.requires_grad_(not frozen)
    kinds = [(p.dtype, p.device.type, p.requires_grad) for p in model.classifier[0].parameters()]
    first = networks.fold_first_linear(model).classifier[0]
    assert [(p.dtype, p.device.type, p.requires_grad) for p in first.parameters()] == kinds
    assert first.weight.shape == (16, inputs // 49 * 9) == (16, first.in_features) and not first.training
    assert all(isinstance(p, nn.Parameter) and p.is_leaf for p in model.parameters())


def test_folding_in_double_precision_is_exact(slim):
    model = slim("pocket_vgg").double().eval()
    inputs = torch.randn(3, 3, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (model(inputs) - networks.fold_first_linear(model)(inputs)).abs().max() < 1e-12


def test_a_frozen_network_stays_frozen_when_it_is_folded(slim):
    model = networks.fold_first_linear(networks.freeze(slim("pocket_vgg")))
    assert networks.count_parameters(model, trainable=True) == 0


def test_folding_twice(slim):
    model = networks.fold_first_linear(slim("pocket_vgg"), 96)
    before = copy.deepcopy(model.state_dict())
    for size in (96, 100):  # both leave 3 x 3, for which it is folded
        assert networks.fold_first_linear(model, size) is model and not changed(model, before)
    for size in (64, 224, 16):
        with pytest.raises(ValueError, match=f"is folded for images of 96 to 127 pixels a side; .* for {size} pixels"):
            networks.fold_first_linear(model, size)


def test_another_pooling_is_folded_too(slim):
    model = slim("pocket_vgg").eval()
    channels = model.classifier[0].in_features // 49
    model.avgpool, model.classifier[0] = nn.AdaptiveAvgPool2d(5), nn.Linear(channels * 25, 16)
    inputs = torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(inputs)
        assert torch.allclose(networks.fold_first_linear(model)(inputs), before, atol=1e-5)
