"""Notebook 05, run as it stands on a few images of other classes: fair, sound, for any images and any network."""
import copy
from pathlib import Path

import nbformat
import pytest
import torch

from helpers import datasets, networks
from helpers.images import ImageSplit
from helpers.intervals import STUDENT, both_kinds

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "05_how_deep.ipynb"
PIXELS = 32
COUNTS = {"train": (9, 5, 3), "val": (3, 2, 1), "test": (6, 4, 1)}  # images of each class


def split(name: str) -> ImageSplit:
    """Images of three colours, with noise. In the exam each thing comes twice, and of the last class there is one."""
    generator = torch.Generator().manual_seed(len(name))
    labels = torch.tensor([k for k, count in enumerate(COUNTS[name]) for _ in range(count)])
    images = torch.randint(0, 120, (len(labels), 3, PIXELS, PIXELS), dtype=torch.uint8, generator=generator)
    images[torch.arange(len(labels)), labels] += 100
    origin = tuple(f"thing {k - k % 2 if name == 'test' and k < 10 else k}; drawing {k}" for k in range(len(labels)))
    return ImageSplit(images, labels, ("red", "green", "blue"), origin)


@pytest.fixture(scope="module")
def names():
    """All names of the notebook after all its cells but the first, which finds the course."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", lambda data, name, cache: split(name))
        for cell in cells[1:]:
            exec(cell.source.replace("setup()", "setup('pocket_vgg_bn', 'pocket')"), found)
    return found


def test_depth_counts_the_layers_of_any_network(names):
    assert len(names["layers"]) == len(networks.layers_from_top(names["ghost"])) == max(names["DEPTHS"])
    assert list(names["DEPTHS"]) == sorted(names["memory"].keys() & names["DEPTHS"].keys())


def test_every_comparison_has_three_draws_or_more_and_counts_their_luck(names):
    right, exam, things = (names[name] for name in ("right", "exam", "things"))
    assert len(set(names["DRAWS"])) >= 3 and len(right) == 7 + len(names["NETWORKS"]) == 7 + len(names["there"])
    assert {len(rows) for rows in right.values()} == {len(names["DRAWS"])} <= set(STUDENT)
    pairs = {(words, "head"): lead for words, (lead, _) in names["leads"].items()}
    pairs |= {(name, "everything"): lead for name, (lead, _) in names["ways"].items()}
    first, *others = names["there"]
    pairs |= {(name, first): names["compare"](name, first)[0] for name in others}
    assert len(pairs) == 5 + len(others) and others
    for (a, b), lead in pairs.items():
        assert lead == both_kinds(right[a], right[b], exam.labels, things)


def test_both_neighbours_of_the_best_rate_were_tried_and_are_no_better(names):
    assert len(names["reached"]) == 7
    for name, scores in names["reached"].items():
        rates = list(scores)
        assert 0 < rates.index(names["best"][name]) < len(rates) - 1, (name, scores)
        assert scores[names["best"][name]] == max(scores.values())
        assert all(2.9 < above / below < 3.1 for below, above in zip(rates, rates[1:], strict=False))


def test_all_begin_with_the_same_trained_head_and_leave_it_as_it_was(names):
    for draw, start in names["start"].items():
        model = copy.deepcopy(start)
        names["train_to"](3, names["lab"].rate, draw)
        assert all(torch.equal(value, start.state_dict()[key]) for key, value in model.state_dict().items())
        fresh = names["folded"](networks.build(names["lab"].backbone, num_classes=3, seed=draw))
        other = {key for key, value in fresh.state_dict().items() if not torch.equal(value, start.state_dict()[key])}
        assert other == {"classifier.6.weight", "classifier.6.bias"}


def test_what_is_kept_gives_the_answers_of_the_whole_network(names):
    for depth in names["DEPTHS"]:
        model = networks.learn_from_top(copy.deepcopy(names["deepest"][0]), depth)
        names["kept"].clear()
        found = names["examine"](model, "exam")
        whole = names["evaluate"](model, names["exam"], names["preprocess"])
        assert torch.allclose(found.logits, whole.logits, atol=1e-3)


def test_the_exam_has_an_image_of_each_thing_and_no_class_with_a_single_one(names):
    assert names["exam"].labels.bincount().tolist() == [3, 2] and len(set(names["things"])) == 5
    assert len(names["quiz"]) == 5 and {len(one) for one in names["lessons"].values()} == {9}


@pytest.mark.parametrize("counts, left", [((7, 5, 4), [7, 5]), ((9, 3, 2), [9, 3]), ((6, 5, 5), [6, 5, 5])])
def test_a_class_with_few_things_is_left_out_while_two_stay(names, counts, left):
    cell, = (cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if "left_out =" in cell.source)
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
    test = ImageSplit(torch.zeros(len(labels), 3, PIXELS, PIXELS, dtype=torch.uint8), labels, names["train"].classes)
    found = names | {"test": test}
    exec(cell, found)
    assert found["exam"].labels.bincount().tolist() == left and len(found["left_out"]) == 3 - len(left)


def test_a_network_with_its_batch_norm_folded_answers_as_before(names):
    """The control among the backbones: what differs between the two is rounding."""
    assert torch.equal(names["right"]["pocket_vgg"], names["right"]["pocket_vgg_bn"])
    assert names["best"]["pocket_vgg"] == names["best"]["pocket_vgg_bn"]
    assert set(names["cost"]) == set(names["sizes"]) == set(names["there"])
