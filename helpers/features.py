"""Run a frozen backbone over the images once, and keep what it says.

While the backbone does not change, its answer for an image does not change either. Twenty epochs of training a head
need that answer twenty times; computing it once gives the same head at a fraction of the cost.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision.models.vgg import VGG

from helpers.augment import Preprocess
from helpers.datasets import ImageSplit

AT_ONCE = 128  # images in a batch without gradients; on a CPU, 250 are slower and need more memory
NO_ROOM = ("The GPU's memory is too small, even with one image at a time: close other notebooks that use the GPU, "
           "freeze more layers, or take a smaller network.")


def hidden_features(model: VGG, inputs: Tensor) -> Tensor:
    """What the head sees: the output of `classifier[5]`, shape (n, hidden), for normalised images (n, 3, H, W)."""
    return model.classifier[:6](model.avgpool(model.features(inputs)).flatten(1))


@torch.no_grad()
def pooled_features(model: VGG, inputs: Tensor) -> Tensor:
    """The last feature maps, averaged and maximised over space: shape (n, 2 * channels), for any image size."""
    maps = model.features(inputs)
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)


def extract(model: nn.Module, split: ImageSplit, preprocess: Preprocess, compute=hidden_features,
            batch_size: int = AT_ONCE, views: int = 1, seed: int = 0) -> TensorDataset:
    """One pass over `split` in evaluation mode: a `TensorDataset` of features (n, d) float32 and labels (n,).

    `compute(model, inputs)` gives a batch's features. The model is left in the mode it was in. With `views` above 1,
    it is that many passes, each over newly augmented images, drawn from `seed`: features (views * n, d).
    """
    if views < 1:
        raise ValueError(f"At least one view of each image is needed, not {views}.")
    generator = torch.Generator().manual_seed(seed)
    prepare = preprocess if views == 1 else (lambda images: preprocess.augment(images, generator))
    features = torch.cat([in_batches(model, split, prepare, compute, batch_size)[0] for _ in range(views)])
    return TensorDataset(features, split.labels.repeat(views).to(features.device))


@torch.no_grad()
def in_batches(model: nn.Module, split, preprocess: Callable[[Tensor], Tensor] | None,
               compute: Callable[[nn.Module, Tensor], Tensor], batch_size: int) -> tuple[Tensor, int]:
    """`compute(model, inputs)` for all inputs of `split`, float32, in evaluation mode, which is put back afterwards.

    The second value is the batch size: the one asked for, or the smaller one that fits into the GPU's memory.
    """
    device, inputs = next(model.parameters()).device, split.tensors[0]
    prepare = preprocess or (lambda batch: batch)
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    outputs = within_memory(
        lambda size: torch.cat([compute(model, prepare(batch.to(device))).float() for batch in inputs.split(size)]),
        max(1, min(batch_size, len(inputs))))
    for layer, mode in modes:
        layer.training = mode
    return outputs


def within_memory(compute: Callable[[int], Any], size: int, note: str = "") -> tuple[Any, int]:
    """`compute(size)`, and the size: it is halved, and a line says so, for as long as the GPU's memory is too small.

    `note` ends that line. Raises `RuntimeError` where a size of 1 does not fit.
    """
    while True:
        try:
            return compute(size), size
        except torch.OutOfMemoryError:
            if size == 1:
                raise RuntimeError(NO_ROOM) from None
        # Not inside `except`: as long as the error is there, so are the tensors of the attempt that failed.
        torch.cuda.empty_cache()
        print(f"Out of GPU memory with {size} images at a time; going on with {size // 2}{note}.")
        size //= 2
