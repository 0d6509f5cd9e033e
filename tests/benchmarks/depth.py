"""How fast the course tries three depths of VGG-16 beside the usual way: the classifier, the last block, the last two.

    python -m tests.benchmarks.depth              # three pairs of runs, by turns; some forty minutes on two cores
    python -m tests.benchmarks.depth --pairs 1

The usual way (see `usual_recipe`) sends every image through the whole network in every epoch, whatever learns. The
course stores the maps below the deepest cut once, computes those below the other cuts from them, and trains what lies
above. Both train each depth from the same weights for as many epochs. Each run is a process of its own. VGG-16 gets
random weights, which changes no time. Writes `build/depth.json`.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from helpers import datasets, features, networks
from helpers.images import ImageSplit
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks import usual_recipe
from tests.benchmarks.gpu_tables import spread
from tests.benchmarks.ledger import write_json
from tests.benchmarks.measure import in_own_process

CUTS = {"last two blocks": 16, "last block": 23, "classifier": 30}  # slot of `features` below which all is frozen
PER_CLASS, VAL_PER_CLASS, EPOCHS = 20, 5, 5
OUT = Path("build/depth.json")


def stored(model: nn.Module, images: ImageSplit, preprocess: Preprocess) -> dict[str, Tensor]:
    """The maps at each cut: the first from the images, each of the others from the one before."""
    cuts, maps = list(CUTS.values()), {}
    own = features.extract(model, images, preprocess, up_to=f"features.{cuts[0]}").tensors[0]
    for (name, cut), before in zip(CUTS.items(), [None, *cuts], strict=False):
        if before is not None:
            between = model.features[before + 1:cut + 1].eval()
            with torch.no_grad():
                own = torch.cat([between(part.clone()) for part in own.split(64)])  # a ReLU may write into its input
        maps[name] = own
    return maps


def ours(train: ImageSplit, val: ImageSplit, seed: int) -> None:
    preprocess = Preprocess(*networks.normalisation("vgg16"))
    model = networks.fold_first_linear(networks.build("vgg16", None, num_classes=10, seed=seed))
    learn, watch = (stored(model, split, preprocess) for split in (train, val))
    start = {key: value.clone() for key, value in model.state_dict().items()}
    for name, cut in CUTS.items():
        model.load_state_dict(start)
        top = networks.in_two(model, f"features.{cut}")[1]
        fit(top, TensorDataset(learn[name], train.labels), TensorDataset(watch[name], val.labels), lr=1e-4,
            epochs=EPOCHS, batch_size=usual_recipe.BATCH, seed=seed)


def usual(train: ImageSplit, val: ImageSplit, seed: int) -> None:
    for cut in CUTS.values():
        model = networks.build("vgg16", None, num_classes=10, seed=seed)
        model.features[:cut + 1].requires_grad_(False)
        usual_recipe.train(model, train, val, *networks.normalisation("vgg16"), lr=1e-3, epochs=EPOCHS, seed=seed)


SIDES = {"usual": usual, "ours": ours}


def run(side: str, seed: int) -> float:
    """Seconds of the whole sweep."""
    train, val = datasets.pocket("train", renderings=2).few(PER_CLASS, seed), datasets.pocket("val")
    val, start = val.at_most(VAL_PER_CLASS, seed), time.perf_counter()
    SIDES[side](train, val, seed)
    return time.perf_counter() - start


def measure(side: str, seed: int) -> float:
    """`run` in a process of its own."""
    return in_own_process("tests.benchmarks.depth", "--side", side, "--seed", str(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help="one run in this process; prints its seconds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(run(args.side, args.seed)))
        return
    pairs = []
    for seed in range(args.pairs):
        pairs.append({side: measure(side, seed) for side in SIDES})
        print(", ".join(f"{side} {seconds:.0f} s" for side, seconds in pairs[-1].items()), flush=True)
    print(f"{len(CUTS)} depths, {10 * PER_CLASS} images, {EPOCHS} epochs: the course is "
          f"{spread([pair['usual'] / pair['ours'] for pair in pairs], '.1f')} times as fast")
    write_json(OUT, {"pairs": pairs, "torch": torch.__version__, "threads": torch.get_num_threads()})


if __name__ == "__main__":
    main()
