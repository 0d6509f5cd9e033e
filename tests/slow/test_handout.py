"""The printed handout: what it takes from a notebook, that nothing of it is an answer, and that it fits on one page."""
import re
from pathlib import Path

import nbformat
import pytest

from helpers.make.handout import handout
from tests.slow import browser

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def page():
    with browser.browser() as opened:
        yield opened.new_page()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_page_asks_what_its_lesson_asks_and_gives_nothing_away(path):
    text = handout(path)
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    lesson = "\n\n".join(cells).split("\n## Exercises")[0]
    assert text.count("<tr>") - 1 == lesson.count("**Predict:**") > 0
    assert len(re.findall(r"<strong>[123]\.</strong>", text)) == 3
    assert "href" not in text and "GLOSSARY" not in text and "details" not in text and "question mark" not in text


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_page_is_one_sheet_of_paper(path, page):
    page.set_content(handout(path))
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 1


def test_a_notebook_without_a_quiz_is_named(tmp_path):
    cell = nbformat.v4.new_markdown_cell("# 9 · Nothing\n\n**Predict:** what?\n")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "09_nothing.ipynb")
    with pytest.raises(ValueError, match=r"09_nothing\.ipynb lacks its goal, a prediction or its quiz"):
        handout(tmp_path / "09_nothing.ipynb")
