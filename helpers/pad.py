"""The drawing pad: draw with a mouse, a pen or a finger, and three networks guess with every stroke.

    pad.strip()         # ten sketches with the three answers
    pad.DrawingPad()    # the pad
    pad.score()         # how many of the thirty sketches that ship each network gets right

The browser's half is `pad.js`, its looks are `pad.css`. What was drawn is never stored.
"""
from __future__ import annotations

import itertools
from pathlib import Path

import anywidget
import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers import figures, guessers, sketches
from helpers.composition import SIZE
from helpers.intervals import accuracy_interval, paired_difference

NAMES = {"scratch": "from scratch", "frozen": "frozen", "full": "full"}
PASTS = {"scratch": "no pre-training", "frozen": "pre-trained, new last layer",
         "full": "pre-trained, all layers trained"}
HERE = Path(__file__).resolve().parent


class DrawingPad(anywidget.AnyWidget):
    """A pad with the buttons Undo, Clear and Example beside the three networks' surest answers.

    `strokes` is what has been drawn, lists of points (x, y) from 0 to 1; whoever sets it draws. `guesses` is what the
    networks take it for: {"networks": {method: [(class, 0 to 1), ...]}, "sentence": ..., "strokes": how many}.

    A new pad, as after running the cell again, closes the one before it: nothing of it stays in memory.
    """

    # As text: anywidget watches a path for changes, and in doing so keeps every pad there ever was.
    _esm, _css = (HERE.joinpath(name).read_text(encoding="utf-8") for name in ("pad.js", "pad.css"))
    strokes = traitlets.List().tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    guesses = traitlets.Dict().tag(sync=True)

    latest: DrawingPad | None = None

    def __init__(self):
        super().__init__(rows=[{"method": method, "name": name, "past": PASTS[method],
                                "colour": figures.METHOD_COLOURS[method]} for method, name in NAMES.items()])
        self.examples = itertools.cycle(sketches.shipped().values())
        self.observe(self.guess, "strokes")
        self.on_msg(self.receive)
        guessers.guesses(sketches.picture([]))  # the first time takes longest: not when the reader draws
        self.guess()
        before, DrawingPad.latest = DrawingPad.latest, self
        if before:
            before.close()

    def guess(self, _=None) -> None:
        """Let the networks answer. The number of strokes is told so that every answer differs from the last."""
        networks, sentence = {}, f"Draw one of these: {', '.join(guessers.card()['classes'])}."
        if any(self.strokes):
            networks = guessers.guesses(sketches.picture(self.strokes))
            sentence = "; ".join(f"{NAMES[method]}: {answers[0][0]}, {100 * answers[0][1]:.0f} %"
                                 for method, answers in networks.items()).capitalize() + "."
        self.guesses = {"networks": networks, "sentence": sentence, "strokes": len(self.strokes)}

    def receive(self, _, content: dict, buffers) -> None:
        """A message from the browser: the button Example was pressed."""
        if content.get("kind") == "example":
            self.strokes = next(self.examples)[1]

    def __repr__(self) -> str:
        return "(Here stands a drawing pad. Run the notebook to draw on it.)"


# --- without a browser -----------------------------------------------------------------------------------------------

def strip() -> None:
    """The first sketch of each class, with the three networks' answers below it; right ones are in bold."""
    chosen = [sketches.shipped()[f"{name}_1"] for name in guessers.card()["classes"]]
    pictures = [sketches.picture(strokes) for _, strokes in chosen]
    found = [{method: given[0] for method, given in guessers.guesses(picture, 1).items()} for picture in pictures]
    figure = Figure(figsize=(9.5, 5.4))
    for axis, (label, _), image, answers in zip(figure.subplots(2, 5).flat, chosen, pictures, found, strict=True):
        figures.picture(axis, image)
        axis.set_ylim(SIZE + 46, 0)  # room below the picture
        for row, (method, (answer, share)) in enumerate(answers.items(), start=1):
            right = answer == label
            axis.text(SIZE / 2, SIZE + 15 * row, f"{answer} {100 * share:.0f} %{' ✓' if right else ''}", ha="center",
                      color=figures.METHOD_COLOURS[method], fontsize=12, fontweight="bold" if right else "normal")
    handles = [Rectangle((0, 0), 1, 1, color=figures.METHOD_COLOURS[method]) for method in NAMES]
    figure.legend(handles, NAMES.values(), loc="outside upper center", ncols=3)
    figures.show(figure, told([label for label, _ in chosen], found))


def told(labels: list[str], found: list[dict]) -> str:
    """What `strip` shows, in words: `found[k][method]` = (answer, 0 to 1) for the sketch of a `labels[k]`."""
    counts = [f"{name} {sum(answers[method][0] == label for label, answers in zip(labels, found, strict=True))}"
              for method, name in NAMES.items()]
    each = [f"{label}: " + ", ".join(f"{NAMES[method]} says {answer}" for method, (answer, _) in answers.items())
            for label, answers in zip(labels, found, strict=True)]
    return (f"Of {len(labels)} sketches drawn on the pad, the first of each class, are recognised: "
            f"{', '.join(counts)}. {'; '.join(each)}.")


def score() -> None:
    """Print how many of the shipped sketches each network gets right, with 95 % intervals, and the differences."""
    labels = [label for label, _ in sketches.shipped().values()]
    given = [guessers.guesses(sketches.picture(strokes), 1) for _, strokes in sketches.shipped().values()]
    right = {method: [answers[method][0][0] == label for answers, label in zip(given, labels, strict=True)]
             for method in NAMES}
    print(f"Of {len(labels)} sketches, drawn before any network had seen one of them, are recognised:")
    for method, name in NAMES.items():
        print(f"  {name:12} {sum(right[method]):2}   {accuracy_interval(right[method], labels)}")
    for a, b in (("frozen", "scratch"), ("full", "scratch"), ("full", "frozen")):
        print(f"{NAMES[a]} minus {NAMES[b]}: {paired_difference(right[a], right[b], labels)}")
    rest = [k for k, name in enumerate(sketches.shipped()) if not name.endswith("_1")]
    print(f"Of the {len(rest)} that the strip does not show: "
          + ", ".join(f"{name} {sum(right[method][k] for k in rest)}" for method, name in NAMES.items()))
