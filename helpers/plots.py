"""Every figure of the course. Each function draws what it is given, shows it with an alt text, and computes nothing.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; a method keeps its colour in all notebooks.
"""
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#666666"
METHOD_COLOURS = {"scratch": GREY, "frozen": BLUE, "full": ORANGE}
METHOD_MARKERS = {"scratch": "s", "frozen": "o", "full": "^"}

plt.rcParams.update({
    "figure.dpi": 100, "savefig.dpi": 100, "figure.constrained_layout.use": True, "figure.facecolor": "white",
    "font.size": 12, "axes.titlesize": 13, "axes.labelsize": 12, "legend.fontsize": 11, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
    "axes.axisbelow": True, "lines.linewidth": 2, "lines.markersize": 7,
})


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG with `alt` as its alternative text, and forget it."""
    display(figure, metadata={"image/png": {"alt": alt}})
    plt.close(figure)


def picture(axis, image) -> None:
    """Draw one image, uint8 (3, H, W) or (H, W), on `axis` without ticks or frame."""
    image = np.asarray(image)
    axis.imshow(image.transpose(1, 2, 0) if image.ndim == 3 else image, cmap="gray")
    axis.set_axis_off()


def images(pictures, titles=None, columns: int = 10, title: str | None = None, alt: str = "", size: float = 0.95) -> None:
    """A grid of images (n, 3, H, W) uint8, `size` inches each, with an optional title above each and above all."""
    rows = -(-len(pictures) // columns)
    height = size * (1.25 if titles else 1.04)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * height + (0.4 if title else 0)),
                                squeeze=False)
    for k, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if k < len(pictures):
            picture(axis, pictures[k])
            if titles:
                axis.set_title(titles[k], fontsize=10, pad=3)
    if title:
        figure.suptitle(title)
    show(figure, alt or title or "A grid of images.")
