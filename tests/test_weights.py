"""torchvision's weights arrive whole, or one sentence says why not."""
import hashlib
import io

import pytest
import torch
from torchvision.models import VGG11_Weights

from helpers import networks, pretrained
from helpers.fetch import downloads, weights
from tests.bad_server import BadServer


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A state dict as bytes, its name with its hash, and TORCH_HOME in a new folder."""
    file = io.BytesIO()
    torch.save({"features.0.weight": torch.arange(5.0)}, file)
    name = f"vgg11-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.delenv("TL_MIRROR", raising=False)
    monkeypatch.setattr(VGG11_Weights.IMAGENET1K_V1.value, "url", f"http://127.0.0.1:9/{name}")
    monkeypatch.setattr(downloads, "PAUSE", 0.01)
    return name, file.getvalue()


def cached(name: str):
    return weights._cached(f"/{name}")


@pytest.mark.parametrize("mode", ["fine", "cut without ranges", "503 twice"])
def test_they_are_fetched_once(checkpoint, mode, monkeypatch):
    name, data = checkpoint
    with BadServer({f"/{name}": data}, mode) as server:
        monkeypatch.setattr(VGG11_Weights.IMAGENET1K_V1.value, "url", f"{server.address}/{name}")
        for _ in range(2):
            assert torch.equal(pretrained.read_weights("vgg11")["features.0.weight"], torch.arange(5.0))
    assert server.requests == {"fine": 1, "cut without ranges": 1, "503 twice": 3}[mode]


@pytest.mark.parametrize("wrong", [b"", b"half", b"<html>no</html>" * 1000])
def test_a_wrong_file_in_the_cache_is_named_and_replaced(checkpoint, wrong, monkeypatch, tmp_path, capsys):
    name, data = checkpoint
    cached(name).parent.mkdir(parents=True)
    cached(name).write_bytes(wrong)
    (tmp_path / name).write_bytes(data)
    monkeypatch.setenv("TL_MIRROR", str(tmp_path))
    assert pretrained.read_weights("vgg11")["features.0.weight"].sum() == 10
    line = f"{name} in {cached(name).parent} is damaged or incomplete: it is fetched again.\n"
    assert capsys.readouterr().out == line
    assert cached(name).read_bytes() == data


def test_one_sentence_names_all_that_was_tried(checkpoint, monkeypatch, tmp_path):
    name, data = checkpoint
    monkeypatch.setenv("TL_MIRROR", str(tmp_path))
    with BadServer({f"/{name}": data[:-1] + b"!"}) as server:
        monkeypatch.setattr(VGG11_Weights.IMAGENET1K_V1.value, "url", f"{server.address}/{name}")
        with pytest.raises(RuntimeError) as error:
            networks.build("vgg11")
    assert str(error.value).startswith(
        f"The weights of vgg11 could not be fetched: {tmp_path}/{name}: no such file or directory; "
        f"{server.address}/{name}: the file has other contents than it should have. Check the network connection")
    assert not cached(name).exists() and not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("call", [weights.weights_of, weights.weights_file, weights.weights_cached])
@pytest.mark.parametrize("name", ["vgg17", "VGG-16", None, ["vgg16"]])
def test_a_network_that_there_is_not(call, name):
    with pytest.raises(ValueError, match="^Unknown network .*; choose one of those that torchvision"):
        call(name)


@pytest.mark.parametrize("member", ["IMAGENET1K_V9", None])
def test_weights_that_there_are_not(member):
    with pytest.raises(ValueError, match="^Unknown weights .* for vgg11; choose one of IMAGENET1K_V1, DEFAULT.$"):
        weights.weights_of("vgg11", member)


def test_the_home_folder_as_mirror(checkpoint, monkeypatch, tmp_path):
    name, data = checkpoint
    (tmp_path / name).write_bytes(data)
    monkeypatch.setenv("HOME", str(tmp_path)), monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("TL_MIRROR", "~")
    assert pretrained.read_weights("vgg11")["features.0.weight"].sum() == 10


def test_a_folder_that_cannot_be_written(checkpoint, monkeypatch, tmp_path):
    (tmp_path / "torch").touch()
    with pytest.raises(RuntimeError, match="^The weights of vgg11 can't be written to .*or set TORCH_HOME to another"):
        networks.build("vgg11")
