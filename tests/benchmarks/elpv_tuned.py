"""Real photographs, fine-tuned: VGG-16's last block, and its last two, on solar cells; head first.

    pip install elpv-dataset                     # see `elpv`, which has the photographs, the splits and the frozen head
    python -m tests.benchmarks.elpv_tuned --size 144   # first: it chooses the learning rates; an hour on two cores
    python -m tests.benchmarks.elpv_tuned --size 224   # then with these rates; some fifty minutes
    python -m tests.benchmarks.elpv_tuned --size 300   # the size of the photographs; an hour and a half
    python -m tests.benchmarks.elpv_tuned --report     # the tables of what there is

Below the part that learns nothing changes, so its maps are computed once and kept in `build/elpv`: four views of each
cell, which looks as much like a cell in a mirror or upside down. Above stand the mean and the largest value of each of
the last 512 maps, and one linear layer, which learns first (LP-FT; Kumar et al., 2022, arXiv 2202.10054).

The rate is the one with most validation cells right, at 144 pixels, where trying is cheap. Test cells are examined once
for each size and depth, unless rates are added and another wins: then the table has both rows. `measured/elpv.jsonl`
keeps every training, so a run that was stopped goes on where it was: its answers and what they are worth, but not the
cells' labels, which are the data set's.
"""
from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from helpers import features, networks
from helpers.hardware import Arithmetic
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.intervals import Difference, paired_difference
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks import elpv
from tests.benchmarks.ledger import MEASURED, Ledger

DEPTHS = {"frozen": 30, "last block": 23, "last two blocks": 16}  # slot of `features` below which all is frozen
DEEPEST = "last two blocks"
RATES = (3e-5, 1e-4, 3e-4)  # neither end is best; the ledger also has 1e-5, and for the last block 1e-3
VIEWS = {"plain": (), "mirrored": (3,), "upside down": (2,), "turned round": (2, 3)}  # axes that are reversed
EPOCHS, BATCH, RECIPE = 2, 32, {"weight_decay": 0.05, "label_smoothing": 0.1}  # an epoch shows all four views
CHOOSING = 144  # pixels
RUNS, MAPS = MEASURED / "elpv.jsonl", Path("build/elpv")


class MeanAndMax(nn.Module):
    """The mean and the largest value of each map: (n, channels, h, w) to (n, 2 * channels, 1, 1)."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.mean((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)], dim=1)


def network() -> nn.Module:
    """VGG-16's convolutions under one linear layer, which is drawn anew."""
    model = networks.build("vgg16", elpv.WEIGHTS, num_classes=2)
    model.avgpool, model.classifier = MeanAndMax(), nn.Sequential(nn.Linear(2 * networks.last_channels(model), 2))
    return model


def fast() -> torch.autocast:
    """Within it, convolutions compute in bfloat16 where the processor is fast in it, as they do in `fit`."""
    return Arithmetic(torch.device("cpu"), short=True, part=BATCH).autocast()


def through(layers: nn.Module, maps: Tensor) -> Tensor:
    """What frozen layers make of maps (n, ...), in float16."""
    with torch.no_grad(), fast():
        found = [layers(part.float()).half() for part in maps.split(64)]
    return torch.cat(found)  # outside: on a CPU, autocast refuses to join float16


class Cells:
    """The photographs in one size, and what VGG-16's frozen parts say about them."""

    def __init__(self, size: int, count: int | None = None):
        self.size, self.split = size, elpv.cells(count, size)
        self.labels = self.split.labels

    @cache  # noqa: B019 - as many as there are sizes, depths and views
    def maps(self, depth: str, view: str = "plain") -> Tensor:
        """The maps at a depth's cut, float16 (n, channels, h, w), and at "frozen" the features (n, 1024)."""
        model, cut = network().eval(), f"features.{DEPTHS[DEEPEST]}"

        def compute() -> Tensor:
            if depth == DEEPEST:
                seen = ImageSplit(self.split.images.flip(VIEWS[view]), self.labels, self.split.classes)
                preprocess = Preprocess(*networks.normalisation("vgg16", elpv.WEIGHTS))
                with fast():
                    return features.extract(model, seen, preprocess, up_to=cut, store=torch.float16).tensors[0]
            above = networks.in_two(model, cut)[1]
            between = above[:-1] if depth == "frozen" else above[:DEPTHS[depth] - DEPTHS[DEEPEST]]
            return through(between, self.maps(DEEPEST, view))

        return kept(MAPS / f"{len(self.split)} cells, {self.size} px, {depth}, {view}.npy", compute)


def kept(path: Path, compute: Callable[[], Tensor]) -> Tensor:
    """What is in the file; where there is none, it is computed now, and written whole or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, compute().numpy())
        os.replace(part, path)
    return torch.from_numpy(np.load(path, mmap_mode="c"))


def answers(cells: Cells, depth: str, rate: float, seed: int, learn: np.ndarray, watch: np.ndarray,
            settings: tuple[float, int]) -> list[int]:
    """Train a head and then, unless all below is frozen, everything above the cut; the answers for cells `watch`."""
    seen, labels = cells.maps("frozen").float(), cells.labels
    head = elpv.linear_head(seen[learn], labels[learn], *settings, seed)
    if depth == "frozen":
        return evaluate(head, TensorDataset(seen[watch], labels[watch])).predictions.tolist()
    model = network()
    model.classifier[0] = head
    above = networks.in_two(model, f"features.{DEPTHS[depth]}")[1]
    views = torch.cat([cells.maps(depth, view)[learn] for view in VIEWS])
    fit(above, TensorDataset(views, labels[learn].repeat(len(VIEWS))), lr=rate, epochs=EPOCHS, batch_size=BATCH,
        seed=seed, **RECIPE)
    return evaluate(above, TensorDataset(cells.maps(depth)[watch], labels[watch])).predictions.tolist()


def best_rate(depth: str, seed: int) -> float:
    """The rate with most validation cells right at CHOOSING pixels; `SystemExit` if they have not all been tried."""
    runs = Ledger(RUNS, {}).results(part="validation", size=CHOOSING, depth=depth, seed=seed)
    if not {run["rate"] for run in runs} >= set(RATES):
        raise SystemExit(f"The rates come first: python -m tests.benchmarks.elpv_tuned --size {CHOOSING}")
    return max(runs, key=lambda run: run["scores"]["accuracy"])["rate"]


def measure(size: int, seed: int, count: int | None = None) -> None:
    """Every training that has not been kept yet."""
    if size != CHOOSING:
        for depth in DEPTHS.keys() - {"frozen"}:
            best_rate(depth, seed)  # before hours of work
    cells, ledger = Cells(size, count), Ledger(RUNS, {})
    learn, val, test = elpv.divided(cells.split, seed)
    settings = elpv.best_settings(cells.maps("frozen").float(), cells.labels, learn, val, seed)

    def train(part: str, depth: str, rate: float, learn: np.ndarray, watch: np.ndarray) -> None:
        key, start = {"part": part, "size": size, "depth": depth, "seed": seed, "rate": rate}, time.perf_counter()
        if ledger.results(**key):
            return
        given, labels = answers(cells, depth, rate, seed, learn, watch, settings), cells.labels[watch].tolist()
        frozen = ledger.results(**key | {"depth": "frozen", "rate": 0.0})
        ledger.add(**key, minutes=(time.perf_counter() - start) / 60, answers=given, scores=elpv.scores(given, labels),
                   intervals=intervals(given, labels), all_sound=intervals([0] * len(labels), labels),
                   ahead=str(ahead(given, frozen[0]["answers"], labels)) if frozen else "")
        print(f"{size} pixels, seed {seed}, {depth}, rate {rate:g}: {part} done after "
              f"{(time.perf_counter() - start) / 60:.1f} min", flush=True)

    for depth in DEPTHS:
        if depth != "frozen" and size == CHOOSING:
            for rate in RATES:
                train("validation", depth, rate, learn, val)
        rate = 0.0 if depth == "frozen" else best_rate(depth, seed)
        train("test", depth, rate, np.concatenate([learn, val]), test)


def intervals(answers: list[int], labels: list[int]) -> dict[str, str]:
    """The scores in %, each with its 95 % interval over cells, which are drawn again with replacement."""
    answers, labels = np.array(answers), np.array(labels)
    draws = np.random.default_rng(0).integers(len(labels), size=(2_000, len(labels)))
    drawn, found = [elpv.scores(answers[own], labels[own]) for own in draws], {}
    for name, score in elpv.scores(answers, labels).items():
        low, high = np.quantile([one[name] for one in drawn], (0.025, 0.975))
        found[name] = f"{100 * score:.1f} ({100 * low:.1f} to {100 * high:.1f})"
    return found


def ahead(answers: list[int], frozen: list[int], labels: list[int]) -> Difference:
    """How far a network is ahead of the frozen one, in pairs; accuracy as the published table has it."""
    right = [np.equal(own, labels) for own in (answers, frozen)]
    return paired_difference(*right, np.zeros(len(labels), int))  # one class: nothing is balanced


def table() -> str:
    """A row for each time that a network sat the test, as Markdown; in % with 95 % intervals over cells."""
    names = ("accuracy", "balanced accuracy", "F1")
    lines = [f"| pixels | what learns | rate | split | {' | '.join(names)} | ahead of frozen |",
             "|--:|:--|--:|--:|" + "--:|" * 4]
    splits = set()
    for run in sorted(Ledger(RUNS, {}).results(part="test"), key=lambda run: (run["seed"], run["size"])):
        if run["seed"] not in splits:
            splits.add(run["seed"])
            lines.append(f"| | all called sound | | {run['seed']} | {' | '.join(map(run['all_sound'].get, names))} | |")
        rate = f"{run['rate']:g}" if run["rate"] else ""
        lines.append(f"| {run['size']} | {run['depth']} | {rate} | {run['seed']} | "
                     f"{' | '.join(map(run['intervals'].get, names))} | {run['ahead']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=CHOOSING, help="pixels a side")
    parser.add_argument("--seed", type=int, default=0, help="of the split, and of all draws")
    parser.add_argument("--images", type=int, help="use only so many of the photographs")
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the tables of what there is")
    args = parser.parse_args()
    if not args.report:
        measure(args.size, args.seed, args.images)
    print(f"{table()}\n\n{elpv.PUBLISHED}")


if __name__ == "__main__":
    main()
