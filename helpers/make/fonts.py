"""An emoji font as one more icon set: its glyphs, one-coloured, under the names that an emoji family gives them."""
from __future__ import annotations

import json
from pathlib import Path

ABOUT = {
    "name": "Noto Emoji (font)", "author": {"name": "Google Inc", "url": "https://github.com/googlefonts/noto-emoji"},
    "license": {"spdx": "OFL-1.1", "url": "https://openfontlicense.org/open-font-license-official-text/"},
    "category": "Emoji"}


def icons_of(font: Path, names: dict[str, str]) -> dict:
    """The glyphs of `font` whose code points (as in "1f98c") have a name, in the form of an icon set."""
    from fontTools.pens.svgPathPen import SVGPathPen
    from fontTools.ttLib import TTFont

    with TTFont(font) as file:
        glyphs, size = file.getGlyphSet(), file["head"].unitsPerEm
        top = file["hhea"].ascent
        icons = {}
        for code, glyph in file.getBestCmap().items():
            if name := names.get(f"{code:x}"):
                pen = SVGPathPen(glyphs)
                glyphs[glyph].draw(pen)
                icons[name] = {
                    "width": glyphs[glyph].width, "height": max(size, top - file["hhea"].descent),
                    "body": f'<path fill="currentColor" transform="matrix(1 0 0 -1 0 {top})" d="{pen.getCommands()}"/>'}
    return {"icons": icons}


def add(root: Path, font: Path, prefix: str, family: str) -> None:
    """Put `font` among the icon sets in `root`, as `prefix`, with the names of the emoji family `family`."""
    names = json.loads((root / "json" / f"{family}.json").read_text(encoding="utf-8"))["chars"]
    (root / "json" / f"{prefix}.json").write_text(json.dumps(icons_of(font, names)), encoding="utf-8")
    listed = json.loads((root / "collections.json").read_text(encoding="utf-8"))
    (root / "collections.json").write_text(json.dumps(listed | {prefix: ABOUT}), encoding="utf-8")
