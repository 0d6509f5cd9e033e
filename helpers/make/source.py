"""Collect the drawings of the source task: coloured emoji outside the ten classes, by nine families.

The icon sets that hold the target's drawings hold whole emoji families too; one more family comes as bitmaps. The
index of the package `emoji-datasource` says which emoji there are, and files each in a category ("food-fruit",
"musical-instrument", ...): what the backbones learn to tell. Skin tones and flags show no thing and stay out; so do
all emoji of the ten classes, what nearly is one of them, and their parts.

    python -m helpers.make.source --work build    # writes the examples that notebook 01 shows

The drawings themselves do not ship; `helpers.make.backbone` trains on them.
"""
from __future__ import annotations

import argparse
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import drawings as course_drawings
from helpers.fetch.packages import fetch
from helpers.make import drawings

PACKAGES = {"@iconify/json": "2.2.535", "emoji-datasource": "16.0.0", "@lobehub/fluent-emoji-3d": "1.1.0"}
FAMILIES = ("noto", "noto-v1", "twemoji", "fluent-emoji", "fluent-emoji-flat", "emojione", "fxemoji",
            "streamline-emojis")  # of the icon sets; share-alike ones stay out
BITMAPS = "fluent-3d"
UNSEEN = "streamline-emojis"  # an artist whom no training sees

# Emoji short names: the ten target classes ...
TARGET = (
    "airplane small_airplane airplane_departure airplane_arriving "
    "bird eagle duck owl parrot dove_of_peace rooster chicken turkey swan flamingo peacock goose dodo black_bird "
    "car blue_car taxi police_car oncoming_automobile oncoming_taxi oncoming_police_car racing_car "
    "cat cat2 black_cat smiley_cat smile_cat joy_cat heart_eyes_cat smirk_cat kissing_cat pouting_cat scream_cat "
    "crying_cat_face deer moose dog dog2 poodle guide_dog service_dog horse racehorse horse_racing carousel_horse "
    "monkey_face monkey see_no_evil hear_no_evil speak_no_evil gorilla orangutan "
    "ship passenger_ship ferry motor_boat speedboat boat canoe truck articulated_lorry pickup_truck fire_engine")
# ... what nearly is one of them, and parts of them.
NEARLY = ("ambulance minibus tractor penguin baby_chick hatched_chick hatching_chick phoenix feather wing "
          "unicorn_face donkey zebra_face feet anchor wheel seat nest_with_eggs empty_nest rowboat man-rowing-boat "
          "woman-rowing-boat")
NO_THING = {"country-flag", "flag", "subdivision-flag", "skin-tone", "keycap"}  # categories


@dataclass
class Emoji:
    """One drawing of the source task, RGBA uint8 (TILE, TILE, 4); `code` is the emoji, whoever drew it."""

    family: str
    code: str
    category: str
    pixels: np.ndarray


def categories(index: list[dict]) -> dict[str, str]:
    """The category of each source emoji, by code point without variation selector; `index` is the package's table."""
    out = set((TARGET + " " + NEARLY).split())
    return {plain(Path(e["image"]).stem): e["subcategory"] for e in index
            if e["short_name"] not in out and e["subcategory"] not in NO_THING}


def plain(code: str) -> str:
    return code.lower().replace("-fe0f", "")


def codes(root: Path) -> dict[str, dict[str, str]]:
    """For each family of the icon sets at `root`, the emoji that each of its names stands for.

    Some sets say so themselves (`chars`). The others use the same names, but for dashes.
    """
    sets = {family: json.loads((root / "json" / f"{family}.json").read_text(encoding="utf-8")) for family in FAMILIES}
    by_name = {}
    for family in FAMILIES:
        for code, name in sets[family].get("chars", {}).items():
            by_name.setdefault(name.replace("-", ""), plain(code))
    found = {}
    for family, content in sets.items():
        own = {name: plain(code) for code, name in content.get("chars", {}).items()}
        names = {name: own.get(name) or by_name.get(name.replace("-", "")) for name in content["icons"]}
        found[family] = {name: code for name, code in names.items() if code}
    return found


def bitmap(path: Path) -> np.ndarray:
    """A picture with alpha, cut to what it shows and scaled as an icon is: RGBA uint8 (TILE, TILE, 4)."""
    image = Image.open(path).convert("RGBA")
    image = image.crop(image.getchannel("A").point(lambda alpha: 255 * (alpha > 32)).getbbox())
    inside, side = drawings.TILE - 2, max(image.size)
    size = [max(1, round(inside * length / side)) for length in image.size]
    tile = Image.new("RGBA", (drawings.TILE, drawings.TILE))
    tile.paste(image.resize(size, Image.Resampling.LANCZOS), [(drawings.TILE - length) // 2 for length in size])
    return np.asarray(tile)


def collect(work: Path, processes: int = 2) -> list[Emoji]:
    """All drawings of the source task, sorted by family and emoji; the packages are kept in the folder `work`."""
    icons, index, bitmaps = (fetch(name, version, work / name.split("/")[-1]) for name, version in PACKAGES.items())
    category = categories(json.loads((index / "emoji.json").read_text(encoding="utf-8")))
    found = []
    with ProcessPoolExecutor(processes) as pool:
        for family, names in codes(icons).items():
            chosen = {}  # one name for each emoji
            for name, code in sorted(names.items()):
                if code in category:
                    chosen.setdefault(code, name)
            path = icons / "json" / f"{family}.json"
            tiles = pool.map(drawings.draw, [path] * len(chosen), chosen.values(), chunksize=50)
            found += [Emoji(family, code, category[code], tile) for code, tile in zip(chosen, tiles, strict=True)
                      if tile is not None]
    for path in sorted((bitmaps / "assets").glob("*.webp")):
        if plain(path.stem) in category:
            found.append(Emoji(BITMAPS, plain(path.stem), category[plain(path.stem)], bitmap(path)))
    return sorted(found, key=lambda emoji: (emoji.family, emoji.code))


def premultiplied(emoji: list[Emoji]) -> np.ndarray:
    """Their pixels, as `composition.compose` takes them: uint8 (n, TILE, TILE, 4)."""
    return course_drawings.premultiplied(np.stack([e.pixels for e in emoji]))


def examples(emoji: list[Emoji], count: int = 24) -> dict[str, list[Emoji]]:
    """The same emoji by every family that is trained on, spread over the categories."""
    seen = [e for e in emoji if e.family != UNSEEN]
    families = sorted({e.family for e in seen})
    drawn = Counter(e.code for e in seen)
    # the order of the categories, not of the codes, so that any first few of them differ
    codes = sorted({(e.category, e.code) for e in seen if drawn[e.code] == len(families)})
    first = [codes[k * len(codes) // count][1] for k in range(count)]
    shuffled = [first[k] for k in np.random.RandomState(0).permutation(count)]
    return {family: [next(e for e in seen if (e.family, e.code) == (family, code)) for code in shuffled]
            for family in families}


def write_examples(chosen: dict[str, list[Emoji]], about: dict[str, dict], out: Path) -> None:
    """`examples.webp`, on white, one row for each family, and `examples.json`: whose they are and what they show."""
    rows = [np.concatenate(list(premultiplied(row)), axis=1) for row in chosen.values()]
    sheet = np.concatenate(rows).astype(np.uint16)
    out.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet[..., :3] + 255 - sheet[..., 3:]).astype(np.uint8)).save(
        out / "examples.webp", lossless=True, quality=100, method=6)
    table = {"tile": drawings.TILE, "packages": PACKAGES, "families": {family: about[family] for family in chosen},
             "emoji": [{"code": e.code, "category": e.category} for e in next(iter(chosen.values()))]}
    (out / "examples.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def about(icons: Path) -> dict[str, dict[str, str]]:
    """Title, author, licence and addresses of each family."""
    bitmaps = {"title": "Fluent Emoji, 3D style", "author": "Microsoft Corporation", "artist": "Microsoft Corporation",
               "address": "https://github.com/microsoft/fluentui-emoji", "licence": "MIT",
               "licence_address": "https://opensource.org/license/mit"}
    return {**drawings.sets_of(icons, set(FAMILIES)), BITMAPS: bitmaps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build"), help="keeps the artwork")
    work = parser.parse_args().work
    emoji = collect(work)
    for family, count in Counter(e.family for e in emoji).items():
        print(f"{family:20} {count:5} drawings")
    print(f"{len(emoji)} drawings of {len({e.code for e in emoji})} emoji in {len({e.category for e in emoji})} "
          f"categories; {UNSEEN} is kept apart")
    write_examples(examples(emoji), about(work / "json" / "package"), drawings.OUT.parent / "source")


if __name__ == "__main__":
    main()
