"""What a plot function shows, looked at piece by piece."""
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def drawn(figure, alt: str) -> SimpleNamespace:
    """A figure that was shown: its `alt` text, its `axes`, its `pixels` without text, and each text that is drawn.

    `texts` have a `string`, a size in `points`, a `colour`, a `rotation` in degrees, and a `box` (left, bottom, right,
    top) in pixels.
    """
    written, write = [], Text.draw
    with pytest.MonkeyPatch.context() as patch:
        FigureCanvasAgg(figure)  # a figure that was made without pyplot has no canvas that draws yet
        patch.setattr(Text, "draw", lambda text, renderer: (written.append(text), write(text, renderer)))
        figure.canvas.draw()
        written = [text for text in dict.fromkeys(written) if text.get_text().strip()]
        boxes = [text.get_window_extent() for text in written]
        patch.setattr(Text, "draw", lambda text, renderer: None)
        figure.set_layout_engine("none")  # nothing moves when the texts are gone
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1] / 255  # from the bottom up, like the boxes
    texts = [SimpleNamespace(string=text.get_text(), points=text.get_fontsize(), colour=text.get_color(),
                             rotation=text.get_rotation(), box=box.extents.round().astype(int))
             for text, box in zip(written, boxes, strict=True)]
    return SimpleNamespace(alt=alt, pixels=pixels, texts=texts, axes=figure.axes)


def cut_off(shown) -> list[tuple]:
    """The texts that reach over the edge of the canvas."""
    height, width, _ = shown.pixels.shape
    inside = [(text.box[:2] >= -1).all() and (text.box[2:] <= (width + 1, height + 1)).all() for text in shown.texts]
    return [(text.string, *text.box) for text, whole in zip(shown.texts, inside, strict=True) if not whole]
