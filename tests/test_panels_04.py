"""Notebook 04's figures, as its panels draw them."""
import threading

from helpers import figures
from helpers.lesson_04 import plots


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
