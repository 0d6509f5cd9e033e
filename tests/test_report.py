"""The report for issues: what it says of a machine, and that it says nothing of its owner."""
import builtins
import platform
import re
from pathlib import Path

import pytest
import torch

from helpers import install, report
from helpers.fetch import stl10, weights
from tests.test_project import names, requirements

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def a_plain_machine(monkeypatch, tmp_path):
    for name in (*report.SAID, *report.HIDDEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(weights, "weights_cached", lambda name: True)
    monkeypatch.setattr(stl10, "missing", lambda folder: {"train_X.bin": ""})


def said() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in report.lines())


def test_it_tells_course_system_versions_devices_and_track():
    found = said()
    assert list(found) == ["course", "system", "Python", "packages", "variables", "devices", "track", "full track"]
    assert found["course"] in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert found["Python"] == platform.python_version() and platform.system() in found["system"]
    assert [name for name in names(requirements()) if name not in found["packages"]] == []
    assert f"torch {install.version('torch')}" in found["packages"] and "missing" not in found["packages"]
    assert found["devices"].startswith("cpu") and found["devices"].endswith("; cpu is used")
    assert re.fullmatch(r"pocket \(no (CUDA )?GPU.*\)", found["track"])
    assert found["full track"] == "VGG-16's weights are there, STL-10 is not there"


def test_a_package_that_is_not_there_is_missing(monkeypatch):
    monkeypatch.setattr(report, "version", lambda name: None if name == "anywidget" else "1.0")
    assert "anywidget missing" in said()["packages"] and "torch 1.0" in said()["packages"]


def test_the_track_that_was_asked_for_is_told_and_folders_and_addresses_are_not(monkeypatch, tmp_path):
    monkeypatch.setenv("TL_TRACK", "full")
    monkeypatch.setenv("TL_CACHE", str(tmp_path))
    monkeypatch.setenv("TL_MIRROR", "http://10.0.0.7:8000")
    found = said()
    assert found["variables"] == "TL_TRACK=full, TL_CACHE is set, TL_MIRROR is set"
    assert found["track"] == "full (TL_TRACK=full)"
    everything = "\n".join(report.lines())
    assert str(tmp_path) not in everything and "10.0.0.7" not in everything
    assert str(Path.home()) not in everything


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("TL_DEVICE", "cuda")
    found = said()
    assert "TL_DEVICE=cuda was asked for" in found["devices and track"] and found["variables"] == "TL_DEVICE=cuda"


def test_where_torch_cannot_be_imported_the_rest_is_told(monkeypatch):
    usual = builtins.__import__

    def without_torch(name, *rest):
        if name == "torch":
            raise ImportError("libcudart.so is not there")
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    found = said()
    assert found["devices and track"] == "can't be told (ImportError: libcudart.so is not there)"
    assert "torch" in found["packages"]
