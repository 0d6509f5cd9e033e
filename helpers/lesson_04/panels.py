"""The panels of notebook 4: frozen or full?"""
from __future__ import annotations

import html

import ipywidgets

from helpers import figures, inference, intervals, pictures
from helpers.lesson_04 import plots
from helpers.panel import Panel, panel, paragraph

ANY = -1  # the value of a menu's entry "any": with None, which ipywidgets takes for "nothing chosen", it would go blank


def mistakes_browser(split, evaluation, explain, count: int = 8) -> Panel:
    """Menus for order, true class, answer and heat map, above a page of `count` mistakes of that kind and a sentence.

    Of several mistaken images of one thing it shows the first. A page behind the last one counts as the last.
    `explain(images, classes)` returns a heat map (H, W) from 0 to 1 for each image: where it speaks for that class.
    """
    classes = [("any", ANY), *((name, k) for k, name in enumerate(split.classes))]
    wide = {"style": {"description_width": "75px"}, "layout": {"width": "290px"}}
    pages_of = lambda mistakes: -(-len(intervals.one_per_thing(mistakes, split)) // count)
    menus = {
        "most_certain": ipywidgets.Dropdown(options=[("most certain first", True), ("least certain first", False)],
                                            description="order", **wide),
        "true": ipywidgets.Dropdown(options=classes, description="true class", **wide),
        "answer": ipywidgets.Dropdown(options=classes, description="answer", **wide),
        "speaks_for": ipywidgets.Dropdown(options=["the answer", "the true class"], description="heat map", **wide),
        "page": ipywidgets.IntSlider(1, 1, max(1, pages_of(evaluation.mistakes())), description="page", **wide)}

    def draw(most_certain: bool, true: int, answer: int, speaks_for: str, page: int) -> str:
        true, answer = (None if chosen == ANY else chosen for chosen in (true, answer))
        found = evaluation.mistakes(true, answer, most_certain)
        different = intervals.one_per_thing(found, split)
        pages, each = pages_of(found), ", one of each thing" if len(different) < len(found) else ""
        page = min(page, pages)
        shown = different[count * (page - 1):count * page]
        kind = f"{'any class' if true is None else split.classes[true]} taken for " \
               f"{'any other' if answer is None else split.classes[answer]}"
        if not found:
            return paragraph(f"There is no such mistake: {kind}.")
        targets = evaluation.predictions if speaks_for == "the answer" else evaluation.labels
        sure = 100 * evaluation.confidences[shown]
        order = f"{'most' if most_certain else 'least'} certain first"
        words = (f"{len(found)} mistakes ({kind}), {order}{each}. Page {page} of {pages}: {len(shown)}, {sure[0]:.0f} "
                 f"to {sure[-1]:.0f} % certain, and what speaks for {speaks_for}.")
        maps = explain(split.images[shown], targets[shown])
        return paragraph(words) + figures.rendered(plots.mistakes, split, evaluation, shown, maps)

    return panel(menus, draw)


def try_picture(networks: dict, preprocess, start) -> Panel:
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
        answers = inference.answers(networks, preprocess, shown[0])
        figure = figures.rendered(plots.picture_answers, shown[0], answers)
        return paragraph(sentence) + figure + _table(answers)

    return panel({"upload": ipywidgets.FileUpload(accept="image/*", description="picture")}, draw)


def _table(answers: dict) -> str:
    """Confidences as an HTML table, a row for each place, two columns for each network.

    `answers[label]` = [(class, 0 to 1), ...].
    """
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
