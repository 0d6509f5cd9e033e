"""A result that is folded in the file unfolds in JupyterLab when its reader runs the cell, and not before."""
from importlib.util import find_spec

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.make import notebooks
from tests.slow import browser

pytestmark = [
    pytest.mark.limit(200),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(browser.chromium() is None, reason="neither Chromium nor Chrome is installed"),
]


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a folder with one notebook: a result that is tagged, and one that is not."""
    cells = [new_code_cell(f"print('Your prediction: ?\\n{word}')", metadata={"tags": [tag]}, execution_count=k,
                           outputs=[new_output("stream", text=f"Your prediction: ?\n{word}\n")])
             for k, (word, tag) in enumerate((("secret", "result"), ("open", "other")), 1)]
    notebook = new_notebook(cells=cells)
    notebooks.tidy(notebook)
    (tmp_path / "course").mkdir()
    nbformat.write(notebook, tmp_path / "course" / "one.ipynb")
    server = browser.Lab(tmp_path / "course", tmp_path / "private")
    yield server
    server.close()


def words(page) -> list[list[str]]:
    """What stands below each cell; of what is folded, JupyterLab shows the first line."""
    return [text.split("\n") for text in page.locator(".jp-Notebook .jp-Cell-outputWrapper").all_inner_texts()]


def test_a_result_stays_folded_until_its_cell_is_run(lab):
    question, told, open_ = ["Your prediction: ?"], ["Your prediction: ?", "secret"], ["Your prediction: ?", "open"]
    with browser.browser() as chromium, lab.opened(chromium, "one.ipynb") as page:
        seen = lambda: [[line.strip() for line in lines if line.strip()] for lines in words(page)]
        browser.wait_until(lambda: seen() == [question, open_], 20, "only the untagged result is shown")
        browser.cell_with(page, "secret").locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        browser.wait_until(lambda: seen() == [told, open_], 20, "the result unfolds")
