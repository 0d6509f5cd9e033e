"""A moving picture of a filter at work: an animated PNG, which browsers play wherever they show pictures."""
from __future__ import annotations

import base64
import io

import numpy as np
from IPython.display import display
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, ImageDraw

from helpers.figures import ORANGE, page

CELL, TOP, LEFT, GAP = 20, 70, 30, 220  # pixels: side of a pixel or answer as drawn, margins, room for the filter
REST = "#E8E8E8"  # answers that are still to come


def slide(image, picture, answers) -> None:
    """Show a filter sliding over an image, and its answers as they come, in an endless loop of some ten seconds.

    `image` is uint8 (3, h, w) and small, about 16 pixels a side; `picture` is the filter as float (3, k, k) from 0 to
    1, k odd; `answers` are what it answers at each pixel, float (h, w). The first two rows are shown place by place,
    the others row by row. Where animations don't play, and on paper, the finished picture stands.
    """
    height, width = answers.shape
    stops = [(row, column) for row in range(height) for column in range(width) if row < 2 or column == width - 1]
    base = _background(np.asarray(image), np.asarray(picture), height, width)
    colours = (255 * colormaps["magma"](_scaled(np.asarray(answers)))[..., :3]).astype(np.uint8)
    frames = [_frame(base, colours, stop, picture.shape[-1] // 2) for stop in stops]
    done = Image.fromarray(_revealed(base, colours, stops[-1]))
    # Few colours, and the same ones in all frames, make a small file: those of an empty page and of a full one.
    palette = Image.fromarray(np.vstack((base, np.asarray(frames[-1])))).quantize(255)
    colours_kept = np.array(palette.getpalette(), np.uint8)
    colours_kept[colours_kept > 247] = 255  # else the page, which is mixed with the rim of its letters, is off-white
    palette.putpalette(colours_kept.tolist())
    one, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in (done, *frames, done)]
    data = io.BytesIO()
    times = [120] * (2 * width) + [220] * (height - 2) + [2500]  # milliseconds
    one.save(data, "PNG", save_all=True, append_images=others, default_image=True, duration=times, loop=0)
    alt = (f"A loop: a filter of {picture.shape[-1]} x {picture.shape[-1]} pixels slides over an image of {height} x "
           f"{width} pixels, row by row. It writes one answer for each place, and so makes a map of {height} x "
           f"{width} answers.")
    content = {"image/png": base64.b64encode(data.getvalue()).decode(), "text/plain": "(Here a filter slides.)"}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)


def _background(image: np.ndarray, picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Image and filter, titles, and room for the answers, as uint8 (rows, columns, 3)."""
    right = LEFT + CELL * width + GAP
    figure, axis = page((right + CELL * width + LEFT) / 100, (TOP + CELL * height + 20) / 100)
    axis.set(xlim=(0, right + CELL * width + LEFT), ylim=(TOP + CELL * height + 20, 0))
    middle = LEFT + CELL * width + GAP / 2
    for x, y, words in ((LEFT + CELL * width / 2, TOP - 12, f"the image, {height} x {width} pixels"),
                        (middle, TOP + CELL * height / 2 - 2.5 * CELL, "the filter"),
                        (right + CELL * width / 2, TOP - 12, f"its answers, {height} x {width}")):
        axis.text(x, y, words, ha="center", va="bottom", fontsize=13)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    base = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    side = picture.shape[-1]
    _put(base, image.transpose(1, 2, 0), TOP, LEFT)
    _put(base, (255 * picture.transpose(1, 2, 0)).astype(np.uint8), TOP + CELL * (height - side - 1) // 2,
         int(middle - CELL * side / 2))
    _put(base, np.full((height, width, 3), tuple(bytes.fromhex(REST[1:])), np.uint8), TOP, right)
    return base


def _put(base: np.ndarray, small: np.ndarray, top: int, left: int) -> None:
    """Draw `small` (rows, columns, 3) into `base`, each pixel as a square of CELL x CELL."""
    large = small.repeat(CELL, 0).repeat(CELL, 1)
    base[top:top + large.shape[0], left:left + large.shape[1]] = large


def _scaled(values: np.ndarray) -> np.ndarray:
    """From 0 for the smallest value to 1 for the largest."""
    return (values - values.min()) / max(float(np.ptp(values)), 1e-9)


def _revealed(base: np.ndarray, colours: np.ndarray, stop: tuple[int, int]) -> np.ndarray:
    """The answers up to the one at `stop`, (row, column), in the order in which one reads."""
    drawn, (row, column) = base.copy(), stop
    right = base.shape[1] - LEFT - CELL * colours.shape[1]
    _put(drawn, colours[:row], TOP, right)
    _put(drawn, colours[row:row + 1, :column + 1], TOP + CELL * row, right)
    return drawn


def _frame(base: np.ndarray, colours: np.ndarray, stop: tuple[int, int], reach: int) -> Image.Image:
    """The moment at which the filter's middle stands at `stop`; `reach` is how far it sees to each side, in pixels."""
    frame = Image.fromarray(_revealed(base, colours, stop))
    draw, (row, column) = ImageDraw.Draw(frame), stop
    right = base.shape[1] - LEFT - CELL * colours.shape[1]
    for left, around in ((LEFT, reach), (right, 0)):
        x, y = left + CELL * (column - around), TOP + CELL * (row - around)
        side = CELL * (2 * around + 1) - 1
        for colour, thick in (("white", 5), (ORANGE, 3)):
            draw.rectangle((x, y, x + side, y + side), outline=colour, width=thick)
    return frame
