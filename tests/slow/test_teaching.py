"""The teacher's guide agrees with the notebooks: sections, exercises, plans and commands."""
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("[0-9]*.ipynb"))
TEXT = (FOLDER / "TEACHING.md").read_text(encoding="utf-8")


def headings(path: Path, marks: str = "##") -> list[str]:
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return re.findall(rf"^{marks} (.+)$", "\n\n".join(cells), re.MULTILINE)


def chapter(path: Path) -> str:
    """What the guide says about a notebook."""
    title = headings(path, "#")[0].replace("\xa0", " ")
    assert f"\n## Notebook {title}\n" in TEXT
    return TEXT.split(f"\n## Notebook {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, its head first, the ruler left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in table if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_the_table_of_a_notebook_has_its_sections_and_minutes(path):
    head, *table = rows(chapter(path))
    assert head[:2] == ["section", "minutes"]
    assert [row[0] for row in table] == headings(path)
    assert all(row[1].isdigit() for row in table) and 40 <= sum(int(row[1]) for row in table) <= 120


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_each_chapter_has_goal_long_cells_wrong_answers_and_what_breaks(path):
    text = chapter(path)
    bold = " ".join(re.findall(r"\*\*(.+?)\*\*", text)).lower()
    for word in ("goal", "long cells", "wrong answers", "what breaks"):
        assert word in bold, word
    assert len(re.findall(r'^- \*"', text, re.MULTILINE)) >= 3  # what a learner says, and the reply


def test_quoted_sections_and_exercises_exist():
    sections = {heading for path in PATHS for heading in headings(path)}
    plans = TEXT.split("\n## Plans\n")[1].split("\n## ")[0]
    assert set(re.findall(r'"([^"]+)"', plans)) <= sections
    exercises = {heading.split(" · ")[0] for path in PATHS for heading in headings(path, "###")}
    assert {f"Exercise {number}" for number in re.findall(r"\b([1-9]\.\d)\b", plans)} <= exercises


@pytest.mark.parametrize("plan, total", [("90 minutes", 90), ("Half a day (four hours)", 240)])
def test_plans_leave_no_minute_out(plan, total):
    table = rows(TEXT.split(f"### {plan}\n")[1].split("\n#")[0])[1:]
    times = [tuple(map(int, row[0].split(" to "))) for row in table]
    assert times[0][0] == 0 and times[-1][1] == total
    assert all(before[1] == after[0] for before, after in zip(times, times[1:], strict=False))


def test_all_tables_have_a_head_and_rows_of_one_length():
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        assert re.fullmatch(r"\|[-:| ]+\|", block.splitlines()[1])
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_files_that_it_names_exist():
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", TEXT) if "://" not in target]
    assert links and all((FOLDER / target).exists() for target in links)
    assert (ROOT / "helpers/make/slides.json").exists() and "--config helpers/make/slides.json" in TEXT
