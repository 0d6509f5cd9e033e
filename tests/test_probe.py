"""Notebook 01's probe, as its cells stand: for as many labels as there are, whatever a lesson on a GPU would like."""
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch

from helpers import features, networks
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.intervals import enough_things
from helpers.preprocess import Preprocess
from helpers.training import fit

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "01_what_is_transfer_learning.ipynb"


def split(*counts: int) -> ImageSplit:
    """So many images of each of three colours, in a random order."""
    generator = torch.Generator().manual_seed(len(counts))
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    images = torch.randint(0, 120, (len(labels), 3, 32, 32), dtype=torch.uint8, generator=generator)
    images[torch.arange(len(labels)), labels] += 100
    return ImageSplit(images, labels, ("red", "green", "blue"))


@pytest.fixture(scope="module")
def names():
    """The names of the two cells; on a GPU a lesson takes 100 labels per class, and letters and digits have fewer."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    found = {"torch": torch, "features": features, "networks": networks, "evaluate": evaluate, "fit": fit,
             "enough_things": enough_things, "preprocess": Preprocess((0.5,) * 3, (0.2,) * 3, padding=0), "LABELS": 100,
             "lab": SimpleNamespace(seed=0, backbone="pocket_vgg", device=torch.device("cpu")),
             "KINDS": {"pixels": (None, {"compute": lambda model, inputs: inputs.mean((2, 3))})},
             "train": split(9, 30, 12), "val": split(6, 6, 6), "exam": split(8, 5, 7)}
    for start in ("def looked(", "def probe("):
        cell, = [source for source in cells if start in source]
        exec(cell, found)
    return found


def test_a_draw_has_as_many_labels_as_the_scarcest_class_at_most(names):
    quiz, exam, *draws = names["seen"]["pixels"]
    assert [few.tensors[1].bincount().tolist() for few in draws] == 3 * [[9, 9, 9]]
    assert len(quiz.tensors[1]) == 15 and torch.equal(exam.tensors[1], names["exam"].labels)


@pytest.mark.parametrize("count, learnt", ((2, 2), (9, 9), (100, 9)))
def test_a_head_learns_from_the_first_labels_of_each_class(names, monkeypatch, count, learnt):
    seen = []
    monkeypatch.setitem(names, "fit", lambda head, data, **more: seen.append(data) or fit(head, data, **more))
    share = names["probe"](names["seen"]["pixels"], count)
    assert all(data.tensors[1].bincount().tolist() == 3 * [learnt] for data in seen) and len(seen) == 9
    first = names["seen"]["pixels"][2].tensors
    for label in range(3):
        own = seen[0].tensors[0][seen[0].tensors[1] == label]
        assert torch.equal(own, first[0][first[1] == label][:learnt])
    assert share.mean() > 0.9, "three colours are soon told apart"
