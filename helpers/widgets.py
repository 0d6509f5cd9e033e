"""Interactive panels. Each is a set of controls on top of a plot function and holds no logic of its own."""
from __future__ import annotations

import html

import ipywidgets

from helpers import anatomy, pictures, plots


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


# --- notebook 04: a picture of one's own ---

def try_picture(networks: dict, preprocess, start) -> ipywidgets.VBox:
    """Upload a picture, or take one with the phone's camera; see what each network takes it for.

    `networks[label]` is (model, class names), `start` the image (3, H, W) uint8 that is shown at first. Children of the
    result: a box with the `FileUpload`, then a sentence, the figure and a table as HTML. A file that can't be read
    leaves the last picture in place, and the sentence says why.
    """
    shown = [start]

    def draw(upload) -> str:
        sentence = "This is the picture of the figure above. Choose one of your own."
        if upload:
            # ipywidgets 7, which Colab has, holds a dict by file name; since version 8 it is a tuple of dicts
            name, file = list(upload.items())[-1] if isinstance(upload, dict) else (upload[-1]["name"], upload[-1])
            try:
                shown[0] = pictures.read(bytes(file["content"]), start.shape[-1])[0]
                sentence = f"{name}, as the networks see it."
            except ValueError as error:
                sentence = f"{name} can't be shown. {error} Below is still the picture before it."
        answers = pictures.answers(networks, preprocess, shown[0])
        figure = plots.rendered(plots.picture_answers, shown[0], answers)
        return f"<p role='status' style='font-size: 14px'>{html.escape(sentence)}</p>{figure}{_table(answers)}"

    return panel({"upload": ipywidgets.FileUpload(accept="image/*", description="picture")}, draw)


def _table(answers: dict) -> str:
    """Confidences as an HTML table, a row a place, two columns a network: `answers[label]` = [(class, 0 to 1), ...]."""
    names = "".join(f"<th scope='colgroup' colspan='2'>{html.escape(label)}</th>" for label in answers)
    kinds = "<th scope='col'>answer</th><th scope='col'>confidence</th>" * len(answers)
    rows = ""
    for place in range(max(map(len, answers.values()))):
        cells = [given[place] if place < len(given) else None for given in answers.values()]
        rows += f"<tr><th scope='row'>{place + 1}</th>" + "".join(
            f"<td>{html.escape(cell[0])}</td><td style='text-align: right'>{100 * cell[1]:.1f} %</td>" if cell
            else "<td></td><td></td>" for cell in cells) + "</tr>"
    return (f"<table style='font-size: 14px; border-collapse: separate; border-spacing: 14px 2px'>"
            f"<caption>What each network takes it for</caption>"
            f"<thead><tr><td></td>{names}</tr><tr><th scope='col'>place</th>{kinds}</tr></thead>"
            f"<tbody>{rows}</tbody></table>")
