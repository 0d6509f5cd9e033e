"""The page for when it goes wrong: its links lead somewhere, and the mistakes that no other test makes are made here.

Each of these tests makes a mistake on purpose and sees the symptom; where the course has a cure, it sees that as well.
"""
import functools
import math
import re

import nbformat
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from helpers import datasets, inference, networks
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.make.glossary import anchor
from helpers.preprocess import Preprocess
from helpers.training import fit
from tests.test_project import ROOT

FOLDER = ROOT / "notebooks"
PAGE = (FOLDER / "WHEN_IT_GOES_WRONG.md").read_text(encoding="utf-8")
ENTRIES = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
LINK = re.compile(r"\[([^]]+)\]\(([^)\s]+)\)")


# --- the page ----------------------------------------------------------------------------------------------------

def headings(text: str) -> list[str]:
    """The headings of Markdown, without those that are comments in a block of code."""
    return re.findall(r"^#+ (.+?)\s*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


@functools.cache
def places(target: str, page: str) -> list[str]:
    """The anchors of a page of the course, as JupyterLab gives them to a notebook, and GitHub to Markdown."""
    if target.endswith(".ipynb"):
        cells = nbformat.read(FOLDER / target, as_version=4).cells
        found = headings("\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))
        return [heading.replace(" ", "-") for heading in found]
    return [anchor(heading) for heading in headings((FOLDER / target).read_text(encoding="utf-8") if target else page)]


def dead(page: str) -> list[str]:
    """The links of the page that lead nowhere, or elsewhere than they say."""
    found = []
    for words, link in LINK.findall(page):
        target, _, place = link.partition("#")
        file, quoted = FOLDER / target, re.search(r'"(.+)"', words)
        if target.endswith(".py"):
            alive = file.exists() and f"\ndef {words.strip('`')}(" in file.read_text(encoding="utf-8")
        else:
            alive = file.exists() and place in places(target, page)
            named = quoted and (quoted[1].replace(" ", "-") if target.endswith(".ipynb") else anchor(quoted[1]))
            alive = alive and named in (None, place)
        if not alive:
            found.append(f"[{words}]({link})")
    return found


def test_every_link_leads_to_a_section_or_a_test_that_is_there():
    assert dead(PAGE) == []


@pytest.mark.parametrize("link", [
    '[notebook 4, "One training step"](04_frozen_vs_full.ipynb#Two-training-steps)',
    '[notebook 4, "Two training steps"](04_frozen_vs_full.ipynb#One-training-step)',
    '[notebook 9, "One training step"](09_none.ipynb#One-training-step)',
    "[`test_that_there_is_not`](../tests/test_wrong.py)", "[`test_the_seed_decides`](../tests/test_none.py)",
    "[The loss](#the-loss)", '[the guide, "Plan C"](TEACHING.md#plan-c)'])
def test_a_dead_link_is_found(link):
    assert dead(f"## The loss is NaN\n\n{link}\n") == [link]


def test_the_table_of_contents_has_every_entry_in_order():
    contents = [words for words, link in LINK.findall(PAGE) if link.startswith("#")]
    assert contents == [entry.split("\n")[0] for entry in ENTRIES] and len(contents) >= 20


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split("\n")[0])
def test_an_entry_has_a_cause_a_cure_and_a_place_where_it_is_seen(entry):
    why, cure, seen = (entry.split(f"**{word}.**")[1].split("**")[0] for word in ("Why", "What to do", "See"))
    assert 40 < len(why) < 450 and 40 < len(cure) < 450
    assert [link for _, link in LINK.findall(seen) if ".ipynb#" in link or link.endswith(".py")]


# --- mistakes, made on purpose -----------------------------------------------------------------------------------

@pytest.fixture
def points():
    """Two clouds on either side of a line: 200 points with four features, and their labels."""
    torch.manual_seed(0)
    labels = torch.arange(2).repeat(100)
    return torch.randn(200, 4) + 2.0 * labels[:, None] - 1, labels


def descend(model: nn.Module, points, steps: int = 30, lr: float = 0.1, clear: bool = True,
            optimiser=None) -> list[float]:
    """The losses of a plain loop over all points at once."""
    inputs, labels = points
    optimiser = optimiser or torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        if clear:
            optimiser.zero_grad()
        loss = cross_entropy(model(inputs), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_steps_too_large_end_in_no_number(points):
    def network():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 2))

    assert not math.isfinite(descend(network(), points, lr=1e4)[-1])
    assert descend(network(), points, lr=0.1)[-1] < 0.3


def test_labels_of_other_images_teach_nothing(points):
    inputs, labels = points
    exam = TensorDataset(inputs, labels)
    accuracies = {}
    for name, taught in (("right", labels), ("shuffled", labels[torch.randperm(len(labels))])):
        model = nn.Linear(4, 2)
        fit(model, TensorDataset(inputs, taught), lr=0.05, epochs=3)
        accuracies[name] = evaluate(model, exam).accuracy
    assert accuracies["right"] > 0.9 and accuracies["shuffled"] < 0.75


def test_an_optimiser_made_before_the_new_head_does_not_move_it(points):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 5))
    model[0].requires_grad_(False)
    early = torch.optim.SGD(model.parameters(), lr=0.1)
    networks.replace_head(model, 2)
    losses = descend(model, points, optimiser=early)
    assert losses[0] == losses[-1]
    losses = descend(model, points, optimiser=torch.optim.SGD(model.parameters(), lr=0.1))
    assert losses[-1] < losses[0]


def test_a_softmax_too_many_keeps_the_loss_up():
    logits = 100 * nn.functional.one_hot(torch.arange(10)).float()  # certain, and right
    labels = torch.arange(10)
    assert cross_entropy(logits, labels) < 1e-6
    assert cross_entropy(logits.softmax(1), labels) == pytest.approx(1.46, abs=0.005)


def test_gradients_pile_up_unless_they_are_cleared(points):
    def ups(losses):
        return sum(later > earlier for earlier, later in zip(losses, losses[1:], strict=False))

    torch.manual_seed(0)
    cleared, piled = nn.Linear(4, 2), nn.Linear(4, 2)
    piled.load_state_dict(cleared.state_dict())
    assert ups(descend(cleared, points, steps=60)) == 0
    assert ups(descend(piled, points, steps=60, clear=False)) > 10


def test_one_answer_for_everything_is_chance_where_classes_count_alike():
    labels = torch.tensor([0] * 95 + [1] * 5)
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([1.0, 0.0]))  # always the first class
    result = evaluate(model, TensorDataset(torch.randn(100, 4), labels))
    assert (result.predictions == labels).float().mean() == pytest.approx(0.95)
    assert result.accuracy == 0.5 and result.confusion().tolist() == [[95, 0], [5, 0]]


def test_dropout_makes_training_look_worse_than_it_is(points):
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.7), nn.Linear(16, 2))
    data = TensorDataset(*points)
    history = fit(model, data, lr=0.05, epochs=4)
    assert evaluate(model, data).accuracy > history.epochs[-1]["train_accuracy"] + 0.02


def test_without_eval_the_same_image_gets_other_answers(points):
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(), nn.Linear(16, 2)).train()
    inputs, labels = points
    assert not torch.equal(model(inputs), model(inputs))
    one, other = (evaluate(model, TensorDataset(inputs, labels)).logits for _ in range(2))
    assert torch.equal(one, other)  # whatever mode the network is in


def test_red_and_blue_exchanged_raise_no_error(tiny):
    """The class is the channel that is bright: what was red is taken for blue, and nobody is told."""
    preprocess = Preprocess((0.5,) * 3, (0.25,) * 3)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    data = tiny(20)
    fit(model, data, lr=0.1, epochs=5, preprocess=preprocess)
    exchanged = ImageSplit(data.images.flip(1), data.labels, data.classes)
    assert evaluate(model, data, preprocess).accuracy == 1
    assert evaluate(model, exchanged, preprocess).confusion().tolist() == [[0, 0, 20], [0, 20, 0], [20, 0, 0]]


def test_names_are_sorted_letter_by_letter(tmp_path, monkeypatch):
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    for name in ("2", "10", "ant", "Zebra"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / "1.png")
    assert datasets.folder(tmp_path / "photos", 8).classes == ("10", "2", "Zebra", "ant")


def test_a_temperature_changes_how_sure_it_is_and_no_answer(points):
    model = nn.Linear(4, 2)
    fit(model, TensorDataset(*points), lr=0.05, epochs=3)
    logits = evaluate(model, TensorDataset(*points)).logits
    sure, less = (inference.Evaluation(0.0, 0.0, logits / t, points[1]) for t in (1, 3))
    assert torch.equal(sure.predictions, less.predictions)
    assert less.confidences.mean() < sure.confidences.mean() - 0.05


def test_batch_norm_can_not_learn_from_a_single_value():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4)).train()
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        model(torch.randn(1, 3, 8, 8))
    assert model(torch.randn(2, 3, 8, 8)).shape == model.eval()(torch.randn(2, 3, 8, 8)).shape == (2, 4, 1, 1)
