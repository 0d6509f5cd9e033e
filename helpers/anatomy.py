"""What a network is made of, measured from the network: layer tables, receptive fields, feature maps, filters.

Everything here is for networks whose layers run one after the other, as VGG's do. Nothing is drawn here.
"""
from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from helpers.networks import evaluating

# What a unit sees of its layer's input. Of these, the unit at its own place and no neighbours of it (batch norm in
# evaluation mode); of the next, a window of fixed size; of the others, a window that depends on the input's size.
POINTWISE = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.LocalResponseNorm,
             nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Tanh)
WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d)
ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
FRAMES = (nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d)  # they only add a border


@dataclass(frozen=True)
class Layer:
    """One row of a layer table; all numbers are for one square image.

    `name` is the layer's place in the model ("features.0"), `kind` its class ("Conv2d"), `shape` its output without the
    batch dimension, `multiply_adds` the products it sums up (biases and activations are not counted, as is usual).
    `block` counts from 1 and goes up after every max pooling; the layers from `avgpool` on have 0.

    A unit is one number of the output. Along each side it sees `receptive_field` pixels of the image, its neighbour
    the same number `jump` pixels further on, and the first unit's field begins at pixel `offset`. Fields may reach over
    the image's border, into the zeros that padding adds. All units of a fully connected layer see the same, the whole
    image, so there `jump` is 0. Where an adaptive pooling has windows of several sizes, which can't be otherwise if the
    sides don't divide, the widest field and the mean distance stand for all.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int
    jump: int
    offset: int
    block: int

    def field(self, row: int, column: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in pixels of what the unit at this place sees; right and bottom are outside."""
        left, top = self.offset + column * self.jump, self.offset + row * self.jump
        return left, top, left + self.receptive_field, top + self.receptive_field

    def visible(self, row: int, column: int, image_size: int) -> tuple[int, int, int, int]:
        """The part of the unit's field that lies inside the image, (left, top, right, bottom) as in `field`."""
        return tuple(min(max(edge, 0), image_size) for edge in self.field(row, column))


def leaves(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of every layer that has no parts of its own."""
    return [(name, module) for name, module in model.named_modules() if name and not list(module.children())]


@contextmanager
def watching(model: nn.Module, layers: Iterable[nn.Module], hook):
    """Inside the block, `hook(layer, inputs, output)` is called after each of `layers` runs.

    The model is in evaluation mode and computes no gradients. Hooks are removed and every layer's mode is put back
    afterwards, whatever happens.
    """
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        with evaluating(model), torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()


def layer_table(model: nn.Module, image_size: int) -> list[Layer]:
    """One `Layer` for each layer, in the order they run, for an RGB image of `image_size` x `image_size` pixels.

    Works for a model on any device: the pass that finds the shapes runs on the `meta` device, where tensors have a
    shape and no contents, so it costs no time and leaves the weights alone.

    Raises `ValueError` if the image is too small for the network, if its layers don't run one after the other, or for
    a layer of which it is not known what its units see.
    """
    rows, field, jump, offset, block = [], 1, 1, 0, 1
    first, end = 0, image_size  # the pixels that any unit sees: strides may skip the last ones
    for name, layer, before, after in _passes(model, image_size):
        if isinstance(layer, nn.Linear) and len(before) == 1:
            field, jump, offset = end - first, 0, first
        elif jump:  # else a fully connected layer has come before, and what its units see does not change any more
            span, stride, padding = _window(f"{name} ({type(layer).__name__})", layer, before, after)
            field, offset, jump = field + (span - 1) * jump, offset - padding * jump, max(1, round(jump * stride))
            if isinstance(layer, WINDOWS):
                first, end = max(first, offset), min(end, offset + (after[-1] - 1) * jump + field)
        inside = block if name.startswith("features") else 0
        parameters = sum(p.numel() for p in layer.parameters())
        products = _multiply_adds(layer, after)
        rows.append(Layer(name, type(layer).__name__, after, parameters, products, field, jump, offset, inside))
        block += isinstance(layer, nn.MaxPool2d)
    return rows


def _passes(model: nn.Module, image_size: int) -> list[tuple[str, nn.Module, tuple[int, ...], tuple[int, ...]]]:
    """(name, layer, shape of its input, shape of its output) of every layer, in the order they run."""
    shapes, names = [], {module: name for name, module in leaves(model)}

    def note(layer, inputs, output):
        output = output[0] if isinstance(output, tuple) else output  # a pooling may give places beside its values
        shapes.append((names[layer], layer, tuple(inputs[0].shape[1:]), tuple(output.shape[1:])))

    ghosts = {key: value.to("meta") for key, value in [*model.named_parameters(), *model.named_buffers()]}
    dtype = next((p.dtype for p in model.parameters()), None)
    with watching(model, names, note):
        try:
            functional_call(model, ghosts, torch.empty(1, 3, image_size, image_size, dtype=dtype, device="meta"))
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise ValueError(f"Images of {image_size} pixels a side do not fit through this network.") from error
    for (one, _, _, given), (other, _, taken, _) in pairwise(shapes):
        if taken not in (given, (math.prod(given),)):  # the same, or made flat in between
            raise ValueError(f"{other} does not take what {one} gives, but a layer table is for layers that run one "
                             "after the other.")
    return shapes


def _window(label: str, layer: nn.Module, before: tuple, after: tuple) -> tuple[int, float, int]:
    """Along a side: how many units of its input a unit sees, how far apart neighbours are, how wide the padding is."""

    def side(value: int | tuple[int, ...]) -> int:
        sides = {value} if isinstance(value, int) else set(value)
        if len(sides) > 1:
            raise ValueError(f"{label} has windows that are not square, and a layer table is for square ones.")
        return sides.pop()

    if isinstance(layer, POINTWISE):
        return 1, 1, 0
    if isinstance(layer, FRAMES):
        return 1, 1, side(layer.padding)
    if isinstance(layer, ADAPTIVE):
        rows, parts = side(before[1:]), side(after[1:])
        # The windows may differ in size and distance; the widest one and the mean distance stand for all.
        return max(-(-(k + 1) * rows // parts) - k * rows // parts for k in range(parts)), rows / parts, 0
    if isinstance(layer, WINDOWS):
        span = (side(layer.kernel_size) - 1) * side(getattr(layer, "dilation", 1)) + 1
        padding = getattr(layer, "padding", 0)
        padding = {"same": (span - 1) // 2, "valid": 0}[padding] if isinstance(padding, str) else side(padding)
        return span, side(layer.stride or layer.kernel_size), padding
    raise ValueError(f"A layer table can't be made here: it is not known what a unit of {label} sees.")


def _multiply_adds(layer: nn.Module, shape: tuple[int, ...]) -> int:
    """A layer's products for an output of this shape: the weights of one unit, for each unit."""
    return layer.weight[0].numel() * math.prod(shape) if isinstance(layer, (nn.Conv2d, nn.Linear)) else 0


def text(table: list[Layer], everything: bool = False) -> str:
    """The table as aligned plain text, with a line of totals.

    Layers that only bend or drop numbers (ReLU, dropout) are left out, unless `everything` is wanted.
    """
    head = ("layer", "kind", "output", "parameters", "multiply-adds", "sees")
    rows = []
    for row in table:
        if everything or row.kind not in ("ReLU", "Dropout", "Identity"):
            sees = f"{row.receptive_field}" if row.jump else "all"
            rows.append((row.name, row.kind, " x ".join(map(str, row.shape)), f"{row.parameters:,}",
                         f"{row.multiply_adds:,}", sees))
    total = totals(table)
    rows.append(("total", "", "", f"{total['parameters']:,}", f"{total['multiply_adds']:,}", ""))
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells) -> str:
        name, kind, *numbers = cells
        right = [number.rjust(width) for number, width in zip(numbers, widths[2:], strict=True)]
        return "  ".join([name.ljust(widths[0]), kind.ljust(widths[1]), *right]).rstrip()

    rule = "-" * len(line(head))
    return "\n".join([line(head), rule, *map(line, rows[:-1]), rule, line(rows[-1])])


def totals(table: list[Layer]) -> dict[str, int]:
    """The sums over all layers: `parameters` and `multiply_adds`."""
    return {key: sum(getattr(row, key) for row in table) for key in ("parameters", "multiply_adds")}


def last_of_blocks(table: list[Layer], kind: str = "ReLU") -> list[Layer]:
    """The last layer of this kind in each block of `features`, first block first."""
    last = {row.block: row for row in table if row.block and row.kind == kind}
    return [last[block] for block in sorted(last)]


def first_filters(model: nn.Module) -> Tensor:
    """The first convolution's weights as small colour pictures: float (filters, 3, kernel, kernel) from 0 to 1.

    Each filter is scaled by its own largest weight: mid-grey is zero, brighter is positive, darker is negative.
    """
    first = next(layer for _, layer in leaves(model) if isinstance(layer, nn.Conv2d))
    weights = first.weight.detach().float().cpu()
    largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return 0.5 + 0.5 * weights / largest


def feature_maps(model: nn.Module, inputs: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """The outputs of the layers called `names` for normalised images (n, 3, H, W): float tensors on the CPU.

    The model runs in evaluation mode and is left as it was. Raises `ValueError` for a name that no layer has.
    """
    layers, names = dict(leaves(model)), list(names)
    unknown = [name for name in names if name not in layers]
    if unknown:
        raise ValueError(f"No layer is called {unknown[0]!r}; names run from {next(iter(layers))!r} "
                         f"to {list(layers)[-1]!r}.")
    found, wanted = {}, {layers[name]: name for name in names}

    def keep(layer, _, output):
        found[wanted[layer]] = output.float().cpu().clone()  # a copy: the ReLU that follows overwrites its input

    with watching(model, wanted, keep):
        model(inputs)
    return {name: found[name] for name in names}


def favourites(model: nn.Module, inputs: Tensor, names: Iterable[str], count: int = 9) -> dict[str, Tensor]:
    """The images that excite each channel most, and where: for each layer called `names`, int64 (channels, count, 3).

    The last dimension holds the number of an image among `inputs`, which are normalised and (n, 3, H, W) with n at
    least `count`, then row and column of its brightest unit. The image with the highest value comes first. Layers whose
    output is no map have no such places. The model runs in evaluation mode and is left as it was.
    """
    layers = dict(leaves(model))
    peaks, wanted = {name: [] for name in names}, {layers[name]: name for name in names}

    def note(layer, _, output):
        value, place = output.float().flatten(2).max(2)
        row, column = place // output.shape[3], place % output.shape[3]
        peaks[wanted[layer]].append((value.cpu(), torch.stack((row, column), 2).cpu()))

    with watching(model, wanted, note):
        for batch in inputs.split(16):
            model(batch)
    found = {}
    for name, parts in peaks.items():
        values, places = map(torch.cat, zip(*parts, strict=True))  # (n, channels) and (n, channels, 2)
        best = values.T.argsort(descending=True, stable=True)[:, :count]  # (channels, count)
        channels = torch.arange(len(best))[:, None]
        found[name] = torch.cat((best[..., None], places[best, channels]), 2)
    return found


def strongest(maps: Tensor, count: int) -> list[int]:
    """The channels of one image's maps (channels, H, W) with the highest mean activation, the strongest first."""
    strength = maps.clamp(min=0).mean((1, 2))
    return strength.argsort(descending=True, stable=True)[:count].tolist()


def brightest(one_map: Tensor) -> tuple[int, int]:
    """(row, column) of the largest value of one map (H, W); the first one where several are equal."""
    return divmod(int(one_map.argmax()), one_map.shape[1])


def memory_of_step(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, int]:
    """Bytes that one training step with AdamW must hold, counted on the tensors themselves, on any device.

    That includes `meta`, whose tensors have a size and no contents: there, even VGG-16 takes a few milliseconds.
    "weights"; "gradients" and "optimiser" (two running averages), for trainable parameters only; "activations", what
    autograd keeps of the forward pass for the backward pass. The model's weights and gradients are left as they are.
    """
    kept: dict[int, int] = {}  # by storage, since several tensors may share one; a meta tensor has no other address
    weights = {p.untyped_storage()._cdata for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model(inputs), labels)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    trainable = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    del loss
    return {"weights": size, "gradients": trainable, "optimiser": 2 * trainable, "activations": sum(kept.values())}
