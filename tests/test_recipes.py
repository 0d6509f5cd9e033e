"""The benchmark of VGG-16's recipes, with the small network in its place."""
import json
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
    monkeypatch.setattr(recipes, "RATES", {method: rates[1:2] for method, rates in recipes.RATES.items()})
    monkeypatch.setattr(recipes, "RUNS", tmp_path / "recipes.jsonl")
    for name, value in {"LABELS": 1, "EPOCHS": 1, "LONG": 2, "VIEWS": 1, "DRAWS": (0,)}.items():
        monkeypatch.setattr(recipes, name, value)


def test_every_method_is_measured_once(small, monkeypatch):
    recipes.measure()
    rows = [line.split(" | ") for line in recipes.table().splitlines()[2:]]
    assert [row[0].strip("| ") for row in rows] == list(recipes.RATES)
    monkeypatch.setattr(recipes, "train", None)  # so that another training would fail
    recipes.measure()
    runs = [json.loads(line) for line in recipes.RUNS.read_text().splitlines() if line]
    assert all(0 <= run["accuracy"] <= 1 for run in runs) and len(runs) == len(rows)
    assert all(len(run["losses"]) == (2 if run["method"].endswith("for longer") else 1) for run in runs)


@pytest.mark.parametrize("method", recipes.RATES)
def test_one_linear_layer_stands_on_the_last_maps(small, method):
    model = recipes.network(method, seed=3)
    assert isinstance(networks.head(model), nn.Linear) and len(list(model.classifier)) == 1
    assert model(torch.rand(2, 3, 96, 96)).shape == (2, 10)
    normed = any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    assert normed == ("batch norm" in method)


def test_the_best_rate_is_the_best_on_average():
    runs = [{"rate": 1e-3, "accuracy": 0.9}, {"rate": 1e-3, "accuracy": 0.1}, {"rate": 3e-3, "accuracy": 0.6},
            {"rate": 3e-3, "accuracy": 0.6}]
    assert recipes.best_rate(runs) == 3e-3


def test_the_page_of_results_has_the_table_of_what_was_measured():
    """Also, that every rate was tried with every draw."""
    rows = recipes.table().splitlines()
    assert len(rows) == 2 + sum(map(len, recipes.RATES.values()))
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8")
    assert all(row.split(" | ")[2].count(", ") == len(recipes.DRAWS) - 1 for row in rows[2:])
