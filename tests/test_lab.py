import random
import socket

import numpy as np
import pytest
import torch

from helpers import datasets, devices
from helpers.fetch import downloads, stl10, weights
from helpers.lab import setup


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without a GPU, without VGG-16's weights, without STL-10, without a network, and with no wish."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    for name in ("TL_TRACK", "TL_MIRROR", "TL_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    for gpu in (torch.cuda, torch.backends.mps, torch.xpu):
        monkeypatch.setattr(gpu, "is_available", lambda: False)
    monkeypatch.setattr(downloads, "PAUSE", 0)

    def no_network(*_):
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    return tmp_path


@pytest.fixture
def complete(bare, monkeypatch):
    """Weights and data can be had."""
    asked = []
    monkeypatch.setattr(weights, "weights_file", asked.append)
    monkeypatch.setattr(stl10, "fetch", asked.append)
    return asked


@pytest.fixture
def gpu(bare, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def apple(bare, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


def test_a_bare_machine_gets_the_pocket_track_and_one_line(bare, complete, capsys):
    lab = setup(seed=3)
    assert (lab.track, lab.backbone, lab.data) == ("pocket", "pocket_vgg", "pocket")
    assert (lab.device.type, lab.seed, lab.cache) == ("cpu", 3, bare / "cache")
    assert capsys.readouterr().out == "pocket track (no GPU): pocket_vgg on pocket data, cpu, seed 3\n"
    assert complete == []  # nothing is fetched for it


def test_the_small_network_with_batch_norm_ships_as_well(bare, complete, monkeypatch, capsys):
    monkeypatch.setenv("TL_TRACK", "full")
    lab = setup(backbone="pocket_vgg_bn", data="pocket")
    assert (lab.backbone, lab.rate) == ("pocket_vgg_bn", 3e-4) and complete == []
    assert "slow" not in capsys.readouterr().out


def test_with_a_gpu_weights_and_data_are_fetched(bare, complete, gpu, capsys):
    lab = setup()
    assert (lab.track, lab.backbone, lab.data, lab.device.type) == ("full", "vgg16", "stl10", "cuda")
    assert capsys.readouterr().out == (
        "full track (GPU): vgg16 on stl10 data, cuda, seed 0\n"
        "This machine has cpu and cuda: cuda is used; TL_DEVICE=cpu chooses another.\n")
    assert complete == ["vgg16", bare / "cache"]


def test_where_they_cannot_be_had_the_lesson_goes_on(bare, gpu, capsys):
    lab = setup()
    why, line, _ = capsys.readouterr().out.splitlines()
    assert lab.track == "pocket" and line.startswith("pocket track (weights or data of the full track can't be had)")
    assert why.startswith("The weights of vgg16 could not be fetched: https://download.pytorch.org/")
    assert "there is no network" in why


def test_who_insists_gets_one_sentence(bare, monkeypatch):
    monkeypatch.setenv("TL_TRACK", "full")
    with pytest.raises(RuntimeError, match="^TL_TRACK=full was asked for. The weights of vgg16 could not be fetched"):
        setup()
    with pytest.raises(RuntimeError, match="^TL_TRACK=full was asked for. STL-10 could not be fetched: http://ai.stan"):
        setup(backbone="pocket_vgg")
    assert not list(bare.rglob("*.bin*"))


def test_the_environment_variable_decides(bare, complete, capsys, monkeypatch):
    monkeypatch.setenv("TL_TRACK", "full")
    lab = setup()
    assert (lab.backbone, lab.rate, lab.per_class) == ("vgg16", 3e-5, 12)
    assert capsys.readouterr().out == (
        "full track (TL_TRACK=full): vgg16 on stl10 data, cpu, seed 0, which will be slow without a GPU\n")
    monkeypatch.setenv("TL_TRACK", "pocket")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert setup().track == "pocket"


@pytest.mark.parametrize("data", ["pocket", "letters", "digits"])
def test_every_class_has_the_labels_that_a_lesson_asks_for(bare, gpu, data):
    """On a GPU, too: a class of the pocket data has no more drawings there."""
    assert len(datasets.load(data, "train").few(setup("pocket_vgg", data).per_class)) >= 120


def test_a_gpu_has_room_for_more_photographs(bare, complete, gpu):
    assert setup().per_class == 100


def test_unknown_names_are_answered_with_the_valid_ones(bare, monkeypatch):
    with pytest.raises(ValueError, match="^Unknown backbone 'resnet18'; choose one of pocket_vgg, .*vgg19_bn.$"):
        setup(backbone="resnet18")
    with pytest.raises(ValueError, match="^Unknown data set 'cifar'; choose one of pocket, .*stl10, or give the path"):
        setup(data="cifar")
    monkeypatch.setenv("TL_TRACK", "fast")
    with pytest.raises(ValueError, match="^Unknown track TL_TRACK='fast'; choose one of pocket, full.$"):
        setup()


# --- devices -----------------------------------------------------------------------------------------------------

def test_apples_gpu_is_there_and_not_used_unless_asked_for(apple, complete, capsys):
    assert setup().device.type == "cpu" and complete == []
    assert capsys.readouterr().out == (
        "pocket track (no CUDA GPU in use): pocket_vgg on pocket data, cpu, seed 0\n"
        "This machine has cpu and mps: cpu is used; TL_DEVICE=mps chooses another.\n")


def test_apples_gpu_is_used_where_the_reader_asks_for_it(apple, complete, capsys, monkeypatch):
    monkeypatch.setenv("TL_DEVICE", "mps")
    lab = setup()
    assert (lab.device.type, lab.track, lab.per_class) == ("mps", "pocket", 12) and complete == []
    assert capsys.readouterr().out == (
        "pocket track (no CUDA GPU in use): pocket_vgg on pocket data, mps, seed 0\n"
        "This machine has cpu and mps: mps is used, where results need not repeat to the bit; TL_DEVICE=cpu chooses "
        "another.\n")
    monkeypatch.setenv("TL_TRACK", "full")
    lab = setup()
    assert (lab.device.type, lab.track) == ("mps", "full") and "slow" not in capsys.readouterr().out


def test_who_wants_the_cpu_beside_a_gpu_gets_it(gpu, complete, capsys, monkeypatch):
    monkeypatch.setenv("TL_DEVICE", "cpu")
    lab = setup()
    assert (lab.device.type, lab.track, complete) == ("cpu", "pocket", [])
    assert capsys.readouterr().out.endswith("This machine has cpu and cuda: cpu is used; TL_DEVICE=cuda chooses "
                                            "another.\n")


def test_all_devices_in_one_sentence(apple, gpu, monkeypatch):
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    assert devices.choose().type == "cuda"
    assert devices.told(torch.device("xpu")) == (
        "This machine has cpu and cuda and mps and xpu: xpu is used, where results need not repeat to the bit; "
        "TL_DEVICE=cpu or TL_DEVICE=cuda or TL_DEVICE=mps chooses another.")


@pytest.mark.parametrize("wish", ["gpu", "CUDA", "cuda:1", "meta", " "])
def test_a_device_that_nobody_knows(gpu, complete, wish, monkeypatch, capsys):
    monkeypatch.setenv("TL_DEVICE", wish)
    with pytest.raises(ValueError, match=f"^Unknown device TL_DEVICE='{wish}'; choose one of cpu, cuda, mps, xpu.$"):
        setup()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("wish", ["mps", "xpu"])
def test_a_device_that_is_not_there(gpu, complete, wish, monkeypatch):
    monkeypatch.setenv("TL_DEVICE", wish)
    with pytest.raises(RuntimeError, match=f"^TL_DEVICE={wish} was asked for, but this machine, or this PyTorch, has "
                                           f"no {wish}; choose one of cpu, cuda.$"):
        setup()
    assert complete == []


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", None, True])
def test_a_seed_that_is_none(bare, seed, capsys):
    before = random.getstate()
    with pytest.raises(ValueError, match="^seed must be a whole number from 0 to 4294967295, not "):
        setup(seed=seed)
    assert capsys.readouterr().out == "" and random.getstate() == before


@pytest.mark.parametrize("name", [["vgg16"], 16, True])
def test_names_of_another_kind(bare, name):
    with pytest.raises(ValueError, match="^Unknown backbone .*; choose one of pocket_vgg, "):
        setup(backbone=name)
    with pytest.raises(ValueError, match="^Unknown data set .*; choose one of pocket, letters, digits, stl10, or give"):
        setup(data=name)


def test_no_message_shows_a_placeholder(bare, monkeypatch):
    """Every source that is tried stands in the sentence as it was asked, with the mirror and without."""
    monkeypatch.setenv("TL_TRACK", "full")
    for mirror in ("", "~/mirror", "http://mirror.invalid"):
        monkeypatch.setenv("TL_MIRROR", mirror)
        for wish in ({"backbone": "pocket_vgg"}, {"data": "pocket"}):
            with pytest.raises(RuntimeError) as error:
                setup(**wish)
            sentence = str(error.value)
            assert "could not be fetched: " in sentence and not set("{}~%") & set(sentence.replace("~acoates", ""))


def test_network_and_data_are_chosen_one_by_one(bare):
    lab = setup(backbone="vgg16", data="digits")
    assert (lab.track, lab.backbone, lab.data) == ("pocket", "vgg16", "digits")


def test_the_seed_reaches_every_generator(bare):
    draws = []
    for _ in range(2):
        setup(seed=7)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
