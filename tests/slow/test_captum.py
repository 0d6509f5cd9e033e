"""Grad-CAM by hand against captum's, which only authors install."""
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn
from torchvision import models

from helpers.gradcam import grad_cam
from tests.test_gradcam import CLASSES, stretched


@pytest.mark.parametrize("name", ["pocket_vgg", "vgg11_bn", "resnet18"])
def test_it_agrees_with_captum(slim, name):
    inputs = torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    if name == "resnet18":  # whose ReLUs run twice each; the last maps are those of the last block
        model = models.resnet18(num_classes=3).eval()
        last = model.layer4
    else:
        model = slim(name).eval()
        last = [layer for layer in model.features if isinstance(layer, nn.ReLU)][-1]
    coarse = LayerGradCam(model, last).attribute(inputs, CLASSES, relu_attributions=True).detach()
    assert coarse.amax() > 0 and torch.allclose(grad_cam(model, inputs, CLASSES), stretched(coarse), atol=1e-4)
