"""Collect ten letters from hundreds of openly licensed typefaces into `helpers/assets/letters`.

    pip install fonttools
    python -m helpers.make.letters             # needs `npm`, a network and half an hour; --work keeps the packages

`letters_families.txt` lists the typefaces, each an npm package `@fontsource/NAME` of a pinned version. Capital and
small letter are one class. What no person could read was taken out by eye: `letters_weeded.txt` says what and why.

A *thing* is a typeface's family, with all its letters; families that look nearly the same are one thing.
"""
from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from helpers.fetch.packages import fetch
from helpers.make import drawings, twins

HERE = Path(__file__).resolve().parent
FAMILIES = HERE / "letters_families.txt"
WEEDED = HERE / "letters_weeded.txt"
OUT = HERE.parent / "assets" / "letters"
LETTERS = "ABDEGHNQRT"
LICENCES = ("Apache-2.0", "OFL-1.1")
TILE = drawings.TILE  # pixels; a letter fills its tile but for a margin of one pixel
FINE = 8  # a letter is drawn so many times larger, and then reduced
LEVELS = 4  # of grey that are kept: composing smooths them, and more would double the file
ALIKE = 0.8  # two families are one thing where this share of their letters are near duplicates


@dataclass
class Family:
    """A typeface: what has to be told about it, and its letters, masks uint8 (TILE, TILE), by character."""

    name: str
    title: str
    kind: str  # "serif", "sans-serif", "display", "handwriting" or "monospace"
    version: str  # of the package
    licence: str
    copyright: str  # the line that tells it
    letters: dict[str, np.ndarray]


def families() -> dict[str, str]:
    """The typefaces and the versions of their packages."""
    return dict(line.split() for line in lines_of(FAMILIES))


def weeded() -> dict[str, str]:
    """What was taken out by eye, `family:characters`, and the reason."""
    return dict(line.split(" ", 1) for line in lines_of(WEEDED))


def lines_of(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def font_of(root: Path) -> Path:
    """The font in the unpacked package `root` whose weight is nearest to the regular, 400."""
    paths = sorted((root / "files").glob("*-latin-[0-9]*-normal.woff"))  # not latin-ext, which lacks most letters
    fonts = {int(path.stem.split("-")[-2]): path for path in paths}
    return fonts[min(fonts, key=lambda weight: (abs(weight - 400), weight))]


def inked(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """One letter, white on black, cut to its ink: the box that a font gives has the letter's margins in it."""
    left, top, right, bottom = font.getbbox(character)
    page = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(page).text((-left, -top), character, font=font, fill=255)
    return page.crop(page.getbbox())


def draw(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """One letter in the middle of its tile, which it fills but for the margin: a mask, uint8 (TILE, TILE)."""
    size = font.size * FINE * (TILE - 2) / max(inked(font, character).size)
    ink = inked(font.font_variant(size=size), character)
    page = Image.new("L", (FINE * TILE, FINE * TILE))
    page.paste(ink, [(FINE * TILE - length) // 2 for length in ink.size])
    mask = np.asarray(page.reduce(FINE)).astype(np.uint16)
    step = 255 // (LEVELS - 1)
    return ((mask + step // 2) // step * step).astype(np.uint8)


def copyright_of(lines: list[str]) -> str:
    """The first of the lines that names a copyright: some fonts don't tell it, but the licence beside them does."""
    return " ".join(next(line for line in lines if re.search("copyright|©", line, re.IGNORECASE)).split())


def read(name: str, version: str, root: Path) -> Family:
    """The typeface in the unpacked package `root`. Raises `ValueError` for one that isn't openly licensed."""
    from fontTools.ttLib import TTFont

    about, path = json.loads((root / "metadata.json").read_text(encoding="utf-8")), font_of(root)
    licence = about["license"]["type"]
    if licence not in LICENCES:
        raise ValueError(f"{name} is licensed under {licence}, which is none of {', '.join(LICENCES)}: leave it out.")
    with TTFont(path) as file:
        told, known = file["name"].getDebugName(0) or "", file.getBestCmap()
    line = copyright_of([told, *(root / "LICENSE").read_text(encoding="utf-8").splitlines()])
    font = ImageFont.truetype(str(path), size=200, layout_engine=ImageFont.Layout.BASIC)
    letters = {c: draw(font, c) for letter in LETTERS for c in (letter, letter.lower()) if ord(c) in known}
    return Family(name, about["family"], about["category"], version, licence, line, letters)


def collect(work: Path) -> list[Family]:
    """All typefaces, less what was weeded out, and less small letters that are capitals over again."""
    out = {key.split(":")[0]: key.split(":")[1] for key in weeded()}
    found = []
    for name, version in families().items():
        family = read(name, version, fetch(f"@fontsource/{name}", version, work / name))
        for character in [*out.get(name, ""), *(c.lower() for c in same_forms(family))]:
            family.letters.pop(character, None)
        if family.letters:
            found.append(family)
    return found


def tiles_of(masks: list[np.ndarray]) -> np.ndarray:
    """Masks as drawings, RGBA uint8 (n, TILE, TILE, 4), for `twins`."""
    tiles = np.zeros((len(masks), TILE, TILE, 4), np.uint8)
    tiles[..., 3] = masks
    return tiles


def same_forms(family: Family) -> Iterator[str]:
    """The letters whose small form is the capital's, as in small capitals."""
    for letter in LETTERS:
        if {letter, letter.lower()} <= set(family.letters):
            both = tiles_of([family.letters[letter], family.letters[letter.lower()]])
            if list(twins.pairs(both, *twins.NEAR)):
                yield letter


def things(found: list[Family]) -> list[str]:
    """The thing that each family belongs to: the first family that looks nearly the same."""
    alike, shared = np.zeros((len(found), len(found)), int), np.zeros((len(found), len(found)), int)
    for character in sorted({character for family in found for character in family.letters}):
        own = [k for k, family in enumerate(found) if character in family.letters]
        for one, other in combinations(own, 2):
            shared[one, other] += 1
        for one, other in twins.pairs(tiles_of([found[k].letters[character] for k in own]), *twins.NEAR):
            alike[own[one], own[other]] += 1
    near = np.argwhere((shared > 0) & (alike >= ALIKE * shared))
    return [found[k].title for k in twins.groups(range(len(found)), map(tuple, near.tolist()))]


def write(found: list[Family], out: Path) -> None:
    """Write `letters.webp`, `letters.json` and `LICENCES.md` to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    masks = np.stack([mask for family in found for mask in family.letters.values()])
    drawings.sheet(masks).save(out / "letters.webp", lossless=True, quality=100, method=6)
    rows = [{"family": family.title, "thing": thing, "kind": family.kind, "characters": "".join(family.letters),
             "package": f"@fontsource/{family.name}", "version": family.version, "licence": family.licence,
             "copyright": family.copyright} for family, thing in zip(found, things(found), strict=True)]
    head = json.dumps({"tile": TILE, "columns": drawings.COLUMNS, "classes": LETTERS})[:-1]
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = f'{head},\n "families": [\n  {lines}\n ]}}\n'  # one family a line
    (out / "letters.json").write_text(text, encoding="utf-8")
    (out / "LICENCES.md").write_text(licences(json.loads(text)), encoding="utf-8")


def licences(table: dict) -> str:
    """The text of LICENCES.md: what comes from which typeface, whose it is, and the licences."""
    rows, notices = table["families"], drawings.notices()
    count = sum(len(row["characters"]) for row in rows)
    lines = ["# Licences and attributions of the letters", "",
             f"{count} letters of {len(rows)} typefaces, from npm packages, made by `python -m helpers.make.letters`. "
             "Changes: drawn as pictures of 64 x 64 pixels, each cut to the letter, put together on one sheet. "
             "`letters.json` traces each one to its typeface.", "",
             "No font ships with the course, nor a part of one: only pictures of letters, which the Open Font License "
             "leaves free (\"The requirement for fonts to remain under this license does not apply to any document "
             "created using the fonts or their derivatives\"). The names that it reserves are reserved for fonts; here "
             "they tell where a picture comes from.", "",
             "| typeface | copyright | licence | package | letters |", "|---|---|---|---|--:|"]
    for row in rows:
        line = row["copyright"].replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {row['family']} | {line} | {row['licence']} | `{row['package']}` {row['version']} | "
                     f"{len(row['characters'])} |")
    for licence in sorted({row["licence"] for row in rows}):
        address = f"https://spdx.org/licenses/{licence}.html"
        lines += ["", f"## {licence}", "", notices.get(licence, f"The text is at <{address}>.")]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, help="a folder that keeps the packages for the next time")
    work = parser.parse_args().work
    with tempfile.TemporaryDirectory() as folder:
        found = collect(work or Path(folder))
    write(found, OUT)
    size = sum(path.stat().st_size for path in OUT.iterdir())
    count = sum(len(family.letters) for family in found)
    print(f"wrote {count} letters of {len(found)} typefaces to {OUT} ({size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
