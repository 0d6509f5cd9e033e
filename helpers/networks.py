"""The networks: build one by name, load its weights, replace its head, freeze and unfreeze its layers.

The lessons use `pocket_vgg`, whose weights ship with the course, and torchvision's `vgg16`. Both are torchvision's own
`VGG` class: `features` (convolutions), `avgpool`, and a `classifier` of seven slots whose last one, `classifier[6]`, is
the head. Everything down to "cut in two" is for any of torchvision's networks that classify images.
"""
from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.resnet import ResNet
from torchvision.models.vgg import VGG

from helpers import plans, pretrained
from helpers.images import whole_number


def build(
    name: str, weights: str | None = "default", num_classes: int | None = None, device: str = "cpu", seed: int = 0
) -> nn.Module:
    """Build a network by name.

    GoogLeNet and Inception come without their auxiliary heads, which do nothing but help to train from scratch.

    Args:
        name: one of `plans.NAMES`, which are the three `POCKET` networks and all that torchvision has for classifying.
        weights: "default" for the pre-trained weights (the `POCKET` networks' ship with the course, the others are
            torchvision's), the name of another of torchvision's weights, or None for random ones, drawn from `seed`.
            "IMAGENET1K_FEATURES" holds convolutions alone; the whole classifier above them is then drawn.
        num_classes: outputs of a new, random head; None keeps the source task's head.
        device: "meta" builds a network without memory for its weights, for counting and looking.
        seed: of what is random, and of nothing else: the global generators are neither used nor set.

    Returns:
        The network in training mode: images (n, 3, H, W) float32 in, logits (n, classes) float32 out.

    Raises:
        ValueError: unknown name or weights, or weights without the head that `num_classes=None` asks for.
        RuntimeError: weights that can't be read or fetched.
    """
    pretrained.check_name(name)
    categories = ("any",)  # whatever the first head says: without weights and with `num_classes` nobody keeps it
    if weights is not None or num_classes is None:
        categories = pretrained.known_of(name, "default" if weights is None else weights)["categories"]
    if not categories and num_classes is None:
        raise ValueError(f"{weights} holds the convolutions of {name} alone: say with num_classes how many outputs its "
                         "new classifier should have.")
    ghost = torch.device(device).type == "meta"
    drawn = seed if weights is None and not ghost else None
    model = (plans.pocket(name, len(categories), seed=drawn) if name in plans.POCKET
             else plans.torchvisions(name, weights, seed=drawn))
    if weights is not None and not ghost:
        known = pretrained.read_weights(name, weights)
        model.load_state_dict(known, assign=True)  # no copy: what was read is the weights
        if not categories:
            plans.draw(model.classifier, seed, plans.small)
    _drop_auxiliary_heads(model).to(device)
    return model if num_classes is None else replace_head(model, num_classes, seed=seed)


def normalisation(name: str, weights: str = "default") -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Channel mean and standard deviation, on the 0..1 scale, of the images the weights were trained on."""
    known = pretrained.known_of(name, weights)
    return tuple(known["mean"]), tuple(known["std"])


def source_classes(name: str, weights: str = "default") -> tuple[str, ...]:
    """The names of the classes that the pre-trained head tells apart, in the order of its outputs.

    Raises `ValueError` for an unknown name, and for weights without a head.
    """
    categories = pretrained.known_of(name, weights)["categories"]
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


def head(model: nn.Module) -> nn.Linear | nn.Conv2d:
    """The layer that turns the last hidden features into logits: `classifier[6]` of a VGG, `fc` of a ResNet.

    It is the last layer that holds weights, in the order in which the network lists its layers; that is so in every
    torchvision network that classifies images. SqueezeNet's is a 1 x 1 convolution, a linear layer for every place.

    Raises `ValueError` if that layer is of another kind.
    """
    return _named_head(model)[1]


def _named_head(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The head, and before it its name in `model.named_modules()`."""
    name, layer = last_layer(model)
    if isinstance(layer, nn.Linear) or isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
        return name, layer
    raise ValueError(f"This network has no head: its last layer with weights is no linear layer, but a "
                     f"{type(layer).__name__}.")


def last_layer(model: nn.Module) -> tuple[str, nn.Module]:
    """The last layer with weights and, before it, its name in `model.named_modules()`: in a network that is its head.

    `training.fit` notes there which classes it has learnt, as `classes`.
    """
    return ([("", model)] + [pair for pair in model.named_modules() if _own_parameters(pair[1])])[-1]


def _own_parameters(layer: nn.Module) -> list[nn.Parameter]:
    """The parameters that the layer holds itself, not in a part of it."""
    return list(layer.parameters(recurse=False))


def replace_head(model: nn.Module, num_classes: int, seed: int = 0) -> nn.Module:
    """Put a new, random linear layer in the head's place; everything below keeps its weights. Returns `model`.

    Notebook 02 does this by hand. Weights: normal with standard deviation 0.01, drawn from `seed`, biases zero, as in
    torchvision's VGG. The new head has the old one's device, number format and mode, and it learns, even where the old
    one was frozen: nobody wants to keep random weights. Auxiliary heads, which answer for the old classes, go.

    Raises `ValueError` if `num_classes` is not a whole number from 2 up, or if the network has no head.
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(f"A classifier needs a whole number of classes, at least 2, not {num_classes!r}.")
    name, old = _named_head(model)
    alike = {"device": old.weight.device, "dtype": old.weight.dtype}
    if isinstance(old, nn.Linear):
        new = nn.utils.skip_init(nn.Linear, old.in_features, int(num_classes), **alike)
    else:
        new = nn.utils.skip_init(nn.Conv2d, old.in_channels, int(num_classes), kernel_size=1, **alike)
    with torch.no_grad():
        new.weight.copy_(torch.randn(new.weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.01)
        new.bias.zero_()
    model.set_submodule(name, new.train(old.training))
    return _drop_auxiliary_heads(model)


def _drop_auxiliary_heads(model: nn.Module) -> nn.Module:
    """GoogLeNet and Inception answer with several heads while they train; leave them one, as other networks have."""
    if getattr(model, "aux_logits", False):
        model.aux_logits = False
        for name in ("aux1", "aux2", "AuxLogits"):
            if hasattr(model, name):
                setattr(model, name, None)
    return model


# --- freezing ----------------------------------------------------------------------------------------------------


def freeze(module: nn.Module) -> nn.Module:
    """Stop training all parameters of a model or a part of it. Returns `module`.

    Batch norm layers also keep a running mean and variance, which change in training mode without any gradient. In a
    frozen layer they are left alone: such a layer runs in evaluation mode, whatever `model.train()` says.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and _keep_statistics not in layer._forward_pre_hooks.values():
            layer.register_forward_pre_hook(_keep_statistics)
    module.requires_grad_(False)
    return module


def unfreeze(module: nn.Module) -> nn.Module:
    """Train all parameters of a model or a part of it (again). Returns `module`.

    A batch norm that has no weights of its own, which torchvision's networks don't use, stays frozen for good.
    """
    module.requires_grad_(True)
    return module


def _keep_statistics(layer: _BatchNorm, inputs) -> None:
    if not any(p.requires_grad for p in layer.parameters()):
        layer.eval()


def layers_from_top(model: nn.Module) -> list[list[nn.Module]]:
    """What learns at depth 1, what joins it at depth 2, and so on: each parameter belongs to one of these lists.

    Depth counts convolutions and linear layers from the head down, as in notebook 04. Whatever else holds parameters,
    batch norm for one, goes with the one before it, or with the first. The order is that in which the network lists its
    layers. In a residual block it puts the shortcut's convolution, if there is one, above the others.
    """
    lists: list[list[nn.Module]] = [[]]
    for layer in filter(_own_parameters, model.modules()):
        if _counts(layer) and any(map(_counts, lists[-1])):
            lists.append([])
        lists[-1].append(layer)
    return lists[::-1]


def _counts(layer: nn.Module) -> bool:
    return isinstance(layer, (nn.Conv2d, nn.Linear))


def learn_from_top(model: nn.Module, depth: int) -> nn.Module:
    """Let the `depth` uppermost layers learn, and freeze all below: 1 leaves the head alone. Returns `model`.

    Raises `ValueError` if `depth` is not a whole number from 1 to `len(layers_from_top(model))`.
    """
    lists = layers_from_top(model)
    depth = whole_number(depth, "The depth", 1, len(lists))
    freeze(model)
    for layer in sum(lists[:depth], []):
        for parameter in _own_parameters(layer):
            parameter.requires_grad_(True)
    return model


def count_parameters(module: nn.Module, trainable: bool = False) -> int:
    """How many numbers the module holds; with `trainable`, only those that training may change."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


def parameter_groups(model: nn.Module, backbone_lr: float, head_lr: float) -> list[dict]:
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


# --- cut in two --------------------------------------------------------------------------------------------------


def in_two(model: VGG | ResNet, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The network cut behind the layer called `layer`, as (below, above): above(below(images)) equals model(images).

    Both share the model's layers, so that what is trained above is trained in `model`. What `below` gives can be kept
    and shown to `above` again and again: `above` does not write into its inputs, not even where it begins with a ReLU
    that the model runs in place. A residual block can't be cut, only the network behind it.

    Raises `ValueError` for a name that no layer has ("features.23", "avgpool" and "classifier.2" are some of a VGG's,
    "maxpool" and "layer2.0" of a ResNet's), for the last layer, above which nothing is left, and for other networks.
    """
    if not isinstance(model, (VGG, ResNet)):
        raise ValueError(f"Only a VGG or a ResNet can be cut in two here, and this is a {type(model).__name__}.")
    layers = []
    for name, part in model.named_children():
        inside = part.named_children() if isinstance(part, nn.Sequential) else ()
        layers += [(f"{name}.{k}", step) for k, step in inside] or [(name, part)]
        if name == "avgpool":
            layers.append(("", nn.Flatten()))  # these networks flatten without a layer, and so without a name
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
    What was frozen stays frozen. A network that is folded for this size already is left as it is, and so is one where
    nothing can be saved: images of 224 pixels or more fill all 49 places.

    Raises `ValueError` if `image_size` leaves no feature map, or if the network is folded for another size or is no VGG
    with a classifier of several layers.
    """
    if not isinstance(model, VGG) or not isinstance(model.classifier, nn.Sequential):
        raise ValueError("Only a VGG with its classifier can be folded: in other networks no fully connected layer "
                         "stands on a map of 7 x 7 places.")
    first, channels = model.classifier[0], last_channels(model)
    side, pool = image_size // 32, math.isqrt(first.in_features // channels)
    if isinstance(model.avgpool, nn.Identity):
        if side != pool:
            raise ValueError(f"This network is folded for images of {32 * pool} to {32 * pool + 31} pixels a side; "
                             f"build another one to fold it for {image_size} pixels.")
        return model
    if side < 1:
        raise ValueError(f"Images of {image_size} pixels a side leave no feature map: they need 32 or more.")
    if side >= pool:
        return model
    cells = torch.eye(side * side, device=first.weight.device, dtype=first.weight.dtype)
    pooling = model.avgpool(cells.view(-1, 1, side, side)).flatten(1).T  # (pool * pool, side * side)
    weight = first.weight.view(first.out_features, channels, pool * pool) @ pooling
    first.weight = nn.Parameter(weight.flatten(1), requires_grad=first.weight.requires_grad)
    first.in_features = channels * side * side
    model.avgpool = nn.Identity()
    return model


def last_channels(model: VGG) -> int:
    """How many feature maps the last convolution hands on."""
    return [layer for layer in model.features if isinstance(layer, nn.Conv2d)][-1].out_channels
