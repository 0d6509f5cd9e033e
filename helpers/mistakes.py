"""Where a network goes wrong: its confusion matrix, the images that it got wrong, and a panel to walk through them."""
from __future__ import annotations

import base64
import html
import io

import ipywidgets
import matplotlib
import numpy as np
import traitlets
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from helpers.figures import ORANGE, SKY, class_name, ink, page, show
from helpers.intervals import one_per_thing
from helpers.panel import Panel, panel, paragraph

MOST = 12  # classes in a matrix: of more, the squares would be too small to be read, and to be met with a finger
ANY = -1  # in the place of a class: whichever it is
NONE = "All {} images were answered right: there are no mistakes to look at."


def most_confused(counts, most: int = MOST) -> list[int]:
    """The classes of a confusion matrix, by number; of more than `most`, those of the pairs most often confused."""
    pairs = np.argsort(-_wrong(counts), axis=None, kind="stable")
    classes = dict.fromkeys(k for pair in pairs for k in divmod(int(pair), len(counts)))
    return sorted(list(classes)[:most])


def _wrong(counts) -> np.ndarray:
    """A confusion matrix without its diagonal: the mistakes alone."""
    wrong = np.array(counts)
    np.fill_diagonal(wrong, 0)
    return wrong


def _shares(counts, of) -> np.ndarray:
    """Counts as shares of the images of each true class in `of`; a class may have no images in this exam."""
    return counts / of.sum(1, keepdims=True).clip(1)


def _shown_of(shown: list[int], counts) -> str:
    """Which classes a matrix shows, as a sentence; nothing if it shows all of them."""
    if len(shown) == len(counts):
        return ""
    if np.trace(counts) == counts.sum():
        return f"Shown are the first {len(shown)} of {len(counts)} classes; no class is confused with another."
    return f"Shown are the {len(shown)} of {len(counts)} classes most often confused."


# --- figures -----------------------------------------------------------------------------------------------------

def confusion(counts, classes) -> None:
    """Confusion matrix (classes, classes) of counts: rows are true classes, columns the network's answers.

    Of more than MOST classes it shows those that are most often confused.
    """
    counts = np.asarray(counts)
    shown = most_confused(counts)
    part, shares = (numbers[np.ix_(shown, shown)] for numbers in (counts, _shares(counts, counts)))
    figure = Figure(figsize=(2.3 + 0.45 * max(len(shown), 5), 1.4 + 0.41 * max(len(shown), 5)))
    axis = figure.add_subplot()
    drawn = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, x in zip(*part.nonzero(), strict=True):
        colour = ink(drawn.to_rgba(shares[y, x])[:3])
        axis.text(x, y, part[y, x], ha="center", va="center", fontsize=11, color=colour)
    names = [class_name(classes[k]) for k in shown]
    axis.set_xticks(range(len(shown)), names, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(shown)), names)
    said = _shown_of(shown, counts)
    axis.set(xlabel="the network's answer", ylabel="true class")
    axis.grid(visible=False)
    if said:
        figure.suptitle(said, fontsize=12)
    wrong = _shares(_wrong(counts), counts)
    true, given = np.unravel_index(wrong.argmax(), wrong.shape)
    worst = (f" The largest share that went wrong: {counts[true, given]} of {counts[true].sum()} {classes[true]} "
             f"images, taken for {classes[given]}." if wrong.any() else "")
    show(figure, f"Confusion matrix of {len(classes)} classes. {np.trace(counts)} of {counts.sum()} images lie on the "
                 f"diagonal.{worst}" + f" {said}" * bool(said))


def gallery(split, evaluation, chosen, maps) -> None:
    """Images that were answered wrong, each beside its heat map, four pairs in a row, with the answer and the truth.

    `chosen`: their numbers in `split`; `maps`: a map (H, W) from 0 to 1 for each of them. Where no image was chosen, it
    prints a sentence instead.
    """
    if not len(chosen):
        print("There are no mistakes to show here.")
        return
    columns, gap, title = 4, 0.12, 0.42  # in widths of an image
    rows = -(-len(chosen) // columns)
    height, width = split.images.shape[2:]
    step = (int((2 + gap) * width), int((1 + title) * height))
    sheet = np.full((rows * step[1], columns * step[0] - int(gap * width), 3), 255, np.uint8)
    figure, axis = page(9.6, 9.6 * sheet.shape[0] / sheet.shape[1])
    for place, (k, one) in enumerate(zip(chosen, maps, strict=True)):
        left, top = place % columns * step[0], place // columns * step[1] + int(title * height)
        sheet[top : top + height, left : left + 2 * width] = _with_heat(split.images[k], one)
        answer, truth = _answer_and_truth(split, evaluation, k)
        sure = f"{100 * evaluation.confidences[k]:.0f} %"
        words = f"{class_name(answer, 13)}, {sure}\n(in truth: {class_name(truth, 13)})"
        axis.text(left + width, top - 0.04 * height, words, ha="center", va="bottom", fontsize=12, linespacing=1.1)
    axis.imshow(sheet)
    pairs = ", ".join("{1} taken for {0}".format(*_answer_and_truth(split, evaluation, k)) for k in chosen)
    show(figure, f"{len(chosen)} test images that the network got wrong, each beside its heat map: {pairs}.")


def _with_heat(image, heat) -> np.ndarray:
    """An image (3, H, W) and, to the right of it, its heat map over the same image in grey: uint8 (H, 2 W, 3)."""
    image = np.asarray(image).transpose(1, 2, 0)
    colours = 255 * matplotlib.colormaps["magma"](np.asarray(heat))[..., :3]
    heated = 0.35 * image.mean(2, keepdims=True) + 0.65 * colours
    return np.concatenate([image, heated.astype(np.uint8)], axis=1)


def _answer_and_truth(split, evaluation, k: int) -> tuple[str, str]:
    return split.classes[evaluation.predictions[k]], split.classes[evaluation.labels[k]]


# --- the panel ---------------------------------------------------------------------------------------------------

def browser(split, evaluation, explain, count: int = 8) -> Panel:
    """A confusion matrix that can be clicked and, below it, the mistakes of the chosen square, `count` on a page.

    Further controls: the order, what the heat maps speak for, and the page (one behind the last counts as the last).
    Of several mistaken images of one thing it shows the first. `explain(images, classes)` returns a heat map (H, W)
    from 0 to 1 for each image: where it speaks for that class. Children of the result: a box with the controls, and the
    page as HTML; or a friendly sentence alone, where every answer is right.
    """
    everything = evaluation.mistakes()
    if not everything:
        return Panel([ipywidgets.HTML(paragraph(NONE.format(len(split))))])
    pages_of = lambda found: -(-len(one_per_thing(found, split)) // count)
    wide = {"style": {"description_width": "75px"}, "layout": {"width": "290px"}}
    controls = {
        "square": Squares(evaluation.confusion(), split.classes),
        "most_certain": ipywidgets.Dropdown(options=[("most certain first", True), ("least certain first", False)],
                                            description="order", **wide),
        "speaks_for": ipywidgets.Dropdown(options=["the answer", "the true class"], description="heat map", **wide),
        "page": ipywidgets.IntSlider(1, 1, pages_of(everything), description="page", **wide)}

    def draw(square: tuple[int, int], most_certain: bool, speaks_for: str, page: int) -> str:
        found = evaluation.mistakes(*(None if k == ANY else k for k in square), most_certain)
        different = one_per_thing(found, split)
        page, pages = min(page, pages_of(found)), pages_of(found)
        shown = different[count * (page - 1):count * page]
        targets = evaluation.predictions if speaks_for == "the answer" else evaluation.labels
        order = f"{'most' if most_certain else 'least'} certain first"
        each = ", one of each thing" if len(different) < len(found) else ""
        sure = 100 * evaluation.confidences[shown]
        words = (f"{len(found)} mistake{'s' * (len(found) > 1)} ({_kind(square, split.classes)}), {order}{each}. "
                 f"Page {page} of {pages}: {len(shown)}, {sure[0]:.0f} to {sure[-1]:.0f} % certain, and what speaks "
                 f"for {speaks_for}.")
        maps = explain(split.images[shown], targets[shown])
        pairs = "".join(_pair(split, evaluation, k, one) for k, one in zip(shown, maps, strict=True))
        return paragraph(words) + ("<div style='display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, "
                                   f"minmax(min(200px, 45%), 1fr))'>{pairs}</div>")

    return panel(controls, draw)


def _kind(square: tuple[int, int], classes) -> str:
    """What kind of mistake a square holds, in words."""
    true, answer = square
    return f"{'any class' if true == ANY else classes[true]} taken for " \
           f"{'any other' if answer == ANY else classes[answer]}"


def _pair(split, evaluation, k: int, heat) -> str:
    """One mistaken image beside its heat map as HTML, whose words keep their size where the picture gets small."""
    png, (answer, truth) = io.BytesIO(), map(html.escape, _answer_and_truth(split, evaluation, k))
    Image.fromarray(_with_heat(split.images[k], heat)).save(png, "PNG", compress_level=1)
    return (f"<figure style='margin: 0; font-size: 14px; line-height: 1.3; overflow-wrap: anywhere'><img "
            f"alt='{truth} taken for {answer}, beside its heat map' style='width: 100%' "
            f"src='data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}'><figcaption>{answer}, "
            f"{100 * evaluation.confidences[k]:.0f} %<br>(in truth: {truth})</figcaption></figure>")


class Squares(ipywidgets.VBox):
    """A confusion matrix of buttons, to be used by mouse, by finger, or with Tab and Enter.

    `value` is the chosen square, (true class, answer), by number; ANY, in the first row and column, is any class. What
    holds no mistakes can't be chosen: the diagonal, and empty squares. Of more than MOST classes it shows those most
    often confused; the first row and column count the mistakes of all.
    """

    value = traitlets.Tuple((ANY, ANY))

    def __init__(self, counts, classes):
        counts = np.asarray(counts)
        wrong = _wrong(counts)
        shares = _shares(wrong, counts)
        shown = most_confused(counts)
        names, lines = ["any", *(classes[k] for k in shown)], [ANY, *shown]
        shades = [_style(SKY, 0.04 + 0.96 * step / 5) for step in range(6)]
        small = ipywidgets.Layout(width="auto", min_width="0", height="28px", margin="0", padding="0")
        self.buttons, cells = {}, [_head(""), *(_head(name, upright=True) for name in names)]
        for name, true in zip(names, lines, strict=True):
            cells.append(_head(name))
            for answer in lines:
                place = tuple(slice(None) if k == ANY else k for k in (true, answer))
                right = true == answer != ANY
                number = int(counts[place] if right else wrong[place].sum())
                shade = 0 if ANY in (true, answer) else round(5 * shares[place] / shares.max())
                button = self.buttons[true, answer] = ipywidgets.Button(
                    description=f"{number or ''}", tooltip=f"{_kind((true, answer), classes)}: {number}",
                    disabled=right or not number, layout=small, style=shades[shade])
                button.on_click(lambda _, square=(true, answer): setattr(self, "value", square))
                cells.append(button)
        hint = paragraph("Rows: the true classes; columns: the network's answers; the darker, the larger the share of "
                         f"its row. Choose a square to see the images in it. {_shown_of(shown, counts)}")
        columns = f"minmax(40px, 90px) minmax(30px, 36px) repeat({len(shown)}, minmax(0, 44px))"
        grid = ipywidgets.GridBox(cells, layout={"width": "100%", "grid_gap": "1px", "grid_template_columns": columns})
        super().__init__([ipywidgets.HTML(hint), grid], layout={"width": "100%"})
        self.own_style, self.chosen_style = None, _style(ORANGE, 0.5)
        self.observe(self.mark, "value")
        self.mark({"old": self.value, "new": self.value})

    def mark(self, change) -> None:
        """Colour the chosen square, and give the one before it its own colour back."""
        if self.own_style:
            self.buttons[change["old"]].style = self.own_style
        button = self.buttons[change["new"]]
        self.own_style, button.style = button.style, self.chosen_style


def _style(colour: str, share: float) -> ipywidgets.ButtonStyle:
    """So much of a colour, mixed with white, that black can be read on it."""
    mixed = to_hex((1 - share) * np.ones(3) + share * np.array(to_rgb(colour)))
    look = {"button_color": mixed, "text_color": "black", "font_size": "11px"}
    known = ipywidgets.ButtonStyle.class_trait_names()  # ipywidgets 7, which Colab has, knows the first of them alone
    return ipywidgets.ButtonStyle(**{name: value for name, value in look.items() if name in known})


def _head(name: str, upright: bool = False) -> ipywidgets.HTML:
    """The name of a row, or the `upright` one of a column; a long one ends in "…", told when one points at it."""
    turn = "writing-mode: vertical-rl; transform: rotate(180deg); max-height: 90px; margin: auto" if upright \
        else "contain: inline-size; text-align: right; padding-right: 3px"
    name = html.escape(name)
    return ipywidgets.HTML(f"<div title='{name}' style='font-size: 12px; line-height: 1.2; overflow: hidden; "
                           f"text-overflow: ellipsis; white-space: nowrap; {turn}'>{name}</div>",
                           layout={"margin": "0", "min_width": "0", "align_self": "flex-end" if upright else "center"})
