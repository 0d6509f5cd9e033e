"""What can happen to a file: tests damage a copy of their own."""
from __future__ import annotations

from pathlib import Path

from PIL import Image


def cut(path: Path) -> None:
    """The second half of the file is lost."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def crop(path: Path) -> None:
    """Of a sheet of tiles only the first 64 rows of pixels are left."""
    image = Image.open(path)
    image.crop((0, 0, image.width, 64)).save(path, lossless=True)
