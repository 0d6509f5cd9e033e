"""The notebooks as committed, solutions included: executed, in order, clean, written as the course wants them."""
import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import SlidesExporter
from traitlets.config import JSONFileConfigLoader

from helpers.make import notebooks as make

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
SOLUTIONS = sorted(FOLDER.glob("solutions/*.ipynb"))
PRIVATE_PATH = re.compile(r"/(home|root|tmp|Users|work)/|[A-Za-z]:\\\\?\w|site-packages")


@pytest.fixture(params=PATHS + SOLUTIONS, ids=lambda path: path.name)
def path(request):
    return request.param


lessons = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)  # for rules that solutions need not keep


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(code):
    """Pairs of (a cell's number among the code cells, an output)."""
    return [(k, output) for k, cell in enumerate(code, 1) for output in cell.outputs]


def texts(output):
    """Everything in an output that a reader can read."""
    if output.output_type == "stream":
        return [output.text]
    return [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]


def headings(notebook) -> list[tuple[int, str]]:
    """(level, text) of all headings, leaving out comments in fenced code."""
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    markdown = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) +(.+)$", markdown, flags=re.MULTILINE)]


def test_the_series_is_complete_and_numbered():
    assert len(PATHS) >= 4
    assert [path.name[:3] for path in PATHS] == [f"{k:02d}_" for k in range(1, len(PATHS) + 1)]


def test_is_valid_and_light(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size < 2_000_000


def test_was_executed_from_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_shows_no_error_and_no_warning(code):
    assert [k for k, output in outputs(code) if output.output_type == "error" or output.get("name") == "stderr"] == []


def test_shows_no_bare_value_that_a_last_line_has_left(code):
    """Such as `History(epochs=[{...`: what is worth reading is printed, drawn or shown."""
    assert [k for k, output in outputs(code) if output.output_type == "execute_result"
            and list(output.data) == ["text/plain"]] == []


def test_holds_no_widget_state(notebook):
    assert "widgets" not in notebook.metadata


def test_shows_no_path_of_the_machine_it_ran_on(code):
    assert [(k, text) for k, output in outputs(code) for text in texts(output) if PRIVATE_PATH.search(text)] == []


@lessons
def test_every_figure_has_an_alternative_text(code):
    figures = [(k, output) for k, output in outputs(code) if "image/png" in output.get("data", {})]
    assert figures
    assert [k for k, output in figures if not output.metadata.get("image/png", {}).get("alt", "").strip()] == []


def test_every_widget_stands_on_a_static_figure(notebook):
    """Where a reader sees no widget (GitHub, a printout), a figure right before it shows its default state."""
    drawn = None
    for position, cell in enumerate(notebook.cells):
        kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
        if "application/vnd.jupyter.widget-view+json" in kinds:
            assert drawn is not None and position - drawn <= 2, f"cell {position} has no figure before it"
        if "image/png" in kinds:
            drawn = position


def test_code_cells_are_short_and_stand_apart(notebook, code):
    assert [k for k, cell in enumerate(code, 1) if len(cell.source.splitlines()) > 25] == []
    kinds = [cell.cell_type for cell in notebook.cells]
    assert [k for k in range(1, len(kinds)) if kinds[k] == kinds[k - 1] == "code"] == []
    assert [k for k, cell in enumerate(code, 1) if not cell.source.strip()] == []


def test_headings_are_in_order(notebook):
    levels = [level for level, _ in headings(notebook)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(levels, levels[1:], strict=False)), levels


@lessons
def test_ends_with_exercises_summary_and_next(notebook):
    """An appendix, which nobody needs to read, may stand behind them."""
    sections = [text for level, text in headings(notebook) if level == 2]
    while sections[-1].startswith("Appendix: "):
        sections.pop()
    assert sections[-3:] == ["Exercises", "Summary", "Next"]


@lessons
def test_a_folded_result_gives_nothing_away(code):
    """JupyterLab shows the first line of what is folded: it is the reader's own prediction."""
    results = [cell for cell in code if "result" in cell.metadata.get("tags", [])]
    first = [cell.outputs[0].get("text", "").split("\n")[0] for cell in results]
    assert [line for line in first if line != "Your prediction: ?"] == []
    assert all(cell.source.startswith("prediction = ") for cell in results)


def test_sections_begin_a_cell(notebook):
    inside = [cell.source for cell in notebook.cells if cell.cell_type == "markdown" and "\n## " in cell.source]
    assert [source[:60] for source in inside if "```" not in source] == []


def test_has_outputs_that_nbval_compares(code):
    compared = [cell for cell in code if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert compared and all(cell.outputs for cell in compared)


def test_nbval_compares_no_accuracy_that_a_processor_decides(code):
    """One that computes in bfloat16 trains another network. What was measured beforehand is the same everywhere."""
    printed = {cell.id: "".join(output.get("text", "") for output in cell.outputs) for cell in code
               if "nbval-check-output" in cell.metadata.get("tags", []) and "evidence." not in cell.source
               and re.search(r"evaluat|accurac|predictions|\.fit\(", cell.source)}
    assert [cell for cell, text in printed.items() if re.search(r"\d %", text)] == []


def test_links_to_files_of_the_course_lead_somewhere(path, notebook):
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", markdown) if "://" not in target]
    assert [target for target in targets if target and not (path.parent / target).exists()] == []


# --- slides ----------------------------------------------------------------------------------------------------------

TIDY = "run `python -m helpers.make.notebooks --tidy`"


def slide_types(notebook) -> list[str]:
    return [cell.metadata.get("slideshow", {}).get("slide_type") for cell in notebook.cells]


def test_structure_and_slides_are_what_tidy_makes_of_the_notebook(notebook):
    tidied = copy.deepcopy(notebook)
    make.tidy(tidied)
    assert slide_types(notebook) == slide_types(tidied), TIDY
    assert notebook == tidied, TIDY


@lessons
def test_slides_begin_with_title_and_sections_and_skip_what_is_not_for_the_wall(notebook):
    kinds = dict(zip([cell.id for cell in notebook.cells], slide_types(notebook), strict=True))
    first = next(k for k, cell in enumerate(notebook.cells) if cell.source.startswith("## "))
    for k, cell in enumerate(notebook.cells):
        if k == 0 or cell.source.startswith("## "):
            assert kinds[cell.id] == "slide"
        elif k < first or "setup" in cell.metadata.get("tags", []) or make.is_answer(cell):
            assert kinds[cell.id] == "skip"
        else:
            assert kinds[cell.id] in ("subslide", "fragment", "notes", "skip")


@lessons
def test_a_question_is_on_the_wall_and_its_answer_comes_at_the_press_of_a_key(notebook):
    cells, kinds = notebook.cells, slide_types(notebook)
    for k, cell in enumerate(cells):
        if cell.cell_type == "markdown" and "**Predict" in cell.source:
            answer = next(i for i in range(k, len(cells)) if cells[i].cell_type == "code")
            assert kinds[k] in ("slide", "subslide", "fragment"), cell.source[:60]
            assert kinds[answer] in ("subslide", "fragment", "skip"), cell.source[:60]
            left_out = make.is_panel(cells[answer]) or make.is_answer(cells[answer])
            assert kinds[answer] != "skip" or left_out or make.height(cells[answer]) > make.TALLEST


@lessons
def test_every_figure_is_in_the_slides_and_fits(notebook):
    for cell, kind in zip(notebook.cells, slide_types(notebook), strict=True):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            assert kind in ("subslide", "fragment") and make.height(cell) <= make.TALLEST, cell.source[:60]


@lessons
def test_no_slide_holds_more_than_the_wall(notebook):
    used = 0
    for cell, kind in zip(notebook.cells, slide_types(notebook), strict=True):
        used = make.height(cell) if kind in ("slide", "subslide") else used + make.height(cell) * (kind == "fragment")
        assert used <= make.TALLEST, cell.source[:60]


@lessons
def test_nbconvert_makes_a_deck(path, notebook):
    """What `jupyter nbconvert --to slides --config helpers/make/slides.json` does, without writing the file."""
    settings = JSONFileConfigLoader("slides.json", path=str(Path(make.__file__).parent)).load_config()
    deck, _ = SlidesExporter(config=settings).from_filename(str(path))
    kinds = slide_types(notebook)
    assert deck.count("<section") == kinds.count("slide") * 2 + kinds.count("subslide")
    assert deck.count('class="notes"') == kinds.count("notes")
    assert "width: 1440" in deck and "answer = ..." not in re.sub(r"<[^>]+>", "", deck)


# --- the command that executes and tidies -----------------------------------------------------------------------------

def test_without_names_the_command_takes_lessons_and_solutions(monkeypatch):
    taken = []
    monkeypatch.setattr(make, "execute", taken.append)
    monkeypatch.setattr("sys.argv", ["notebooks"])
    make.main()
    assert taken == PATHS + SOLUTIONS


def test_tidy_splits_at_sections_drops_foreign_metadata_and_does_nothing_twice(tmp_path, monkeypatch):
    new = nbformat.v4
    text = "# Title\n\nA promise."
    foreign = {"execution": {}, "tags": ["t"]}
    cells = [new.new_markdown_cell(text, id="a"), new.new_code_cell("x = 1", id="b", metadata=foreign),
             new.new_markdown_cell("A sentence.\n\n## One\n\n**Predict:** what?\n\n## Two\n\nWords.", id="c"),
             new.new_code_cell("y = 2", id="d"), new.new_markdown_cell("word " * 100, id="e"),
             new.new_code_cell("answer = ...\n\ncheck(answer)", id="f")]
    path = tmp_path / "01_a.ipynb"
    nbformat.write(new.new_notebook(cells=cells), path)
    monkeypatch.setattr("sys.argv", ["notebooks", "--tidy", str(path)])
    make.main()
    once, notebook = path.read_bytes(), nbformat.read(path, as_version=4)
    assert [cell.id for cell in notebook.cells] == ["a", "b", "c", "c-1", "c-2", "d", "e", "f"]
    assert [cell.source for cell in notebook.cells[2:5]] == ["A sentence.", "## One\n\n**Predict:** what?",
                                                             "## Two\n\nWords."]
    assert slide_types(notebook) == ["slide", "skip", "skip", "slide", "slide", "fragment", "notes", "skip"]
    assert notebook.cells[1].metadata == {"slideshow": {"slide_type": "skip"}, "tags": ["t"]}
    make.main()
    assert path.read_bytes() == once


def test_what_does_not_fit_below_goes_to_the_next_slide_or_into_the_notes():
    new = nbformat.v4
    tall = new.new_code_cell("\n".join(["x = 1"] * 30))
    cells = [new.new_markdown_cell("# T"), new.new_markdown_cell("## S"), tall, new.new_markdown_cell("And so:"), tall,
             new.new_markdown_cell("word " * 80), new.new_markdown_cell("**Predict:** " + "word " * 80)]
    kinds = make.slide_types(cells)
    assert kinds == ["slide", "slide", "fragment", "subslide", "fragment", "notes", "subslide"]
    cells[4] = new.new_code_cell("\n".join(["x = 1"] * 33))
    assert make.slide_types(cells)[4] == "subslide"
    cells[4] = new.new_code_cell("\n".join(["x = 1"] * 50))
    assert make.slide_types(cells)[4:6] == ["skip", "fragment"]
