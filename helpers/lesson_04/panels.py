"""The panels of notebook 4: frozen or full?"""
from __future__ import annotations

import html
import threading

import ipywidgets

from helpers import figures, inference, intervals, pictures, training
from helpers.lesson_04 import plots
from helpers.panel import Panel, fitted, panel, paragraph


def freeze_depth(layers, memory: dict, trained: dict, images: int, depth: int) -> Panel:
    """A slider for how many layers learn, counted from the top, above `plots.freeze_depth` and a sentence.

    `memory[d]` (bytes by part) and `trained[d]` (parameters) hold the answer for every depth d; nothing is computed.
    `images` is the number that one training step takes, `depth` where the slider starts.
    """
    slider = ipywidgets.IntSlider(depth, 1, len(layers), description="depth", layout={"width": "500px"})

    def draw(depth: int) -> str:
        which = {1: "only the head learns", len(layers): "everything learns"}.get(
            depth, f"{layers[-depth].name} and all layers above it learn")
        parts = ", ".join(f"{part} {size / 1e6:.1f}" for part, size in memory[depth].items())
        words = (f"Depth {depth} of {len(layers)}: {which}, {trained[depth]:,} of {trained[len(layers)]:,} parameters "
                 f"({100 * trained[depth] / trained[len(layers)]:.1f} %). A training step with {images} images holds "
                 f"about {sum(memory[depth].values()) / 1e6:.1f} MB ({parts}).")
        return figures.rendered(plots.freeze_depth, layers, memory, depth) + paragraph(words)

    return panel({"depth": slider}, draw)


class LiveTraining(Panel):
    """Train at a click, watch the curves grow, and stop when you have seen enough.

    `model` and `history` hold the network that the last run left, and what happened; None before the first run.
    Training runs in a thread of its own, so that the notebook goes on answering; "interrupt the kernel" therefore does
    not end it, Stop does. One run at a time: a panel's Start ends the run of another panel. A new panel, as after
    running the cell again, takes the place of the one before: it ends its run and lets its network go, for which
    there may be no room beside the next.

    Args:
        train: `train(depth, lr, on_epoch)` trains a new network with `training.fit`, hands `on_epoch` on to it, and
            returns the network.
        depths, rates: how many of the upper layers may learn, at most; the learning rates to choose from.
        epochs: how many epochs a run has if nobody stops it.
        earlier: histories to compare with, by label.
    """

    latest: LiveTraining | None = None  # the panel that was made last
    running: LiveTraining | None = None  # the panel whose run is under way
    lock = threading.RLock()  # clicks come from the kernel's own thread, epochs from the run's: one after the other

    def __init__(self, train, depths: int, rates, rate: float, epochs: int, earlier: dict):
        self.train, self.epochs, self.earlier = train, epochs, earlier
        self.model, self.history, self.thread, self.busy, self.replaced = None, None, None, False, False
        self.own: dict[str, training.History] = {}  # the last runs of this panel
        self.stopping = threading.Event()
        self.depth = ipywidgets.IntSlider(1, 1, depths, description="depth")
        self.rate = ipywidgets.SelectionSlider(options=[(f"{rate:g}", rate) for rate in rates], value=rate,
                                               description="learning rate", style={"description_width": "initial"})
        self.start_button = ipywidgets.Button(description="Start", button_style="primary", icon="play")
        self.stop_button = ipywidgets.Button(description="Stop", button_style="warning", icon="stop", disabled=True)
        self.start_button.on_click(self.start)
        self.stop_button.on_click(self.stop)
        self.status, self.figure = ipywidgets.HTML(), ipywidgets.HTML()
        self.say("Nothing has been trained here yet. Choose a depth and a learning rate, then press Start.")
        self.draw()
        controls = ipywidgets.HBox([self.depth, self.rate, self.start_button, self.stop_button],
                                   layout={"flex_flow": "row wrap"})
        super().__init__([controls, self.status, self.figure])
        with self.lock:
            before, LiveTraining.latest = LiveTraining.latest, self
            if before:
                before.make_room()

    def start(self, _=None) -> None:
        """Begin a run in the background, unless this panel has one under way."""
        with self.lock:
            if self.busy:
                return
            before, LiveTraining.running = LiveTraining.running, self
            if before:
                before.stop()
            self.stopping.clear()
            self.replaced = False
            self.switch(busy=True)
            self.say("Starting ...")
            settings = self.depth.value, self.rate.value, before.thread if before else None
            self.thread = threading.Thread(target=self.run, args=settings, daemon=True)  # daemon: ends with the kernel
            self.thread.start()

    def stop(self, _=None) -> None:
        """Ask the run under way to end after its present epoch."""
        with self.lock:
            if self.busy:
                self.stopping.set()
                self.say("Stopping at the end of this epoch ...")

    def make_room(self) -> None:
        """End the run and let the network go: ipywidgets and IPython's `Out` keep the panel alive."""
        with self.lock:
            self.stop()
            self.model, self.history, self.replaced = None, None, True

    def run(self, depth: int, rate: float, waits_for: threading.Thread | None) -> None:
        """The thread: train, report every epoch, and say in the end what was kept or what went wrong."""
        label, seen = f"depth {depth}, rate {rate:g}", None

        def on_epoch(history: training.History) -> bool:
            nonlocal seen
            seen = self.own[label] = history
            with self.lock:
                if not self.stopping.is_set():
                    self.say(f"Epoch {len(history.epochs)} of {self.epochs}, {label}: validation accuracy "
                             f"{100 * history.epochs[-1]['val_accuracy']:.1f} %, best "
                             f"{100 * history.best_accuracy:.1f} %.")
            self.draw()
            return self.stopping.is_set()

        try:
            if waits_for:
                waits_for.join()
            self.own.pop(label, None)  # so that it becomes the last one
            self.own = dict(list(self.own.items())[-2:])
            model = self.train(depth, rate, on_epoch)
            end = "Stopped" if len(seen.epochs) < self.epochs else "Done"
            self.finish(f"{end} after epoch {len(seen.epochs)} of {self.epochs}, {label}.", model, seen)
        except Exception as error:  # whatever it is: a thread has no cell that would show it
            self.finish(f"Training broke off, and nothing of this run was kept ({label}): "
                        f"{error or 'no reason given'} ({type(error).__name__})")

    def finish(self, words: str, model=None, history: training.History | None = None) -> None:
        """The end of a run, in one piece: a click finds it either under way or over."""
        with self.lock:
            if model is not None and self.replaced:
                words += " Nothing was kept: a newer panel has taken this one's place."
            elif model is not None:
                self.model, self.history = model, history
                words += (f" Kept: the weights of epoch {history.best_epoch + 1}, the best, with "
                          f"{100 * history.best_accuracy:.1f} % on validation images.")
            if LiveTraining.running is self:
                LiveTraining.running = None
            self.switch(busy=False)
            self.say(words)

    def switch(self, busy: bool) -> None:
        self.busy = self.start_button.disabled = busy
        self.stop_button.disabled = not busy

    def say(self, words: str) -> None:
        self.status.value = paragraph(words)

    def draw(self) -> None:
        self.figure.value = fitted(figures.rendered(plots.live_curves, self.earlier | self.own, self.epochs))


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
