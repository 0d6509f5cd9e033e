"""The style of all code, notebooks included, is what pyproject.toml asks for."""
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.test_project import ROOT


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_ruff_is_content():
    run = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
