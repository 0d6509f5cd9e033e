"""Real photographs: are solar cells defective? VGG-16's convolutions, frozen, with a linear head.

    pip install elpv-dataset                # for this script only; CC BY-NC-SA 4.0, for non-commercial use
    python -m tests.benchmarks.elpv         # about ten minutes on two cores, once torchvision has VGG-16's weights
    python -m tests.benchmarks.elpv --images 200 --seeds 2    # a quick look

ELPV (Deitsch et al., 2019, doi 10.1016/j.solener.2019.02.067): 2,624 electroluminescence photographs of solar cells,
grey, 300 x 300, labelled with the probability of a defect: 0, 1/3, 2/3 or 1. Here a cell counts as defective from 0.5
up. The photographs go through the same code as the course's own data: `images.ImageSplit`, `features.extract`,
`training.fit`.

For each seed a quarter of the cells, stratified by label and cell type, is set aside and used once, at the end. A fifth
of the rest is the validation part on which weight decay and number of epochs are chosen; then the head is trained
anew on the whole three quarters.
"""
from __future__ import annotations

import argparse
import itertools
import statistics
import time

import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from helpers import features, networks
from helpers.images import ImageSplit
from helpers.inference import Evaluation, evaluate
from helpers.preprocess import Preprocess
from helpers.training import fit

WEIGHTS = "IMAGENET1K_FEATURES"  # the original convolutions; this file's classifier is empty and not used
SIZE = 144
DECAYS = (0.1, 1.0, 10.0, 30.0)
EPOCHS = (10, 40)


def cells(count: int | None = None) -> ImageSplit:
    """The photographs as SIZE x SIZE images; `origin` is the cell's type, "mono" or "poly"."""
    from elpv_dataset.utils import load_dataset

    photographs, probabilities, types = load_dataset()
    chosen = np.random.RandomState(0).permutation(len(types))[:count]
    small = [Image.fromarray(photographs[k]).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for k in chosen]
    images = torch.from_numpy(np.stack([np.asarray(image) for image in small]))[:, None].repeat(1, 3, 1, 1)
    labels = torch.from_numpy((probabilities[chosen] >= 0.5).astype(np.int64))
    return ImageSplit(images, labels, ("sound", "defective"), tuple(str(types[k]) for k in chosen))


def describe(split: ImageSplit) -> Tensor:
    """What the frozen convolutions say about each cell: (n, 1024), mean and maximum of the last 512 maps."""
    model = networks.build("vgg16", WEIGHTS, num_classes=2)
    preprocess = Preprocess(*networks.normalisation("vgg16", WEIGHTS))
    return features.extract(model, split, preprocess, compute=features.pooled_features).tensors[0]


def train(x: Tensor, labels: Tensor, learn: np.ndarray, watch: np.ndarray, decay: float, epochs: int,
          seed: int) -> Evaluation:
    """Fit a linear head on the cells `learn` and evaluate it on the cells `watch`.

    `fit` keeps the best epoch on the cells it learns from, so `watch` has no part in the training.
    """
    mean, std = x[learn].mean(0), x[learn].std(0) + 1e-6
    learnt, watched = (TensorDataset((x[part] - mean) / std, labels[part]) for part in (learn, watch))
    torch.manual_seed(seed)
    head = nn.Linear(x.shape[1], 2)
    fit(head, learnt, learnt, lr=1e-3, epochs=epochs, weight_decay=decay, seed=seed)
    return evaluate(head, watched)


def run(x: Tensor, split: ImageSplit, seed: int) -> dict:
    """Divide, choose on validation cells, train, and measure once on the test cells."""
    strata = np.array([f"{label} {kind}" for label, kind in zip(split.labels.tolist(), split.origin, strict=True)])
    rest, test = train_test_split(np.arange(len(split)), test_size=0.25, stratify=strata, random_state=seed)
    learn, val = train_test_split(rest, test_size=0.2, stratify=strata[rest], random_state=seed)
    scores = {choice: train(x, split.labels, learn, val, *choice, seed).accuracy
              for choice in itertools.product(DECAYS, EPOCHS)}
    decay, epochs = max(scores, key=scores.get)
    result = train(x, split.labels, rest, test, decay, epochs, seed)
    counts = result.confusion()
    balanced = (counts.diag() / counts.sum(1)).mean().item()
    print(f"seed {seed}: weight decay {decay:g} and {epochs} epochs chosen at {100 * scores[decay, epochs]:.1f} % on "
          f"{len(val)} validation cells; on {len(test)} test cells accuracy {100 * result.accuracy:.1f} %, "
          f"balanced {100 * balanced:.1f} %", flush=True)
    return {"accuracy": 100 * result.accuracy, "balanced accuracy": 100 * balanced}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many splits")
    parser.add_argument("--images", type=int, help="use only so many of the photographs")
    args = parser.parse_args()
    start = time.perf_counter()
    split = cells(args.images)
    x = describe(split)
    print(f"{len(split)} photographs, {x.shape[1]} features each, after {time.perf_counter() - start:.0f} s")
    results = [run(x, split, seed) for seed in range(args.seeds)]
    for name in results[0]:
        values = [result[name] for result in results]
        spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        print(f"{name}: {statistics.mean(values):.2f}{spread} % (mean and standard deviation of {len(values)} splits)")
    print("Published (Deitsch et al., 2019): 82.44 % with hand-made features and an SVM, 88.42 % with a fine-tuned "
          "VGG-19.\nTheir 75/25 split is another one, so compare with care.")


if __name__ == "__main__":
    main()
