"""The script that collects the drawings, on a made-up package of icon sets."""
import json

import numpy as np
import pytest

from helpers import drawings
from helpers.make import drawings as make

CAR = '<path fill="{}" d="M4 10h16v8H4z"/><circle cx="8" cy="18" r="3" fill="{}"/>'
PLANE = '<path fill="currentColor" d="M11 2h2v7l9 5v2l-9-3v6l3 2v1l-4-1l-4 1v-1l3-2v-6l-9 3v-2l9-5z"/>'


@pytest.fixture
def package(tmp_path):
    """A made-up package: two open sets, one of them in colour, one share-alike set and one of logos."""
    sets = {
        "plain": ("Ann", "MIT", {"car": CAR, "car-outline": '<path fill="none" stroke="currentColor" d="M4 5h9v8H4z"/>',
                                 "plane": PLANE, "paper-plane": PLANE, "cat": '<path d=""/>'}),
        "copied": ("Bob", "CC-BY-4.0", {"jet": PLANE, "aeroplane": PLANE.replace("h2v7", "h3v7")}),
        "bright": ("Material Design Authors", "Apache-2.0", {"automobile": CAR.replace("{}", "#c00", 1)}),
        "shared": ("Cy", "CC-BY-SA-4.0", {"car": CAR}), "brands": ("Di", "MIT", {"car": CAR}),
    }
    (tmp_path / "json").mkdir()
    about = {}
    for prefix, (author, licence, bodies) in sets.items():
        icons = {name: {"body": body.format("currentColor", "currentColor") if prefix != "bright" else
                        body.format("#00c")} for name, body in bodies.items()}
        (tmp_path / "json" / f"{prefix}.json").write_text(json.dumps({"icons": icons, "width": 24, "height": 24}))
        about[prefix] = {"name": prefix.title(), "author": {"name": author, "url": f"https://example.org/{prefix}"},
                         "license": {"spdx": licence, "url": "https://example.org/licence"},
                         "category": "Logos" if prefix == "brands" else "Emoji"}
    (tmp_path / "collections.json").write_text(json.dumps(about))
    return tmp_path


def test_candidates_have_an_open_licence_and_a_name_that_says_one_thing(package):
    found = {d.key: (d.label, d.subject) for d in make.candidates(package)}
    assert found == {"plain:car": ("car", "car"), "plain:car-outline": ("car", "car"),
                     "plain:plane": ("airplane", "plane"), "plain:cat": ("cat", "cat"),
                     "copied:jet": ("airplane", "jet"), "copied:aeroplane": ("airplane", "aeroplane"),
                     "bright:automobile": ("car", "automobile")}


def test_the_script_writes_what_the_course_reads(package, tmp_path, monkeypatch):
    monkeypatch.setattr(make, "weeded", lambda: {"plain:car-outline": "unclear"})
    found = make.collect(package, processes=1)
    assert [d.key for d in found] == ["copied:aeroplane", "copied:jet", "bright:automobile", "plain:car"]
    out = tmp_path / "out"
    make.write(found, package, out)
    monkeypatch.setattr(drawings, "ASSETS", out)
    caches = (drawings.table, drawings._tiles, drawings._deal)
    try:
        for cache in caches:
            cache.cache_clear()
        assert [(d.thing, d.label, d.coloured, d.artist) for d in drawings.table()] == [
            ("Bob: aeroplane", "airplane", False, "Bob"), ("Bob: aeroplane", "airplane", False, "Bob"),
            ("Ann: car", "car", False, "Ann"), ("Google: automobile", "car", True, "Google")]
        pixels = drawings.pixels(range(4))
    finally:
        for cache in caches:
            cache.cache_clear()
    assert tuple(pixels[3, 24, 32]) == (204, 0, 0, 255)
    assert np.array_equal(pixels[:3, ..., 3], [d.pixels[..., 3] for d in (found[0], found[1], found[3])])
    text = (out / "LICENCES.md").read_text()
    assert "| `bright` | [Bright](https://example.org/bright) | Material Design Authors |" in text
    assert "Copyright (c) Ann (Plain)\n\nPermission is hereby granted" in text and "shared" not in text
