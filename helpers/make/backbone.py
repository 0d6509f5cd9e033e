"""Pre-train the small backbones on emoji outside the ten target classes; writes the weights that ship with the course.

    pip install resvg-py
    python -m helpers.make.backbone pocket_vgg_bn --work build    # also writes pocket_vgg, batch norm folded in
    python -m helpers.make.backbone pocket_resnet --work build    # an hour each, on one core

Source task: 91 categories of emoji ("food-fruit", "musical-instrument", ...), drawn by eight families and composed
exactly as the target's pictures are. Besides, the network must name the emoji itself, whoever drew it; this auxiliary
task teaches the features to look past an artist's style, and its outputs are thrown away afterwards. One drawing in
twenty is never trained on, and neither is a ninth family: the accuracies on these are those that the model card states.

The first five sixths of the images are shown at two thirds of their size, which costs less than half (progressive
resizing; for networks that learn at one size and are used at another see Touvron et al., 2019, arXiv 1906.06423). After
each lot of images everything is kept in `--work`, and a run that was stopped goes on from there.
"""
from __future__ import annotations

import argparse
import copy
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from helpers import networks, plans
from helpers.composition import compose
from helpers.make import source
from helpers.make.half import save_half
from helpers.preprocess import normalise
from helpers.pretrained import ASSETS

NAMES = ("pocket_vgg_bn", "pocket_resnet")
BATCH = 64
FRESH = 20_000  # images composed at a time: a lot
REUSE = 2  # how often a lot is shown, shifted and mirrored anew
SMALL, SMALL_SHARE = 64, 5 / 6  # pixels, and the share of the images that is shown so small
RATE, WARM_UP, WEIGHT_DECAY, SMOOTHING = 2e-3, 0.15, 0.05, 0.1
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass
class Task:
    """The source task. Targets are (category, emoji), int64 (drawings, 2)."""

    pixels: np.ndarray  # premultiplied, uint8 (drawings, tile, tile, 4)
    targets: torch.Tensor
    categories: list[str]
    emoji: int  # how many different ones
    seen: np.ndarray  # positions of the drawings to train on
    unseen: np.ndarray  # of the others by the same families
    foreign: np.ndarray  # of those by the family that is never seen


def task(drawings: list[source.Emoji]) -> Task:
    """Number the categories and the emoji, and keep one drawing in twenty and one family apart."""
    categories, codes = (sorted(set(values)) for values in zip(*((d.category, d.code) for d in drawings), strict=True))
    targets = torch.tensor([(categories.index(d.category), codes.index(d.code)) for d in drawings])
    foreign = np.array([d.family == source.UNSEEN for d in drawings])
    held = np.random.RandomState(1).randint(20, size=len(drawings)) == 0
    return Task(source.premultiplied(drawings), targets, categories, len(codes), np.flatnonzero(~held & ~foreign),
                np.flatnonzero(held & ~foreign), np.flatnonzero(foreign))


def prepared(images: np.ndarray | torch.Tensor, size: int | None = None) -> torch.Tensor:
    """Normalised float32 images, at `size` pixels a side if that is given."""
    inputs = normalise(torch.as_tensor(images), MEAN, STD)
    if size:
        inputs = interpolate(inputs, size=size, mode="bilinear", antialias=True)
    return inputs.contiguous(memory_format=torch.channels_last)


def jitter(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift the batch by up to six pixels and mirror half of it: images are shown REUSE times."""
    dy, dx = torch.randint(-6, 7, (2,), generator=generator).tolist()
    images = torch.roll(images, (dy, dx), (2, 3))
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    images[mirrored] = images[mirrored].flip(3)
    return images


@torch.no_grad()
def accuracy(model: nn.Module, made: Task, which: np.ndarray) -> float:
    """The share of these drawings, three pictures of each, whose category is named."""
    which = which.repeat(3)
    images = compose(made.pixels[which], np.random.RandomState(0))
    with networks.evaluating(model):
        logits = torch.cat([model(prepared(images[k:k + 250])) for k in range(0, len(images), 250)])
    right = logits[:, :len(made.categories)].argmax(1) == made.targets[which, 0]
    return right.float().mean().item()


def loss_of(logits: torch.Tensor, targets: torch.Tensor, categories: int) -> torch.Tensor:
    """Both tasks weigh the same; the first `categories` outputs are the source task's, the others the emoji's."""
    parts = logits[:, :categories], logits[:, categories:]
    return sum(cross_entropy(part, targets[:, k], label_smoothing=SMOOTHING) for k, part in enumerate(parts))


def rate(step: int, steps: int) -> float:
    """One rise and a fall like a cosine's, down to nearly nothing."""
    rise = WARM_UP * steps
    return RATE * (step / rise if step < rise else (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2)


def train(model: nn.Module, made: Task, lots: int, seed: int, keep: Path) -> float:
    """Train `model` in place on `lots` lots of FRESH images. Returns the minutes that it took one core.

    `keep` is the file that a stopped run goes on from.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    state = {"lot": 0, "step": 0, "minutes": 0.0}
    if keep.exists():
        kept = torch.load(keep, weights_only=True)
        state = kept["state"]
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
    steps = lots * REUSE * math.ceil(FRESH / BATCH)
    for lot in range(state["lot"], lots):
        start = time.process_time()
        rng = np.random.RandomState(10_000 * seed + lot)  # each lot has its own: a run that goes on draws the same
        generator = torch.manual_seed(10_000 * seed + lot)  # PyTorch's own, which dropout draws from
        which = rng.choice(made.seen, FRESH, replace=FRESH > len(made.seen))
        images, targets = torch.from_numpy(compose(made.pixels[which], rng)), made.targets[which]
        size = SMALL if lot < SMALL_SHARE * lots else None
        model.train()
        for _ in range(REUSE):
            for batch in torch.randperm(FRESH, generator=generator).split(BATCH):
                for group in optimiser.param_groups:
                    group["lr"] = rate(state["step"], steps)
                logits = model(prepared(jitter(images[batch], generator), size))
                loss = loss_of(logits, targets[batch], len(made.categories))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                state["step"] += 1
        state["lot"], state["minutes"] = lot + 1, state["minutes"] + (time.process_time() - start) / 60
        part = keep.with_suffix(".part")
        torch.save({"state": state, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, part)
        os.replace(part, keep)
        if lot % 4 == 3 or lot + 1 == lots:
            print(f"lot {lot + 1} of {lots}, loss {loss.item():.2f}, unseen drawings "
                  f"{100 * accuracy(model, made, made.unseen):.1f} %, unseen artist "
                  f"{100 * accuracy(model, made, made.foreign):.1f} %, {state['minutes']:.1f} min", flush=True)
    return state["minutes"]


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


def only_categories(model: nn.Module, categories: int) -> nn.Module:
    """Throw the auxiliary outputs away: the head keeps its first `categories` rows. Returns `model`."""
    head = networks.head(model)
    head.weight, head.bias = (nn.Parameter(p[:categories].detach().clone()) for p in (head.weight, head.bias))
    head.out_features = categories
    return model


def ship(name: str, model: nn.Module, card: dict) -> None:
    """Write weights, in half precision, and model card to the course's assets."""
    path = ASSETS / f"{name}.safetensors"
    save_half(model.state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps({"network": name, **card}, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.name} ({path.stat().st_size / 1e6:.1f} MB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--work", type=Path, default=Path("build"), help="keeps artwork and training")
    parser.add_argument("--lots", type=int, default=18, help=f"of {FRESH:,} images, each shown {REUSE} times")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    drawings = source.collect(args.work)
    made = task(drawings)
    outputs = len(made.categories) + made.emoji
    model = networks.replace_head(plans.pocket(args.name, outputs, args.seed), outputs, args.seed)
    model.to(memory_format=torch.channels_last)
    keep = args.work / f"{args.name}_{args.lots}_{args.seed}.pt"
    minutes = train(model, made, args.lots, args.seed, keep)
    card = {
        "source_task": f"{len(made.categories)} categories of emoji, none of the ten target classes",
        "auxiliary_task": f"which of {made.emoji} emoji, whoever drew it",
        "drawings": len(made.seen),
        "families": sorted({drawings[k].family for k in made.seen}),
        "images": args.lots * FRESH,
        "times_shown": REUSE,
        "unseen_drawings": len(made.unseen),
        "accuracy_unseen_drawings": round(accuracy(model, made, made.unseen), 4),
        "unseen_artist": source.UNSEEN,
        "accuracy_unseen_artist": round(accuracy(model, made, made.foreign), 4),
        "seed": args.seed,
        "minutes": round(minutes),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "mean": MEAN,
        "std": STD,
        "categories": made.categories,
    }
    model = only_categories(model, len(made.categories))
    ship(args.name, model, card)
    if args.name == "pocket_vgg_bn":
        model.features = fold_batch_norm(model.features)
        ship("pocket_vgg", model, {**card, "batch_norm": "folded into the convolutions"})


if __name__ == "__main__":
    sys.exit(main())
