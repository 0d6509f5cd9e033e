"""The panels of notebook 4: frozen or full?"""
from __future__ import annotations

import ipywidgets

from helpers import figures, intervals
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
