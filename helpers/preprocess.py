"""From stored images to a network's input: random crop, random flip, normalisation, on a whole batch at once.

Images are stored as uint8, (n, 3, H, W), values 0 to 255. All functions run on the device the images are on, and each
sample of a batch gets its own random draw. Random draws come from a `torch.Generator`, so a seed repeats them.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from helpers.images import check_images


def random_crop(images: Tensor, padding: int = 4, generator: torch.Generator | None = None) -> Tensor:
    """Add a black border of `padding` pixels and cut out a window of the old size, at a random place for each image.

    The same as torchvision's `RandomCrop(size, padding)`, drawn for every image of the batch (n, 3, H, W).
    """
    n, _, height, width = images.shape
    padded = pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, n, 1), generator=generator).to(images.device)
    rows = top + torch.arange(height, device=images.device)      # (n, H)
    columns = left + torch.arange(width, device=images.device)   # (n, W)
    sample = torch.arange(n, device=images.device)
    # Indexing with three index arrays and a slice between them moves the channels to the end.
    return padded[sample[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(images: Tensor, p: float = 0.5, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image of the batch (n, 3, H, W) left to right with probability `p`."""
    chosen = torch.rand(len(images), generator=generator).to(images.device) < p
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 0..255 to float32: scale to 0..1, subtract the channel's mean, divide by its standard deviation.

    The numbers are laid out as processors and CUDA GPUs convolve them fastest, all channels of a pixel side by side.
    Apple's GPU gets them channel by channel, as its batch norm can't learn from the other.
    """
    check_images(images)
    mean, std = (torch.tensor(c, device=images.device).view(1, 3, 1, 1) * 255 for c in (mean, std))
    layout = torch.contiguous_format if images.device.type == "mps" else torch.channels_last
    return ((images.float() - mean) / std).contiguous(memory_format=layout)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels of all images (n, 3, H, W), on the 0..1 scale."""
    check_images(images)
    values = torch.arange(256, dtype=torch.float64)
    mean, std = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten().cpu(), minlength=256).double() / channel.numel()
        centre = (share * values).sum()
        mean.append(float(centre / 255))
        std.append(float((share * (values - centre) ** 2).sum().sqrt() / 255))
    return tuple(mean), tuple(std)


@dataclass(frozen=True)
class Preprocess:
    """What happens to an image between storage and network.

    `preprocess(images)` is for validation and test: normalisation only. `preprocess.augment(images, generator)` is for
    training: a draw of each image, normalised. A draw is a random crop with `padding` (0: none), then a random flip
    with probability `flip` (0: none, as for letters and digits: a b in the mirror is a d).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: int = 4
    flip: float = 0.5

    def __call__(self, images: Tensor) -> Tensor:
        return normalise(images, self.mean, self.std)

    def draw(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A new draw of each image (n, 3, H, W), still uint8 and of the same size."""
        check_images(images)
        if self.padding:
            images = random_crop(images, self.padding, generator)
        if self.flip:
            images = random_flip(images, self.flip, generator)
        return images

    def augment(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self(self.draw(images, generator))


@dataclass(frozen=True)
class Resized(Preprocess):
    """`Preprocess` for weights that want images of another size than the stored ones; `pretrained.preprocessing` tells.

    Draws are made at the stored size. Then the shorter side becomes `side` pixels long, and `crop` x `crop` pixels are
    cut out of the middle, as when the weights were tested. `interpolation`: "bilinear" or "bicubic".
    """

    side: int = 256
    crop: int = 224
    interpolation: str = "bilinear"

    def __call__(self, images: Tensor) -> Tensor:
        check_images(images)
        images = resize(images, [self.side], InterpolationMode(self.interpolation), antialias=True)
        return super().__call__(center_crop(images, [self.crop]))
