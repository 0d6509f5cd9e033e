"""The progress bar, in a real kernel and outside of one."""
import re
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent

DONE = """\
import time
from helpers.progress import Progress
with Progress(30, "training") as bar:
    for k in range(30):
        time.sleep(0.02)
        bar.step(f"loss {k}")"""
STOPPED = """\
try:
    with Progress(5, "training") as bar:
        bar.step()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass"""


@pytest.fixture(scope="module")
def executed():
    notebook = new_notebook(cells=[new_code_cell(DONE), new_code_cell(STOPPED)])
    resources = {"metadata": {"path": str(ROOT)}}
    updates = []

    class Client(NotebookClient):
        def process_message(self, message, cell, cell_index):
            updates.append((cell_index, message["msg_type"]))
            return super().process_message(message, cell, cell_index)

    Client(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    return notebook, updates


def test_one_line_stays_behind(executed):
    notebook, _ = executed
    [output] = notebook.cells[0].outputs
    assert output.output_type == "display_data" and set(output.data) == {"text/plain"}
    assert re.fullmatch(r"training: done in \d+\.\d s, loss 29", output.data["text/plain"])
    assert not notebook.metadata.get("widgets")


def test_it_draws_a_few_times_a_second(executed):
    notebook, updates = executed
    seconds = float(re.search(r"in (.*) s,", notebook.cells[0].outputs[0].data["text/plain"])[1])
    drawn = [kind for cell, kind in updates if cell == 0 and kind in ("display_data", "update_display_data")]
    assert 2 < len(drawn) <= 4 * seconds + 3  # a quarter of a second apart, beside the first and the last


def test_an_interrupted_loop_says_where_it_stopped(executed):
    notebook, _ = executed
    [output] = notebook.cells[1].outputs
    assert output.data["text/plain"].startswith("training: stopped at 1 of 5 in ")
