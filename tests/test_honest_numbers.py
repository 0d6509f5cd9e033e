"""Notebook 03 and its solutions: what has taught a network or chosen its epoch is not reported as unseen."""
import math
import statistics
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from torchvision.transforms import v2

from helpers import networks
from helpers.features import Features
from helpers.images import ImageSplit
from helpers.intervals import Difference, accuracy_interval, enough_things, paired_difference, things_of
from helpers.preprocess import Preprocess
from helpers.progress import Progress

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
CLASSES = tuple("abcdefghij")
# What stands in the cells that measure something; the other cells are not run.
MEASURING = ("learn, quiz, exam =", "def draw(", "def maps(", "def some(", "RATES =", "def answers_of(",
             "by_moving = ", "moved_exam =", "def four_ways(", "def trial(")


def split(name: str, seed: int, drawings: bool) -> ImageSplit:
    """80 images of noise in each class, of the third one 12; with `drawings`, each image is another drawing.

    They show five things of each class, of the second class four.
    """
    generator = torch.Generator().manual_seed(seed)
    kept = [k for k in range(800) if k % 10 != 2 or k < 120]
    images = torch.randint(0, 256, (len(kept), 3, 32, 32), dtype=torch.uint8, generator=generator)
    origin = tuple(f"{name} {k % 10}.{k // 10 % (4 + (k % 10 != 1))}; drawing {k}" for k in kept)
    return ImageSplit(images, torch.tensor(kept) % 10, CLASSES, origin if drawings else ())


class Spy:
    """Stands in for `training`, `inference` and `features`, and notes which things each of them gets.

    The features that it makes of an image are the number of the thing that it shows.
    """

    Features = Features

    def __init__(self, *splits: ImageSplit):
        self.number = {}
        for turn, one in enumerate(splits):
            of_thing = {thing: k for k, thing in enumerate(dict.fromkeys(things_of(one)))}
            for key, thing in zip(self.keys(one.images), things_of(one), strict=True):
                self.number[key] = 1000 * turn + of_thing[thing]
        self.learnt, self.chose, self.reported = [], [], []

    @staticmethod
    def keys(images) -> list[bytes]:
        """A key for each image that is the same for all its mirror images and quarter turns."""
        return [min(form.rot90(k, (1, 2)).numpy().tobytes() for form in (one, one.flip(2)) for k in range(4))
                for one in images]

    def shown(self, data) -> set:
        inputs = data.tensors[0]
        if inputs.dtype == torch.uint8:
            return {self.number[key] for key in self.keys(inputs)}
        return set(inputs[:, 0].int().tolist())

    def fit(self, model, train, val, **settings):
        self.learnt.append(self.shown(train))
        self.chose.append(self.shown(val))
        return SimpleNamespace(best_accuracy=0.5)

    def evaluate(self, model, data, preprocess=None):
        self.reported.append(self.shown(data))
        return SimpleNamespace(predictions=data.tensors[1], labels=data.tensors[1])

    def extract(self, model, split, preprocess, up_to=None, views=1, seed=0):
        numbers = torch.tensor([[float(self.number[key])] for key in self.keys(split.images)])
        return Features(numbers.repeat(views, 1), split.labels.repeat(views), split.classes)


def run(notebook: str, drawings: bool) -> tuple[Spy, dict]:
    """Run the cells that measure; the spy, and all names."""
    splits = {name: split(name, seed, drawings) for seed, name in enumerate(("train", "val", "test"))}
    spy, silent = Spy(*splits.values()), lambda *_, **__: None
    names = {
        "math": math, "statistics": statistics, "torch": torch, "v2": v2, "ImageSplit": ImageSplit,
        "networks": networks, "SIZE": splits["train"].images.shape[-1],
        "train": splits["train"], "datasets": SimpleNamespace(load=lambda data, name, cache: splits[name]),
        "Difference": Difference, "things_of": things_of, "accuracy_interval": accuracy_interval,
        "paired_difference": paired_difference, "enough_things": enough_things,
        "training": spy, "inference": spy, "features": spy, "figures": SimpleNamespace(images=silent, effects=silent),
        "plots": SimpleNamespace(gap_in_parts=silent), "Progress": Progress,
        "lab": SimpleNamespace(backbone="pocket_vgg", data="", device="cpu", rate=1e-3, seed=0, cache=None),
        # a mirror image is known by its key, a shifted one would not be
        "Preprocess": lambda mean, std, padding=0, flip=0.5: Preprocess(mean, std, 0, flip),
        "source_mean": (0.5,) * 3, "source_std": (0.25,) * 3, "preprocess": Preprocess((0.5,) * 3, (0.25,) * 3, 0)}
    for cell in nbformat.read(FOLDER / notebook, as_version=4).cells:
        if cell.cell_type == "code" and any(part in cell.source for part in MEASURING):
            exec(cell.source, names)
    return spy, names


drawn_or_not = pytest.mark.parametrize("drawings", [True, False], ids=["drawings", "photographs"])


@drawn_or_not
def test_what_is_reported_has_taught_nothing_and_chosen_nothing_or_is_called_training(drawings):
    spy, names = run("03_augmentation.ipynb", drawings)
    runs = len(names["RATES"]) * names["SEARCH"] + names["DRAWS"] - names["SEARCH"]
    assert len(names["runs"]) == runs * len(names["sides"])
    if drawings:  # the second class shows four things: too few
        assert set(names["exam"].labels.tolist()) == set(range(10)) - {1}
    taught, chosen = set().union(*spy.learnt), set().union(*spy.chose)
    assert not taught & chosen
    unseen = [shown for shown in spy.reported if not shown & (taught | chosen)]
    asked = spy.shown(names["pool"].pick(names["in_exam"]))  # training images are reported of the exam's classes alone
    training = [shown for shown in spy.reported if shown in [own & asked for own in spy.learnt]]
    assert len(unseen) + len(training) == len(spy.reported)
    assert len(training) == 2 * len(names["sides"]) * names["DRAWS"]  # as they are, and moved


@drawn_or_not
@pytest.mark.parametrize("notebook", ["03_augmentation.ipynb", "solutions/03_solutions.ipynb"])
def test_the_trial_of_a_pipeline_reports_on_images_that_chose_nothing(notebook, drawings):
    spy, names = run(notebook, drawings)
    names["trial"](v2.Identity())
    learnt, chose, reported = spy.learnt[-1], spy.chose[-1], spy.reported[-1]
    assert learnt and chose and reported
    assert not chose & reported and not learnt & reported and not chose & learnt


@drawn_or_not
def test_both_sides_learn_from_the_same_images_and_each_draw_has_its_own(drawings):
    _, names = run("03_augmentation.ipynb", drawings)
    rows = [names["some"](seed) for seed in names["SEEDS"]]
    assert len({tuple(chosen.tolist()) for chosen in rows}) == names["DRAWS"]
    for chosen in rows:
        counts = names["pool"].labels[chosen].bincount()
        assert counts[2] == 12 and counts.max() == names["LABELS"]
    assert {side.shape for side in names["sides"].values()} == {(names["VIEWS"], len(names["pool"]), 1)}
