"""Run a frozen backbone over the images once, and keep what it says.

While the backbone does not change, its answer for an image does not change either. Twenty epochs of training a head
need that answer twenty times; computing it once gives the same head at a fraction of the cost.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision.models.vgg import VGG

from helpers.images import ImageSplit
from helpers.inference import AT_ONCE, in_batches
from helpers.preprocess import Preprocess


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
