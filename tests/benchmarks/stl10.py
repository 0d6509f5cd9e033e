"""The article's experiment in one go: VGG-16 on STL-10, for anyone with a GPU and a network.

    python -m tests.benchmarks.stl10                # a run that was stopped goes on where it was
    python -m tests.benchmarks.stl10 --report       # the table of what there is
    python -m tests.benchmarks.stl10 --miniature    # a trial on any machine, whose numbers mean nothing

Four ways to learn, for 20 epochs each. *frozen*: a new head on features computed once. *full*: everything, the head at
ten times the rate. *LP-FT*: the head first and then everything. *scratch*: random weights, with batch norm, and without
dropout. Images of 96 pixels as they are, and enlarged to 224. All 5,000 training images, and the official protocol's
ten folds of 1,000.

What is chosen is the learning rate, in steps of three until the best has a worse one on either side, on validation
images: for the 5,000, on 1,000 of them, from which a first network does not learn; for all folds, on 1,000 images that
fold 0 leaves out. Each network then sits the exam of 8,000 test images once. STL-10's images come from ImageNet, so a
network pre-trained there may have seen some of them.

Each network is a line in `build/stl10.jsonl` as soon as it has been examined; `build/stl10.json` has the table.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate

from helpers import datasets, features, networks
from helpers.composition import SIZE
from helpers.fetch import downloads
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks import card, gpu_world, stl10_folds, stl10_table
from tests.benchmarks.ledger import Ledger, write_json
from tests.benchmarks.transfer import RECIPE, beside

BUILD = Path("build")
FIRST = {"frozen": 3e-3, "full": 3e-5, "LP-FT": 3e-5, "scratch": 3e-4}  # the rate that is tried first
NO_GPU = ("PyTorch sees no CUDA device here, without which this would take weeks; `python -m tests.benchmarks.stl10 "
          "--miniature` tries the whole script on this CPU.")


@dataclass(frozen=True)
class Settings:
    """How large the experiment is; `per_class` keeps so many images of each class, None all."""

    name: str
    sizes: tuple[int, ...]
    folds: int
    epochs: int
    batch: int
    per_class: int | None


FULL = Settings("stl10", (SIZE, 224), folds=10, epochs=20, batch=32, per_class=None)
MINIATURE = Settings("stl10_miniature", (32, 64), folds=2, epochs=1, batch=16, per_class=3)


# --- the images --------------------------------------------------------------------------------------------------

def images(split: str, fold: int | None, size: int, settings: Settings) -> ImageSplit:
    """One split of STL-10, `size` pixels a side; `fold` None is the division of all 5,000."""
    found = datasets.stl10(split, None if split == "test" else fold)
    if settings.per_class:
        found = found.few(settings.per_class)
    if size == SIZE:
        return found
    pixels = [interpolate(part, (size, size), mode="bilinear", antialias=True) for part in found.images.split(1000)]
    return ImageSplit(torch.cat(pixels), found.labels, found.classes)


def both(a: ImageSplit, b: ImageSplit) -> ImageSplit:
    return ImageSplit(torch.cat([a.images, b.images]), torch.cat([a.labels, b.labels]), a.classes)


# --- one network -------------------------------------------------------------------------------------------------

def preparation(size: int) -> Preprocess:
    return Preprocess(*networks.normalisation("vgg16"), padding=size // 24)  # 4 of 96 pixels


def untrained(method: str, size: int, classes: int, seed: int) -> nn.Module:
    """VGG-16 with a new head, as it is before it learns."""
    if method == "scratch":
        model = networks.build("vgg16_bn", weights=None, num_classes=classes, seed=seed)
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0  # with it, so deep a network hardly begins to learn
    else:
        model = networks.build("vgg16", num_classes=classes, seed=seed)
    if size < 224:
        networks.fold_first_linear(model, size)  # the same logits
    return model.to(card.device())


def learnt(method: str, train: ImageSplit, rate: float, head_rate: float, settings: Settings, seed: int) -> nn.Module:
    """Train once, for all epochs: `rate` is the peak rate of what learns, `head_rate` the one of a head alone."""
    size = train.images.shape[-1]
    model, preprocess = untrained(method, size, len(train.classes), seed), preparation(size)
    shared = {"epochs": settings.epochs, "batch_size": settings.batch, "seed": seed, **RECIPE}
    if method in ("frozen", "LP-FT"):  # the head on stored features: the same as training it in a frozen network
        fit(networks.head(model), features.extract(model, train, preprocess), lr=head_rate, **shared)
    if method != "frozen":
        groups = networks.parameter_groups(model, rate, (10 if method == "full" else 1) * rate)
        fit(model, train, groups=groups, preprocess=preprocess, **shared)
    return model


# --- all of them -------------------------------------------------------------------------------------------------

def measure(settings: Settings, ledger: Ledger) -> None:
    """Choose and examine whatever is not in the ledger yet."""
    folds = range(settings.folds) if folds_there() else ()
    for size in settings.sizes:
        test = images("test", None, size, settings)
        if not ledger.results(kind="labels"):
            ledger.add(kind="labels", labels="".join(map(str, test.labels.tolist())))
        for fold in (None, *folds):
            for method in FIRST:  # in this order: LP-FT takes the rate that was best for the frozen head
                if not ledger.results(kind="exam", size=size, fold=fold, method=method):
                    examined(size, fold, method, test, settings, ledger)


def folds_there() -> bool:
    """Whether the official folds can be had; without them, the 5,000 are worth measuring alone."""
    try:
        stl10_folds.fetch(downloads.cache_folder())
    except RuntimeError as error:
        print(f"{error} Until then, the ten folds are left out.")
        return False
    return True


def examined(size: int, fold: int | None, method: str, test: ImageSplit, settings: Settings, ledger: Ledger) -> None:
    """Train with the rate that was chosen, sit the exam, once, and write both down."""
    start = time.perf_counter()
    rate, head_rate = (chosen(size, fold, each, settings, ledger) for each in (method, "frozen"))
    train = images("train", fold, size, settings)
    if fold is None:
        train = both(train, images("val", None, size, settings))
    model = learnt(method, train, rate, rate if method == "frozen" else head_rate, settings, seed=fold or 0)
    result = evaluate(model, test, preparation(size))
    right = "".join(map(str, (result.predictions == result.labels).int().tolist()))
    ledger.add(kind="exam", size=size, fold=fold, method=method, rate=rate, accuracy=result.accuracy, right=right,
               images=len(train), minutes=(time.perf_counter() - start) / 60, machine=card.machine(card.device()))
    print(f"{size} pixels, {'all' if fold is None else f'fold {fold}'}, {method}: {100 * result.accuracy:.1f} %, rate "
          f"{rate:g}", flush=True)


def chosen(size: int, fold: int | None, method: str, settings: Settings, ledger: Ledger) -> float:
    """The rate that is best on validation images: of the 5,000 where `fold` is None, and of fold 0 for every fold."""
    fold = None if fold is None else 0
    if not (known := ledger.results(kind="rate", size=size, fold=fold, method=method)):
        train, val = (images(split, fold, size, settings) for split in ("train", "val"))
        head_rate = chosen(size, fold, "frozen", settings, ledger) if method == "LP-FT" else 0.0

        def score(rate: float) -> float:
            try:
                model = learnt(method, train, rate, rate if method == "frozen" else head_rate, settings, seed=0)
            except FloatingPointError:  # the rate was far too large
                return 0.0
            return evaluate(model, val, preparation(size)).accuracy

        scores = searched(score, FIRST[method])
        known = [ledger.add(kind="rate", size=size, fold=fold, method=method, rate=max(scores, key=scores.get),
                            validation={f"{rate:g}": value for rate, value in sorted(scores.items())})]
    return known[-1]["rate"]


def searched(score: Callable[[float], float], first: float) -> dict[float, float]:
    """Scores by rate: of `first` and its neighbours, and further until the best has a neighbour on either side."""
    scores: dict[float, float] = {}
    wanted = {first}
    while wanted:
        scores |= {rate: score(rate) for rate in sorted(wanted)}
        wanted = beside(max(scores, key=scores.get)) - set(scores)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the table of what there is")
    parser.add_argument("--miniature", action="store_true", help="a trial on any machine")
    args = parser.parse_args()
    settings = MINIATURE if args.miniature else FULL
    ledger = Ledger(BUILD / f"{settings.name}.jsonl", {"experiment": settings.name})
    if not args.report:
        if args.miniature:
            gpu_world.stand_in(gpu_world.world(card.device(), True, BUILD))
        elif card.device().type != "cuda":
            raise SystemExit(NO_GPU)
        try:
            measure(settings, ledger)
        except KeyboardInterrupt:
            print("Stopped; the same command goes on from here.")
    found = stl10_table.report(ledger)
    print(stl10_table.table(found))
    write_json(BUILD / f"{settings.name}.json", found)


if __name__ == "__main__":
    main()
