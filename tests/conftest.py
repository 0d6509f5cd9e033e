"""What several test files share."""
import pytest
import torch

from helpers import datasets, images, networks
from helpers.images import ImageSplit


@pytest.fixture(scope="session")
def pocket():
    """The three splits of the pocket data set, composed once."""
    return {split: datasets.pocket(split) for split in images.SPLITS}


@pytest.fixture(scope="session")
def tiny():
    """Builds `ImageSplit`s of 32-pixel images in which the class is the channel that is bright: easy to learn."""

    def make(per_class: int, classes: int = 3, seed: int = 0) -> ImageSplit:
        labels = torch.arange(classes).repeat(per_class)
        images = torch.randint(0, 100, (len(labels), 3, 32, 32), generator=torch.Generator().manual_seed(seed))
        images[torch.arange(len(labels)), labels] += 100
        return ImageSplit(images.to(torch.uint8), labels, tuple("rgb"[:classes]))

    return make


@pytest.fixture(scope="session")
def slim():
    """Builds any of the networks with its real convolutions, drawn at random, and a classifier 16 units wide.

    The classifier holds nearly all of a VGG's half gigabyte and nothing that depends on its width is tested.
    """

    def make(name: str, num_classes: int = 3, seed: int = 0):
        model = networks.build(name, weights=None, num_classes=10, device="meta")
        channels = model.classifier[0].in_features
        model.classifier[0] = torch.nn.Linear(channels, 16, device="meta")
        model.classifier[3] = torch.nn.Linear(16, 16, device="meta")
        model.classifier[6] = torch.nn.Linear(16, 10, device="meta")
        model.to_empty(device="cpu")
        torch.manual_seed(seed)
        for layer in model.modules():
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                torch.nn.init.kaiming_normal_(layer.weight)
                torch.nn.init.normal_(layer.bias, std=0.1)
            elif isinstance(layer, torch.nn.BatchNorm2d):
                layer.reset_parameters()
        return networks.replace_head(model, num_classes, seed=seed)

    return make
