"""The benchmark on solar cells, with invented cells and the small network in VGG-16's place."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from helpers import networks
from helpers.images import ImageSplit
from helpers.inference import evaluate
from tests.benchmarks import elpv, elpv_tuned

PAGE = Path(__file__).resolve().parents[1] / "notebooks/RESULTS.md"


def invented(count=None, size=64) -> ImageSplit:
    """Sixty-four grey cells, half of them with a bright bar."""
    images = torch.randint(0, 80, (64, 1, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(64) % 2
    images[labels == 1, :, 20:28] += 150
    kinds = tuple(f"{k}; {('mono', 'poly')[k // 2 % 2]}" for k in range(64))
    return ImageSplit(images.repeat(1, 3, 1, 1), labels, ("sound", "defective"), kinds)


@pytest.fixture
def small(monkeypatch, tmp_path):
    build = networks.build
    monkeypatch.setattr(networks, "build", lambda name, weights, **more: build("pocket_vgg", **more))
    monkeypatch.setattr(networks, "normalisation", lambda name, weights: ((0.5,) * 3, (0.2,) * 3))
    monkeypatch.setattr(elpv, "cells", invented)
    monkeypatch.setattr(elpv, "DECAYS", (1.0,))
    monkeypatch.setattr(elpv, "EPOCHS", (2,))
    monkeypatch.setattr(elpv_tuned, "DEPTHS", {"frozen": 20, "last block": 15, "last two blocks": 10})
    monkeypatch.setattr(elpv_tuned, "RATES", (1e-4, 1e-3))
    monkeypatch.setattr(elpv_tuned, "RUNS", tmp_path / "elpv.jsonl")
    monkeypatch.setattr(elpv_tuned, "MAPS", tmp_path / "maps")
    monkeypatch.setattr(elpv_tuned, "CHOOSING", 64)


def test_accuracy_is_the_share_of_right_answers_as_in_the_published_table():
    found = elpv.scores([0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 1, 1])
    assert found == {"accuracy": pytest.approx(5 / 6), "balanced accuracy": 0.75, "F1": pytest.approx(2 / 3)}
    sound = elpv.scores([0, 0, 0], [0, 0, 1])
    assert sound["accuracy"] == pytest.approx(2 / 3) and sound["balanced accuracy"] == 0.5 and sound["F1"] == 0


def test_the_head_takes_features_as_they_are():
    """It is trained on standardised ones; in the layer itself the standardisation is undone."""
    x = torch.randn(2_000, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([100.0, 1, 1, 1, 1]) + 30
    labels = (x[:, 1] > 30).long()
    head = elpv.linear_head(x, labels, decay=0.1, epochs=40, seed=0)
    assert evaluate(head, TensorDataset(x, labels)).accuracy > 0.9


def test_a_cell_is_learnt_from_or_examined_never_both():
    learn, val, test = elpv.divided(invented(), seed=1)
    assert sorted(np.concatenate([learn, val, test])) == list(range(64)) and len(test) == 16
    kinds = [(int(invented().labels[k]), invented().origin[k].split("; ")[1]) for k in test]
    assert {kinds.count(kind) for kind in set(kinds)} == {4}, "stratified by label and type"


def test_every_depth_is_measured_once_with_the_rate_that_validation_chose(small, monkeypatch):
    elpv_tuned.measure(64, seed=0)
    runs = [json.loads(line) for line in elpv_tuned.RUNS.read_text().splitlines() if line]
    for depth in ("last block", "last two blocks"):
        tried = {run["rate"]: run["scores"]["accuracy"] for run in runs
                 if run["depth"] == depth and run["part"] == "validation"}
        (examined,) = [run["rate"] for run in runs if run["depth"] == depth and run["part"] == "test"]
        assert set(tried) == {1e-4, 1e-3} and tried[examined] == max(tried.values())
    rows = elpv_tuned.table().splitlines()
    assert len(rows) == 2 + 1 + 3 and rows[2].startswith("| | all called sound | | 0 | 50.0 (")
    assert all("labels" not in run for run in runs), "they belong to the data set"
    assert "points" in rows[4] and "points" in rows[5] and "points" not in rows[3]

    monkeypatch.setattr(elpv_tuned, "answers", None)  # so that another training would fail
    elpv_tuned.measure(64, seed=0)
    assert elpv_tuned.table().splitlines() == rows


def test_a_larger_size_takes_the_rates_that_were_chosen(small, monkeypatch):
    with pytest.raises(SystemExit, match="^The rates come first: .* --size 64$"):
        elpv_tuned.measure(96, seed=0)
    for depth in ("last block", "last two blocks"):  # one rate is missing, and another does not stand in for it
        for rate in (1e-4, 0.5):
            elpv_tuned.Ledger(elpv_tuned.RUNS, {}).add(part="validation", size=64, depth=depth, seed=0, rate=rate,
                                                       scores={"accuracy": 0.0})
    with pytest.raises(SystemExit, match="^The rates come first: .* --size 64$"):
        elpv_tuned.measure(96, seed=0)
    elpv_tuned.measure(64, seed=0)
    elpv_tuned.measure(96, seed=0)
    runs = [json.loads(line) for line in elpv_tuned.RUNS.read_text().splitlines() if line]
    assert [run["part"] for run in runs if run["size"] == 96] == ["test"] * 3


@pytest.mark.parametrize("depth", ["last block", "last two blocks"])
def test_kept_maps_are_what_the_network_computes(small, depth):
    cells = elpv_tuned.Cells(64)
    model = elpv_tuned.network().eval()
    inputs = elpv_tuned.Preprocess((0.5,) * 3, (0.2,) * 3)(cells.split.images[:4].flip(3))
    with torch.no_grad():
        expected = networks.in_two(model, f"features.{elpv_tuned.DEPTHS[depth]}")[0](inputs)
    found = cells.maps(depth, "mirrored")[:4].float()
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)  # bfloat16 has three digits
    assert (found - cells.maps(depth, "plain")[:4].float()).abs().max() > 0.5, "another view is something else"
    assert len(list(elpv_tuned.MAPS.glob("*.npy"))) == 2 * (1 + (depth == "last block"))


def test_a_map_file_is_written_whole_or_not_at_all(tmp_path):
    def broken():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        elpv_tuned.kept(tmp_path / "maps.npy", broken)
    assert not (tmp_path / "maps.npy").exists()
    first = elpv_tuned.kept(tmp_path / "maps.npy", lambda: torch.ones(3))
    assert torch.equal(first, elpv_tuned.kept(tmp_path / "maps.npy", broken))


def test_the_page_of_results_has_the_table_of_what_was_measured():
    assert elpv_tuned.table() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("depth", ["last block", "last two blocks"])
def test_the_rate_that_was_chosen_lies_between_two_that_are_no_better(depth):
    runs = elpv_tuned.Ledger(elpv_tuned.RUNS, {}).results(part="validation", size=elpv_tuned.CHOOSING, depth=depth)
    tried = {run["rate"]: run["scores"]["accuracy"] for run in runs}
    assert min(tried) < elpv_tuned.best_rate(depth, 0) < max(tried)
