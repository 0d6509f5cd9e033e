"""Make the moving picture of the README: notebook 2's layer explorer, with its slider moved from layer to layer.

    python -m helpers.make.moving_panel

The panel is the notebook's own, on the pocket data. Each picture shows a state that a reader can put it into.
"""
from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from helpers import anatomy, datasets, networks
from helpers.lesson_02 import panels
from helpers.panel import Panel
from helpers.preprocess import Preprocess

FILE = Path(__file__).resolve().parent.parent / "assets" / "layer_explorer.webp"
EACH, SEED = 12, 0  # training images per class, as in the notebook
IMAGE = 1  # which of the ten classes' images is looked at
TOP, MARGIN = 64, 70  # pixels above the figures, for the slider, and beside its track
FIRST, REST, LAST = 1600, 900, 2200  # milliseconds that a picture stays


def explorer() -> Panel:
    """The panel as notebook 2 makes it."""
    model = networks.build("pocket_vgg").eval()
    preprocess = Preprocess(*networks.normalisation("pocket_vgg"))
    train = datasets.load("pocket", "train")
    pictures = train.few(EACH, seed=SEED)
    rows = anatomy.layer_table(model, pictures.images.shape[-1])
    names = [row.name for row in rows if row.block and row.kind != "ReLU"]
    with torch.no_grad():
        liked = anatomy.favourites(model, preprocess(pictures.images), names)
    return panels.layer_explorer(model, train.few(1, seed=SEED), preprocess, pictures, liked, start=IMAGE)


def states(panel: Panel) -> list[Image.Image]:
    """A picture of the panel for each layer with a filter of its own, from the image up."""
    (_, layer, _), figure = panel.children[0].children, panel.children[1]
    found = []
    for place, (_, row) in enumerate(layer.options):
        if row.kind == "Conv2d":
            layer.value = row
            pngs = re.findall(r"base64,([^\"]+)", figure.value)
            drawn = [Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB") for png in pngs]
            found.append(framed(drawn, row.name, place / (len(layer.options) - 1)))
    return found


def framed(drawn: list[Image.Image], name: str, share: float) -> Image.Image:
    """The figures below one another, under a slider whose knob stands at this share of its track."""
    width = max(one.width for one in drawn)
    page = Image.new("RGB", (width, TOP + sum(one.height for one in drawn)), "white")
    pen, y = ImageDraw.Draw(page), TOP // 2
    left, right = 2 * MARGIN, width - 3 * MARGIN
    knob = left + share * (right - left)
    pen.text((left - 20, y), "layer", "black", anchor="rm", font_size=20)
    pen.text((right + 30, y), name, "black", anchor="lm", font_size=20)
    pen.rounded_rectangle((left, y - 3, right, y + 3), 3, "#C8C8C8")
    pen.rounded_rectangle((left, y - 3, knob, y + 3), 3, "#1976D2")
    pen.ellipse((knob - 11, y - 11, knob + 11, y + 11), "white", "#1976D2", 3)
    y = TOP
    for one in drawn:
        page.paste(one, ((width - one.width) // 2, y))
        y += one.height
    return page


def main(file: Path = FILE) -> None:
    one, *others = states(explorer())
    times = [FIRST, *[REST] * (len(others) - 1), LAST]
    one.save(file, save_all=True, append_images=others, duration=times, loop=0, quality=70, method=6)
    print(f"wrote {file.name}: {1 + len(others)} pictures of {one.width} x {one.height} pixels, "
          f"{file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
