"""The glossary: short, in order, and linked from the first use of each term in the notebooks, however they change."""
import copy
import re

import nbformat
import pytest

from helpers.make import glossary

FOLDER = glossary.NOTEBOOKS
PATHS = sorted(FOLDER.glob("[0-9]*.ipynb"))
ANCHORS = {glossary.anchor(term): term for term in glossary.terms()}
RUN = "run `python -m helpers.make.glossary`"


@pytest.fixture(params=PATHS, ids=lambda path: path.name)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def prose(notebook) -> str:
    """All markdown, with the links to the glossary taken out."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return glossary.LINK.sub(r"\1", "\n\n".join(cells))


def linked(notebook) -> list[str]:
    """The anchors that a notebook links to, in order."""
    return re.findall(r"\]\(GLOSSARY\.md#([^)]*)\)", "\n\n".join(cell.source for cell in notebook.cells))


def test_terms_stand_in_order_and_each_has_a_sentence_or_two_and_its_notebook():
    terms = list(glossary.terms())
    assert len(terms) >= 40 and terms == sorted(terms, key=str.lower) and len(ANCHORS) == len(terms)
    text = glossary.GLOSSARY.read_text(encoding="utf-8")
    assert text.startswith("# Glossary\n") and "\n## Terms\n" in text
    for entry in text.split("\n### ")[1:]:
        explained, link = re.match(r".*\n\n(.*) \[Notebook \d\]\((.*)\)", entry).groups()
        assert 1 <= len(re.findall(r"[.!?](?= |$)", explained)) <= 3 and len(explained) < 260, entry
        assert (FOLDER / link).exists(), entry


def test_every_link_leads_to_a_term_and_there_is_one_a_term(notebook):
    anchors = linked(notebook)
    assert anchors and set(anchors) <= set(ANCHORS)
    assert len(set(anchors)) == len(anchors)


def test_every_term_that_a_notebook_sets_in_bold_is_linked(notebook):
    bold = {" ".join(text.lower().split()) for text in re.findall(r"\*\*([^*]+)\*\*", prose(notebook))}
    used = {glossary.anchor(term) for term, forms in glossary.terms().items() if bold & {f.lower() for f in forms}}
    assert used - set(linked(notebook)) == set(), RUN


def test_links_stand_at_the_first_use_in_prose(notebook):
    again = copy.deepcopy(notebook)
    glossary.link(again)
    assert [cell.source for cell in again.cells] == [cell.source for cell in notebook.cells], RUN


def test_headings_code_links_and_hints_hold_no_link(notebook):
    for cell in notebook.cells:
        if "GLOSSARY.md" in cell.source:
            assert cell.cell_type == "markdown"
            kept = re.findall(r"(?m)^#.*$|(?s:```.*?```|<details>.*?</details>)|`[^`]*`", cell.source)
            assert not any("GLOSSARY.md" in text for text in kept)


@pytest.mark.parametrize("term", glossary.terms())
def test_every_term_is_used_in_a_notebook_and_in_the_one_that_the_glossary_names(term):
    using = {path.name for path in PATHS if glossary.anchor(term) in linked(nbformat.read(path, as_version=4))}
    entry = re.search(rf"^### {re.escape(term)}\n\n.*?\]\((.*?)\)", glossary.GLOSSARY.read_text(encoding="utf-8"),
                      re.MULTILINE)
    assert entry[1] in using, RUN


def test_a_second_run_changes_nothing_and_a_moved_term_is_linked_anew():
    text = "# Head\n\nA `head`, ![head](x.png), the **heads**\nand a\nfeature map of a feature."
    cell = nbformat.v4.new_markdown_cell(text)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    glossary.link(notebook)
    once = cell.source
    assert once == ("# Head\n\nA `head`, ![head](x.png), the **[heads](GLOSSARY.md#head)**\nand a\n"
                    "[feature map](GLOSSARY.md#feature-map) of a [feature](GLOSSARY.md#feature).")
    glossary.link(notebook)
    assert cell.source == once
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("A head."))
    glossary.link(notebook)
    assert notebook.cells[0].source == "A [head](GLOSSARY.md#head)." and "#head)" not in cell.source
