"""The benchmark of depths: what it stores, and that what is trained above the cut gets the gradients of the whole."""
import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers import datasets, networks
from helpers.preprocess import Preprocess
from tests.benchmarks import depth
from tests.benchmarks.gpu_tables import spread
from tests.benchmarks.ledger import MEASURED

PAGE = Path(__file__).resolve().parents[1] / "notebooks/SPEED.md"
SLOTS = {"last two blocks": 10, "last block": 15, "classifier": 20}  # where pocket_vgg pools, as CUTS are VGG-16's


@pytest.fixture
def small(monkeypatch):
    """pocket_vgg in VGG-16's place, and few images."""
    build, plan = networks.build, networks.normalisation
    monkeypatch.setattr(networks, "build", lambda name, weights=None, **more: build("pocket_vgg", weights, **more))
    monkeypatch.setattr(networks, "normalisation", lambda name: plan("pocket_vgg"))
    monkeypatch.setattr(depth, "CUTS", SLOTS)
    monkeypatch.setattr(depth.usual_recipe, "WORKERS", 0)
    for name in ("PER_CLASS", "VAL_PER_CLASS", "EPOCHS"):
        monkeypatch.setattr(depth, name, 1)


def test_what_lies_above_a_cut_gets_the_gradients_that_it_has_in_the_whole_network(small):
    model = networks.fold_first_linear(networks.build("vgg16", num_classes=10)).eval()
    preprocess, images = Preprocess(*networks.normalisation("vgg16")), datasets.pocket("val").at_most(2)
    maps = depth.stored(model, images, preprocess)
    for name, cut in depth.CUTS.items():
        gradients = []
        for network, inputs in ((model, preprocess(images.images)),
                                (networks.in_two(model, f"features.{cut}")[1], maps[name])):
            model.zero_grad()
            cross_entropy(network(inputs), images.labels).backward()
            gradients.append([p.grad.clone() for layer in (*model.features[cut + 1:], model.classifier)
                              for p in layer.parameters()])
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True)), name


@pytest.mark.parametrize("side", depth.SIDES)
def test_both_sides_train_every_depth(small, side, monkeypatch):
    trained, fit, train = [], depth.fit, depth.usual_recipe.train
    monkeypatch.setattr(depth, "fit", lambda model, *data, **more: trained.append(model) or fit(model, *data, **more))
    monkeypatch.setattr(depth.usual_recipe, "train",
                        lambda model, *data, **more: trained.append(model) or train(model, *data, **more))
    assert depth.run(side, 0) > 0 and len(trained) == len(depth.CUTS)
    counts = [networks.count_parameters(model, trainable=True) for model in trained]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) == len(counts)


def test_pairs_are_written_by_turns(monkeypatch, tmp_path, capsys):
    order, seconds = [], {"usual": 40.0, "ours": 8.0}
    monkeypatch.setattr(depth, "measure", lambda side, seed: order.append((side, seed)) or seconds[side])
    monkeypatch.setattr(depth, "OUT", tmp_path / "depth.json")
    monkeypatch.setattr("sys.argv", ["depth", "--pairs", "2"])
    depth.main()
    assert order == [("usual", 0), ("ours", 0), ("usual", 1), ("ours", 1)]
    assert "the course is 5.0 ± 0.0 times as fast" in capsys.readouterr().out
    assert json.loads(depth.OUT.read_text())["pairs"] == [seconds] * 2


def test_the_page_of_speed_has_what_was_measured():
    pairs, text = json.loads((MEASURED / "depth.json").read_text())["pairs"], PAGE.read_text(encoding="utf-8")
    usual, ours = (spread([pair[side] for pair in pairs], ".0f") for side in ("usual", "ours"))
    assert f"{ours} s instead of {usual} s, in {len(pairs)} pairs" in text
    assert f"{spread([pair['usual'] / pair['ours'] for pair in pairs], '.1f')} times as fast" in text
