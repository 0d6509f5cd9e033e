"""The benchmark of VGG-16's recipes, with the small network in its place."""
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers import networks
from tests.benchmarks import recipes

PAGE = Path(__file__).resolve().parents[1] / "notebooks/RESULTS.md"


@pytest.fixture
def small(monkeypatch, tmp_path):
    """One rate for each method, one draw, one epoch, and a network that a CPU trains in a second."""
    build = networks.build
    names = {"vgg16": "pocket_vgg", "vgg16_bn": "pocket_vgg_bn"}
    monkeypatch.setattr(networks, "build", lambda name, weights=None, **more: build(
        names[name], weights and "default", **more))
    monkeypatch.setattr(networks, "normalisation", lambda name, weights: ((0.5,) * 3, (0.2,) * 3))
    monkeypatch.setattr(recipes, "METHODS", {name: replace(method, rates=method.rates[1:2], epochs=method.epochs // 6)
                                             for name, method in recipes.METHODS.items()})
    monkeypatch.setattr(recipes, "RUNS", tmp_path / "recipes.jsonl")
    for name, value in {"LABELS": 1, "VIEWS": 1, "DRAWS": (0,)}.items():
        monkeypatch.setattr(recipes, name, value)


def test_every_method_is_measured_once(small, monkeypatch):
    recipes.measure()
    rows = [line.split(" | ") for line in recipes.table().splitlines()[2:]]
    assert [row[0].strip("| ") for row in rows] == list(recipes.METHODS)
    monkeypatch.setattr(recipes, "train", None)  # so that another training would fail
    recipes.measure()
    runs = [json.loads(line) for line in recipes.RUNS.read_text().splitlines() if line]
    assert all(0 <= run["accuracy"] <= 1 for run in runs) and len(runs) == len(rows)
    assert [len(run["losses"]) for run in runs] == [1] * 7 + [3, 3]
    monkeypatch.setattr(recipes, "LABELS", 2)  # another setting: nothing of what is kept counts
    assert len(recipes.table().splitlines()) == 2


def test_a_network_from_scratch_gets_the_constants_of_its_own_images(small, monkeypatch):
    seen, fit = {}, recipes.fit
    monkeypatch.setattr(recipes, "fit", lambda model, data, preprocess=None, **more: seen.setdefault(
        "used", preprocess) and fit(model, data, preprocess=preprocess, **more))
    images = recipes.datasets.pocket("train").few(1)
    for name, mean in {"full": (0.5,) * 3, "scratch, plain": recipes.channel_statistics(images.images)[0]}.items():
        seen.clear()
        recipes.train(name, 1e-4, 0, images, images)
        assert seen["used"].mean == mean


@pytest.mark.parametrize(("name", "decay", "last"), [
    ("full", 0.01, 0.0), ("full, weight decay 1", 1.0, 0.0), ("LP-FT, weight decay 1", 1.0, 0.0),
    ("full, constant rate", 0.01, 1e-4), ("LP-FT, constant rate", 0.01, 1e-4)])
def test_what_varies_is_the_decay_or_the_schedule_of_all_layers(small, monkeypatch, name, decay, last):
    """`last` is the rate at the end of the training, where the course's schedule has fallen to zero."""
    runs, new_run = [], recipes.training.new_run
    monkeypatch.setattr(recipes.training, "new_run", lambda *args: runs.append(new_run(*args)) or runs[-1])
    images = recipes.datasets.pocket("train").few(1)
    recipes.train(name, 1e-4, 0, images, images, head_rate=1e-3)
    assert len(runs) == (2 if name.startswith("LP-FT") else 1)
    assert {group["weight_decay"] for group in runs[-1].optimiser.param_groups} == {decay}
    assert min(runs[-1].schedule.get_last_lr()) == pytest.approx(last)
    if len(runs) == 2:
        assert runs[0].optimiser.param_groups[0]["weight_decay"] == 0.01 and runs[0].schedule.get_last_lr() == [0.0]


@pytest.mark.parametrize("name", recipes.METHODS)
def test_one_linear_layer_stands_on_the_last_maps(small, name):
    model = recipes.network(recipes.METHODS[name], seed=3)
    assert isinstance(networks.head(model), nn.Linear) and len(list(model.classifier)) == 1
    assert model(torch.rand(2, 3, 96, 96)).shape == (2, 10)
    normed = any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    assert normed == ("batch norm" in name)


def test_the_best_rate_is_the_best_on_average():
    runs = [{"rate": 1e-3, "accuracy": 0.9}, {"rate": 1e-3, "accuracy": 0.1}, {"rate": 3e-3, "accuracy": 0.6},
            {"rate": 3e-3, "accuracy": 0.6}]
    assert recipes.best_rate(runs) == 3e-3


def test_the_page_of_results_has_the_table_of_what_was_measured():
    """Also, that every rate was tried with every draw."""
    rows = recipes.table().splitlines()
    assert len(rows) == 2 + sum(len(method.rates) for method in recipes.METHODS.values())
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8")
    assert all(row.split(" | ")[3].count(", ") == len(recipes.DRAWS) - 1 for row in rows[2:])
