"""What needs packages that a reader may do without: ONNX files, and photographs in HEIC."""
import os
import subprocess
import sys

import pillow_heif
import pytest
import torch

from helpers import datasets, export, takeaway
from tests.test_own_pictures import RED, file, garden, plain  # noqa: F401
from tests.test_takeaway import PLAIN, ROOT, content_names, network, save


def test_heic_where_its_package_is_installed(garden, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    pillow_heif.register_heif_opener()
    (garden / "rose" / "phone.heic").write_bytes(file(plain(), "HEIF", quality=95))
    found = datasets.folder(garden, 20)
    assert (found.images[1].float().mean((1, 2)) - torch.tensor(RED)).abs().max() < 6


def test_an_onnx_file_answers_as_pytorch_does_for_any_number_of_images(tmp_path):
    taken = takeaway.load(save(network(), tmp_path / "home"))
    assert export.export(taken, tmp_path / "network.onnx") < 1e-4
    images = torch.randint(0, 256, (5, 3, 64, 64), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    with torch.no_grad():
        expected = taken.model(PLAIN(images))
    for count in (1, 2, 5):
        assert torch.allclose(export.run(tmp_path / "network.onnx", images[:count]), expected[:count], atol=1e-4)
    data = (tmp_path / "network.onnx").read_bytes()
    assert str(ROOT).encode() not in data and b"helpers/" not in data  # nothing of this computer's folders
    assert sorted(content_names(tmp_path)) == ["home", "network.onnx"]


def test_an_onnx_file_whose_answers_differ_is_not_kept(tmp_path, monkeypatch):
    taken = takeaway.load(save(network(), tmp_path / "home"))
    monkeypatch.setattr(export, "run", lambda file, images: torch.zeros(len(images), 3))
    with pytest.raises(RuntimeError, match=r"can't be written as .*network.onnx \(its logits are up to .* away from"):
        export.export(taken, tmp_path / "network.onnx")
    assert content_names(tmp_path) == ["home"]


def test_without_npm_the_command_ends_with_one_sentence(tmp_path):
    home = save(network(), tmp_path / "home")
    (tmp_path / "empty").mkdir()
    nowhere = {"PATH": str(tmp_path / "empty"), "TL_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-m", "helpers.page", str(home), str(tmp_path / "site")], cwd=ROOT,
                          text=True, env={**os.environ, **nowhere}, capture_output=True)
    assert done.returncode == 1 and not (tmp_path / "site").exists()
    assert done.stderr == "The npm client is needed to fetch onnxruntime-web; install Node.js and try again.\n"
