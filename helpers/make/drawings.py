"""Collect the openly licensed drawings of the ten classes into `helpers/assets/drawings`.

    pip install resvg-py fonttools
    python -m helpers.make.drawings            # needs `npm`, a network and some minutes; --work keeps the packages

The npm package `@iconify/json` holds some 240 icon sets and emoji families; an emoji font is added as one more set. A
drawing is taken when a word of its name names one of the ten classes, no word says that something else is shown, and
nobody who looked at it found otherwise: `drawings_weeded.txt` lists, with a reason, what was taken out by eye.

A *thing* is one artist's subject: outline, filled and duotone variants are one thing, and so are near duplicates, in
one set or across sets (many sets redraw or copy others). The splits keep things together, so no exam shows a network
a drawing that it knows in another guise.
"""
from __future__ import annotations

import argparse
import io
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.fetch.packages import fetch
from helpers.make import fonts, names, twins

HERE = Path(__file__).resolve().parent
WEEDED = HERE / "drawings_weeded.txt"
NOTICES = HERE / "drawings_notices.txt"
OUT = HERE.parent / "assets" / "drawings"
PACKAGES = {"@iconify/json": "2.2.535", "@expo-google-fonts/noto-emoji": "0.4.7"}
FONT = "400Regular/NotoEmoji_400Regular.ttf"  # in the second package
TILE = 64  # pixels; a drawing fills its tile but for a margin of one pixel
COLUMNS = 40

# No share-alike and no non-commercial set; no brands, and no file types, which carry brands.
LICENCES = ("Apache-2.0", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "OFL-1.1",
            "Unlicense")
CATEGORIES_LEFT_OUT = ("Logos", "Programming")
# One artist under several names. Elsewhere the artist is the author of the set.
ARTISTS = {"Material Design Authors": "Google", "Google Inc": "Google", "Lucide Contributors": "Lucide"}
AUTHORS = {"game-icons": "Lorc, Delapouite and contributors to game-icons.net"}  # more precise than the package


@dataclass
class Drawing:
    """One drawing: where it comes from, what it shows, and its pixels, RGBA uint8 (TILE, TILE, 4)."""

    set: str
    name: str
    label: str
    subject: str  # the words of the name that say what is shown
    pixels: np.ndarray | None = None

    @property
    def key(self) -> str:
        return f"{self.set}:{self.name}"

    @property
    def coloured(self) -> bool:
        """Whether there is more than one colour in it; one that is not is kept as an alpha mask."""
        solid = self.pixels[self.pixels[..., 3] > 200, :3]
        return bool(len(solid)) and int(np.ptp(solid, axis=0).max()) > 8


@lru_cache(maxsize=4)
def icon_set(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def candidates(root: Path) -> Iterator[Drawing]:
    """Every drawing of the unpacked package `root` whose licence and name will do."""
    for prefix, about in json.loads((root / "collections.json").read_text(encoding="utf-8")).items():
        if about["license"].get("spdx") not in LICENCES or about.get("category") in CATEGORIES_LEFT_OUT:
            continue
        for name in icon_set(root / "json" / f"{prefix}.json")["icons"]:
            if label := names.label_of(name):
                yield Drawing(prefix, name, label, names.subject_of(name))


def svg_of(icon: dict, box: tuple[float, float, float, float]) -> str:
    """One icon as an SVG document, `currentColor` in black; `box` is what is seen of it: left, top, width, height."""
    return ('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="'
            + " ".join(map(str, box)) + f'">{icon["body"].replace("currentColor", "#000")}</svg>')


def render(svg: str, size: int) -> np.ndarray:
    """An SVG document as RGBA uint8 (size, size, 4)."""
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def draw(path: Path, name: str) -> np.ndarray | None:
    """One icon, cut to its drawing: RGBA uint8 (TILE, TILE, 4), or None if it is empty or can't be drawn."""
    icons = icon_set(path)
    icon = icons["icons"][name]
    left, top, width, height = (icon.get(key, icons.get(key, default)) for key, default in
                                (("left", 0), ("top", 0), ("width", 16), ("height", 16)))
    side = max(width, height)
    left, top = left - (side - width) / 2, top - (side - height) / 2
    try:
        seen = render(svg_of(icon, (left, top, side, side)), 256)[..., 3] > 32
        if not seen.any():
            return None
        ends = [np.flatnonzero(seen.any(axis))[[0, -1]] + (0, 1) for axis in (0, 1)]  # columns, rows
        x, y = (end.sum() / 512 * side for end in ends)
        wide = max(np.ptp(end) for end in ends) / 256 * side * TILE / (TILE - 2)
        pixels = render(svg_of(icon, (left + x - wide / 2, top + y - wide / 2, wide, wide)), TILE).copy()
    except BaseException as error:  # the renderer panics on some, which is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, ImportError)):
            raise
        return None
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def weeded() -> dict[str, str]:
    """What was taken out by eye: `set:name` and the reason."""
    lines = [line for line in WEEDED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def collect(root: Path, processes: int = 2) -> list[Drawing]:
    """Rasterise every candidate that was not weeded out, sorted by class, set and name; of twins the first stays."""
    out = weeded()
    found = sorted((d for d in candidates(root) if d.key not in out), key=lambda d: (d.label, d.set, d.name))
    with ProcessPoolExecutor(processes) as pool:
        tiles = pool.map(draw, [root / "json" / f"{d.set}.json" for d in found], [d.name for d in found], chunksize=50)
        for drawing, tile in zip(found, tiles, strict=True):
            drawing.pixels = tile
    found = [drawing for drawing in found if drawing.pixels is not None]
    for drawing in found:
        if not drawing.coloured:
            drawing.pixels[..., :3] = 0
    gone = set()
    for kind in kinds(found):
        pixels = np.stack([found[k].pixels for k in kind])
        for one, other in twins.pairs(pixels, *twins.SAME):
            if kind[one] not in gone and twins.same_shade(pixels[one], pixels[other]):
                gone.add(kind[other])
    return [drawing for k, drawing in enumerate(found) if k not in gone]


def kinds(drawings: list[Drawing]) -> list[list[int]]:
    """Positions of the drawings that can be twins: of one class, and both coloured or both not."""
    found = defaultdict(list)
    for k, drawing in enumerate(drawings):
        found[drawing.label, drawing.coloured].append(k)
    return list(found.values())


def things(drawings: list[Drawing], artists: dict[str, str]) -> list[str]:
    """The thing that each drawing shows, "artist: subject"; near duplicates have the name of the first of them."""
    alike = [(kind[one], kind[other]) for kind in kinds(drawings) for one, other in
             twins.pairs(np.stack([drawings[k].pixels for k in kind]), *twins.NEAR)]
    keys = [(d.label, artists[d.set], d.subject) for d in drawings]
    return [f"{artists[drawings[k].set]}: {drawings[k].subject}" for k in twins.groups(keys, alike)]


def sets_of(root: Path, prefixes: set[str]) -> dict[str, dict[str, str]]:
    """What has to be told about each set: title, author, artist, address, licence and the licence's address."""
    collections = json.loads((root / "collections.json").read_text(encoding="utf-8"))
    found = {}
    for prefix in sorted(prefixes):
        about = collections[prefix]
        author = AUTHORS.get(prefix, about["author"]["name"])
        found[prefix] = {
            "title": about["name"], "author": author, "artist": ARTISTS.get(author, author),
            "address": about["author"].get("url") or f"https://icon-sets.iconify.design/{prefix}/",
            "licence": about["license"]["spdx"],
            "licence_address": about["license"].get("url") or f"https://spdx.org/licenses/{about['license']['spdx']}"}
    return found


def sheet(tiles: np.ndarray) -> Image.Image:
    """Put tiles, uint8 (n, TILE, TILE) or (n, TILE, TILE, 4), on one image, COLUMNS in a row."""
    rows = -(-len(tiles) // COLUMNS)
    padded = np.zeros((rows * COLUMNS, *tiles.shape[1:]), np.uint8)
    padded[:len(tiles)] = tiles
    grid = padded.reshape(rows, COLUMNS, TILE, TILE, -1).swapaxes(1, 2).reshape(rows * TILE, COLUMNS * TILE, -1)
    return Image.fromarray(grid.squeeze(-1) if tiles.ndim == 3 else grid)


def write(drawings: list[Drawing], root: Path, out: Path) -> None:
    """Write `masks.webp`, `coloured.webp`, `drawings.json` and `LICENCES.md` to `out`."""
    about = sets_of(root, {drawing.set for drawing in drawings})
    shown = things(drawings, {prefix: entry["artist"] for prefix, entry in about.items()})
    order = sorted(range(len(drawings)), key=lambda k: (
        drawings[k].coloured, drawings[k].label, shown[k], drawings[k].set, drawings[k].name))
    drawings, shown = [drawings[k] for k in order], [shown[k] for k in order]
    masks = [drawing.pixels[..., 3] for drawing in drawings if not drawing.coloured]
    out.mkdir(parents=True, exist_ok=True)
    sheets = {"masks": np.stack(masks), "coloured": np.stack([d.pixels for d in drawings[len(masks):]])}
    for name, tiles in sheets.items():  # a third smaller than PNG, and as lossless
        sheet(tiles).save(out / f"{name}.webp", lossless=True, exact=True, quality=100, method=6)
    rows = [[thing, d.label, d.set, d.name] for thing, d in zip(shown, drawings, strict=True)]
    table = {"tile": TILE, "columns": COLUMNS, "masks": len(masks), "packages": PACKAGES, "sets": about}
    lines = [json.dumps(entry, ensure_ascii=False) for entry in rows]
    head = json.dumps(table, indent=1, ensure_ascii=False)[:-2]
    text = head + ',\n "drawings": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"  # one drawing a line
    (out / "drawings.json").write_text(text, encoding="utf-8")
    (out / "LICENCES.md").write_text(licences(json.loads(text)), encoding="utf-8")


def licences(table: dict) -> str:
    """The text of LICENCES.md: what comes from whom, under which licence, and the notices that the licences ask for."""
    count = Counter(entry[2] for entry in table["drawings"])
    origin = ", ".join(f"`{name}` {version}" for name, version in table["packages"].items())
    lines = ["# Licences and attributions of the drawings", "",
             f"{len(table['drawings'])} drawings of {len(count)} sets, from the npm packages {origin}, "
             "made by `python -m helpers.make.drawings`. Changes: selected, cut to the "
             "drawing, rasterised, put together on two sheets; one-coloured ones are kept as masks and shown in any "
             "colour. `drawings.json` traces each one to its set and name.", "",
             "| set | name | author | licence | drawings |", "|---|---|---|---|--:|"]
    for prefix, entry in table["sets"].items():
        lines.append(f"| `{prefix}` | [{entry['title']}]({entry['address']}) | {entry['author']} | "
                     f"[{entry['licence']}]({entry['licence_address']}) | {count[prefix]} |")
    for licence, notice in notices().items():
        holders = sorted({f"{e['author']} ({e['title']})" for e in table["sets"].values() if e["licence"] == licence})
        if holders:
            lines += ["", f"## {licence}", "", "Copyright (c) " + "; ".join(holders), "", notice]
    return "\n".join(lines) + "\n"


def notices() -> dict[str, str]:
    """The texts of the licences that ask for theirs to go along, by name; the other licences' addresses will do."""
    parts = re.split(r"^=== (\S+)$", NOTICES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def packages(work: Path) -> Path:
    """The unpacked icon sets below `work`, with the font among them; fetched where they are missing."""
    (icons, icons_version), (font, font_version) = PACKAGES.items()
    root = fetch(icons, icons_version, work / "icons")
    fonts.add(root, fetch(font, font_version, work / "font") / FONT, "noto-font", "noto")
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, help="a folder that keeps the packages for the next time")
    work = parser.parse_args().work
    with tempfile.TemporaryDirectory() as folder:
        root = packages(work or Path(folder))
        drawings = collect(root)
        write(drawings, root, OUT)
    size = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"wrote {len(drawings)} drawings to {OUT} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
