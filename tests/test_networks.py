import copy
import functools
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.vgg import VGG

from helpers import networks, pretrained
from helpers.lab import BACKBONES


def step(model: nn.Module, classes: int = 3) -> None:
    """One optimiser step on random images, with weight decay: whatever may change does change."""
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(4, 3, 32, 32, generator=generator), torch.tensor([0, 1, 2, 0]) % classes
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    model.zero_grad()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimiser.step()


def changed(model: nn.Module, before: dict) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


# --- building ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", BACKBONES)
def test_every_network_has_the_parts_of_a_vgg(name):
    model = networks.build(name, None, num_classes=10, device="meta")
    assert isinstance(model, VGG) and len(model.classifier) == 7 and networks.head(model) is model.classifier[6]
    assert model(torch.empty(2, 3, 96, 96, device="meta")).shape == (2, 10)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()) == name.endswith("_bn")


def test_vgg16_has_the_published_number_of_parameters():
    assert networks.count_parameters(networks.build("vgg16", device="meta")) == 138_357_544


def test_the_seed_decides():
    one, same, other = (networks.build("pocket_vgg", None, 10, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one if key.endswith("weight"))


def test_the_global_generators_are_neither_used_nor_set(slim, monkeypatch):
    model = slim("pocket_vgg")
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPU's generator was seeded"))
    torch.random.default_generator.manual_seed(5)
    before = torch.get_rng_state()
    for name, weights, classes in (("pocket_vgg", None, None), ("pocket_vgg", "default", 3)):
        networks.build(name, weights, classes)
    networks.build("vgg11_bn", None, 10, device="meta")
    for name in ("pocket_resnet", "resnet18", "squeezenet1_1", "mobilenet_v3_small", "swin_t", "googlenet"):
        networks.build(name, None, 4)
    networks.replace_head(model, 5)
    networks.fold_first_linear(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_built_in_a_thread_is_the_one_built_alone():
    alone = {seed: networks.build("pocket_vgg", None, 10, seed=seed).state_dict() for seed in range(4)}
    with ThreadPoolExecutor(4) as pool:
        together = [(seed, pool.submit(networks.build, "pocket_vgg", None, 10, seed=seed))
                    for seed in [0, 1, 2, 3] * 10]
        for seed, built in together:
            state = built.result().state_dict()
            assert all(torch.equal(state[key], alone[seed][key]) for key in state)


@pytest.fixture
def small_files(monkeypatch, tmp_path):
    """Lets `build` find weights for torchvision's networks in a file that a test writes, in a classifier 16 wide."""

    def plan(original):
        model = original()
        model.classifier[0], model.classifier[3] = nn.Linear(25088, 16), nn.Linear(16, 16)
        model.classifier[6] = nn.Linear(16, 1000)
        return model

    def write(state):
        torch.save(state, tmp_path / "weights.pth")

    for name in ("vgg11_bn", "vgg16"):
        monkeypatch.setattr(models, name, functools.partial(plan, getattr(models, name)))
    monkeypatch.setattr(pretrained, "weights_file", lambda *_: tmp_path / "weights.pth")
    return write


def test_weights_from_a_file_are_the_networks_own(slim, small_files):
    state = networks.replace_head(slim("vgg11_bn"), 1000).state_dict()
    small_files({key: value for key, value in state.items() if "num_batches" not in key})  # as in torchvision's files
    one, other = networks.build("vgg11_bn"), networks.build("vgg11_bn", num_classes=7)
    assert all(torch.equal(value, state[key]) for key, value in one.state_dict().items() if "num_batches" not in key)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in one.parameters()) and one.training
    assert all(value.device.type == "cpu" for value in one.state_dict().values())
    before = copy.deepcopy(other.state_dict())
    step(one, 1000)
    assert not changed(other, before) and not changed(networks.build("vgg11_bn", num_classes=7), before)


def test_the_shipped_weights_are_read_anew_for_every_network():
    one, other = networks.build("pocket_vgg"), networks.build("pocket_vgg")
    before = copy.deepcopy(other.state_dict())
    step(one, 91)
    assert not changed(other, before) and changed(one, before)


def test_convolutions_without_a_classifier(slim, small_files):
    no_head = "^IMAGENET1K_FEATURES holds the convolutions of vgg16 alone"
    for device in ("cpu", "meta"):
        with pytest.raises(ValueError, match=f"{no_head}: say with num_classes how many outputs its new classifier"):
            networks.build("vgg16", "IMAGENET1K_FEATURES", device=device)
    with pytest.raises(ValueError, match=f"{no_head}, so there are no class names; IMAGENET1K_V1 has them."):
        networks.source_classes("vgg16", "IMAGENET1K_FEATURES")
    state = networks.replace_head(slim("vgg16"), 1000).state_dict()
    small_files({key: value if key.startswith("features") else torch.full_like(value, torch.nan)
                 for key, value in state.items()})
    model, same = (networks.build("vgg16", "IMAGENET1K_FEATURES", num_classes=10) for _ in range(2))
    assert torch.equal(model.features[0].weight, state["features.0.weight"])
    assert model.eval()(torch.zeros(1, 3, 32, 32)).isfinite().all() and networks.head(model).out_features == 10
    assert not changed(model, same.state_dict())


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="Unknown network 'resnet'; choose one of pocket_vgg, pocket_vgg_bn, "):
        networks.build("resnet", None, 10)
    with pytest.raises(ValueError, match="Unknown weights 'V9' for vgg16; choose one of IMAGENET1K_V1, IMAGENET1K_FEA"):
        pretrained.read_weights("vgg16", "V9")
    for asked in (pretrained.read_weights, networks.build, networks.normalisation, networks.source_classes,
                  functools.partial(networks.build, device="meta")):
        for unknown in ("V9", ""):
            with pytest.raises(ValueError, match=f"Unknown weights '{unknown}' for pocket_vgg; only 'default' ships"):
                asked("pocket_vgg", unknown)
    for asked in (pretrained.read_weights, networks.normalisation, networks.source_classes):
        with pytest.raises(ValueError, match="Unknown network 'resnet'; choose one of"):
            asked("resnet")


# --- the shipped weights -----------------------------------------------------------------------------------------

def test_shipped_files_are_small_enough():
    sizes = {path.name: path.stat().st_size for path in pretrained.ASSETS.iterdir()}
    assert sizes["pocket_vgg.safetensors"] <= 4_000_000 and sum(sizes.values()) < 11_000_000


def test_the_card_fits_the_weights():
    state = pretrained.read_weights("pocket_vgg")
    card = pretrained.card("pocket_vgg")
    assert len(card["categories"]) == state["classifier.6.weight"].shape[0]
    assert {"source_task", "drawings", "accuracy_unseen_drawings", "seed", "minutes", "mean", "std"} <= set(card)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("size", [None, 0, 100, 1_000_000])
def test_damaged_weights_get_one_sentence(tmp_path, monkeypatch, size):
    path = tmp_path / "pocket_vgg.safetensors"
    if size is not None:
        path.write_bytes((pretrained.ASSETS / path.name).read_bytes()[:size])
    shutil.copy(pretrained.ASSETS / "pocket_vgg.json", tmp_path)
    monkeypatch.setattr(pretrained, "ASSETS", tmp_path)
    with pytest.raises(RuntimeError, match="^The asset pocket_vgg.safetensors is missing or damaged; get a fresh copy"):
        networks.build("pocket_vgg")


def test_a_damaged_card_gets_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "pocket_vgg.json"
    path.write_text('{"mean": [0.5')
    monkeypatch.setattr(pretrained, "ASSETS", tmp_path)
    with pytest.raises(RuntimeError, match="^The asset pocket_vgg.json is missing or damaged; get a fresh copy"):
        networks.normalisation("pocket_vgg")


# --- evaluation mode ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("end", [None, KeyboardInterrupt])
def test_every_layer_gets_its_mode_back_whatever_ends_the_block(slim, end):
    model = networks.freeze(slim("vgg11_bn")).train()
    model.features[1].eval()
    before = [layer.training for layer in model.modules()]
    try:
        with networks.evaluating(model):
            assert not any(layer.training for layer in model.modules())
            if end:
                raise end
    except KeyboardInterrupt:
        pass
    assert [layer.training for layer in model.modules()] == before


# --- the head ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", BACKBONES)
def test_a_new_head_replaces_the_old_one_and_nothing_else(slim, name):
    model = slim(name)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert networks.replace_head(model, 7, seed=3) is model
    after = model.state_dict()
    new = {"classifier.6.weight", "classifier.6.bias"}
    assert list(after) == list(before) and after["classifier.6.weight"].shape == (7, 16)
    assert all(torch.equal(after[name], before[name]) for name in before if name not in new)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
    again = networks.replace_head(copy.deepcopy(model), 7, seed=3)
    assert torch.equal(again.classifier[6].weight, model.classifier[6].weight)


def test_a_head_needs_a_whole_number_of_classes(slim):
    model = slim("pocket_vgg")
    for count in (1, 0, -3, 2.5, 10.0, "10", None, True, [3]):
        with pytest.raises(ValueError, match=r"^A classifier needs a whole number of classes, at least 2, not "):
            networks.replace_head(model, count)


def test_the_number_of_classes_may_come_from_numpy(slim):
    model = networks.replace_head(slim("pocket_vgg"), np.int64(4))
    assert type(networks.head(model).out_features) is int and networks.head(model).weight.shape == (4, 16)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_new_head_is_of_the_old_ones_kind_and_learns(slim, device):
    model = networks.freeze(slim("pocket_vgg")).double().eval().to(device)
    model.classifier[6] = nn.Linear(16, 3, bias=False, dtype=torch.float64, device=device).eval()
    new = networks.head(networks.replace_head(model, 5))
    assert {(p.dtype, p.device.type, p.requires_grad) for p in new.parameters()} == {(torch.float64, device, True)}
    assert new.bias.shape == (5,) and not new.training
