"""The benchmark of speed: what it counts as work, and what stands in its table."""
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.benchmarks import __main__ as benchmark
from tests.benchmarks import card, measure, usual_recipe, work
from tests.benchmarks.ledger import MEASURED

PAGE = Path(__file__).resolve().parents[1] / "notebooks/SPEED.md"


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 8 * 8, 10))


def test_operations_are_those_that_are_counted_by_hand():
    conv, linear = 2 * 8 * 8 * 4 * 27, 2 * 256 * 10  # an addition and a multiplication for each weight and place
    model, image = small_network(), torch.rand(1, 3, 8, 8)
    forward, both = work.operations(model, image)
    assert forward == conv + linear
    assert both == forward + conv + 2 * linear  # for weights and inputs; of the image no gradient is needed
    model[0].requires_grad_(False)
    assert work.operations(model, image) == (forward, forward + linear)  # nothing below the head learns
    assert all(p.grad is None for p in model.parameters())


def test_the_peak_is_a_speed():
    """Hardly a machine does less than a hundred million operations per second, or more than 10^16."""
    assert 1e8 < work.fastest_product(card.device(), torch.float32, 256) < 1e16


@pytest.mark.parametrize("frozen", (True, False))
def test_both_sides_take_the_operations_of_their_way(frozen, monkeypatch):
    """The recipe sends all images through the network in every epoch; the course a frozen one only once."""
    monkeypatch.setattr(usual_recipe, "WORKERS", 0)
    monkeypatch.setattr(measure, "operations", lambda model, image: (10, 30))
    task = measure.Task("pocket_vgg", frozen, per_class=2, val_per_class=1, epochs=2, recipe_lr=1e-3, our_lr=1e-3)
    found = {side: measure.run(task, side, seed=0) for side in benchmark.SIDES}
    epoch = 20 * 30 + 10 * 10
    assert found["recipe"]["operations"] == 2 * epoch
    assert found["ours"]["operations"] == (epoch if frozen else 2 * epoch)
    assert all(run["seconds"] > 0 and 0 <= run["accuracy"] <= 1 for run in found.values())


def test_a_row_has_the_ratio_and_the_shares_of_both_peaks():
    pairs = [{"recipe": {"seconds": 8 * k, "accuracy": 0.5, "operations": 8e9 * k, "memory": 2e9},
              "ours": {"seconds": 2 * k, "accuracy": 0.6, "operations": 8e9 * k, "memory": 1e9}} for k in (1, 2)]
    row = benchmark.row("full", pairs, {"float32": 1e10, "bfloat16": 4e10})
    assert row == ("| full | 12.0 ± 5.7 | 3.0 ± 1.4 | **4.0 ± 0.0** | 10 / 2 | 40 / 10 | 50.0 ± 0.0 | 60.0 ± 0.0 "
                   "| 2,000 | 1,000 |")


def test_the_page_of_speed_has_the_numbers_that_were_measured():
    found, text = json.loads((MEASURED / "speed.json").read_text()), PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| AVX-512")]
    assert len(rows) == len(found["tasks"]) == 3
    for row, (task, pairs) in zip(rows, found["tasks"].items(), strict=True):
        name, *seconds_and_ratio = benchmark.row(task, pairs, found["peaks"]).strip("| ").split(" | ")[:4]
        said = row.replace("`pocket_vgg`", "pocket").replace("VGG-16", "vgg16")
        assert name in said and f" | {len(pairs)} | {' | '.join(seconds_and_ratio)} | ".replace("**", "") in said
    shares = {task: [int(part) for side in benchmark.SIDES
                     for part in benchmark.shares([pair[side] for pair in pairs], found["peaks"]).split(" / ")]
              for task, pairs in found["tasks"].items()}
    text = " ".join(text.split())
    assert "{:,.0f} billion operations per second in float32, and {:,.0f} billion in bfloat16".format(
        *(peak / 1e9 for peak in found["peaks"].values())) in text
    (usual, *_, course), (other_usual, *_, other_course) = shares["full vgg16"], shares["full pocket"]
    assert f"{usual} % of the float32 peak, and the course at {course} % of the bfloat16 peak" in text
    assert f"the shares are {other_usual} and {other_course} %" in text
    seconds = {side: sum(pair[side]["seconds"] for pair in found["tasks"]["full vgg16"]) for side in benchmark.SIDES}
    assert f"about {seconds['recipe'] / seconds['ours'] / (course / 100):.1f} times as fast" in text
