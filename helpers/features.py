"""Run the frozen part of a network over the images once, and keep what it says.

While a layer does not change, its answer for an image does not change either. Twenty epochs of training what stands
above need that answer twenty times; computing it once gives the same training at a fraction of the cost.
"""
from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision.models.vgg import VGG

from helpers.hardware import out_of_memory
from helpers.images import ImageSplit, check_data, check_images
from helpers.inference import AT_ONCE, in_batches, unfit
from helpers.networks import head, in_two
from helpers.preprocess import Preprocess


class Features(TensorDataset):
    """What a network says about labelled images: `.tensors` = (features, labels), and the names of the `classes`."""

    def __init__(self, features: Tensor, labels: Tensor, classes: tuple[str, ...]):
        super().__init__(features, labels)
        self.classes = classes


def hidden_features(model: nn.Module, inputs: Tensor) -> Tensor:
    """What the head sees, for normalised images (n, 3, H, W): shape (n, hidden), in a VGG `classifier[5]`'s output.

    Any network that has a head will do. (SqueezeNet's sees maps, (n, hidden, h, w), which are averaged behind it.)
    """
    seen: list[Tensor] = []
    handle = head(model).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        model(inputs)
    finally:
        handle.remove()
    return seen[0]


def pooled_features(model: VGG, inputs: Tensor) -> Tensor:
    """A VGG's last feature maps, averaged and maximised over space: shape (n, 2 * channels), for any image size.

    Raises `ValueError` for another network.
    """
    if not isinstance(model, VGG):
        raise ValueError(f"Only a VGG's maps can be pooled here, and this is a {type(model).__name__}; "
                         "`hidden_features` works for every network.")
    maps = model.features(inputs)
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)


def extract(model: nn.Module, split: ImageSplit, preprocess: Preprocess, up_to: str | None = None,
            compute=hidden_features, views: int = 1, seed: int = 0, store: torch.dtype = torch.float32,
            disk: str | Path | None = None) -> Features:
    """One pass over `split` in evaluation mode: features (n, ...) and labels (n,), on the CPU.

    By default the features are what the head sees. The head, `networks.head(model)`, is trained on them with `fit` as
    the whole network is on images. Where more than the head learns, `up_to` names the last frozen layer, such as
    "features.23": kept is its output, and `networks.in_two(model, up_to)[1]` is the rest, to be trained on that.

    Args:
        compute: without `up_to`, `compute(model, inputs)` gives a batch's features.
        views: above 1, that many passes, each over newly drawn crops and mirror images, (views * n, ...). `seed` alone
            decides the draws.
        store: the number format to keep them in. torch.float16 takes half the room; so does torch.bfloat16, which holds
            larger numbers with fewer digits. `fit` computes in such a format anyway, where the device has one.
        disk: a folder. The features are kept in a file there, not in memory, and the file goes when they go.

    Raises:
        ValueError: no images, no view of them, no layer called `up_to`, a network that can't be cut, or one that can't
            take images of this size.
        OSError: `disk` is no folder that can be written to.
    """
    check_data(split)
    check_images(split.images)
    if preprocess is None:
        raise ValueError("Give `preprocess` as well: it makes a network's inputs of stored images.")
    if views < 1:
        raise ValueError(f"At least one view of each image is needed, not {views}.")
    below = in_two(model, up_to)[0] if up_to else lambda inputs: compute(model, inputs)
    generator = torch.Generator().manual_seed(seed)
    kept, filled, at_once = None, 0, AT_ONCE

    def features_of(inputs: Tensor) -> Tensor:
        try:
            return below(inputs)
        except (RuntimeError, AssertionError) as error:  # a ViT asserts the size that it was made for
            if out_of_memory(error):
                raise
            raise unfit(inputs, error) from error

    def keep(outputs: Tensor) -> None:
        nonlocal kept, filled
        if kept is None:
            kept = room_for((views * len(split), *outputs.shape[1:]), store, disk)
        kept[filled:filled + len(outputs)] = (rounded := outputs.to(store)).cpu()
        if rounded.isinf().any():
            raise ValueError(f"Some numbers are too large for {store}: keep these features as torch.bfloat16.")
        filled += len(outputs)

    for _ in range(views):
        images = split.images if views == 1 else preprocess.draw(split.images, generator)
        at_once = in_batches(model, images, preprocess, features_of, keep, at_once)
    return Features(kept, split.labels.repeat(views), split.classes)


def room_for(shape: tuple[int, ...], dtype: torch.dtype, disk: str | Path | None) -> Tensor:
    """An empty tensor: in memory, or in a nameless file in the folder `disk`, which the system deletes by itself."""
    if disk is None:
        return torch.empty(shape, dtype=dtype)
    numbers = {2: np.int16, 4: np.int32}[dtype.itemsize]  # NumPy has no bfloat16: the same bytes under another name
    with tempfile.TemporaryFile(dir=Path(disk).expanduser()) as file:
        return torch.from_numpy(np.memmap(file, numbers, "w+", shape=shape)).view(dtype)
