"""The panels of notebook 6: your own pictures."""
from __future__ import annotations

import html

import ipywidgets

from helpers import figures, inference, pictures
from helpers.lesson_06 import plots
from helpers.panel import Panel, beside, panel, paragraph


def refusals(confidences: dict, threshold: float) -> Panel:
    """A slider for the threshold (0 to 1) above the figure of what it refuses; it begins at `threshold`.

    `confidences` are those of `plots.refusals`.
    """
    slider = ipywidgets.IntSlider(round(100 * threshold), 0, 100, description="threshold",
                                  style={"description_width": "75px"}, layout={"width": "290px"})

    def draw(percent: int) -> str:
        lost = {kind: int((own < percent / 100).sum()) for kind, own in confidences.items()}
        words = ", ".join(f"{lost[kind]} of {len(own)} ({kind})" for kind, own in confidences.items())
        return (paragraph(f"Below {percent} % it says \"none of these\": {words}.")
                + figures.rendered(plots.refusals, confidences, percent / 100))

    return panel({"percent": slider}, draw)


def try_picture(networks: dict, preprocess, start) -> Panel:
    """Upload a picture, or take one with the phone's camera; see what each network takes it for.

    `networks[label]` is (model, class names), `start` the image (3, H, W) uint8 that is shown at first. Children of the
    result: a box with the `FileUpload`, then a sentence, the figure and a table for each network as HTML. A file that
    can't be read leaves the last picture in place, and the sentence says why.
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
        answers = inference.answers(networks, preprocess, shown[0])
        figure = figures.rendered(plots.picture_answers, shown[0], answers)
        return paragraph(sentence) + figure + beside(_table(label, given) for label, given in answers.items())

    return panel({"upload": ipywidgets.FileUpload(accept="image/*", description="picture")}, draw)


def _table(network: str, given: list[tuple[str, float]]) -> str:
    """What one network takes it for as an HTML table, its surest answer first: (class, 0 to 1) each."""
    rows = "".join(f"<tr><th scope='row'>{place}</th><td>{html.escape(name)}</td>"
                   f"<td style='text-align: right'>{100 * share:.1f} %</td></tr>"
                   for place, (name, share) in enumerate(given, 1))
    return (f"<table style='font-size: 14px; border-collapse: separate; border-spacing: 10px 2px'>"
            f"<caption style='text-align: left'>{html.escape(network)}</caption><thead><tr><th scope='col'>place</th>"
            f"<th scope='col'>answer</th><th scope='col'>confidence</th></tr></thead><tbody>{rows}</tbody></table>")
