"""How fast a folder of large photographs is read, beside plain Pillow in one process, and in how much memory.

    python -m tests.benchmarks.photographs                            # 10,000 photographs of 12 megapixels
    python -m tests.benchmarks.photographs --distinct 20 --files 100

No ten thousand photographs ship with the course. So `--distinct` are made (scikit-learn's two, cropped, mirrored and
coloured at random, with a camera's grain) and linked under new names until there are `--files`, in twenty class
folders. Making them takes some minutes; they stay in `build/photographs`, about 2 MB each, until you remove them.

By turns, in processes of their own: a hundred photographs with plain Pillow, as a first program would do it, and
with the course, its cache empty. Then all files, their cache empty, and once more with what it keeps.
"""
from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_sample_images

from helpers import album, photographs
from tests.benchmarks.measure import in_own_process, peak_memory

FOLDER = Path("build/photographs")
WIDE, HIGH = 4000, 3000  # pixels
CLASSES, SIZE = 20, 96
PAIRS, PAIRED = 3, 100  # of runs by turns; photographs in each


def photographs_of(numbers: range, folder: Path) -> None:
    """Write pictures that no other is like, with as much detail as a camera's: their files are about as long."""
    originals = load_sample_images().images
    grains = np.random.default_rng(0).integers(0, 256, (HIGH + 500, WIDE + 500), dtype=np.uint8)
    grains = Image.fromarray(grains).filter(ImageFilter.BoxBlur(1))
    for k in numbers:
        rng = np.random.default_rng(k)
        original, wide = Image.fromarray(originals[k % len(originals)]), int(rng.integers(200, 400))
        left, top = int(rng.integers(original.width - wide)), int(rng.integers(original.height - wide * 3 // 4))
        picture = original.crop((left, top, left + wide, top + wide * 3 // 4)).resize((WIDE, HIGH), Image.BICUBIC)
        left, top = rng.integers(500, size=2).tolist()
        grain = Image.merge("RGB", [grains.crop((left, top, left + WIDE, top + HIGH))] * 3)
        picture = Image.blend(ImageOps.mirror(picture) if k % 3 else picture, grain, float(rng.uniform(0.1, 0.2)))
        picture.save(folder / f"{k:04}.part", "JPEG", quality=85)
        (folder / f"{k:04}.part").replace(folder / f"{k:04}.jpg")


def make(distinct: int, files: int) -> tuple[Path, Path]:
    """The folder of the distinct photographs, in one class folder, and that of all files; what is there is kept."""
    once, many = FOLDER / "once" / "all", FOLDER / f"{files} of {distinct}"
    once.mkdir(parents=True, exist_ok=True)
    begun = len(list(once.glob("*.jpg")))
    # In a process of its own: those that are measured would count this one's memory as theirs.
    maker = multiprocessing.get_context("spawn").Process(target=photographs_of, args=(range(begun, distinct), once))
    maker.start()
    maker.join()
    for k in range(files):
        path = many / f"class {k % CLASSES:02}" / f"{k:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.link(once / f"{k % distinct:04}.jpg", path)
    return once, many


def plainly(paths: list[Path]) -> None:
    """One after the other: decode it whole, cut it to a square, scale that."""
    pixels = np.empty((len(paths), SIZE, SIZE, 3), np.uint8)
    for k, path in enumerate(paths):
        pixels[k] = ImageOps.fit(ImageOps.exif_transpose(Image.open(path)).convert("RGB"), (SIZE, SIZE))


def measure(side: str, files: dict[str, list[Path]]) -> dict:
    """"seconds" and "memory" (bytes, the whole process at its peak; "before": when it had read nothing yet)."""
    before, start = peak_memory(), time.perf_counter()
    if side == "Pillow":
        plainly([path for own in files.values() for path in own])
    else:
        album.read(photographs.Listing(FOLDER, files), SIZE).check()
    return {"seconds": time.perf_counter() - start, "memory": peak_memory(), "before": before}


def alone(side: str, folder: Path, most: int, cache: str) -> dict:
    """`measure` of the first files of a folder, in a process of its own."""
    return in_own_process("tests.benchmarks.photographs", "--one", side, str(folder), "--files", str(most),
                          TL_CACHE=cache)


def by_class(folder: Path, most: int) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.jpg"))[:most]:
        files.setdefault(path.parent.name, []).append(path)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--distinct", type=int, default=500)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        side, folder = args.one
        print(json.dumps(measure(side, by_class(Path(folder), args.files))))
        return

    once, many = make(args.distinct, args.files)
    size = sum(path.stat().st_size for path in once.iterdir()) / args.distinct / 1e6
    print(f"{args.distinct} photographs of {WIDE} x {HIGH} pixels, {size:.1f} MB each; {os.cpu_count()} cores")
    paired = min(PAIRED, args.distinct)
    for pair in range(PAIRS):
        with tempfile.TemporaryDirectory() as cache:
            seconds = {side: alone(side, once, paired, cache)["seconds"] for side in ("Pillow", "course")}
        speeds = ", ".join(f"{side} {paired / own:.1f} photographs per second" for side, own in seconds.items())
        print(f"pair {pair + 1}: {speeds}, ratio {seconds['Pillow'] / seconds['course']:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for state in ("empty", "full"):
            own = alone("course", many, args.files, cache)
            print(f"{args.files} files, cache {state}: {own['seconds']:.1f} s, {args.files / own['seconds']:.1f} per "
                  f"second; memory {own['memory'] / 1e6:,.0f} MB at the most, {own['before'] / 1e6:,.0f} before",
                  flush=True)


if __name__ == "__main__":
    main()
