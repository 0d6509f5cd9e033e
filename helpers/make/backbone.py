"""Pre-train `pocket_vgg` on emoji outside the ten target classes; writes the weights that ship with the course.

    python -m helpers.make.backbone            # about 50 minutes on two cores

Source task: 91 categories of emoji ("food-fruit", "musical-instrument", ...), drawn by the three families and composed
exactly as the pocket data set is. A second, auxiliary head must name the emoji itself, whoever drew it; it teaches the
features to look past an artist's style, and is thrown away afterwards. One drawing in ten is never trained on: the
accuracy on those is the one the model card states.

After training, batch norm is folded into the convolutions, so that what ships is a plain VGG, in half precision.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

from helpers.make.sprites import source_pixels
from helpers.networks import POCKET_WEIGHTS, pocket_vgg
from helpers.pocket import FAMILIES, compose, premultiply

BATCH = 128
FRESH = 40_000  # images composed at a time
REUSE = 3  # epochs over them, shifted and mirrored anew, before the next lot
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class TwoHeads(nn.Module):
    """The network with its own head (category) and an auxiliary one (which emoji), on the same last hidden layer."""

    def __init__(self, categories: int, emoji: int, seed: int = 0):
        super().__init__()
        self.vgg = pocket_vgg(categories, batch_norm=True, dropout=0.1, seed=seed)
        self.emoji = nn.Linear(self.vgg.classifier[6].in_features, emoji)

    def forward(self, x):
        hidden = self.vgg.classifier[:6](self.vgg.avgpool(self.vgg.features(x)).flatten(1))
        return self.vgg.classifier[6](hidden), self.emoji(hidden)


def fold_batch_norm(features: nn.Sequential) -> nn.Sequential:
    """The same function without batch norm layers: each is folded into the convolution before it.

    It is the function of evaluation mode. `features` is left as it is; the new convolutions take over its mode.
    """
    layers = []
    for layer in features:
        if isinstance(layer, nn.BatchNorm2d):
            convolution, norm = copy.deepcopy((layers[-1], layer))
            layers[-1] = nn.utils.fuse_conv_bn_eval(convolution.eval(), norm.eval()).train(layer.training)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def normalise(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(c).view(1, 3, 1, 1) * 255 for c in (MEAN, STD))
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def jitter(images: torch.Tensor) -> torch.Tensor:
    """Shift the batch by up to six pixels and mirror half of it: images are used REUSE times."""
    dy, dx = torch.randint(-6, 7, (2,)).tolist()
    images = torch.roll(images, (dy, dx), (2, 3))
    mirrored = torch.rand(len(images)) < 0.5
    images[mirrored] = images[mirrored].flip(3)
    return images


@torch.no_grad()
def accuracy(model: TwoHeads, images: torch.Tensor, targets: torch.Tensor) -> list[float]:
    model.eval()
    outputs = [model(normalise(part)) for part in images.split(500)]
    guesses = torch.stack([torch.cat([pair[k] for pair in outputs]).argmax(1) for k in range(2)], 1)
    return (guesses == targets).float().mean(0).tolist()


def train(pixels: np.ndarray, targets: torch.Tensor, held: np.ndarray, image_count: int, seed: int):
    """`pixels` (drawings, tile, tile, 4) premultiplied; `targets` (drawings, 2); `held` marks unseen drawings."""
    torch.manual_seed(seed)
    rng = np.random.RandomState(seed)
    model = TwoHeads(*(int(n) + 1 for n in targets.amax(0)), seed=seed).to(memory_format=torch.channels_last)
    seen, unseen = np.flatnonzero(~held), np.flatnonzero(held).repeat(5)
    exam = torch.from_numpy(compose(pixels[unseen], rng))
    total = image_count // BATCH
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=total, pct_start=0.15)
    step, start = 0, time.time()
    while step < total:
        which = rng.permutation(np.resize(rng.permutation(seen), FRESH))
        images, labels = torch.from_numpy(compose(pixels[which], rng)), targets[torch.from_numpy(which)]
        model.train()
        for _ in range(REUSE):
            for batch in torch.randperm(FRESH).split(BATCH)[: total - step]:
                x, y = normalise(jitter(images[batch])), labels[batch]
                with torch.autocast("cpu", torch.bfloat16):
                    category, emoji = model(x)
                loss = cross_entropy(category.float(), y[:, 0], label_smoothing=0.1) + cross_entropy(
                    emoji.float(), y[:, 1], label_smoothing=0.1
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                step += 1
        scores = accuracy(model, exam, targets[torch.from_numpy(unseen)])
        print(
            f"step {step:6d}/{total}  loss {loss.item():.2f}  unseen drawings: category {scores[0]:.3f}, "
            f"emoji {scores[1]:.3f}  {(time.time() - start) / 60:.1f} min",
            flush=True,
        )
    return model, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build"), help="where the artwork is unpacked")
    parser.add_argument("--images", type=int, default=1_500_000, help="how many images to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=POCKET_WEIGHTS)
    args = parser.parse_args()

    table, pixels = source_pixels(args.work)
    names = sorted({entry["label"] for entry in table})
    count = len(table)
    targets = torch.tensor([(names.index(e["label"]), k) for e in table for k in [table.index(e)]]).repeat(
        len(FAMILIES), 1
    )
    drawings = premultiply(pixels).reshape(-1, *pixels.shape[2:])
    held = np.zeros((len(FAMILIES), count), bool)
    held[np.random.RandomState(1).randint(len(FAMILIES), size=count), np.arange(count)] = np.arange(count) % 10 < 3
    start = time.time()
    model, scores = train(drawings, targets, held.ravel(), args.images, args.seed)

    model.vgg.features = fold_batch_norm(model.vgg.features)
    save_file({k: v.half().contiguous() for k, v in model.vgg.state_dict().items()}, args.out)
    card = {
        "network": "pocket_vgg",
        "source_task": f"{len(names)} categories of emoji, none of the ten target classes",
        "drawings": int((~held).sum()),
        "unseen_drawings": int(held.sum()),
        "images": args.images,
        "accuracy_unseen_drawings": round(scores[0], 4),
        "seed": args.seed,
        "minutes": round((time.time() - start) / 60),
        "torch": torch.__version__,
        "mean": MEAN,
        "std": STD,
        "categories": names,
    }
    args.out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {args.out} ({args.out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    sys.exit(main())
