"""Notebook 04's panels: freeze depth, live training with its thread, mistakes and their heat maps."""
import gc
import threading
import time
import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers import anatomy, figures, inference, intervals, networks, plans, training
from helpers.images import ImageSplit
from helpers.inference import Evaluation
from helpers.lesson_04 import panels, plots

EPOCHS = 6


# --- freeze depth ------------------------------------------------------------------------------------------------

def costs(name: str):
    """What a lesson computes before it shows the panel."""
    ghost = networks.fold_first_linear(networks.build(name, num_classes=10, device="meta"))
    layers = [layer for layer in anatomy.layer_table(ghost, 96) if layer.parameters]
    batch = torch.empty(32, 3, 96, 96, device="meta"), torch.empty(32, dtype=torch.long, device="meta")
    memory, trained = {}, {}
    for depth in range(1, len(layers) + 1):
        model = training.training_mode(networks.learn_from_top(ghost, depth))
        memory[depth] = anatomy.memory_of_step(model, *batch)
        trained[depth] = networks.count_parameters(model, trainable=True)
    return layers, memory, trained


LAYERS = sum(isinstance(layer, int) for layer in plans.POCKET_VGG) + 3


@pytest.mark.parametrize("name, depths", [("pocket_vgg", LAYERS), ("vgg16", 16)])
def test_freeze_depth_panel(name, depths):
    start = time.perf_counter()
    layers, memory, trained = costs(name)
    assert time.perf_counter() - start < 20  # it is well below one second when the machine is quiet
    panel = panels.freeze_depth(layers, memory, trained, images=32, depth=3)
    (slider,), shown = panel.children[0].children, panel.children[1]
    assert (slider.min, slider.max, slider.value, slider.description) == (1, depths, 3, "depth")
    assert "classifier.0 and all layers above it learn" in shown.value and "<img" in shown.value
    slider.value = 1
    assert f"Depth 1 of {depths}: only the head learns" in shown.value
    slider.value = depths
    assert f"everything learns, {trained[depths]:,} of {trained[depths]:,} parameters (100.0 %)" in shown.value
    assert f"{sum(memory[depths].values()) / 1e6:.1f} MB" in shown.value
    totals = [sum(parts.values()) for parts in memory.values()]
    assert totals == sorted(totals)


# --- live training -----------------------------------------------------------------------------------------------

def clouds(count: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(count)
    labels = torch.arange(2).repeat(count // 2)
    return TensorDataset(torch.randn(count, 4, generator=generator) + 4.0 * labels[:, None] - 2, labels)


class Gate:
    """A `train` that waits before each epoch ends until the test lets it go on, so that nothing depends on timing."""

    def __init__(self, epochs: int = EPOCHS):
        self.epochs, self.calls, self.opened, self.done = epochs, [], threading.Semaphore(0), 0

    def __call__(self, depth, lr, on_epoch):
        self.calls.append((depth, lr))
        model = nn.Linear(4, 2)

        def wait(history):
            self.done = len(history.epochs)
            assert self.opened.acquire(timeout=60)
            return on_epoch(history)

        training.fit(model, clouds(40), clouds(20), lr=lr, epochs=self.epochs, on_epoch=wait)
        return model

    def open(self, times: int = 1) -> None:
        self.opened.release(times)


def live(train, **settings) -> panels.LiveTraining:
    earlier = {"frozen": training.History([{"train_loss": 1.0, "val_loss": 1.0, "train_accuracy": 0.5,
                                            "val_accuracy": 0.5}])}
    return panels.LiveTraining(train, **{"depths": 11, "rates": [1e-3, 1e-1], "rate": 1e-1, "epochs": EPOCHS,
                                          "earlier": earlier} | settings)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.01)


def finish(panel) -> None:
    panel.thread.join(60)
    assert not panel.thread.is_alive()


def test_nothing_happens_before_a_click():
    gate = Gate()
    panel = live(gate)
    controls, status, figure = panel.children
    assert [control.description for control in controls.children] == ["depth", "learning rate", "Start", "Stop"]
    assert not gate.calls and panel.thread is None and panel.model is None
    assert "Nothing has been trained here yet" in status.value and "frozen: 1 epochs, best 50.0 %" in figure.value
    assert panel.stop_button.disabled and not panel.start_button.disabled


def test_start_trains_and_the_curves_grow():
    gate = Gate()
    panel = live(gate)
    panel.depth.value = 4
    panel.start_button.click()
    assert panel.start_button.disabled and not panel.stop_button.disabled
    gate.open()
    wait_for(lambda: "Epoch 1 of 6, depth 4, rate 0.1" in panel.status.value)
    wait_for(lambda: "depth 4, rate 0.1: 1 epochs" in panel.figure.value)
    gate.open(EPOCHS - 1)
    finish(panel)
    assert gate.calls == [(4, 0.1)] and len(panel.history.epochs) == EPOCHS
    assert "Done after epoch 6 of 6" in panel.status.value and "depth 4, rate 0.1: 6 epochs" in panel.figure.value
    best = panel.history.best_accuracy
    assert f"{100 * best:.1f} % on validation images" in panel.status.value
    assert inference.evaluate(panel.model, clouds(20)).accuracy == pytest.approx(best)
    assert not panel.start_button.disabled and panel.stop_button.disabled


def test_stop_keeps_the_best_epoch_so_far():
    gate = Gate()
    panel = live(gate)
    panel.start_button.click()
    gate.open()
    wait_for(lambda: gate.done == 2)
    assert "Epoch 1 of 6" in panel.status.value
    panel.stop_button.click()
    assert "Stopping at the end of this epoch" in panel.status.value
    gate.open()
    finish(panel)
    assert len(panel.history.epochs) == 2 and "Stopped after epoch 2 of 6" in panel.status.value
    assert f"Kept: the weights of epoch {panel.history.best_epoch + 1}" in panel.status.value
    assert inference.evaluate(panel.model, clouds(20)).accuracy == pytest.approx(panel.history.best_accuracy)
    panel.start_button.click()  # and it can be used again
    gate.open(EPOCHS)
    finish(panel)
    assert "Done after epoch 6" in panel.status.value and len(panel.own) == 1


def test_start_pressed_twice_trains_once():
    gate = Gate()
    panel = live(gate)
    panel.start_button.click()
    thread = panel.thread
    panel.start_button.click()
    panel.start()
    assert panel.thread is thread
    gate.open(EPOCHS)
    finish(panel)
    assert len(gate.calls) == 1


def test_an_error_is_told_in_one_sentence_and_the_panel_goes_on():
    def broken(depth, lr, on_epoch):
        data = TensorDataset(clouds(40).tensors[0] * float("inf"), clouds(40).tensors[1])
        training.fit(nn.Linear(4, 2), data, clouds(20), lr=lr, epochs=2, on_epoch=on_epoch)

    panel = live(broken)
    panel.start_button.click()
    finish(panel)
    assert "Training broke off, and nothing of this run was kept (depth 1, rate 0.1): " \
           "The loss is no longer a number; try a smaller learning rate. (FloatingPointError)" in panel.status.value
    assert panel.model is None and not panel.start_button.disabled and panel.stop_button.disabled
    panel.train = Gate()
    panel.train.open(EPOCHS)
    panel.start_button.click()
    finish(panel)
    assert "Done after epoch 6" in panel.status.value


def test_a_new_panel_ends_the_run_of_the_one_before():
    """As when the cell is run again."""
    gate = Gate()
    old = live(gate)
    old.start_button.click()
    new = live(Gate())
    new.train.open(EPOCHS)
    new.start_button.click()
    assert not new.train.calls  # it waits for the old run, whose epoch is not over yet
    gate.open()
    finish(old)
    finish(new)
    assert "Stopped after epoch 1 of 6" in old.status.value and "Done after epoch 6 of 6" in new.status.value


def test_a_click_at_the_very_end_of_a_run_starts_one_that_can_be_stopped():
    """The buttons go back while a click is on its way: it must find the run over, or under way, and nothing between."""
    gate = Gate(epochs=1)
    panel = live(gate, epochs=1)
    clicks = []

    def click(change) -> None:
        if not change.new and not clicks:  # in the run's thread, in the middle of its end
            clicks.append(threading.Thread(target=panel.start_button.click))
            clicks[0].start()
            clicks[0].join(0.5)  # a click that need not wait is through by now

    panel.start_button.observe(click, "disabled")
    panel.start_button.click()
    first = panel.thread
    gate.open()
    first.join(60)
    clicks[0].join(60)
    assert panel.thread is not first and panel.thread.is_alive()
    assert panel.start_button.disabled and not panel.stop_button.disabled
    gate.open()
    finish(panel)
    assert not panel.start_button.disabled and panel.stop_button.disabled and len(gate.calls) == 2


def test_a_stop_at_the_very_end_of_a_run_does_not_have_the_last_word():
    gate = Gate(epochs=1)
    panel = live(gate, epochs=1)
    panel.draw = lambda: None  # so that the run needs no time
    panel.start_button.click()

    class Slow(threading.Event):
        def set(self) -> None:
            super().set()
            gate.open()
            panel.thread.join(0.5)  # the run ends between "is one under way?" and the sentence

    wait_for(lambda: gate.done == 1)
    panel.stopping = Slow()
    panel.stop_button.click()
    finish(panel)
    assert "Done after epoch 1 of 1" in panel.status.value


@pytest.mark.parametrize("under_way", [False, True])
def test_a_replaced_panel_lets_its_network_go(under_way):
    """As when the cell is run again: the old panel is still in IPython's `Out` and among ipywidgets' widgets."""
    gate = Gate(epochs=2)
    made = []

    def train(*arguments):
        model = gate(*arguments)
        made.append(weakref.ref(model))
        return model

    old = live(train, epochs=2)
    old.start_button.click()
    gate.open(1 if under_way else 2)
    if under_way:
        wait_for(lambda: gate.done == 2)
    else:
        finish(old)
    assert under_way or old.model is made[0]()
    new = live(Gate())
    gate.open()
    finish(old)
    gc.collect()
    assert made[0]() is None and old.model is None and old.history is None
    assert new.start_button.disabled is False and ("Kept" not in old.status.value or not under_way)


def test_a_finished_panel_is_forgotten_by_the_class():
    gate = Gate(epochs=1)
    panel = live(gate, epochs=1)
    panel.start_button.click()
    assert panels.LiveTraining.running is panel
    gate.open()
    finish(panel)
    assert panels.LiveTraining.running is None


def test_only_the_last_runs_stay_in_the_figure():
    gate = Gate(epochs=1)
    panel = live(gate, epochs=1)
    gate.open(5)
    for depth in (1, 2, 3, 4, 2):
        panel.depth.value = depth
        panel.start_button.click()
        finish(panel)
    assert list(panel.own) == ["depth 3, rate 0.1", "depth 4, rate 0.1", "depth 2, rate 0.1"]


def test_a_figure_drawn_in_a_thread_does_not_mix_with_one_drawn_in_a_cell():
    ready, go = threading.Event(), threading.Event()

    def slow_plot():
        ready.set()
        assert go.wait(60)
        plots.learning_rate([0.0, 1.0], 1)

    found = []
    thread = threading.Thread(target=lambda: found.append(figures.rendered(slow_plot)))
    thread.start()
    assert ready.wait(60)
    assert figures.rendered(plots.learning_rate, [0.0, 1.0], 2).count("<img") == 1
    go.set()
    thread.join(60)
    assert found[0].count("<img") == 1


# --- mistakes ----------------------------------------------------------------------------------------------------

LABELS = torch.tensor([0, 0, 1, 0])
LOGITS = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # the first and the last are wrong: 0 for 1


def test_mistakes_are_filtered_and_ordered():
    result = Evaluation(0.0, 0.5, LOGITS, LABELS)
    assert result.mistakes() == [0, 3] and result.mistakes(most_certain=False) == [3, 0]
    assert result.mistakes(true=0, answer=1) == [0, 3] and result.mistakes(true=1) == result.mistakes(answer=0) == []
    assert result.confidences.tolist() == pytest.approx(LOGITS.softmax(1).amax(1).tolist())


def test_of_several_drawings_of_one_thing_only_the_first_is_shown():
    origin = ("ann: cat; outline", "ann: cat; filled", "bob: dog; outline", "ann: dog; outline", "bob: dog; filled")
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    split = ImageSplit(images, torch.tensor([0, 0, 1, 1, 1]), ("cat", "dog"), origin)
    assert intervals.one_per_thing([4, 1, 0, 2, 3], split) == [4, 1, 3]
    assert intervals.one_per_thing([], split) == []
    photographs = ImageSplit(images, split.labels, split.classes)
    assert intervals.one_per_thing([4, 1, 0, 2, 3], photographs) == [4, 1, 0, 2, 3]


def test_the_browser_shows_one_drawing_of_each_thing():
    asked = []

    def explain(images, classes):
        asked.append(len(images))
        return torch.rand(len(images), 8, 8)

    origin = ("ann: cat; filled", "bob: cat; filled", "cid: dog; filled", "ann: cat; outline")
    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"), origin)
    shown = panels.mistakes_browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), explain).children[1]
    assert asked == [1] and "2 mistakes (any class taken for any other)" in shown.value
    assert "most certain first, one of each thing. Page 1 of 1: 1, 88 to 88 % certain" in shown.value


def test_mistakes_browser():
    asked = []

    def explain(images, classes):
        asked.append((len(images), classes.tolist()))
        return torch.rand(len(images), 8, 8)

    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"))
    panel = panels.mistakes_browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), explain)
    order, true, answer, speaks_for, _ = panel.children[0].children
    shown = panel.children[1]
    assert "2 mistakes (any class taken for any other)" in shown.value and asked == [(2, [1, 1])]
    assert "most certain first. Page 1 of 1: 2, 88 to 73 % certain" in shown.value
    assert "2 test images that the network" in shown.value
    order.value = False
    assert "least certain first. Page 1 of 1: 2, 73 to 88 % certain" in shown.value
    speaks_for.value = "the true class"
    assert asked[-1] == (2, [0, 0]) and "what speaks for the true class" in shown.value
    true.value = 1
    assert "There is no such mistake: dog taken for any other." in shown.value and "<img" not in shown.value
    true.value, answer.value = 0, 1
    assert "2 mistakes (cat taken for dog)" in shown.value


def test_the_browser_turns_pages_and_a_kind_with_fewer_shows_its_last():
    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"))
    logits = LOGITS.clone()
    logits[2] = torch.tensor([0.5, 0.0])  # now the dog is a mistake as well
    panel = panels.mistakes_browser(split, Evaluation(0.0, 0.2, logits, LABELS), lambda *_: torch.rand(1, 8, 8), 1)
    (_, true, _, _, page), shown = panel.children[0].children, panel.children[1]
    assert page.max == 3 and "Page 1 of 3: 1, 88 to 88 % certain" in shown.value
    page.value = 3
    assert "Page 3 of 3: 1, 62 to 62 % certain" in shown.value
    true.value = 0
    assert "Page 2 of 2: 1, 73 to 73 % certain" in shown.value


def test_a_menu_shows_what_was_chosen_also_where_that_is_any():
    split = ImageSplit(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("cat", "dog"))
    panel = panels.mistakes_browser(split, Evaluation(0.0, 0.5, LOGITS, LABELS), lambda *_: torch.rand(2, 8, 8))
    controls, shown = panel.children
    for menu in controls.children[:-1]:
        for entry in (*range(len(menu.options)), 0):
            menu.index = entry
            assert menu.index == entry, f"the menu {menu.description!r} is blank"
    assert "2 mistakes (any class taken for any other)" in shown.value
