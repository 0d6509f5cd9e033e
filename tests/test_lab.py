import random

import numpy as np
import pytest
import torch

from helpers.lab import setup


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without a GPU, without VGG-16's weights, without STL-10, and with no wish."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TL_TRACK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return tmp_path


def complete(folder):
    """Put files where the full track looks for them."""
    for name in ("torch/hub/checkpoints/vgg16-397923af.pth", "cache/stl10_binary/train_X.bin"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()


def test_a_bare_machine_gets_the_pocket_track_and_one_line(bare, capsys):
    lab = setup(seed=3)
    assert (lab.track, lab.backbone, lab.data) == ("pocket", "pocket_vgg", "pocket")
    assert (lab.device.type, lab.seed, lab.cache) == ("cpu", 3, bare / "cache")
    assert capsys.readouterr().out == "pocket track (no GPU): pocket_vgg on pocket data, cpu, seed 3\n"


def test_a_complete_machine_gets_the_full_track(bare, capsys, monkeypatch):
    complete(bare)
    assert setup().track == "pocket"  # still no GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    lab = setup()
    assert (lab.track, lab.backbone, lab.data, lab.device.type) == ("full", "vgg16", "stl10", "cuda")
    assert capsys.readouterr().out.splitlines()[1].startswith("full track (GPU, weights and data are there): vgg16 on")


def test_a_gpu_alone_is_not_enough_and_the_line_says_so(bare, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert setup().track == "pocket"
    assert "pocket track (the weights of vgg16 are not in " in capsys.readouterr().out


def test_the_environment_variable_decides(bare, capsys, monkeypatch):
    complete(bare)
    monkeypatch.setenv("TL_TRACK", "full")
    assert setup().backbone == "vgg16"
    assert capsys.readouterr().out == (
        "full track (TL_TRACK=full): vgg16 on stl10 data, cpu, seed 0, which will be slow without a GPU\n")
    monkeypatch.setenv("TL_TRACK", "pocket")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert setup().track == "pocket"


def test_the_full_track_without_weights_and_data_gets_one_sentence(bare, monkeypatch):
    monkeypatch.setenv("TL_TRACK", "full")
    sentence = "^TL_TRACK=full was asked for, but the weights of vgg16 are not in .* and STL-10 is not in .*; unset"
    with pytest.raises(RuntimeError, match=sentence):
        setup()


def test_unknown_names_are_answered_with_the_valid_ones(bare, monkeypatch):
    with pytest.raises(ValueError, match="^Unknown backbone 'resnet18'; choose one of pocket_vgg, vgg11, .*vgg19_bn.$"):
        setup(backbone="resnet18")
    with pytest.raises(ValueError, match="^Unknown data set 'cifar'; choose one of pocket, digits, stl10.$"):
        setup(data="cifar")
    monkeypatch.setenv("TL_TRACK", "fast")
    with pytest.raises(ValueError, match="^Unknown track TL_TRACK='fast'; choose one of pocket, full.$"):
        setup()


def test_network_and_data_are_chosen_one_by_one(bare):
    lab = setup(backbone="vgg16", data="digits")
    assert (lab.track, lab.backbone, lab.data) == ("pocket", "vgg16", "digits")


def test_the_seed_reaches_every_generator(bare):
    draws = []
    for _ in range(2):
        setup(seed=7)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
