"""Trains the same network on the same images once with two processes and once with one: `test_scale` compares them.

    python -m tests.slow.two_processes FOLDER

This is a program of its own, since it forks: a process that has computed with several threads must not.
"""
import json
import sys
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState, debug_launcher
from torch import nn
from torch.utils.data import TensorDataset

from helpers import networks, scale
from helpers.preprocess import Preprocess

COUNTS = (16, 23, 17)  # images in batches of 8: the last one is whole, leaves 4 and 3 for the two, or 1 and 0
PREPARE = Preprocess((0.5,) * 3, (0.25,) * 3)


def images(count: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(count)
    labels = torch.randint(0, 3, (count,), generator=generator)
    pixels = torch.randint(0, 100, (count, 3, 32, 32), generator=generator)
    pixels[torch.arange(count), labels] += 100
    return TensorDataset(pixels.to(torch.uint8), labels)


def measure(folder: Path) -> None:
    """Write what each count of images gave: losses, accuracy, the length of the way, and where it led."""
    # The steps of SGD grow with the gradient. AdamW's do not: a gradient twice as large as it should be would not show.
    scale.AdamW = partial(torch.optim.SGD, momentum=0.9)
    found = {}
    for count in COUNTS:
        model = networks.build("pocket_vgg", num_classes=3)
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        outcome = scale.train(model, images(count), PREPARE, images(21), lr=0.003, epochs=2, batch_size=8, workers=0,
                              augment=False)
        weights = torch.cat([p.detach().flatten() for p in model.parameters()])
        found[count] = {"losses": outcome.losses, "accuracy": outcome.accuracy, "weights": weights[::997].tolist()}
    found["processes"] = PartialState().num_processes
    if PartialState().is_main_process:
        folder.mkdir()
        (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    out = Path(sys.argv[1])
    debug_launcher(measure, (out / "two",), num_processes=2)
    measure(out / "one")
