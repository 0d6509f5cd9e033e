"""Exercises and their solutions: every exercise is complete, and has a solution that its own check calls right."""
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from helpers.make import notebooks as make

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9]*.ipynb"))
HEADING = r"^{marks} ((?:Exercise \d\.\d|Challenge)\b.*)$"
SIZE = re.compile(r" \((easy|medium|hard), (\d+) minutes\)$")


class Part(NamedTuple):
    """What stands between one exercise's heading and the next heading of its level or above."""

    heading: str
    text: str
    code: list

    @property
    def checks(self) -> set[str]:
        """The names of the check functions that it calls."""
        return {name for cell in self.code for name in re.findall(r"\bchecks\.(\w+)\(", cell.source)}

    def said(self, check: str) -> str:
        """What the cells that call a check printed."""
        cells = [cell for cell in self.code if f"checks.{check}(" in cell.source]
        return "".join(output.get("text", "") for cell in cells for output in cell.outputs)


def parts(path: Path, marks: str) -> list[Part]:
    """The exercises of a lesson (marks "###") or the sections of its solutions (marks "##"), in order."""
    found, inside = [], False
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            if inside:
                found[-1].code.append(cell)
            continue
        for text in re.split(r"\n(?=#+ )", cell.source):
            if match := re.match(HEADING.format(marks=marks), text.split("\n")[0]):
                found.append(Part(match[1], text, []))
                inside = True
            elif text.startswith("#") and len(re.match("#+", text)[0]) <= len(marks):
                inside = False
            elif inside:
                found[-1] = found[-1]._replace(text=found[-1].text + "\n\n" + text)
    return found


def solutions(lesson: Path) -> Path:
    return FOLDER / "solutions" / f"{lesson.name[:2]}_solutions.ipynb"


@pytest.fixture(params=LESSONS, ids=lambda path: path.name)
def lesson(request):
    return request.param


@pytest.fixture
def exercises(lesson):
    return parts(lesson, "###")


def test_there_are_four_or_more_numbered_in_order(lesson, exercises):
    numbered = [part.heading for part in exercises if part.heading.startswith("Exercise")]
    assert len(numbered) >= 4
    number = int(lesson.name[:2])
    assert [heading.split(" · ")[0] for heading in numbered] == [f"Exercise {number}.{k + 1}"
                                                                 for k in range(len(numbered))]


def test_each_has_a_difficulty_minutes_and_a_folded_hint(exercises):
    for part in exercises:
        assert SIZE.search(part.heading), part.heading
        assert "<details><summary>Hint</summary>" in part.text and "</details>" in part.text, part.heading


def test_they_become_harder(exercises):
    """From reading a number to changing the design: no exercise is easier than the one before."""
    order = ["easy", "medium", "hard"]
    levels = [order.index(SIZE.search(part.heading)[1]) for part in exercises]
    assert levels == sorted(levels) and levels[0] == 0 and levels[-1] == 2


def test_unanswered_they_say_so_and_nothing_else(exercises):
    for part in exercises:
        assert len(part.code) >= 1 and len(part.checks) == 1, part.heading
        (check,) = part.checks
        name = part.heading.split(" · ")[0]
        assert re.fullmatch(rf"{name}: not answered yet\..*\n", part.said(check)), part.heading
        assert any(make.is_answer(cell) for cell in part.code), part.heading


def test_every_exercise_has_its_solution_and_the_check_calls_it_right(lesson, exercises):
    solved = parts(solutions(lesson), "##")
    assert [part.heading for part in solved] == [SIZE.sub("", part.heading) for part in exercises]
    for exercise, solution in zip(exercises, solved, strict=True):
        (check,) = exercise.checks
        assert check in solution.checks, solution.heading
        assert ": right" in solution.said(check) and "not yet" not in solution.said(check), solution.heading


def test_a_solution_gives_reasons_before_code(lesson):
    for part in parts(solutions(lesson), "##"):
        assert len(part.text.split()) > 25, part.heading


def test_no_solution_stands_alone():
    assert {path.name for path in (FOLDER / "solutions").glob("*.ipynb")} <= {solutions(path).name for path in LESSONS}
