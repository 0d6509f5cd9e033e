"""The panels of notebook 3: augmentation"""
from __future__ import annotations

import functools
import html

import ipywidgets

from helpers import figures
from helpers.lesson_03 import plots
from helpers.panel import Panel, panel, paragraph

VIEWS = 12  # of the image, in two rows


def augmentation(original, build, draw, examine, judge) -> Panel:
    """Sliders for an augmentation pipeline and a question; its views, what a quiz on such views says, and its code.

    Args:
        original: the image (3, H, W), uint8.
        build: `build(padding=, crop=, flip=, rotation=, brightness=, hue=)` returns the pipeline, and its text to copy.
        draw: `draw(pipeline, images, seed)` returns a view of each of the images (n, 3, H, W).
        examine: `examine(pipeline, seed)` returns what the quiz says, a `Difference`; asked once for each setting.
        judge: `judge(difference, verdict)` returns a sentence. The verdict is "yes", "not sure", "no", or "" as long as
            the reader has not answered for these settings.

    Returns:
        A box of two children: the controls (a box, in the order of `build`'s arguments, then the seed and the
        question), and the figure with the texts.
    """
    wide = {"style": {"description_width": "80px"}, "layout": {"width": "290px"}, "continuous_update": False}
    sliders = {
        "padding": ipywidgets.IntSlider(4, 0, original.shape[-1] // 2, description="padding", **wide),
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

    @functools.lru_cache(maxsize=1)  # the same views and the same quiz, whatever the reader answers
    def measured(seed: int, **settings) -> tuple:
        pipeline, code = build(**settings)
        pictures = draw(pipeline, original.repeat(VIEWS, 1, 1, 1), seed)
        return figures.rendered(plots.draws, original, pictures), examine(pipeline, seed), html.escape(code)

    def show(verdict: str, **settings) -> str:
        figure, difference, code = measured(**settings)
        return (figure + paragraph(judge(difference, verdict))
                + f"<pre style='font-size: 14px; line-height: 1.3'>{code}</pre>")

    return panel(sliders | {"verdict": verdict}, show)
