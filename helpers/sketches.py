"""Sketches: what a hand draws on the drawing pad, stroke by stroke, and the picture that the networks see of it.

A stroke is a list of points (x, y), each from 0 to 1, from the pad's upper left corner. Thirty sketches ship with the
course, three of each class, drawn before any network had seen one of them.
"""
from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from helpers.composition import SIZE
from helpers.shipped import damaged

ASSETS = Path(__file__).resolve().parent / "assets" / "sketches"
WIDTH = 80  # pixels across the longer side of a sketch: the middle of what the pocket data's drawings have
LINE = 4  # pixels
SMALLEST = 0.1  # of the pad: what is smaller, such as a dot, is not blown up to fill the picture
FINE = 4  # the sketch is drawn so many times larger and then averaged, so that its lines have no steps


def picture(strokes: list) -> Tensor:
    """A sketch in black on white, scaled and centred as the pocket data's drawings are: uint8 (3, SIZE, SIZE).

    Without strokes it is white paper. A point beyond the pad counts as the nearest one on it. Raises `ValueError` if
    `strokes` are no lists of points.
    """
    lines = [points_of(stroke) for stroke in strokes]
    lines = [line for line in lines if len(line)]
    paper = Image.new("L", (FINE * SIZE, FINE * SIZE), 255)
    if lines:
        everything = np.concatenate(lines)
        low, high = everything.min(axis=0), everything.max(axis=0)
        scale = FINE * (WIDTH - LINE) / max(*(high - low), SMALLEST)
        pen = ImageDraw.Draw(paper)
        for line in lines:
            draw_line(pen, (line - (low + high) / 2) * scale + FINE * SIZE / 2)
    grey = torch.from_numpy(np.array(paper.reduce(FINE)))
    return grey.expand(3, -1, -1).contiguous()


def points_of(stroke) -> np.ndarray:
    """A stroke's points as float64 (n, 2), moved onto the pad where they lie beyond it."""
    try:
        points = np.asarray(stroke, dtype=np.float64).reshape(-1, 2) if len(stroke) else np.empty((0, 2))
        if np.shape(stroke) != (0,) and np.shape(stroke) != points.shape or not np.isfinite(points).all():
            raise ValueError("no points")
    except (TypeError, ValueError):
        raise ValueError("A stroke is a list of points (x, y), each a pair of numbers from 0 to 1.") from None
    return points.clip(0, 1)


def draw_line(pen: ImageDraw.ImageDraw, points: np.ndarray) -> None:
    """Draw a line through `points` (n, 2), round at its ends and corners; a single point is a dot."""
    width = FINE * LINE
    pen.line([tuple(point) for point in points], fill=0, width=width)
    for x, y in points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)


# --- the sketches that ship ----------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=1)
def shipped() -> dict[str, tuple[str, list]]:
    """The sketches that ship with the course, by name: (class, strokes). Raises `RuntimeError` for a damaged file."""
    found = {}
    for file in sorted(ASSETS.glob("*.json")):
        try:
            sketch = json.loads(file.read_text(encoding="utf-8"))
            found[file.stem] = sketch["class"], sketch["strokes"]
            picture(sketch["strokes"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(file) from error
    if not found:
        raise damaged(ASSETS)
    return found
