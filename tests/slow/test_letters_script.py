"""The script that collects the letters, on made-up packages of fonts."""
import json

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from helpers import letters
from helpers.make import letters as make

BOXES = {"A": (100, 0, 500, 800), "a": (90, 0, 490, 800), "b": (50, 0, 450, 200), "Q": (0, -200, 100, 800)}


def package(folder, title: str, licence: str, told: str = "") -> None:
    """A package like those of @fontsource, whose letters are boxes: left, bottom, right, top, of 1,000 units."""
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for character, (left, bottom, right, top) in BOXES.items():
        pen = TTGlyphPen(None)
        pen.moveTo((left, bottom)), pen.lineTo((left, top)), pen.lineTo((right, top)), pen.lineTo((right, bottom))
        pen.closePath()
        glyphs[character] = pen.glyph()
    font = FontBuilder(1000)
    font.setupGlyphOrder(list(glyphs)), font.setupCharacterMap({ord(character): character for character in BOXES})
    font.setupGlyf(glyphs), font.setupHorizontalMetrics({name: (900, 0) for name in glyphs})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": title, "styleName": "Regular", **({"copyright": told} if told else {})})
    font.setupOS2(), font.setupPost()
    (folder / "package" / "files").mkdir(parents=True)
    font.save(folder / "package" / "files" / f"{folder.name}-latin-400-normal.woff")
    (folder / "package" / "LICENSE").write_text("The licence\nCopyright 2020 Bob\n", encoding="utf-8")
    (folder / "package" / "metadata.json").write_text(json.dumps(
        {"family": title, "category": "serif", "license": {"type": licence, "attribution": "Google"}}))


@pytest.fixture
def work(tmp_path, monkeypatch):
    package(tmp_path / "ann", "Ann", "OFL-1.1", "Copyright 2019 Ann"), package(tmp_path / "bob", "Bob", "Apache-2.0")
    monkeypatch.setattr(make, "families", lambda: {"ann": "1.0.0", "bob": "2.0.0"})
    monkeypatch.setattr(make, "weeded", lambda: {"bob:Q": "a stroke"})
    return tmp_path


def test_the_script_writes_what_the_course_reads(work, monkeypatch):
    found = make.collect(work)
    assert [(family.title, "".join(family.letters)) for family in found] == [("Ann", "AbQ"), ("Bob", "Ab")]
    make.write(found, work / "out")
    monkeypatch.setattr(letters, "ASSETS", work / "out")
    caches = (letters.table, letters._document, letters._masks)
    try:
        for cache in caches:
            cache.cache_clear()
        assert [(row.thing, row.label, row.character, row.family, row.copyright) for row in letters.table()] == [
            *[("Ann", c.upper(), c, "Ann", "Copyright 2019 Ann") for c in "AbQ"],
            *[("Ann", c.upper(), c, "Bob", "Copyright 2020 Bob") for c in "Ab"]]
        masks = letters.pixels(range(5))[..., 3]
    finally:
        for cache in caches:
            cache.cache_clear()
    assert np.array_equal(masks, [mask for family in found for mask in family.letters.values()])
    ends = [[np.flatnonzero((masks[k] > 100).any(axis))[[0, -1]].tolist() for axis in (0, 1)] for k in range(3)]
    assert ends == [[[16, 47], [1, 62]], [[1, 62], [16, 47]], [[29, 34], [1, 62]]], "cut to the ink, and in the middle"
    assert "| Bob | Copyright 2020 Bob | Apache-2.0 | `@fontsource/bob` 2.0.0 | 2 |" in (
        work / "out" / "LICENCES.md").read_text(encoding="utf-8")


def test_a_typeface_that_is_not_open_is_refused(work):
    package(work / "cy", "Cy", "UFL-1.0")
    with pytest.raises(ValueError, match="^cy is licensed under UFL-1.0, which is none of Apache-2.0, OFL-1.1: leave"):
        make.read("cy", "1.0.0", work / "cy" / "package")
