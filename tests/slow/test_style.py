"""The style of all code, notebooks included: what pyproject.toml asks for, and lines that a projector shows whole."""
import subprocess
import sys
from importlib.util import find_spec

import nbformat
import pytest

from tests.test_project import ROOT


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_ruff_is_content():
    run = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_no_code_line_of_a_notebook_is_cut_by_a_projector():
    wide = [(path.name, line) for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
            for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
            for line in cell.source.split("\n") if len(line) > 88]
    assert wide == []
