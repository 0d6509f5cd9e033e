"""Grad-CAM: against its definition, and what it leaves alone."""
import pytest
import torch
from torch import nn

from helpers import networks
from helpers.gradcam import grad_cam
from helpers.preprocess import Preprocess

CLASSES = torch.tensor([0, 2, 1])


@pytest.fixture
def inputs():
    return torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def stretched(coarse):
    """Coarse maps (n, 1, h, w) at the size of the images, each divided by its maximum."""
    fine = nn.functional.interpolate(coarse, size=(96, 96), mode="bilinear").squeeze(1)
    return fine / fine.amax((1, 2), keepdim=True).clamp(min=1e-30)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_it_is_what_its_definition_says(slim, inputs, folded, frozen):
    model = slim("vgg11_bn").train()
    model.features[1].eval()
    if folded:
        networks.fold_first_linear(model)
    model.requires_grad_(not frozen)
    modes = [layer.training for layer in model.modules()]
    maps = grad_cam(model, inputs, CLASSES)
    assert maps.shape == (3, 96, 96) and not maps.requires_grad and maps.amax() == 1
    assert modes == [layer.training for layer in model.modules()]
    assert not any(p.grad is not None for p in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())

    model.eval()
    found = model.features[:-1](inputs).detach().requires_grad_()  # everything but the last pooling
    logits = model.classifier(model.avgpool(model.features[-1](found)).flatten(1))
    gradient, = torch.autograd.grad(logits[torch.arange(3), CLASSES].sum(), found)
    coarse = (gradient.mean((2, 3), keepdim=True) * found).sum(1, keepdim=True).relu().detach()
    assert torch.allclose(maps, stretched(coarse), atol=1e-4)


def test_it_works_where_gradients_are_switched_off(slim, inputs):
    model = slim("pocket_vgg")
    expected = grad_cam(model, inputs, CLASSES)
    with torch.no_grad():
        assert torch.equal(grad_cam(networks.freeze(model), inputs, CLASSES), expected)
        assert not torch.is_grad_enabled()


def test_gradients_from_before_are_left_alone_and_no_others_computed(slim, inputs):
    model = slim("pocket_vgg")
    model(inputs).sum().backward()
    before = [p.grad.clone() for p in model.parameters()]
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: pytest.fail("a parameter's gradient was computed"))
    grad_cam(model, inputs, CLASSES)
    assert all(torch.equal(p.grad, old) for p, old in zip(model.parameters(), before, strict=True))


def test_an_error_leaves_the_network_as_it_was(slim):
    model = slim("pocket_vgg").train()
    with pytest.raises(RuntimeError):
        grad_cam(model, torch.zeros(1, 3, 8, 8), CLASSES[:1])
    assert all(layer.training and not layer._forward_hooks for layer in model.modules())


def test_a_network_without_maps_gets_one_sentence():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    with pytest.raises(ValueError, match="^Grad-CAM needs feature maps, and the last layers of this network give "):
        grad_cam(model, torch.zeros(1, 3, 2, 2), CLASSES[:1])


def test_without_evidence_it_is_black(slim):
    model = slim("pocket_vgg")
    nn.init.zeros_(model.classifier[6].weight)
    assert grad_cam(model, torch.randn(2, 3, 96, 96), torch.tensor([0, 1])).eq(0).all()


def test_a_map_for_pocket_images_is_found_on_the_real_network(pocket):
    model = networks.fold_first_linear(networks.build("pocket_vgg", num_classes=10))
    few = pocket["val"].few(1)
    maps = grad_cam(model, Preprocess(*networks.normalisation("pocket_vgg"))(few.images), few.labels)
    assert maps.shape == (10, 96, 96) and ((maps.amax((1, 2)) - 1).abs() < 1e-5).sum() >= 8
