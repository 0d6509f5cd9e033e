"""What ships with the course: drawings, examples, weights. Each module knows its own files; one sentence serves all."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def damaged(file: Path) -> RuntimeError:
    """The error to raise where one of these files is missing or can't be read."""
    return RuntimeError(f"The asset {file.name} is missing or damaged; get a fresh copy of the course.")


def tiles(file: Path, mode: str, tile: int, columns: int, count: int) -> np.ndarray:
    """The first `count` tiles of a sheet with `columns` tiles in a row: uint8 (count, tile, tile) or (..., channels).

    `mode` is Pillow's, such as "L" or "RGBA". Raises `RuntimeError` if the sheet can't be read or has not so many.
    """
    try:
        sheet = np.asarray(Image.open(file).convert(mode))
        grid = sheet.reshape(sheet.shape[0] // tile, tile, columns, tile, -1).swapaxes(1, 2)
        found = grid.reshape(-1, tile, tile, *sheet.shape[2:])[:count]
        if len(found) < count:
            raise ValueError("too few tiles")
        return found
    except (OSError, ValueError, SyntaxError) as error:
        raise damaged(file) from error
