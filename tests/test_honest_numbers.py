"""Notebook 03 and its solutions: what has chosen the best epoch is not reported as unseen, image or thing."""
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from helpers import networks
from helpers.images import ImageSplit
from helpers.intervals import things_of
from helpers.preprocess import Preprocess
from helpers.progress import Progress

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
CLASSES = tuple("abcdefghij")


def split(name: str, seed: int, drawings: bool) -> ImageSplit:
    """80 images of noise in each class, of the third one 12; with `drawings`, each image is another drawing.

    They show five things of each class, of the second class four.
    """
    generator = torch.Generator().manual_seed(seed)
    kept = [k for k in range(800) if k % 10 != 2 or k < 120]
    images = torch.randint(0, 256, (len(kept), 3, 8, 8), dtype=torch.uint8, generator=generator)
    origin = tuple(f"{name} {k % 10}.{k // 10 % (4 + (k % 10 != 1))}; drawing {k}" for k in kept)
    return ImageSplit(images, torch.tensor(kept) % 10, CLASSES, origin if drawings else ())


class Spy:
    """Stands in for `training`, `inference` and `features`, and notes which images each of them gets."""

    def __init__(self, *splits: ImageSplit):
        self.thing = {}  # image -> what it shows; where an image has no origin it shows itself
        for one in splits:
            keys = self.keys(one.images)
            self.thing |= dict(zip(keys, things_of(one) if one.origin else keys, strict=True))
        self.learnt, self.chose, self.reported, self.extracted, self.kept = [], [], [], {}, []

    @staticmethod
    def keys(images) -> list[bytes]:
        """A key for each image that is the same for all its mirror images and quarter turns."""
        return [min(form.rot90(k, (1, 2)).numpy().tobytes() for form in (one, one.flip(2)) for k in range(4))
                for one in images]

    def shown(self, data) -> set:
        return {self.thing[key] for key in self.keys(self.extracted.get(id(data), data).tensors[0])}

    def fit(self, model, train, val, **settings):
        self.learnt.append(self.shown(train))
        self.chose.append(self.shown(val))

    def evaluate(self, model, split, preprocess=None):
        self.reported.append(self.shown(split))
        return SimpleNamespace(accuracy=0.5)

    def extract(self, model, split, preprocess):
        made = TensorDataset(torch.zeros(len(split), 4), split.labels)
        self.extracted[id(made)] = split
        self.kept.append(made)  # so that no other object gets its id
        return made


def run(notebook: str, drawings: bool, until: str) -> tuple[Spy, dict]:
    """Run the cells that set images aside and turn some, and the one that holds `until`; the spy, and all names."""
    train, val = split("t", 0, drawings), split("v", 1, drawings)
    spy = Spy(train, val)
    names = {
        "torch": torch, "v2": v2, "ImageSplit": ImageSplit, "train": train, "val": val,
        "exam": val.at_most(30), "things_of": things_of,
        "training": spy, "inference": spy, "features": spy, "figures": SimpleNamespace(images=lambda *_, **__: None),
        "networks": networks, "lab": SimpleNamespace(backbone="pocket_vgg", device="cpu", rate=1e-3, per_class=15),
        "preprocess": Preprocess((0.5,) * 3, (0.25,) * 3), "source_model": networks.build("pocket_vgg"),
        "Progress": Progress}
    for cell in nbformat.read(FOLDER / notebook, as_version=4).cells:
        if cell.cell_type == "code" and any(part in cell.source for part in ("def set_aside", "turned =", until)):
            exec(cell.source, names)
            if until in cell.source:
                return spy, names
    raise AssertionError(f"no cell of {notebook} holds {until!r}")


drawn_or_not = pytest.mark.parametrize("drawings", [True, False], ids=["drawings", "photographs"])


@drawn_or_not
def test_the_runs_report_on_images_that_chose_nothing(drawings):
    spy, names = run("03_augmentation.ipynb", drawings, until="EPOCHS, BATCH, SEEDS =")
    assert len(spy.chose) == 6 and len(spy.reported) == 12
    for k in range(6):
        fitted, unseen = spy.reported[2 * k:2 * k + 2]
        assert fitted == spy.learnt[k]
        assert not spy.chose[k] & unseen and not spy.learnt[k] & unseen and not spy.chose[k] & fitted
    assert spy.shown(names["val"]) == spy.reported[1]


@drawn_or_not
@pytest.mark.parametrize("notebook", ["03_augmentation.ipynb", "solutions/03_solutions.ipynb"])
def test_the_trial_of_a_pipeline_reports_on_images_that_chose_nothing(notebook, drawings):
    spy, names = run(notebook, drawings, until="def trial(")
    names["trial"](v2.Identity())
    (learnt,), (chose,), (fitted, unseen) = spy.learnt, spy.chose, spy.reported
    assert fitted == learnt
    assert not chose & unseen and not learnt & unseen and not chose & fitted


@drawn_or_not
def test_what_is_set_aside_shows_every_class_and_leaves_some_of_each(drawings):
    _, names = run("03_augmentation.ipynb", drawings, until="def set_aside")
    quiz, learn = names["set_aside"](names["train"])
    assert len(quiz) + len(learn) == len(names["train"])
    assert set(quiz.labels.tolist()) == set(learn.labels.tolist()) == set(range(10))
    assert len(quiz) < len(learn)
