"""Real photographs: are solar cells defective? VGG-16's convolutions, frozen, with a linear head.

    pip install elpv-dataset                # for this script only; CC BY-NC-SA 4.0, for non-commercial use
    python -m tests.benchmarks.elpv         # some ten minutes on two cores, once torchvision has VGG-16's weights
    python -m tests.benchmarks.elpv --images 200 --seeds 2    # a quick look

ELPV (Deitsch et al., 2019, doi 10.1016/j.solener.2019.02.067): 2,624 electroluminescence photographs of solar cells,
grey, 300 x 300, labelled with the probability of a defect: 0, 1/3, 2/3 or 1. Here a cell counts as defective from 0.5
up. The photographs go through the same code as the course's own data: `images.ImageSplit`, `features.extract`,
`training.fit`.

For each seed a quarter of the cells, stratified by label and cell type, is set aside and used once, at the end. A fifth
of the rest is the validation part on which weight decay and number of epochs are chosen; then the head is trained
anew on the whole three quarters. `elpv_tuned` goes on to fine-tuning.
"""
from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from helpers import features, networks
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.benchmarks.gpu_tables import spread

WEIGHTS = "IMAGENET1K_FEATURES"  # the original convolutions; this file's classifier is empty and not used
SIZE = 144
DECAYS = (0.1, 1.0, 10.0, 30.0)
EPOCHS = (10, 40)
PUBLISHED = ("Published (Deitsch et al., 2019): 82.44 % with hand-made features and an SVM, 88.42 % with a fine-tuned "
             "VGG-19.\nTheir 75/25 split is another one, so compare with care.")


def cells(count: int | None = None, size: int = SIZE) -> ImageSplit:
    """The photographs as `size` x `size` images; `origin` is the cell's number and its type, "mono" or "poly"."""
    from elpv_dataset.utils import load_dataset

    photographs, probabilities, types = load_dataset()
    chosen = np.random.RandomState(0).permutation(len(types))[:count]
    small = [Image.fromarray(photographs[k]).resize((size, size), Image.Resampling.BILINEAR) for k in chosen]
    images = torch.from_numpy(np.stack([np.asarray(image) for image in small]))[:, None].repeat(1, 3, 1, 1)
    labels = torch.from_numpy((probabilities[chosen] >= 0.5).astype(np.int64))
    return ImageSplit(images, labels, ("sound", "defective"), tuple(f"{k}; {types[k]}" for k in chosen))


def describe(split: ImageSplit) -> Tensor:
    """What the frozen convolutions say about each cell: (n, 1024), mean and maximum of the last 512 maps."""
    model = networks.build("vgg16", WEIGHTS, num_classes=2)
    preprocess = Preprocess(*networks.normalisation("vgg16", WEIGHTS))
    return features.extract(model, split, preprocess, compute=features.pooled_features).tensors[0]


def divided(split: ImageSplit, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of the cells to learn from, to choose by, and to examine once: 60, 15 and 25 %."""
    kinds = [origin.split("; ")[1] for origin in split.origin]
    strata = np.array([f"{label} {kind}" for label, kind in zip(split.labels.tolist(), kinds, strict=True)])
    rest, test = train_test_split(np.arange(len(split)), test_size=0.25, stratify=strata, random_state=seed)
    learn, val = train_test_split(rest, test_size=0.2, stratify=strata[rest], random_state=seed)
    return learn, val, test


def linear_head(x: Tensor, labels: Tensor, decay: float, epochs: int, seed: int) -> nn.Linear:
    """A linear layer for features (n, width), trained on standardised ones; it takes them as they are."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    torch.manual_seed(seed)
    head = nn.Linear(x.shape[1], 2)
    fit(head, TensorDataset((x - mean) / std, labels), lr=1e-3, epochs=epochs, weight_decay=decay, seed=seed)
    with torch.no_grad():  # w . (x - mean) / std + b = (w / std) . x + (b - (w / std) . mean)
        head.weight /= std
        head.bias -= head.weight @ mean
    return head


def share_right(head: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The accuracy as the published table has it: the share of right answers, in which a common class counts more."""
    return scores(evaluate(head, TensorDataset(x, labels)).predictions, labels)["accuracy"]


def best_settings(x: Tensor, labels: Tensor, learn: np.ndarray, val: np.ndarray, seed: int) -> tuple[float, int]:
    """Weight decay and number of epochs of the head that has most validation cells right."""
    return max(itertools.product(DECAYS, EPOCHS), key=lambda own: share_right(
        linear_head(x[learn], labels[learn], *own, seed), x[val], labels[val]))


def scores(answers: Sequence[int], labels: Sequence[int]) -> dict[str, float]:
    """Share of right answers, class-balanced accuracy, and F1 of the class "defective", 0 to 1."""
    answers, labels = np.asarray(answers), np.asarray(labels)
    right, called, are = answers == labels, answers.sum(), labels.sum()
    return {"accuracy": right.mean(), "balanced accuracy": np.mean([right[labels == k].mean() for k in (0, 1)]),
            "F1": 2 * (right & (labels == 1)).sum() / max(called + are, 1)}


def run(x: Tensor, split: ImageSplit, seed: int) -> dict[str, float]:
    """Divide, choose on validation cells, train, and measure once on the test cells."""
    learn, val, test = divided(split, seed)
    decay, epochs = best_settings(x, split.labels, learn, val, seed)
    rest = np.concatenate([learn, val])
    head = linear_head(x[rest], split.labels[rest], decay, epochs, seed)
    answers = evaluate(head, TensorDataset(x[test], split.labels[test])).predictions
    found = scores(answers, split.labels[test])
    print(f"seed {seed}: weight decay {decay:g}, {epochs} epochs; on {len(test)} test cells "
          + ", ".join(f"{name} {100 * value:.1f} %" for name, value in found.items()), flush=True)
    return found


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
        print(f"{name}: {spread([100 * result[name] for result in results], '.1f')} %")
    print(f"All called sound: accuracy {100 * (split.labels == 0).double().mean():.1f} %.\n{PUBLISHED}")


if __name__ == "__main__":
    main()
