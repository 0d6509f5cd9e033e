"""Interactive panels. Each is a set of controls on top of a plot function and holds no logic of its own."""
from __future__ import annotations

import html

import ipywidgets

from helpers import anatomy, plots


class Panel(ipywidgets.VBox):
    """A box that says what it is where no widgets run: on GitHub, on paper, in a web page without script."""

    def __repr__(self) -> str:
        return "(Here stands a panel with controls. Run the notebook to use it.)"


def fitted(content: str) -> str:
    """HTML that takes the width it is given: on a phone, a table or a line of code scrolls and widens nothing else."""
    return f"<div style='contain: inline-size; overflow-x: auto'>{content}</div>"


def panel(controls: dict, draw) -> Panel:
    """A row of controls above a figure that `draw(**values)` returns as HTML, drawn anew when a control changes."""
    figure = ipywidgets.HTML()

    def redraw(_=None) -> None:
        figure.value = fitted(draw(**{name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.observe(redraw, "value")
    redraw()
    row = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"})
    return Panel([row, figure])


# --- notebook 02 ---

def layer_explorer(model, images, preprocess, start: int = 0, count: int = 8) -> ipywidgets.VBox:
    """Choose an image and a layer of `features`; see its maps and what a unit sees (`plots.layer_view`).

    `images` is uint8 (n, 3, H, W), `start` the one shown first. Children of the result: a box with the two controls,
    image and layer, then the figure as HTML.
    """
    table = [row for row in anatomy.layer_table(model, images.shape[-1]) if row.block and row.kind != "ReLU"]
    device = next(model.parameters()).device
    image = ipywidgets.IntSlider(value=start, min=0, max=len(images) - 1, description="image")
    layer = ipywidgets.Dropdown(options=[(f"{row.name} ({row.kind})", row) for row in table],
                                value=anatomy.last_of_blocks(table, "Conv2d")[2], description="layer")

    def draw(image: int, layer: anatomy.Layer) -> str:
        maps = anatomy.feature_maps(model, preprocess(images[image][None].to(device)), [layer.name])[layer.name][0]
        channels = anatomy.strongest(maps, count)
        brightest = anatomy.brightest(maps[channels[0]])
        return plots.rendered(plots.layer_view, images[image], layer, maps[channels], channels, brightest)

    return panel({"image": image, "layer": layer}, draw)


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

def augmentation(original, draw) -> ipywidgets.VBox:
    """Sliders for an augmentation pipeline, a grid of draws, and the pipeline as text to copy.

    Args:
        original: the image (3, H, W), uint8.
        draw: `draw(padding=, flip=, rotation=, brightness=, hue=, seed=)` returns the draws (n, 3, H, W) and the text.

    Returns:
        A box of two children: the sliders (a box, in the order of `draw`'s arguments), and the figure with the text.
    """
    wide = {"style": {"description_width": "90px"}, "layout": {"width": "290px"}, "continuous_update": False}
    sliders = {
        "padding": ipywidgets.IntSlider(4, 0, 32, description="padding", **wide),
        "flip": ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.1, description="flip", **wide),
        "rotation": ipywidgets.IntSlider(0, 0, 180, step=5, description="rotation", **wide),
        "brightness": ipywidgets.FloatSlider(0, min=0, max=1, step=0.1, description="brightness", **wide),
        "hue": ipywidgets.FloatSlider(0, min=0, max=0.5, step=0.05, description="hue", **wide),
        "seed": ipywidgets.IntSlider(0, 0, 20, description="seed", **wide),
    }

    def show(**values) -> str:
        pictures, code = draw(**values)
        text = f"<pre style='font-size: 14px; line-height: 1.3'>{html.escape(code)}</pre>"
        return plots.rendered(plots.draws, original, pictures) + text

    return panel(sliders, show)
