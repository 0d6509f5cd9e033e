"""A folder of pictures to practise on, as people have them: many sizes and formats, copies, and some damage.

The pictures are drawings of the pocket data, one of each thing, of some of its classes; of the other classes there are
`other_things`. What is wrong in the folder is put there on purpose, for the audit to find.
"""
from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import drawings, pocket
from helpers.fetch import downloads
from helpers.images import ImageSplit

# How many pictures of each class there are. Nobody collects the same number of everything.
COUNTS = {"airplane": 100, "bird": 100, "car": 120, "dog": 50, "ship": 80}
PARTS = ("train", "val", "test")  # of the pocket data; "final" stays closed
LOOKS = (("JPEG", ".jpg"), ("JPEG", ".jpg"), ("JPEG", ".JPG"), ("PNG", ".png"), ("WEBP", ".webp"))
BURST = 3  # pictures of the same thing, one right after the other
TURNED = 6  # Exif's number for "turn it to the right", as phones write it
NOT_A_PICTURE = b"<!DOCTYPE html><title>404 Not Found</title>"


def make(folder: str | Path | None = None, counts: dict[str, int] = COUNTS) -> Path:
    """The example's folder, which is made if it is not there: one folder per class, with JPEG, PNG and WebP files.

    Without `folder` it is in TL_CACHE, or in ~/.cache/transfer-learning.
    `counts[name]`: how many pictures of a class of the pocket data there will be, at most one of each thing. The folder
    gets its name when it is complete, so that two notebooks may make it at the same time. (One that is there is kept as
    it is: whoever changes what is in it gives it another name.)
    """
    folder = Path(folder or downloads.cache_folder() / "example" / "my_pictures")
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent))
    rng = np.random.RandomState(0)
    for name, count in counts.items():
        _fill(part / name, name, count, rng)
    _spoil(part)
    try:
        os.replace(part, folder)
    except OSError:  # another notebook was quicker
        shutil.rmtree(part)
    return folder


def other_things(classes: tuple[str, ...], most: int = 150) -> ImageSplit:
    """Up to `most` pocket pictures of the classes that are not among `classes`, one of each thing."""
    numbers = [k for k in _one_per_thing() if drawings.table()[k].label not in classes]
    return pocket.rendered(numbers, stream=60).pick(list(range(min(most, len(numbers)))))


def _one_per_thing() -> list[int]:
    """Positions in `drawings.table`: of each thing one drawing, a coloured one where there is one."""
    numbers = [k for part in PARTS for k in drawings.numbers_of(part)]
    return sorted({drawings.table()[k].thing: k for k in sorted(numbers)}.values())


def _fill(folder: Path, name: str, count: int, rng: np.random.RandomState) -> None:
    """A class: single pictures, and a burst of its first thing."""
    folder.mkdir()
    numbers = [k for k in _one_per_thing() if drawings.table()[k].label == name]
    chosen = rng.permutation(numbers)[:count - BURST + 1]
    images = pocket.rendered(chosen.tolist(), stream=50).images.permute(0, 2, 3, 1).numpy()
    moved = [np.roll(images[0], (shift, shift), (0, 1)) for shift in range(1, BURST)]
    for k, pixels in enumerate([*images, *moved], 1):
        kind, ending = LOOKS[rng.randint(len(LOOKS))]
        (folder / f"{name}_{k:03}{ending}").write_bytes(_file(_photograph(pixels, rng), kind, rng))


def _photograph(pixels: np.ndarray, rng: np.random.RandomState) -> Image.Image:
    """An image (96, 96, 3) with more of its ground on two sides, so that it lies or stands; of any size."""
    more, across = rng.randint(0, 32), rng.randint(2)
    sides = [(more, more), (0, 0)][::1 if across else -1]
    image = Image.fromarray(np.pad(pixels, (*sides, (0, 0)), mode="reflect"))
    scale = rng.choice([1, 1.5, 2, 3, 4])
    return image.resize((int(scale * image.width), int(scale * image.height)), Image.Resampling.BICUBIC)


def _file(image: Image.Image, kind: str, rng: np.random.RandomState) -> bytes:
    """The image as a file of this kind; one JPEG in four is stored lying on its side, with a note how to turn it."""
    buffer, options = io.BytesIO(), {} if kind == "PNG" else {"quality": 90}
    if kind == "JPEG" and rng.randint(4) == 0:
        image, options["exif"] = image.transpose(Image.Transpose.ROTATE_90), Image.Exif()
        options["exif"][0x0112] = TURNED
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _spoil(root: Path) -> None:
    """What real folders hold: damaged files, an error page, a copy under the wrong label, notes, a system's file."""
    first, second, *_ = sorted(root.iterdir())
    files = sorted(first.glob("*.*"))
    whole = next((file for file in files if file.suffix == ".png"), files[0]).read_bytes()
    (first / "half_copied.png").write_bytes(whole[:len(whole) // 2])
    (first / "empty.jpg").touch()
    (second / "not_found.jpg").write_bytes(NOT_A_PICTURE)
    shutil.copy(files[4], second / f"copy_of_{files[4].name}")
    shutil.copy(files[5], first / f"copy_of_{files[5].name}")
    (second / "notes.txt").write_text("Photographs from the holidays; more to come.\n")
    (second / ".DS_Store").touch()
