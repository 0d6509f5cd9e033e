"""The networks: build one by name, load its weights, replace its head, freeze and unfreeze its layers.

Every network here is torchvision's own `VGG` class: `features` (convolutions), `avgpool`, and a `classifier` of seven
slots whose last one, `classifier[6]`, is the head. `pocket_vgg` is the same class with narrow layers, small enough for
a laptop's CPU; its weights ship with the course.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vgg import VGG, make_layers

from helpers.fetch.weights import weights_file, weights_of

ASSETS = Path(__file__).resolve().parent / "assets"
POCKET_WEIGHTS = ASSETS / "pocket_vgg.safetensors"
POCKET_CARD = ASSETS / "pocket_vgg.json"

POCKET_LAYERS = [8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 96, 96, "M"]
POCKET_HIDDEN = 256
NAMES = ("pocket_vgg", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn")


def pocket_vgg(num_classes: int, batch_norm: bool = False, dropout: float = 0.5, seed: int = 0) -> VGG:
    """An untrained `pocket_vgg`: VGG-16's plan with about one percent of its parameters.

    Its weights are drawn from `seed`. `batch_norm` is for pre-training only; the shipped weights have it folded into
    the convolutions.
    """
    return _draw(_pocket_plan(num_classes, batch_norm, dropout), seed, _for_narrow_layers)


def _pocket_plan(num_classes: int, batch_norm: bool = False, dropout: float = 0.5) -> VGG:
    """The layers of `pocket_vgg` on the `meta` device, where weights have a shape and no contents."""
    with torch.device("meta"):
        model = VGG(make_layers(POCKET_LAYERS, batch_norm=batch_norm))
        model.classifier = nn.Sequential(
            nn.Linear(POCKET_LAYERS[-2] * 7 * 7, POCKET_HIDDEN),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(POCKET_HIDDEN, POCKET_HIDDEN),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(POCKET_HIDDEN, num_classes),
        )
    return model


def build(
    name: str, weights: str | None = "default", num_classes: int | None = None, device: str = "cpu", seed: int = 0
) -> VGG:
    """Build a network by name.

    Args:
        name: one of `NAMES`.
        weights: "default" for the pre-trained weights (`pocket_vgg`'s ship with the course, the others are
            torchvision's), the name of another of torchvision's weights, or None for random ones, drawn from `seed`.
            "IMAGENET1K_FEATURES" holds convolutions alone; the whole classifier above them is then drawn.
        num_classes: outputs of a new, random head; None keeps the source task's head.
        device: "meta" builds a network without memory for its weights, for counting and looking.
        seed: of what is random, and of nothing else: the global generators are neither used nor set.

    Returns:
        A torchvision `VGG` in training mode: images (n, 3, H, W) float32 in, logits (n, classes) float32 out.

    Raises:
        ValueError: unknown name or weights, or weights without the head that `num_classes=None` asks for.
        RuntimeError: weights that can't be read or fetched.
    """
    categories = _card_of(name, "default" if weights is None else weights)["categories"]
    if not categories and num_classes is None:
        raise ValueError(f"{weights} holds the convolutions of {name} alone: say with num_classes how many outputs its "
                         "new classifier should have.")
    with torch.device("meta"):
        model = _pocket_plan(len(categories)) if name == "pocket_vgg" else getattr(models, name)()
    if torch.device(device).type != "meta":
        if weights is not None:
            model.load_state_dict(read_weights(name, weights), assign=True)  # no copy: what was read is the weights
        if weights is None or not categories:
            recipe = _for_narrow_layers if name == "pocket_vgg" else _as_torchvision_does
            _draw(model if weights is None else model.classifier, seed, recipe)
        model.to(device)
    return model if num_classes is None else replace_head(model, num_classes, seed=seed)


def _draw(module: nn.Module, seed: int, recipe: Callable[[Tensor, torch.Generator], Tensor]) -> nn.Module:
    """Give the module memory on the CPU, and random weights from a generator of its own; biases are zero."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.to_empty(device="cpu").modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            recipe(layer.weight, generator)
            nn.init.zeros_(layer.bias)
    return module


def _for_narrow_layers(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The spread of He et al. (2015, arXiv 1502.01852), which keeps the signal's size from layer to layer."""
    return nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _as_torchvision_does(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The recipe of torchvision's VGG: He's spread for convolutions, 0.01 for fully connected layers."""
    if weight.ndim == 4:
        return nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu", generator=generator)
    return nn.init.normal_(weight, std=0.01, generator=generator)


def card() -> dict:
    """The model card of the shipped `pocket_vgg`: source task, its classes, accuracy, seed, normalisation."""
    try:
        return json.loads(POCKET_CARD.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"The asset {POCKET_CARD.name} is missing or damaged; get a fresh copy of the course."
        ) from error


def _card_of(name: str, weights: str) -> dict:
    """What is known of pre-trained weights: "mean", "std" and "categories", which is None where there is no head.

    Raises `ValueError` with the valid names for an unknown network or weights.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown backbone {name!r}; choose one of {', '.join(NAMES)}.")
    if name == "pocket_vgg":
        if weights != "default":
            raise ValueError(f"Unknown weights {weights!r} for pocket_vgg; only 'default' ships with the course.")
        return card()
    found = weights_of(name, weights)
    transforms = found.transforms()
    return {"mean": transforms.mean, "std": transforms.std, "categories": found.meta["categories"]}


def read_weights(name: str, weights: str = "default") -> dict[str, Tensor]:
    """The pre-trained state dict (float32, on the CPU); torchvision's are fetched into its cache and hash-checked.

    Raises `ValueError` for an unknown name, `RuntimeError` for weights that can't be read or fetched.
    """
    _card_of(name, weights)
    if name == "pocket_vgg":
        try:
            return {key: value.float() for key, value in load_file(POCKET_WEIGHTS).items()}
        except Exception as error:  # safetensors raises its own error types
            raise RuntimeError(
                f"The asset {POCKET_WEIGHTS.name} is missing or damaged; get a fresh copy of the course."
            ) from error
    return torch.load(weights_file(name, weights), map_location="cpu", weights_only=True)


def normalisation(name: str, weights: str = "default") -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Channel mean and standard deviation, on the 0..1 scale, of the images the weights were trained on."""
    known = _card_of(name, weights)
    return tuple(known["mean"]), tuple(known["std"])


def source_classes(name: str, weights: str = "default") -> tuple[str, ...]:
    """The names of the classes that the pre-trained head tells apart, in the order of its outputs.

    Raises `ValueError` for an unknown name, and for weights without a head.
    """
    categories = _card_of(name, weights)["categories"]
    if not categories:
        raise ValueError(f"{weights} holds the convolutions of {name} alone, so there are no class names; "
                         "IMAGENET1K_V1 has them.")
    return tuple(categories)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside `with evaluating(model):` every layer is in evaluation mode; afterwards each is in the mode it was in.

    That holds whatever ends the block, an error or an interrupt too.
    """
    modes = [(layer, layer.training) for layer in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


# --- the head ----------------------------------------------------------------------------------------------------


def head(model: VGG) -> nn.Linear:
    """The layer that turns the last hidden features into logits: `classifier[6]`."""
    return model.classifier[6]


def replace_head(model: VGG, num_classes: int, seed: int = 0) -> VGG:
    """Put a new, random linear layer in the head's place; everything below keeps its weights. Returns `model`.

    Notebook 02 does this by hand. Weights: normal with standard deviation 0.01, drawn from `seed`, biases zero, as in
    torchvision's VGG. The new head has the old one's device, number format and mode, and it learns, even where the old
    one was frozen: nobody wants to keep random weights.

    Raises `ValueError` if `num_classes` is not a whole number from 2 up.
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(f"A classifier needs a whole number of classes, at least 2, not {num_classes!r}.")
    old = head(model)
    new = nn.utils.skip_init(nn.Linear, old.in_features, int(num_classes), device=old.weight.device,
                             dtype=old.weight.dtype)
    with torch.no_grad():
        new.weight.copy_(torch.randn(new.weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.01)
        new.bias.zero_()
    model.classifier[6] = new.train(old.training)
    return model


# --- freezing ----------------------------------------------------------------------------------------------------


def freeze(module: nn.Module) -> nn.Module:
    """Stop training all parameters of a model or a part of it. Returns `module`.

    Batch norm layers also keep a running mean and variance, which change in training mode without any gradient. In a
    frozen layer they are left alone: such a layer runs in evaluation mode, whatever `model.train()` says.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d) and _keep_statistics not in layer._forward_pre_hooks.values():
            layer.register_forward_pre_hook(_keep_statistics)
    module.requires_grad_(False)
    return module


def unfreeze(module: nn.Module) -> nn.Module:
    """Train all parameters of a model or a part of it (again). Returns `module`."""
    module.requires_grad_(True)
    return module


def _keep_statistics(layer: nn.BatchNorm2d, inputs) -> None:
    if not layer.weight.requires_grad:
        layer.eval()


def count_parameters(module: nn.Module, trainable: bool = False) -> int:
    """How many numbers the module holds; with `trainable`, only those that training may change."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


def parameter_groups(model: VGG, backbone_lr: float, head_lr: float) -> list[dict]:
    """Two optimiser groups with their own learning rates: the pre-trained layers, and the new head.

    Frozen parameters are in neither, and a group that would be empty is left out. Raises `ValueError` if nothing is
    left to train, or for a rate that is not a number above 0.
    """
    for name, lr in (("backbone_lr", backbone_lr), ("head_lr", head_lr)):
        if not isinstance(lr, Real) or not 0 < lr < math.inf:
            raise ValueError(f"{name} is {lr!r}, but a learning rate is a number above 0; to leave layers as they are, "
                             "freeze them.")
    on_top = set(head(model).parameters())
    below = [p for p in model.parameters() if p.requires_grad and p not in on_top]
    groups = [{"params": below, "lr": backbone_lr}, {"params": [p for p in on_top if p.requires_grad], "lr": head_lr}]
    if not any(group["params"] for group in groups):
        raise ValueError("Every parameter is frozen, so there is nothing to train; unfreeze the head at least.")
    return [group for group in groups if group["params"]]


# --- a part of its own -------------------------------------------------------------------------------------------


def in_two(model: VGG, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The network cut behind the layer called `layer`, as (below, above): above(below(images)) equals model(images).

    Both share the model's layers, so that what is trained above is trained in `model`. What `below` gives can be kept
    and shown to `above` again and again: `above` does not write into its inputs, not even where it begins with a ReLU
    that the model runs in place.

    Raises `ValueError` for a name that no layer has ("features.23", "avgpool" and "classifier.2" are some), and for
    the last layer, above which nothing is left.
    """
    layers = [(f"features.{name}", part) for name, part in model.features.named_children()]
    layers += [("avgpool", model.avgpool), ("", nn.Flatten())]  # VGG flattens without a layer, and so without a name
    layers += [(f"classifier.{name}", part) for name, part in model.classifier.named_children()]
    names, parts = zip(*layers, strict=True)
    if not layer or layer not in names:
        raise ValueError(f"No layer is called {layer!r}; names run from {names[0]!r} to {names[-1]!r}.")
    if layer == names[-1]:
        raise ValueError(f"Nothing is left above {layer!r}, the last layer; cut behind an earlier one.")
    cut = names.index(layer) + 1
    below, above = nn.Sequential(*parts[:cut]), nn.Sequential(*parts[cut:])
    if getattr(above[0], "inplace", False):
        above[0] = copy.copy(above[0])
        above[0].inplace = False
    return below, above


# --- folding -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def fold_first_linear(model: VGG, image_size: int = 96) -> VGG:
    """Shrink the first fully connected layer to what images of this size need; the logits stay the same.

    VGG's `avgpool` brings every feature map to 7 x 7. Where the map that arrives is smaller (3 x 3 for 96 pixels), the
    49 values per channel are fixed linear combinations of 9, so the pooling can be multiplied into the layer's weights:
    W' = W P with P the (49, 9) pooling matrix. Changes `model` in place and returns it; `avgpool` becomes the identity.
    What was frozen stays frozen. A network that is folded for this size already is left as it is.

    Raises `ValueError` if `image_size` leaves no feature map, or one so large that folding would not save anything, or
    if the network is folded for another size.
    """
    first, channels = model.classifier[0], _channels(model)
    side, pool = image_size // 32, math.isqrt(first.in_features // channels)
    if isinstance(model.avgpool, nn.Identity):
        if side != pool:
            raise ValueError(f"This network is folded for images of {32 * pool} to {32 * pool + 31} pixels a side; "
                             f"build another one to fold it for {image_size} pixels.")
        return model
    if not 1 <= side < pool:
        raise ValueError(f"Folding helps for images of 32 to {32 * pool - 1} pixels a side, not {image_size}.")
    cells = torch.eye(side * side, device=first.weight.device, dtype=first.weight.dtype)
    pooling = model.avgpool(cells.view(-1, 1, side, side)).flatten(1).T  # (pool * pool, side * side)
    weight = first.weight.view(first.out_features, channels, pool * pool) @ pooling
    first.weight = nn.Parameter(weight.flatten(1), requires_grad=first.weight.requires_grad)
    first.in_features = channels * side * side
    model.avgpool = nn.Identity()
    return model


def _channels(model: VGG) -> int:
    """How many feature maps the convolutions hand on."""
    return [layer for layer in model.features if isinstance(layer, nn.Conv2d)][-1].out_channels
