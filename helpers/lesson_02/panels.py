"""The panels of notebook 2: inside VGG"""
from __future__ import annotations

import functools
import html

import ipywidgets

from helpers import anatomy, figures
from helpers.hardware import device_of
from helpers.lesson_02 import plots
from helpers.panel import Panel, beside, panel

RANKS = ("strongest", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")


def layer_explorer(model, examples, preprocess, pictures, liked, start: int = 0) -> Panel:
    """Choose an image, a layer of `features` and a channel: its map, what a unit sees, and what excites it most.

    `examples` is an `ImageSplit` with one image of each class, `start` the one shown first. `liked` is what
    `anatomy.favourites` found among the images of the `ImageSplit` `pictures`, for all layers of `features` but the
    ReLUs. Channels are ranked anew for each image and layer. Children of the result: a box with the three controls,
    then two figures (`plots.layer_view`, `plots.favourites`) and the layer's numbers as HTML. An image goes through the
    network once, so that moving along the layers costs only the drawing.
    """
    size, device = examples.images.shape[-1], device_of(model)
    table = anatomy.layer_table(model, size)
    rows, total = [row for row in table if row.name in liked], anatomy.totals(table)
    names = [examples.classes[label] for label in examples.labels.tolist()]
    wide = {"width": "480px", "max_width": "100%"}
    image = ipywidgets.Dropdown(options=[(name, k) for k, name in enumerate(names)], value=start, description="image")
    layer = ipywidgets.SelectionSlider(options=[(row.name, row) for row in rows], layout=wide,
                                       value=anatomy.last_of_blocks(rows, "Conv2d")[2], description="layer")
    rank = ipywidgets.Dropdown(options=[(word, k) for k, word in enumerate(RANKS)], value=0, description="channel")

    @functools.lru_cache(maxsize=16)
    def maps_of(image: int) -> dict:
        inputs = preprocess(examples.images[image][None].to(device))
        return anatomy.feature_maps(model, inputs, [row.name for row in rows])

    def draw(image: int, layer: anatomy.Layer, rank: int) -> str:
        maps = maps_of(image)[layer.name][0]
        channels = anatomy.strongest(maps, len(RANKS))
        channel, unit = channels[rank], anatomy.brightest(maps[channels[rank]])
        view = figures.rendered(plots.layer_view, examples.images[image], layer, maps[channels], channels, unit, rank)
        best = figures.rendered(plots.favourites, pictures, layer, channel, liked[layer.name][channel])
        return view + best + _layer_facts(layer, total, channel, unit, names[image], size)

    return panel({"image": image, "layer": layer, "rank": rank}, draw)


def _layer_facts(layer: anatomy.Layer, total: dict, channel: int, unit: tuple, name: str, size: int) -> str:
    """A layer's numbers side by side as HTML, and one sentence about the marked unit of the image called `name`."""
    facts = {
        "layer": f"{layer.name} ({layer.kind}, block {layer.block})",
        "output": " x ".join(map(str, layer.shape)),
        "parameters": f"{layer.parameters:,} ({100 * layer.parameters / total['parameters']:.1f} % of all)",
        "multiply-adds": f"{layer.multiply_adds:,} ({100 * layer.multiply_adds / total['multiply_adds']:.1f} % of all)",
        "a unit sees": f"{layer.receptive_field} x {layer.receptive_field} pixels",
        "channel": f"{channel} of 0 to {layer.shape[0] - 1}",
    }
    left, top, right, bottom = inside = layer.visible(*unit, size)
    beyond = "" if inside == layer.field(*unit) else ", and beyond the border the zeros of the padding"
    numbers = beside(f"<b>{key}</b><br>{value}" for key, value in facts.items())
    return (f"<div style='font-size: 14px; line-height: 1.5'>{numbers}<p>Image: {html.escape(name)}. The ring marks "
            f"the brightest unit of channel {channel}, in row {unit[0]} and column {unit[1]} of its map. Of the image "
            f"it sees rows {top} to {bottom - 1} and columns {left} to {right - 1}{beyond}.</p></div>")
