"""The style of all code, notebooks included: what pyproject.toml asks for, and lines that a projector shows whole."""
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

from helpers.make import publish
from tests.slow.test_publish import copy_of_places
from tests.test_project import ROOT

needs_ruff = pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
LONG = f"{'a-university-' * 2}department/{'a-course-of-' * 8}ours"  # an address such as GitHub allows


def ruff(folder: Path, *more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ruff", "check", ".", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def wide(folder: Path) -> list[tuple[str, str]]:
    """The code lines of a course's notebooks that are too wide, whatever the length of the repository's address."""
    return [(path.name, line) for path in sorted((folder / "notebooks").rglob("*.ipynb"))
            for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
            for line in publish.STAMP.sub(rf"\g<1>{publish.UNKNOWN}", cell.source).split("\n") if len(line) > 88]


@needs_ruff
def test_ruff_is_content():
    run = ruff(ROOT)
    assert run.returncode == 0, run.stdout


def test_no_code_line_of_a_notebook_is_cut_by_a_projector():
    assert wide(ROOT) == []


@needs_ruff
def test_a_long_address_breaks_no_rule(tmp_path):
    course = copy_of_places(tmp_path / "course")
    publish.publish(LONG, course)
    assert wide(course) == []
    run = ruff(course, "--ignore", "I")  # where the helpers are not, imports of theirs are in another order
    assert run.returncode == 0, run.stdout
