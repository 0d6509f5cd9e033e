"""The style of all figures, how they are shown, and what several lessons draw.

A lesson's own figures are in its folder, in `plots.py`. Each function draws what it is given, shows it with an alt
text, and computes nothing. It makes a `Figure` of its own: pyplot keeps one present figure for the whole process, and a
panel that trains in the background draws while a cell does.

One style for the whole course, to be read from the back of a room: text of at least 11 points, an opaque white
background (dark text on a transparent one would vanish in a dark notebook), and colours close to Okabe and Ito's, which
colour-blind readers can tell apart, but darker: each stands out from white by 3:1 or more, and those that also colour
text (`TEXT_COLOURS`) by 4.5:1, as WCAG 2.1 asks. A method keeps its colour and its marker in all notebooks.
"""

from __future__ import annotations

import base64
import html
import io
import warnings
from contextvars import ContextVar

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from helpers.evidence import TARGETS

BLUE, ORANGE, GREEN, PINK, SKY, GREY = "#005FA3", "#C04E00", "#009068", "#CA73A9", "#3B9CDB", "#555555"
TEXT_COLOURS = ("black", BLUE, ORANGE, GREY)
METHOD_COLOURS = {"scratch": GREY, "frozen": BLUE, "full": ORANGE, "LP-FT": "black"}
METHOD_MARKERS = {"scratch": "s", "frozen": "o", "full": "^", "LP-FT": "D"}

matplotlib.rcParams.update(
    {
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "font.size": 12,
        "axes.titlesize": 13,
        "axes.labelsize": 12,
        "legend.fontsize": 11,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.axisbelow": True,
        "lines.linewidth": 2,
        "lines.markersize": 7,
    }
)


warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a class may be named in any script


def opaque(png: io.BytesIO) -> bytes:
    """The same picture as a PNG without transparency, as small as it gets."""
    small = io.BytesIO()
    Image.open(png).convert("RGB").save(small, format="png", optimize=True)
    return small.getvalue()


class Drawing:
    """A figure that is drawn: what a notebook shows of it, a PNG with `alt` as its alternative text."""

    def __init__(self, figure: Figure, alt: str, at_once: bool = False):
        self.name, self.alt = repr(figure), alt
        png = io.BytesIO()
        # A figure that was laid out by hand needs no trimming, for which it would be drawn twice.
        trim = "tight" if figure.get_layout_engine() else None
        figure.savefig(png, format="png", bbox_inches=trim, pil_kwargs={"compress_level": 1})
        # A panel must answer at once; a notebook must be small. Nothing shines through our figures, and without the
        # channel for it and well compressed they are a good tenth smaller.
        self.png = base64.b64encode(png.getvalue() if at_once else opaque(png)).decode()

    def __repr__(self) -> str:
        return self.name

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return {"image/png": self.png, "text/plain": self.name}, {"image/png": {"alt": self.alt}}

    def html(self) -> str:
        style = "max-width: 100%; height: auto"  # else a narrow window would cut it off
        return f'<img alt="{html.escape(self.alt)}" style="{style}" src="data:image/png;base64,{self.png}">'


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG with `alt` as its alternative text."""
    collected = _collected.get()
    if collected is None:
        display(Drawing(figure, alt))
    else:
        collected.append(Drawing(figure, alt, at_once=True).html())


# Where `rendered` gathers figures; None: they are displayed. A thread has its own: a panel may draw while a cell runs.
_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def rendered(plot, *arguments) -> str:
    """What `plot(*arguments)` would show, as HTML: for panels, which put it into an `ipywidgets.HTML`.

    An `ipywidgets.Output` would do with less, but not without a browser: nbclient, which `jupyter execute` uses, sends
    what it captures back on the channel on which it awaits the end of the cell, and may then miss it and wait for ever.
    """
    token = _collected.set([])
    try:
        plot(*arguments)
        return "".join(_collected.get())
    finally:
        _collected.reset(token)


def ink(colour) -> str:
    """Black or white, whichever is easier to read on `colour`; one of them always has a contrast of 4.5:1."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def class_name(name: str, letters: int = 16) -> str:
    """The name of a class as a figure writes it: cut if it has more letters, and with no sign that starts a formula."""
    short = name if len(name) <= letters else name[: letters - 1].rstrip() + "…"
    return short.replace("$", r"\$")


def first_of(shown, everything, what: str = "classes") -> str:
    """The sentence that a figure says if it has room for the first ones only; nothing if it shows them all."""
    return "" if len(shown) == len(everything) else f"Shown are the first {len(shown)} of {len(everything)} {what}."


def page(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in inches, and one axis without a frame that fills it, to be laid out by hand.

    For panels, which must answer at once: an axis for each picture would take several times as long.
    """
    figure = Figure(figsize=(width, height), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    return figure, axis


def outline(axis, box, colour, width: float = 3, **style) -> None:
    """The edges of a box (left, top, right, bottom), given in the axis' own units."""
    left, top, right, bottom = box
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width,
                             **style))


def picture(axis, image) -> None:
    """Draw one image, uint8 (3, H, W) or (H, W), on `axis` without ticks or frame."""
    image = np.asarray(image)
    axis.imshow(image.transpose(1, 2, 0) if image.ndim == 3 else image, cmap="gray")
    axis.set_axis_off()


def images(pictures, titles=None, columns: int = 10, title: str | None = None, alt: str = "",
           size: float = 0.95) -> None:
    """A grid of images (n, 3, H, W) uint8, `size` inches each, with an optional title above each and above all.

    Of more than fifty it shows the first fifty.
    """
    part = first_of(pictures[:50], pictures, "images")
    pictures, title = pictures[:50], f"{title or ''} {part}".strip()
    rows = -(-len(pictures) // columns)
    height = size * (1.25 if titles else 1.04)
    figure = Figure(figsize=(columns * size, rows * height + (0.4 if title else 0)))
    for k, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.set_axis_off()
        if k < len(pictures):
            picture(axis, pictures[k])
            if titles:
                axis.set_title(class_name(titles[k], int(10.5 * size)), fontsize=11, pad=3)
    if title:
        figure.suptitle(title)
    show(figure, f"{alt or title or 'A grid of images.'} {alt and part}".rstrip())


def class_examples(split, each: int = 8) -> None:
    """A row of `each` images for every class of an `ImageSplit`, or for the first 20, in two columns of classes."""
    names = split.classes[:20]
    rows, part = -(-len(names) // 2), first_of(names, split.classes)
    letters = max(8, *(len(class_name(name)) for name in names))
    figure = Figure(figsize=(9.5, rows * 0.56 + (0.4 if part else 0)))
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    axes = figure.subplots(rows, 2 * each + 1, squeeze=False, width_ratios=[1] * each + [0.2 * letters] + [1] * each)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, name in enumerate(names):
        column, row = divmod(number, rows)
        own = axes[row, column * (each + 1):]
        own[0].text(-0.12, 0.5, class_name(name), transform=own[0].transAxes, ha="right", va="center")
        for axis, image in zip(own, split.images[split.labels == number][:each], strict=False):
            picture(axis, image)
    if part:
        figure.suptitle(part, fontsize=12)
    show(figure, f"{each} images of each of the {len(split.classes)} classes: {', '.join(names)}. {part}".rstrip())


def bars(intervals) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of intervals in per cent (n,), and how far each reaches below and above (2, n): matplotlib's errors."""
    middle, low, high = 100 * np.array([(one.estimate, one.low, one.high) for one in intervals]).T
    return middle, np.stack([middle - low, high - middle])


def mark_break(axis: Axes, along: str = "y") -> None:
    """Two strokes across the beginning of an axis ("x" or "y") that does not begin at zero: lengths there mislead.

    To be called when all is drawn: it looks where the axis begins.
    """
    if getattr(axis, f"get_{along}lim")()[0] > 0:
        places = np.array([0.015, 0.03] if along == "x" else [0.025, 0.05])
        x, y = (places, 0 * places) if along == "x" else (0 * places, places)
        stroke = [(-0.6, -1), (0.6, 1)] if along == "x" else [(-1, -0.6), (1, 0.6)]
        axis.plot(x, y, marker=stroke, markersize=9, linestyle="none", color="black", markeredgewidth=1.3,
                  transform=axis.transAxes, clip_on=False, gid="break")


WORD_COLOURS = {"lower": ORANGE, "undecided": GREY, "higher": BLUE}  # the words of `intervals.Difference`


def effects(differences: dict, label: str, bar: str = "95 % interval over things", single: dict | None = None) -> None:
    """Each of several `Difference`s as a dot, and its 95 % interval as a bar, beside a line at zero: no difference.

    The colour says what is decided. `differences[row]`, from top to bottom; `label` says what was subtracted from what,
    and `bar` what the bars are. `single[row]`: the estimates (-1 to 1) of the draws of which the row is the mean, as
    small crosses.
    """
    figure = Figure(figsize=(9, 1.25 + 0.35 * len(differences)))
    axis = figure.add_subplot()
    axis.axvline(0, color="black", linewidth=1.5)
    for k, (row, difference) in enumerate(differences.items()):
        middle, low, high = (100 * value for value in (difference.estimate, difference.low, difference.high))
        colour = WORD_COLOURS[difference.word]
        axis.plot([low, high], [-k, -k], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
        axis.plot(middle, -k, "o", color=colour, markersize=9)
        if single:
            axis.plot(100 * np.array(single[row]), [-k] * len(single[row]), "x", color="black", markersize=7)
        axis.text(1.02, -k, str(difference), va="center", transform=axis.get_yaxis_transform(), fontsize=11)
    axis.set_yticks(-np.arange(len(differences)), differences)
    crosses = "; crosses: single draws" if single else ""
    axis.set(xlabel=f"{label}, in points\ndot: measured; bar: {bar}{crosses}", ylim=(0.6 - len(differences), 0.6))
    axis.grid(axis="y", visible=False)
    told = "; ".join(f"{row}: {difference}" for row, difference in differences.items())
    show(figure, f"{label[:1].upper()}{label[1:]}, with 95 % intervals. {told}.")


def transfer_curves(rows, file=None) -> None:
    """Accuracy against labels per class, a panel for each target, a line for each method.

    `rows` are `evidence.rows()`, or some of them. The bars are 95 % intervals. The figure is saved as a PNG
    as well, where `file` is its path.
    """
    titles = {name: title for name, title in TARGETS.items() if name in {row.target for row in rows}}
    figure = Figure(figsize=(9.5, 4.3))
    counts = sorted({row.labels for row in rows}, key=lambda labels: labels or float("inf"))
    for axis, (target, title) in zip(figure.subplots(1, len(titles), sharey=True, squeeze=False)[0], titles.items(),
                                     strict=True):
        for k, (method, colour) in enumerate(METHOD_COLOURS.items()):
            known = {row.labels: row.accuracy for row in rows if (row.target, row.method) == (target, method)}
            own = {labels: known[labels] for labels in counts if labels in known}
            places = [counts.index(labels) + 0.08 * (k - 1.5) for labels in own]  # side by side, so that none is hidden
            middle, reach = bars(own.values())
            axis.errorbar(places, middle, yerr=reach, capsize=3, color=colour, label=method,
                          marker=METHOD_MARKERS[method], markersize=6)
        axis.axhline(10, color=GREY, linewidth=1, linestyle=":")
        axis.set_xticks(range(len(counts)), [labels or "all" for labels in counts])
        axis.set(title=f"{target}:\n{title}", xlabel="labels per class", ylim=(0, 100),
                 xlim=(-0.4, len(counts) - 0.6))
        axis.grid(axis="x", visible=False)
    figure.axes[0].set_ylabel("accuracy on unseen things (%)")
    figure.axes[-1].text(len(counts) - 0.65, 5, "guessing", ha="right", color=GREY, fontsize=11)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    if file:
        figure.savefig(file)
    found = {(row.target, row.labels, row.method): round(100 * row.accuracy.estimate) for row in rows}
    measured = {(target, labels) for target, labels, _ in found}
    told = [f"{target}, {labels or 'all'} per class: " + ", ".join(
        f"{method} {found[target, labels, method]}" for method in METHOD_COLOURS if (target, labels, method) in found)
        for target in titles for labels in counts if (target, labels) in measured]
    show(figure, f"Accuracy in % by number of labels. {'; '.join(told)}.")
