"""The networks' plans: which layers follow one another, and random weights for them.

Three networks are the course's own, small enough for a laptop's CPU. `pocket_vgg` and `pocket_vgg_bn` are torchvision's
`VGG` class with narrow layers, `pocket_resnet` is its `ResNet` class: the same parts by the same names. All other plans
are torchvision's.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vgg import VGG, make_layers

from helpers.fetch.weights import weights_of

# A pocket VGG: how many feature maps each convolution gives, "M" for a max pooling; then the width of the classifier's
# two hidden layers.
POCKET_VGG, POCKET_HIDDEN = (16, "M", 32, "M", 48, 48, "M", 96, 96, "M", 128, 128, "M"), 224
POCKET_DROPOUT = 0.1  # VGG-16 drops half of 4,096 hidden features; of so few, a new network can't spare so many
POCKET_RESNET = (32, 64, 128, 256)  # feature maps in each of the four stages; a stage is one residual block
POCKET = ("pocket_vgg", "pocket_vgg_bn", "pocket_resnet")
NAMES = (*POCKET, *models.list_models(module=models))  # torchvision's networks for classifying images, about 80


def pocket(name: str, num_classes: int, seed: int | None = 0) -> VGG | ResNet:
    """One of the `POCKET` networks, untrained: random weights drawn from `seed` alone.

    With None for a seed it is a plan only: on the `meta` device, where weights have a shape and no contents.
    """
    with torch.device("meta"):
        model = _pocket_resnet(num_classes) if name == "pocket_resnet" else _pocket_vgg(name, num_classes)
    return pooled_anywhere(model if seed is None else draw(model, seed, he))


def _pocket_vgg(name: str, num_classes: int) -> VGG:
    hidden = POCKET_HIDDEN
    model = VGG(make_layers(POCKET_VGG, batch_norm=name.endswith("_bn")))
    model.classifier = nn.Sequential(
        nn.Linear(POCKET_VGG[-2] * 7 * 7, hidden),
        nn.ReLU(True),
        nn.Dropout(POCKET_DROPOUT),
        nn.Linear(hidden, hidden),
        nn.ReLU(True),
        nn.Dropout(POCKET_DROPOUT),
        nn.Linear(hidden, num_classes),
    )
    return model


def _pocket_resnet(num_classes: int) -> ResNet:
    """torchvision's `ResNet` fixes the widths at 64 to 512; here each part that depends on them is made anew."""
    model = ResNet(BasicBlock, [1, 1, 1, 1])
    model.inplanes = POCKET_RESNET[0]
    model.conv1 = nn.Conv2d(3, model.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(model.inplanes)
    for stage, width in enumerate(POCKET_RESNET, start=1):
        setattr(model, f"layer{stage}", model._make_layer(BasicBlock, width, 1, stride=1 if stage == 1 else 2))
    model.fc = nn.Linear(POCKET_RESNET[-1], num_classes)
    return model


def torchvisions(name: str, weights: str | None = None, seed: int | None = 0) -> nn.Module:
    """One of torchvision's networks with the random weights of its own recipe, drawn from `seed` alone.

    With None for a seed it is a plan, to be filled with `weights`: its parameters are on the `meta` device.
    """
    options = {}
    if name in ("googlenet", "inception_v3"):  # their weights are for images on another scale, to which they change
        options = {"transform_input": weights is not None, "init_weights": True}
    elif name.startswith("vit_") and weights is not None:  # these have a position for each part of an image
        options = {"image_size": weights_of(name, weights).meta["min_size"][0]}
    with Drawing(None if seed is None else torch.Generator().manual_seed(seed)):
        return pooled_anywhere(getattr(models, name)(**options))


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """PyTorch's own layer, except on Apple's GPU (mps), where it can't bring 3 x 3 places to 7 x 7.

    Each mean is a fixed combination of the places, so all of them are a product with a matrix, as when a VGG is folded.
    """

    def forward(self, maps: Tensor) -> Tensor:
        if maps.device.type != "mps":
            return super().forward(maps)
        height, width = maps.shape[2:]
        pooling = super().forward(torch.eye(height * width).view(-1, 1, height, width)).flatten(1)
        return (maps.flatten(2) @ pooling.to(maps)).unflatten(2, self.output_size)


def pooled_anywhere(model: nn.Module) -> nn.Module:
    """The network, with a last pooling that runs on every device: VGG's and AlexNet's give more than one place."""
    pool = getattr(model, "avgpool", None)
    if isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size not in (1, (1, 1)):
        model.avgpool = AdaptiveAvgPool2d(pool.output_size)
    return model


class Drawing(TorchFunctionMode):
    """Inside the block, layers draw their random weights from `generator`, not from torch's global one.

    With None for a generator they get no weights at all: what would be drawn stays on the `meta` device. That is much
    quicker where the weights will be read from a file.
    """

    def __init__(self, generator: torch.Generator | None):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function.__name__.endswith(("normal_", "uniform_")):
            if self.generator is None:
                return kwargs.get("tensor", args[0] if args else None)  # the tensor that was to be filled
            kwargs["generator"] = self.generator
        elif function is torch.empty and self.generator is None:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def draw(module: nn.Module, seed: int, recipe: Callable[[Tensor, torch.Generator], Tensor]) -> nn.Module:
    """Give the module memory on the CPU, and random weights from a generator of its own; biases are zero."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.to_empty(device="cpu").modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            recipe(layer.weight, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def he(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The spread of He et al. (2015, arXiv 1502.01852), which keeps the signal's size from layer to layer."""
    return nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def small(weight: Tensor, generator: torch.Generator) -> Tensor:
    """What torchvision's VGG gives its fully connected layers: a standard deviation of 0.01."""
    return nn.init.normal_(weight, std=0.01, generator=generator)
