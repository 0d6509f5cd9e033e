"""Build the sprite sheets in `helpers/assets` from openly licensed emoji artwork in the npm registry.

    python -m helpers.make.sprites             # needs `npm` and a network; takes about a minute

Three families drew the same emoji, so one table of emoji serves all three sheets: tile *k* of `noto.png`,
`twemoji.png` and `fluent.png` is the same emoji by three artists. `sprites.json` holds the table.
"""
from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ASSETS = Path(__file__).resolve().parent.parent / "assets"
TILE = 64  # pixels; the artwork's own size in the two emoji-datasource packages
COLUMNS = 16

FAMILIES = {
    "noto": {
        "title": "Noto Color Emoji",
        "author": "Google LLC",
        "licence": "Apache-2.0",
        "package": "emoji-datasource-google",
        "version": "16.0.0",
        "folder": "img/google/64",
    },
    "twemoji": {
        "title": "Twemoji",
        "author": "Twitter, Inc. and other contributors",
        "licence": "CC-BY-4.0",
        "package": "emoji-datasource-twitter",
        "version": "16.0.0",
        "folder": "img/twitter/64",
    },
    "fluent": {
        "title": "Fluent Emoji, 3D style",
        "author": "Microsoft Corporation",
        "licence": "MIT",
        "package": "@lobehub/fluent-emoji-3d",
        "version": "1.1.0",
        "folder": "assets",
    },
}

# The ten target classes, by emoji short name. Every emoji of these classes is kept out of the source task.
TARGET = {
    "airplane": "airplane small_airplane airplane_departure airplane_arriving",
    "bird": "bird eagle duck owl parrot dove_of_peace rooster chicken turkey swan flamingo peacock goose dodo",
    "car": "car blue_car taxi police_car oncoming_automobile oncoming_taxi oncoming_police_car racing_car",
    "cat": "cat cat2 black_cat smiley_cat smile_cat joy_cat heart_eyes_cat smirk_cat kissing_cat pouting_cat",
    "deer": "deer moose",
    "dog": "dog dog2 poodle guide_dog service_dog",
    "horse": "horse racehorse horse_racing carousel_horse",
    "monkey": "monkey_face monkey see_no_evil hear_no_evil speak_no_evil gorilla orangutan",
    "ship": "ship passenger_ship ferry motor_boat speedboat boat canoe",
    "truck": "truck articulated_lorry pickup_truck fire_engine",
}
# Left out of both tasks: nearly one of the ten classes, or a part of one.
NEITHER = ("ambulance minibus black_bird penguin baby_chick hatched_chick hatching_chick phoenix feather wing "
           "scream_cat crying_cat_face unicorn_face donkey snow_capped_mountain")
# Not in the source task: flags and skin tones show no thing; keycaps are digits, which serve as the far target.
NO_SOURCE = {"country-flag", "flag", "subdivision-flag", "skin-tone", "keycap"}


def unpack(tarball: Path, folder: Path) -> Path:
    """Extract an npm tarball and return its `package` folder."""
    with tarfile.open(tarball) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def fetch(package: str, version: str, folder: Path) -> Path:
    """Download one npm package into `folder` with the npm client; return the unpacked package's path.

    Raises `RuntimeError` if the npm client is missing or can't get the package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("npm") is None:
        raise RuntimeError("The npm client is needed to fetch the artwork; install Node.js and try again.")
    done = subprocess.run(["npm", "pack", f"{package}@{version}", "--json"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npm could not fetch {package}@{version}: {done.stderr.strip().splitlines()[-1]}")
    return unpack(folder / json.loads(done.stdout)[0]["filename"], folder)


def emoji_table(index: list[dict]) -> tuple[list[dict], list[dict]]:
    """Split the `emoji.json` index into the target emoji (with their class) and the source emoji (with a category).

    Each entry: `name` (short name), `code` (code points, as in the file names), `label`.
    """
    by_name = {e["short_name"]: e for e in index}
    entry = lambda e, label: {"name": e["short_name"], "code": Path(e["image"]).stem, "label": label}
    target = [entry(by_name[n], label) for label, names in TARGET.items() for n in names.split() if n in by_name]
    kept_out = {e["name"] for e in target} | set(NEITHER.split())
    source = [entry(e, e["subcategory"]) for e in index if e["short_name"] not in kept_out
              and e["subcategory"] not in NO_SOURCE]
    return target, source


def read_tile(folder: Path, code: str) -> np.ndarray | None:
    """One emoji as RGBA uint8 of shape (TILE, TILE, 4), or None if this family has not drawn it."""
    for stem in (code, code.replace("-fe0f", "")):
        for path in (folder / f"{stem}.png", folder / f"{stem}.webp"):
            if path.exists():
                image = Image.open(path).convert("RGBA")
                if image.size != (TILE, TILE):
                    image = image.resize((TILE, TILE), Image.LANCZOS)
                return np.asarray(image)
    return None


def read_all(table: list[dict], folders: dict[str, Path]) -> tuple[list[dict], np.ndarray]:
    """The emoji that every family has drawn, and their pixels: uint8 of shape (families, emoji, TILE, TILE, 4)."""
    rows = [(entry, [read_tile(folder, entry["code"]) for folder in folders.values()]) for entry in table]
    rows = [(entry, tiles) for entry, tiles in rows if all(tile is not None for tile in tiles)]
    if not rows:
        raise ValueError("No emoji of the table was found in all families; are the packages' folders right?")
    pixels = np.stack([np.stack(tiles) for _, tiles in rows], axis=1)
    return [entry for entry, _ in rows], pixels


def write_sheet(tiles: np.ndarray, path: Path) -> None:
    """Write (emoji, TILE, TILE, 4) as one PNG, COLUMNS tiles a row."""
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.zeros((rows * TILE, COLUMNS * TILE, 4), np.uint8)
    for k, tile in enumerate(tiles):
        y, x = divmod(k, COLUMNS)
        sheet[y * TILE:(y + 1) * TILE, x * TILE:(x + 1) * TILE] = tile
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    path.write_bytes(buffer.getvalue())


def source_pixels(work: Path) -> tuple[list[dict], np.ndarray]:
    """Fetch the artwork (once) and return the source task's emoji table and pixels, as `read_all` does."""
    folders, index = packages(work)
    return read_all(emoji_table(index)[1], folders)


def packages(work: Path) -> tuple[dict[str, Path], list[dict]]:
    """Each family's image folder below `work` (fetched if missing), and the emoji index."""
    roots = {}
    for name, family in FAMILIES.items():
        root = work / name / "package"
        roots[name] = root if root.exists() else fetch(family["package"], family["version"], work / name)
    index = json.loads((roots["noto"] / "emoji.json").read_text(encoding="utf-8"))
    return {name: roots[name] / FAMILIES[name]["folder"] for name in roots}, index


def build(folders: dict[str, Path], index: list[dict], out: Path, showcase: int = 48) -> None:
    """Write one sheet a family and `sprites.json` to `out`.

    `showcase` source emoji, spread evenly over the source table, follow the target's so that a notebook can show
    what the source task looks like; their label in the table is null.
    """
    target, source = emoji_table(index)
    target, target_pixels = read_all(target, folders)
    shown, shown_pixels = read_all(source[:: max(1, len(source) // showcase)][:showcase], folders)
    table = target + [entry | {"label": None} for entry in shown]
    out.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(folders):
        write_sheet(np.concatenate([target_pixels[k], shown_pixels[k]]), out / f"{name}.png")
    keys = ("title", "author", "licence", "package", "version")
    families = {name: {key: FAMILIES[name][key] for key in keys} for name in folders}
    document = {"tile": TILE, "columns": COLUMNS, "families": families, "emoji": table}
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (out / "sprites.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        folders, index = packages(Path(work))
        build(folders, index, ASSETS)
    size = sum(p.stat().st_size for p in ASSETS.glob("*.png"))
    print(f"wrote {len(FAMILIES)} sheets to {ASSETS} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
