"""Heads, freezing, depth and training for networks of every kind: torchvision's, all of them, and the pocket ones."""
import copy
import json
import re

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.ops import StochasticDepth

from helpers import export, features, gradcam, inference, networks, plans, pretrained, takeaway, training
from helpers.gradcam import grad_cam
from helpers.preprocess import Preprocess, Resized
from tests.test_networks import changed

PLAIN = Preprocess((0.5,) * 3, (0.25,) * 3)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def ids(parameters) -> list[int]:
    return sorted(map(id, parameters))


def ghost(name: str) -> nn.Module:
    return networks.build(name, weights=None, num_classes=10, device="meta")


@pytest.mark.parametrize("name", plans.NAMES)
def test_every_network_has_a_head_and_can_be_frozen_to_any_depth(name):
    model = ghost(name)
    assert all(value.is_meta for value in model.state_dict().values())
    old, below = networks.head(model), ids(model.parameters())
    new = networks.head(networks.replace_head(model, 7))
    assert new is not old and new is networks.last_layer(model)[1]
    below = sorted(set(below) - set(ids(old.parameters())))
    assert ids(model.parameters()) == sorted(below + ids(new.parameters()))

    size = {"inception_v3": 75}.get(name, 224 if name.startswith(("vit", "maxvit")) else 64)
    with torch.no_grad():
        assert model.eval()(torch.empty(2, 3, size, size, device="meta")).shape == (2, 7)

    groups = networks.parameter_groups(model, backbone_lr=0.1, head_lr=0.2)
    assert [ids(group["params"]) for group in groups] == [below, ids(new.parameters())]
    lists = networks.layers_from_top(model)
    assert ids(p for layer in sum(lists, []) for p in layer.parameters(recurse=False)) == ids(model.parameters())
    counted = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert lists[0] == [new] and [part[0] for part in lists[:-1]] == counted[:0:-1]

    networks.unfreeze(networks.head(networks.freeze(model)))
    assert ids(p for p in model.parameters() if p.requires_grad) == ids(new.parameters())
    norms = [layer for layer in model.train().modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert all(networks._keep_statistics in layer._forward_pre_hooks.values() for layer in norms)
    assert all(p.requires_grad for p in networks.learn_from_top(model, len(lists)).parameters())
    networks.learn_from_top(model, 1)
    assert ids(p for p in model.parameters() if p.requires_grad) == ids(new.parameters())


def test_the_list_of_networks_is_torchvisions_own():
    assert set(plans.NAMES) == {*plans.POCKET, *torchvision.models.list_models(module=torchvision.models)}
    assert len(plans.NAMES) >= 80


# --- building ----------------------------------------------------------------------------------------------------

def test_pocket_resnet_has_the_parts_of_a_resnet():
    model, resnet = ghost("pocket_resnet"), models.resnet18()
    assert isinstance(model, models.ResNet) and not isinstance(model, models.VGG)
    assert [name for name, _ in model.named_children()] == [name for name, _ in resnet.named_children()]
    maps = torch.empty(2, 3, 96, 96, device="meta")
    widths = {}
    for name, part in model.named_children():
        maps = part(maps.flatten(1) if name == "fc" else maps)
        widths[name] = tuple(maps.shape[1:])
    assert widths["conv1"] == (32, 48, 48) and widths["layer1"] == (32, 24, 24) and widths["layer2"] == (64, 12, 12)
    assert widths["layer3"] == (128, 6, 6) and widths["layer4"] == (256, 3, 3) and widths["fc"] == (10,)
    assert all(len(getattr(model, f"layer{k}")) == 1 for k in (1, 2, 3, 4))


def test_pocket_vgg_bn_has_the_plan_that_its_weights_are_for():
    model = ghost("pocket_vgg_bn")
    convolutions = [layer.out_channels for layer in model.features if isinstance(layer, nn.Conv2d)]
    assert convolutions == [16, 32, 48, 48, 96, 96, 128, 128]
    assert [layer.out_features for layer in model.classifier if isinstance(layer, nn.Linear)] == [224, 224, 10]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in model.features) == len(convolutions)


@pytest.mark.parametrize("name", plans.POCKET)
def test_the_weights_of_a_pocket_network_come_from_its_file(name, tmp_path, monkeypatch):
    made = plans.pocket(name, 5, seed=4)
    save_file({key: value.half() if value.is_floating_point() else value for key, value in made.state_dict().items()},
              tmp_path / f"{name}.safetensors")
    card = {"mean": [0, 0, 0], "std": [1, 1, 1], "categories": list("abcde")}
    (tmp_path / f"{name}.json").write_text(json.dumps(card))
    monkeypatch.setattr(pretrained, "ASSETS", tmp_path)
    model = networks.build(name)
    for key, value in made.state_dict().items():
        found = model.state_dict()[key]
        assert found.dtype == value.dtype and torch.allclose(found, value, atol=1e-3), key
    assert networks.head(networks.build(name, num_classes=3)).out_features == 3
    assert networks.source_classes(name) == tuple("abcde") and networks.normalisation(name)[1] == (1, 1, 1)
    with pytest.raises(ValueError, match=f"^Unknown weights 'V1' for {name}; only 'default' ships with the course.$"):
        networks.build(name, "V1")


@pytest.mark.parametrize("name", plans.POCKET)
def test_no_card_is_needed_to_train_a_pocket_network_from_scratch(name, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "ASSETS", tmp_path)
    assert networks.head(networks.build(name, weights=None, num_classes=3)).out_features == 3
    with pytest.raises(RuntimeError, match=f"^The asset {name}.json is missing or damaged; get a fresh copy"):
        networks.build(name)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5",
                                  "googlenet", "efficientnet_b0", "densenet121", "convnext_tiny", "swin_t"])
def test_random_weights_are_those_that_torchvision_would_draw(name):
    """As many numbers from a generator with the same seed, in the same order; only that it is not the global one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        options = {"init_weights": True} if name == "googlenet" else {}
        theirs = getattr(models, name)(**options).state_dict()
    ours = plans.torchvisions(name, seed=3).state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


# Files as torchvision's are: GoogLeNet's has auxiliary heads and wants its images on another scale; the DenseNets' have
# the names that layers had once.
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121"])
def test_weights_are_loaded_as_torchvision_loads_them(name, tmp_path, monkeypatch):
    state = plans.torchvisions(name, seed=1).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(generator=torch.Generator().manual_seed(0))
    if name == "densenet121":
        state = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
                 for key, value in state.items() if "num_batches" not in key}
        assert "features.denseblock1.denselayer1.norm.1.weight" in state
    torch.save(state, tmp_path / "weights.pth")
    monkeypatch.setattr(pretrained, "weights_file", lambda *_: tmp_path / "weights.pth")
    monkeypatch.setattr(models._api, "load_state_dict_from_url", lambda *_, **__: copy.copy(state))
    ours, theirs = networks.build(name).eval(), getattr(models, name)(weights="DEFAULT").eval()
    inputs = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(inputs), theirs(inputs))
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_a_vision_transformer_is_built_for_the_images_its_weights_are_for():
    large = networks.build("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", device="meta").eval()
    assert large(torch.empty(1, 3, 384, 384, device="meta")).shape == (1, 1000)


# --- the head ----------------------------------------------------------------------------------------------------

def test_squeezenets_head_is_a_convolution_and_stays_one():
    model = networks.replace_head(networks.build("squeezenet1_1", None, 5), 7).eval()
    new = networks.head(model)
    assert isinstance(new, nn.Conv2d) and new is model.classifier[1] and new.weight.shape == (7, 512, 1, 1)
    assert new.weight.std().item() == pytest.approx(0.01, rel=0.1) and not new.bias.any()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("name, size", [("googlenet", 64), ("inception_v3", 299)])
def test_auxiliary_heads_go_with_the_head_that_they_help(name, size):
    images = torch.empty(2, 3, size, size, device="meta")
    model = plans.torchvisions(name, seed=None).to("meta")
    assert isinstance(model.train()(images), tuple)
    networks.replace_head(model, 7)
    assert not [key for key in model.state_dict() if "aux" in key.lower()]
    for ready in (model, networks.build(name, None, device="meta")):
        assert ready.train()(images).shape == (2, networks.head(ready).out_features)


def test_a_network_without_a_head_gets_one_sentence():
    headless = ghost("resnet18")
    headless.fc = nn.Identity()
    for model, kind in ((headless, "BatchNorm2d"), (ghost("pocket_vgg").features, "Conv2d")):
        for wish in (networks.head, lambda model: networks.replace_head(model, 3),
                     lambda model: networks.parameter_groups(model, 0.1, 0.1)):
            with pytest.raises(ValueError, match=f"^This network has no head: .* is no linear layer, but a {kind}.$"):
                wish(model)


def test_a_head_alone_is_its_own_head():
    layer = nn.Linear(3, 2)
    assert networks.head(layer) is layer


# --- freezing ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", NORMS)
def test_batch_norm_of_every_kind_is_frozen(kind, affine):
    layer = kind(2, affine=affine)
    model = networks.freeze(nn.Sequential(layer)).train()
    sides = {nn.BatchNorm1d: 1, nn.BatchNorm3d: 3}.get(kind, 2)
    model(torch.randn(4, 2, *[3] * sides))
    assert not layer.running_mean.any() and not layer.num_batches_tracked


def test_statistics_of_a_resnets_frozen_stages_stand_and_of_the_others_move():
    model = networks.learn_from_top(networks.build("pocket_resnet", None, 3), 3)  # fc, the shortcut, and conv2
    before = copy.deepcopy(model.state_dict())
    training_images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model.train()(training_images)
    moved = {key.removesuffix(".running_mean") for key in changed(model, before) if key.endswith("running_mean")}
    assert moved == {"layer4.0.bn2", "layer4.0.downsample.1"}


def test_depth_counts_from_the_head_down():
    model = ghost("pocket_vgg_bn")
    learns = lambda: [name for name, p in model.named_parameters() if p.requires_grad and name.endswith("weight")]
    assert len(networks.layers_from_top(model)) == 11
    networks.learn_from_top(model, 4)  # three of the classifier, and one convolution with its batch norm
    assert learns() == ["features.25.weight", "features.26.weight", "classifier.0.weight", "classifier.3.weight",
                        "classifier.6.weight"]
    networks.learn_from_top(model, 1)  # less deep than before
    assert learns() == ["classifier.6.weight"]


def test_what_stands_before_the_first_layer_goes_with_it():
    model = ghost("vit_b_32")
    first = networks.layers_from_top(model)[-1]
    assert first[0] is model and model.conv_proj in first
    assert not networks.learn_from_top(model, 2).class_token.requires_grad


@pytest.mark.parametrize("depth", [0, -1, 6, 1.0, True, "2", None])
def test_a_depth_is_a_number_of_layers(depth):
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)])
    with pytest.raises(ValueError, match="^The depth must be a whole number from 1 to 5, not "):
        networks.learn_from_top(model, depth)
    assert all(p.requires_grad for p in model.parameters())


def test_before_the_first_layer_that_learns_everything_is_in_evaluation_mode():
    model = networks.freeze(ghost("vit_b_32"))
    layer = model.encoder.layers.encoder_layer_5.self_attention  # its weights are its own, and it has parts besides
    layer.in_proj_weight.requires_grad_(True)
    training.training_mode(model)
    blocks = model.encoder.layers
    assert not blocks.encoder_layer_4.dropout.training and not blocks.encoder_layer_5.ln_1.training
    assert layer.out_proj.training and blocks.encoder_layer_5.dropout.training


# --- training and examining --------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, epochs", [("pocket_vgg", 10), ("pocket_vgg_bn", 8), ("pocket_resnet", 8),
                                          ("resnet18", 4)])
def test_a_network_learns_from_scratch(name, epochs, tiny):
    model = networks.build(name, weights=None, num_classes=3)
    history = training.fit(model, tiny(8), tiny(8, seed=1), lr=1e-3, epochs=epochs, batch_size=8, preprocess=PLAIN,
                           augment=False)
    assert history.best_accuracy >= 0.9
    assert inference.evaluate(model, tiny(8, seed=1), PLAIN).accuracy == history.best_accuracy


@pytest.mark.parametrize("name, hidden", [("pocket_vgg_bn", 224), ("pocket_resnet", 256), ("resnet18", 512)])
def test_the_head_is_trained_on_what_it_sees(name, hidden, tiny):
    model = networks.build(name, None, 3)
    networks.unfreeze(networks.head(networks.freeze(model)))
    before, split = copy.deepcopy(model.state_dict()), tiny(4)
    seen = features.extract(model, split, PLAIN)
    assert seen.tensors[0].shape == (12, hidden) and not networks.head(model)._forward_pre_hooks
    logits = inference.evaluate(model, split, PLAIN).logits
    assert torch.equal(inference.evaluate(networks.head(model), seen).logits, logits)
    training.fit(networks.head(model), seen, seen, epochs=3, lr=0.1)
    assert {key.rpartition(".")[0] for key in changed(model, before)} == {"classifier.6" if "vgg" in name else "fc"}


@pytest.mark.parametrize("name", ["pocket_resnet", "resnet18"])
def test_a_resnet_is_cut_in_two_behind_its_blocks(name):
    model = networks.build(name, None, 3).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model(images)
        for layer in ("conv1", "bn1", "relu", "maxpool", "layer1.0", "layer3.0", "avgpool"):
            below, above = networks.in_two(model, layer)
            maps = below(images)
            kept = maps.clone()
            assert torch.equal(above(maps), whole) and torch.equal(maps, kept), layer
            assert below[-1] is model.get_submodule(layer)
    with pytest.raises(ValueError, match="^No layer is called 'layer1'; names run from 'conv1' to 'fc'.$"):
        networks.in_two(model, "layer1")


def test_what_is_for_certain_networks_says_so():
    other = ghost("mobilenet_v3_small")
    images = torch.empty(1, 3, 64, 64, device="meta")
    with pytest.raises(ValueError, match="^Only a VGG or a ResNet can be cut in two here, and this is a MobileNetV3.$"):
        networks.in_two(other, "avgpool")
    with pytest.raises(ValueError, match="^Only a VGG's maps can be pooled here, and this is a MobileNetV3; "):
        features.pooled_features(other, images)
    for model in (other, ghost("pocket_resnet")):
        with pytest.raises(ValueError, match="^Only a VGG with its classifier can be folded: "):
            networks.fold_first_linear(model)


def test_a_vgg_with_a_single_layer_for_a_classifier():
    model = plans.pocket("pocket_vgg", 3).eval()
    model.classifier = nn.Linear(model.classifier[0].in_features, 3)
    images = torch.randn(1, 3, 64, 64)
    below, above = networks.in_two(model, "avgpool")
    assert torch.equal(above(below(images)), model(images))
    with pytest.raises(ValueError, match="^Only a VGG with its classifier can be folded: "):
        networks.fold_first_linear(model)


def test_an_image_of_the_wrong_size_gets_one_sentence(tiny):
    model = models.VisionTransformer(image_size=64, patch_size=16, num_layers=1, num_heads=1, hidden_dim=8, mlp_dim=8,
                                     num_classes=3)
    with pytest.raises(ValueError, match="^The network can't take inputs of 3 x 32 x 32: .*Wrong image height!"):
        inference.evaluate(model, tiny(1), PLAIN)


def test_what_others_draw_does_not_change_stochastic_depth(tiny):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), StochasticDepth(0.5, "row"), nn.Linear(8, 3))
    losses = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        history = training.fit(copy.deepcopy(model), tiny(4), tiny(2), epochs=2, preprocess=PLAIN, augment=False)
        losses.append([epoch["train_loss"] for epoch in history.epochs])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_from_a_generator_is_stochastic_depth(mode):
    layer, inputs = StochasticDepth(0.25, mode), torch.ones(1000, 2, 3)
    with training.dropout_from(torch.Generator().manual_seed(0), layer):
        rows = torch.cat([layer(inputs) for _ in range(50)]).flatten(1)
        assert torch.equal(layer.eval()(inputs), inputs)
    assert (rows == rows[:, :1]).all() and rows.unique().tolist() == pytest.approx([0, 4 / 3])
    assert len(rows[:1000].unique()) == {"row": 2, "batch": 1}[mode]
    assert (rows == 0).float().mean().item() == pytest.approx(0.25, abs=0.01 if mode == "row" else 0.2)


# --- heat maps ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["pocket_resnet", "resnet18"])
def test_heat_maps_of_a_resnet_are_those_of_its_last_block(name):
    model = networks.build(name, None, 3).eval()
    inputs, classes = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2])
    below, above = networks.in_two(model, "layer4.0" if name == "pocket_resnet" else "layer4.1")
    found = below(inputs).detach().requires_grad_()
    gradient, = torch.autograd.grad(above(found)[torch.arange(2), classes].sum(), found)
    coarse = (gradient.mean((2, 3), keepdim=True) * found).sum(1, keepdim=True).relu().detach()
    fine = nn.functional.interpolate(coarse, size=(96, 96), mode="bilinear").squeeze(1)
    assert torch.allclose(grad_cam(model, inputs, classes), fine / fine.amax((1, 2), keepdim=True), atol=1e-4)


def below_and_above(model: nn.Module):
    """The last maps before the last pooling, as a function of the images, and the logits as a function of them."""
    if isinstance(model, models.SwinTransformer):  # its layers hold the channels last, up to `permute`
        return (lambda images: model.permute(model.norm(model.features(images))),
                lambda maps: model.head(model.avgpool(maps).flatten(1)))
    if isinstance(model, models.DenseNet):
        return model.features, lambda maps: model.classifier(maps.relu().mean((2, 3)))
    last = (lambda maps: maps) if isinstance(model, models.ConvNeXt) else lambda maps: maps.flatten(1)
    return model.features, lambda maps: model.classifier(last(model.avgpool(maps)))


@pytest.mark.parametrize("name", ["efficientnet_b0", "convnext_tiny", "swin_t", "densenet121"])
def test_heat_maps_of_other_networks_are_those_of_their_last_maps(name):
    model = networks.build(name, None, 3).eval()
    inputs, classes = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2])
    below, above = below_and_above(model)
    found = below(inputs).detach().requires_grad_()
    gradient, = torch.autograd.grad(above(found)[torch.arange(2), classes].sum(), found)
    coarse = (gradient.mean((2, 3), keepdim=True) * found).sum(1, keepdim=True).relu().detach()
    fine = nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear").squeeze(1)
    assert fine.amax() > 0
    assert torch.allclose(grad_cam(model, inputs, classes), fine / fine.amax((1, 2), keepdim=True).clamp(min=1e-30),
                          atol=1e-3)


@pytest.mark.parametrize("name", plans.NAMES)
def test_every_network_has_features_before_its_head_and_heat_maps_or_a_sentence(name, monkeypatch):
    """Without contents, which needs no time: what is looked at are the shapes."""
    model, size = ghost(name), {"inception_v3": 96}.get(name, 224 if name.startswith(("vit", "maxvit")) else 96)
    images = torch.empty(2, 3, size, size, device="meta")
    with networks.evaluating(model), torch.no_grad():
        seen, layer = features.hidden_features(model, images), networks.head(model)
        assert seen.shape[:2] == (2, layer.weight.shape[1])
        assert layer(seen).shape[:2] == (2, 10)
    ask = lambda: grad_cam(model, images, torch.tensor([0, 1], device="meta"))
    if name.startswith("vit"):
        with pytest.raises(ValueError, match="^Grad-CAM needs feature maps, and the last layers of this network give "):
            ask()
        return
    found = []
    monkeypatch.setattr(gradcam, "interpolate", lambda maps, size, mode: found.append(maps) or torch.ones(2, 1, *size))
    assert ask().shape == (2, size, size)
    assert found[0].shape[:2] == (2, 1) and 1 < found[0].shape[2] == found[0].shape[3] <= size // 16


# --- images as the weights want them -----------------------------------------------------------------------------

def test_images_are_prepared_as_when_the_weights_were_tested():
    images = torch.randint(0, 256, (1, 3, 96, 80), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    seen = set()
    for name in plans.NAMES[len(plans.POCKET):]:
        ours, theirs = pretrained.preprocessing(name), models.get_model_weights(name).DEFAULT.transforms()
        if str(theirs) not in seen:
            assert torch.allclose(ours(images), theirs(images), atol=1e-5), name
        seen.add(str(theirs))
    assert len(seen) > 20
    own = pretrained.preprocessing("vit_b_16", "IMAGENET1K_SWAG_E2E_V1")
    assert (own.side, own.crop, own.interpolation) == (384, 384, "bicubic")
    with pytest.raises(ValueError, match=r"^Images must be|uint8 tensor of shape"):
        own(images.float())


def test_a_pocket_network_takes_images_as_they_are_stored():
    assert pretrained.preprocessing("pocket_vgg") == Preprocess(*networks.normalisation("pocket_vgg"))


@pytest.mark.parametrize("name", ["vit_b_32", "maxvit_t"])
def test_a_network_for_one_size_says_so_at_another(name, tiny):
    model = networks.build(name, None, 3)
    sentence = ("^The network can't take inputs of 3 x 32 x 32: .*; `pretrained.preprocessing` brings images to the "
                "size that its weights want.$")
    for wish in (lambda: inference.evaluate(model, tiny(1), PLAIN), lambda: features.extract(model, tiny(1), PLAIN),
                 lambda: training.fit(model, tiny(1), preprocess=PLAIN)):
        with pytest.raises(ValueError, match=sentence):
            wish()


def test_a_network_comes_home_with_the_size_that_it_wants(tiny, tmp_path):
    model, split = networks.build("efficientnet_b0", None, 3).eval(), tiny(1)
    prepare = Resized((0.5,) * 3, (0.25,) * 3, side=72, crop=64, interpolation="bicubic")
    takeaway.save(model, tmp_path / "mine", "efficientnet_b0", split.classes, 32, prepare)
    mine = takeaway.load(tmp_path / "mine")
    assert mine.preprocess == prepare
    assert torch.equal(inference.evaluate(mine.model, split, mine.preprocess).logits,
                       inference.evaluate(model, split, prepare).logits)
    with pytest.raises(ValueError, match="^An ONNX file takes images as they are given"):
        export.export(mine, tmp_path / "mine.onnx")
