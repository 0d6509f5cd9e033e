"""The benchmark of reading photographs, on small ones: distinct pictures, linked, and both sides read all of them."""
from __future__ import annotations

import pytest

from tests.benchmarks import photographs


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(photographs, "FOLDER", tmp_path)
    monkeypatch.setattr(photographs, "WIDE", 80)
    monkeypatch.setattr(photographs, "HIGH", 60)
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    once = tmp_path / "once/all"
    once.mkdir(parents=True)
    photographs.photographs_of(range(4), once)
    return tmp_path


def test_photographs_differ_and_are_linked(small):
    once, many = photographs.make(4, 30)
    assert len({path.read_bytes() for path in once.iterdir()}) == 4
    assert sorted(path.name for path in many.rglob("*.jpg")) == [f"{k:05}.jpg" for k in range(30)]
    assert (many / "class 05/00025.jpg").samefile(once / "0001.jpg")
    files = photographs.by_class(many, 30)
    assert len(files) == photographs.CLASSES and sum(map(len, files.values())) == 30


@pytest.mark.parametrize("side", ["Pillow", "course"])
def test_both_sides_read_all(small, side):
    found = photographs.measure(side, photographs.by_class(small / "once", 4))
    assert found["seconds"] > 0 and found["memory"] >= found["before"] > 0
