"""What the web site makes of the course's texts, tables and figures, before Sphinx sees them."""
import base64
import io
import re

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers import anatomy, networks
from helpers.make import site_figures, site_lessons, site_links, site_pages
from helpers.make.notebooks import NOTEBOOKS

NOTEBOOK, SOLUTION = "notebooks/02_inside_vgg.ipynb", "notebooks/solutions/02_solutions.ipynb"


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def drawn(*spans: tuple[int, int], size=(100, 300)) -> np.ndarray:
    """A white figure of `size`, height and width, with a grey block in each span of columns."""
    pixels = np.full((*size, 3), 255, dtype=np.uint8)
    for start, end in spans:
        pixels[10:-10, start:end] = 90
    return pixels


# --- links -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, path, page, stamped, unknown", [
    ("[a](03_augmentation.ipynb#When-not?)", NOTEBOOK, "x.md", "[a](03_augmentation.ipynb#when-not)", None),
    ("[a](../03_augmentation.ipynb)", SOLUTION, "solutions/02_solutions.ipynb", "[a](../03_augmentation.ipynb)", None),
    ("[a](#here), [b](https://c.org)", "notebooks/TEACHING.md", "TEACHING.md", "[a](#here), [b](https://c.org)", None),
    ("[a](notebooks/TEACHING.md)", "README.md", "index.md", "[a](TEACHING.md)", None),
    ("[all](RESULTS.md)", "notebooks/SPEED.md", "SPEED.md", "[all](results.md)", None),
    ("[the `page`](../helpers/page.py)", NOTEBOOK, "02_inside_vgg.ipynb",
     "[the `page`](https://github.com/a/b/blob/main/helpers/page.py)", "the `page`"),
    ("[t](../tests/test_x.py#L3)", NOTEBOOK, "x.md", "[t](https://github.com/a/b/blob/main/tests/test_x.py)", "t"),
    ("`layers[0](x)`\n```\nrows[1](y)\n```", NOTEBOOK, "x.md", "`layers[0](x)`\n```\nrows[1](y)\n```", None)])
def test_links_lead_to_the_sites_pages_else_to_the_repository_else_nowhere(text, path, page, stamped, unknown):
    assert site_links.rewritten(text, path, page, "a/b") == stamped
    assert site_links.rewritten(text, path, page, None) == (unknown or stamped)


def test_a_link_to_the_glossary_brings_the_explanation_along():
    link = site_links.rewritten("[heads](GLOSSARY.md#head)", NOTEBOOK, "02_inside_vgg.ipynb", None)
    assert re.fullmatch(r'<a class="term" href="GLOSSARY\.html#head" title="The last layer, [^"]*\.">heads</a>', link)
    link = site_links.rewritten("[heads](../GLOSSARY.md#head)", SOLUTION, "solutions/02_solutions.ipynb", None)
    assert 'href="../GLOSSARY.html#head"' in link
    found = site_links.explanations()
    assert len(found) > 50 and not [text for text in found.values() if re.search(r'[][*`]|Notebook \d|<!--', text)]


# --- figures ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("pixels, cut", [
    (drawn((10, 140), (160, 290)), 150),  # two columns
    (drawn((10, 290)), None),  # one
    (drawn((10, 140), (143, 290)), None),  # too narrow a gap
    (drawn((10, 40), (50, 290)), None),  # labels, and what they name
    (drawn((10, 70), (80, 145), (155, 220), (230, 290)), None),  # a grid
    (drawn((10, 70), (80, 145), (155, 220), (230, 290), size=(60, 300)), 150)])  # one row of images
def test_a_figure_is_cut_between_two_columns_and_nowhere_else(pixels, cut):
    assert site_figures.between_columns(pixels) == cut


def test_a_figure_of_two_columns_is_two_images_that_read_as_one(tmp_path):
    pixels = drawn((10, 140), (160, 290))
    shown = site_figures.figure(png(pixels), 'Two "blocks" & more.', "a", tmp_path, "../figures/")
    sources, alts = re.findall(r'<img src="([^"]*)"', shown), re.findall(r'alt="([^"]*)"', shown)
    assert [source.rpartition(".")[0] for source in sources] == ["../figures/a-1", "../figures/a-2"]
    assert alts[0] == "Two &quot;blocks&quot; &amp; more." and alts[1]
    assert shown.count('width="150" height="100" loading="lazy"') == 2
    halves = [np.asarray(Image.open(tmp_path / source.rpartition("/")[2]).convert("RGB")) for source in sources]
    assert np.abs(np.concatenate(halves, axis=1).astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("colours, end", [(1, ".webp"), (256, ".webp")])
def test_a_file_is_the_smallest_of_its_kind(tmp_path, colours, end):
    pixels = np.random.default_rng(0).integers(0, colours, (64, 64, 3), dtype=np.uint8)
    content, size, found = site_figures.smallest(Image.fromarray(pixels))
    assert (found, size) == (end, (64, 64)) and len(content) < len(png(pixels))


def test_what_moves_stays_as_it_is(tmp_path):
    frames, buffer = [Image.fromarray(drawn((10, 20 + k), (160, 290))) for k in range(3)], io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=100)
    site_figures.figure(buffer.getvalue(), "It moves.", "a", tmp_path, "")
    assert (tmp_path / "a.png").read_bytes() == buffer.getvalue()


# --- lessons ---------------------------------------------------------------------------------------------------------

HEAD = "[![badge](https://x.org/b.svg)](https://x.org/OWNER/REPO)\n\n# 2 · Inside\n\nText.\n\n**Time:** short."


def page(*cells, path=NOTEBOOK, address=None, metadata=None, figures=None):
    """The cells behind a first one, as the site gets them, the first one before them."""
    notebook = new_notebook(cells=[new_markdown_cell(HEAD), *cells], metadata=metadata or {})
    site_lessons.lesson(notebook, path, path.removeprefix("notebooks/"), address, figures)
    return notebook.cells


def test_the_first_cell_has_a_way_to_run_it_and_no_badge_that_is_broken():
    first, = page()
    assert first.source.startswith("# 2 · Inside\n") and "OWNER" not in first.source
    assert re.findall(r"https?://", first.source) == []
    first, = page(address="me/course")
    links = re.findall(r'href="(https://[^"]*)"', first.source)
    assert [re.sub(r"https://(www\.)?|[/.].*", "", link) for link in links] == ["colab", "kaggle", "codespaces"]
    assert all("me/course" in link for link in links)
    assert all(link.endswith(f"me/course/blob/main/{NOTEBOOK}") for link in links[:2])
    first, = page(path=SOLUTION)
    assert 'href="../index.html#run-the-lessons"' in first.source


def test_the_first_cell_says_what_the_notebook_knows_of_its_results():
    said = lambda cells: re.search(r'<p class="executed">(.*?)</p>', cells[0].source)[1]
    printed = new_output("stream", name="stdout", text="pocket track (no GPU): pocket_vgg, cpu\n")
    cell = new_code_cell("lab = setup()", outputs=[printed])
    assert said(page()) == ""
    assert said(page(cell)) == "Results of the pocket track (no GPU): pocket_vgg, cpu."
    known = {"executed": {"date": "2026-11-27", "minutes": 1.5, "versions": {"Python": "3.11.2", "torch": "2.14.1"}}}
    assert said(page(cell, metadata=known)).endswith(
        "Last executed on 2026-11-27 with Python 3.11.2, torch 2.14.1, in 1.5 minutes.")


def test_results_wait_behind_a_click_and_so_does_the_cell_that_finds_the_course():
    cells = page(*(new_code_cell("1", metadata={"tags": tags}) for tags in (["result"], ["setup"], ["other"], [])))[1:]
    assert [cell.metadata.get("tags") for cell in cells] == [["result", "hide-output"], ["setup", "hide-cell"],
                                                              ["other"], []]
    assert cells[0].metadata["mystnb"]["code_prompt_show"] == "Predicted? Show the result"


def test_an_alternative_text_comes_from_the_output_that_it_belongs_to(tmp_path):
    figures = [new_output("display_data", data={"image/png": base64.b64encode(png(drawn((9, 90 + k)))).decode()},
                          metadata={"image/png": {"alt": f"Figure {k}."}}) for k in range(2)]
    cell = page(new_code_cell("draw()", outputs=figures), figures=tmp_path)[1]
    assert [re.findall(r'alt="([^"]*)"', output.data["text/html"]) for output in cell.outputs] == [["Figure 0."],
                                                                                                 ["Figure 1."]]


def test_every_figure_of_the_course_has_an_alternative_text_to_carry_over():
    for path in site_links.pages():
        if path.endswith(".ipynb"):
            for cell in nbformat.read(site_links.ROOT / path, as_version=4).cells:
                for output in cell.get("outputs", []):
                    if "image/png" in output.get("data", {}):
                        assert output.metadata["image/png"]["alt"].strip(), path


def test_a_panel_becomes_a_sentence_that_says_how_to_run_it():
    data = {site_lessons.WIDGET: {}, "text/plain": "(Here stands a panel with controls. Run the notebook to use it.)"}
    cell = page(new_code_cell("panel()", outputs=[new_output("display_data", data=data)]))[1]
    words = re.sub(r"<[^>]*>", "", cell.outputs[0].data["text/html"])
    assert words == ("Here stands a panel with controls. The figure above shows one view of it. "
                     "Run the lesson to use it.")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), ids=lambda path: path.name)
def test_a_figure_stands_above_every_panel(path):
    last = None
    for k, cell in enumerate(nbformat.read(path, as_version=4).cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert site_lessons.WIDGET not in data or last is not None and k - last <= 4, f"cell {k}"
            last = k if "image/png" in data else last


def test_a_table_of_layers_becomes_a_table_and_the_lines_around_it_stay():
    rows = anatomy.layer_table(networks.build("vgg16", device="meta"), 224)
    text = anatomy.text(rows)
    printed = new_output("stream", name="stdout", text=f"Before:\n\n{text}\n\nvgg16: all of it\n")
    before, table, after = page(new_code_cell("print(table)", outputs=[printed]))[1].outputs
    assert before.text.strip() == "Before:" and after.text.strip() == "vgg16: all of it"
    lines = table.data["text/html"].split("</tr>")[:-1]
    found = [re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", line) for line in lines]
    assert found[0] == ["layer", "kind", "output", "parameters", "multiply-adds", "sees"]
    assert found[1] == ["features.0", "Conv2d", "64 x 224 x 224", "1,792", "86,704,128", "3"]
    assert found[-1] == ["total", "", "", "138,357,544", "15,470,264,320", ""]
    assert len(found) == len([line for line in text.splitlines() if not line.startswith("-")])
    assert re.findall(r'<th( class="number")?>', table.data["text/html"]) == ["", ""] + [' class="number"'] * 4


def test_headings_in_an_output_do_not_become_the_lessons():
    output = new_output("display_data", data={"text/markdown": "### A card\n\n[a](../helpers/page.py) # b"})
    cell = page(new_code_cell("card()", outputs=[output]))[1]
    assert cell.outputs[0].data["text/markdown"] == "**A card**\n\na # b"


def test_each_solution_stands_below_its_exercise_behind_a_click():
    cells = page(new_markdown_cell("## Exercise 2.1 · A\n\nWhy."), new_code_cell("x"), new_markdown_cell("More."),
                 new_markdown_cell("## Challenge · B\n\nHow."), path=SOLUTION)
    texts = [cell.source for cell in cells[1:]]
    assert [text.startswith("</details>") for text in texts] == [False, False, False, True, False, True]
    assert texts[0].startswith("## Exercise 2.1 · A\n\n<details") and texts[0].endswith("</summary>\n\nWhy.")
    assert [text.count("<details") for text in texts] == [1, 0, 0, 0, 1, 0]


# --- pages -----------------------------------------------------------------------------------------------------------

def test_a_page_that_has_lost_a_place_is_named():
    with pytest.raises(ValueError, match=r"notebooks/site/results\.md should have one place for 'nothing'"):
        site_pages.filled("results.md", {"nothing": ""})


def test_results_are_those_of_the_file():
    found = site_pages.results(None)
    rows = [line.split(" | ") for line in found["accuracies"].splitlines()[2:]]
    for target, labels, *cells in rows:
        for method, cell in zip(site_pages.METHODS, cells, strict=True):
            count = None if labels == "all" else int(labels)
            row = site_pages.evidence.result(target.removeprefix("| "), count, method)
            assert cell.startswith(f"{100 * row.accuracy.estimate:.1f} (")
    assert len(rows) == sum(len(site_pages.evidence.label_counts(target)) for target in site_pages.evidence.TARGETS)
    assert len(found["differences"].splitlines()) == len(rows) + 2 and "undecided" in found["differences"]
    assert "tests.benchmarks.transfer" in found["notes"] and "| near |" not in found["notes"], "what is below"


@pytest.mark.parametrize("number", range(1, 7))
def test_the_start_says_how_long_each_lesson_takes(tmp_path, number):
    path, = NOTEBOOKS.glob(f"{number:02}_*.ipynb")
    assert re.fullmatch(r"Time: [^.*]*(run|minute)[^*]*\.", site_pages.time(path))
