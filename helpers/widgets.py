"""Interactive panels. Each is a set of controls on top of a plot function and holds no logic of its own."""
from __future__ import annotations

import functools
import html

import ipywidgets

from helpers import anatomy, plots


def panel(controls: dict, draw) -> ipywidgets.VBox:
    """A row of controls above a figure that `draw(**values)` returns as HTML, drawn anew when a control changes."""
    figure = ipywidgets.HTML()

    def redraw(_=None) -> None:
        figure.value = draw(**{name: control.value for name, control in controls.items()})

    for control in controls.values():
        control.observe(redraw, "value")
    redraw()
    row = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([row, figure])


# --- notebook 02 ---

def layer_explorer(model, examples, preprocess, start: int = 0, count: int = 8) -> ipywidgets.VBox:
    """Choose an image and a layer of `features`; see its numbers, its maps and what a unit sees (`plots.layer_view`).

    `examples` is an `ImageSplit` with one image of each class, `start` the one shown first. Children of the result: a
    box with the two controls, image and layer, then the figure and a table as HTML. An image goes through the network
    once, so that moving along the layers costs only the drawing.
    """
    size, device = examples.images.shape[-1], next(model.parameters()).device
    table = anatomy.layer_table(model, size)
    rows, total = [row for row in table if row.block and row.kind != "ReLU"], anatomy.totals(table)
    names = [examples.classes[label] for label in examples.labels.tolist()]
    wide = {"width": "480px", "max_width": "100%"}
    image = ipywidgets.Dropdown(options=[(name, k) for k, name in enumerate(names)], value=start, description="image")
    layer = ipywidgets.SelectionSlider(options=[(f"{row.name} ({row.kind})", row) for row in rows], layout=wide,
                                       value=anatomy.last_of_blocks(rows, "Conv2d")[2], description="layer")

    @functools.lru_cache(maxsize=16)
    def maps_of(image: int) -> dict:
        inputs = preprocess(examples.images[image][None].to(device))
        return anatomy.feature_maps(model, inputs, [row.name for row in rows])

    def draw(image: int, layer: anatomy.Layer) -> str:
        maps = maps_of(image)[layer.name][0]
        channels = anatomy.strongest(maps, count)
        unit = anatomy.brightest(maps[channels[0]])
        figure = plots.rendered(plots.layer_view, examples.images[image], layer, maps[channels], channels, unit)
        return figure + _layer_facts(layer, total, channels, unit, names[image], size)

    return panel({"image": image, "layer": layer}, draw)


def _layer_facts(layer: anatomy.Layer, total: dict, channels: list, unit: tuple, name: str, size: int) -> str:
    """A layer's numbers as an HTML table, and one sentence about the marked unit of the image called `name`."""
    facts = {
        "layer": f"{layer.name} ({layer.kind}, block {layer.block})",
        "output": " x ".join(map(str, layer.shape)),
        "parameters": f"{layer.parameters:,} ({100 * layer.parameters / total['parameters']:.1f} % of all)",
        "multiply-adds": f"{layer.multiply_adds:,} ({100 * layer.multiply_adds / total['multiply_adds']:.1f} % of all)",
        "a unit sees": f"{layer.receptive_field} x {layer.receptive_field} pixels",
        "strongest channels": ", ".join(map(str, channels)),
    }
    left, top, right, bottom = inside = layer.visible(*unit, size)
    beyond = "" if inside == layer.field(*unit) else ", and beyond the border the zeros of the padding"
    head = "".join(f"<th scope='col' style='text-align: left; padding: 0 16px 0 0'>{key}</th>" for key in facts)
    cells = "".join(f"<td style='padding: 0 16px 0 0; vertical-align: top'>{value}</td>" for value in facts.values())
    return (f"<div style='font-size: 14px; line-height: 1.5'><table><tr>{head}</tr><tr>{cells}</tr></table>"
            f"Image: {html.escape(name)}. The ring marks the brightest unit of channel {channels[0]}, in row {unit[0]} "
            f"and column {unit[1]} of its map. Of the image it sees rows {top} to {bottom - 1} and columns {left} to "
            f"{right - 1}{beyond}.</div>")


# --- notebook 04 ---

def mistakes_browser(split, evaluation) -> ipywidgets.VBox:
    """Two menus, true class and answer, above the most confident mistakes of that kind."""
    options = [("any", None), *((name, name) for name in split.classes)]
    menus = {"true": ipywidgets.Dropdown(options=options, description="true class"),
             "answer": ipywidgets.Dropdown(options=options, description="answer")}

    def draw(true: str | None, answer: str | None) -> str:
        return plots.rendered(plots.mistakes, split, evaluation, true, answer) or "There is no such mistake."

    return panel(menus, draw)


# --- notebook 03 ---

def augmentation(original, draw, judge) -> ipywidgets.VBox:
    """Sliders for an augmentation pipeline and a question; the draws, what they mean, and the pipeline as text to copy.

    Args:
        original: the image (3, H, W), uint8.
        draw: `draw(padding=, crop=, flip=, rotation=, brightness=, hue=, seed=)` returns the draws (n, 3, H, W) and the
            text of the pipeline.
        judge: `judge(draws, verdict)` returns which draws get a frame (n booleans) and a sentence. The verdict is
            "yes", "not sure", "no", or "" as long as the reader has not answered for these settings.

    Returns:
        A box of two children: the controls (a box, in the order of `draw`'s arguments, then the question), and the
        figure with the texts.
    """
    wide = {"style": {"description_width": "80px"}, "layout": {"width": "290px"}, "continuous_update": False}
    sliders = {
        "padding": ipywidgets.IntSlider(4, 0, 32, description="padding", **wide),
        "crop": ipywidgets.FloatSlider(1, min=0.1, max=1, step=0.1, description="crop", **wide),
        "flip": ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.1, description="flip", **wide),
        "rotation": ipywidgets.IntSlider(0, 0, 180, step=5, description="rotation", **wide),
        "brightness": ipywidgets.FloatSlider(0, min=0, max=1, step=0.1, description="brightness", **wide),
        "hue": ipywidgets.FloatSlider(0, min=0, max=0.5, step=0.05, description="hue", **wide),
        "seed": ipywidgets.IntSlider(0, 0, 20, description="seed", **wide),
    }
    verdict = ipywidgets.ToggleButtons(
        options=[("no answer yet", ""), *((word, word) for word in ("yes", "not sure", "no"))],
        description="Would a human still label it?",
        style={"description_width": "190px", "button_width": "130px"}, layout={"width": "100%"})

    def ask_again(_) -> None:
        verdict.value = ""  # an answer holds for the settings it was given for

    for name, slider in sliders.items():
        if name != "seed":
            slider.observe(ask_again, "value")

    @functools.lru_cache(maxsize=1)  # a slider that clears the verdict asks twice for the same
    def show(verdict: str, **settings) -> str:
        pictures, code = draw(**settings)
        framed, sentence = judge(pictures, verdict)
        text = f"<p style='font-size: 16px; margin: 8px 0'>{html.escape(sentence)}</p>"
        text += f"<pre style='font-size: 14px; line-height: 1.3'>{html.escape(code)}</pre>"
        return plots.rendered(plots.draws, original, pictures, framed) + text

    return panel(sliders | {"verdict": verdict}, show)
