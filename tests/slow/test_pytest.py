"""How the test commands run, with this project's settings, on a miniature project of the same layout."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]

WHERE = """\
import sys
from pathlib import Path
print(Path.cwd().name, Path(sys.prefix).as_posix())"""
MANY = """\
import time
from IPython.display import display
handle = display("start", display_id=True)
for k in range(8000):
    handle.update(f"step {k} " + "." * 1000)
time.sleep(1)  # so that all of it has arrived before nbval starts to read"""
REMEMBERED = "print(6 * 7)"


def notebook(path: Path, *cells) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells)), path)


def checked(source: str, output: str):
    """A code cell whose committed output nbval compares."""
    printed = nbformat.v4.new_output("stream", name="stdout", text=output)
    return new_code_cell(source, execution_count=1, outputs=[printed], metadata={"tags": ["nbval-check-output"]})


def pytest_in(folder: Path, *arguments: str, timeout: float = 250, **more: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | more
    return subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments], cwd=folder,
                          capture_output=True, text=True, timeout=timeout, env=environment)


def miniature(folder: Path) -> Path:
    """A project with this one's settings and plugins, and nothing else yet."""
    (folder / "tests/slow").mkdir(parents=True)
    for name in ("pyproject.toml", "tests/__init__.py", "tests/patient_nbval.py", "tests/strict_ci.py",
                 "tests/slow/__init__.py", "tests/slow/conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_cells_run_in_their_folder_and_environment_may_send_thousands_of_updates_and_are_compared(tmp_path):
    project = miniature(tmp_path)
    where = checked(WHERE, f"notebooks {Path(sys.prefix).as_posix()}\n")
    notebook(project / "notebooks/01_a.ipynb", where, new_code_cell(MANY), checked(REMEMBERED, "42\n"))
    notebook(project / "notebooks/02_changed.ipynb", checked(REMEMBERED, "43\n"))
    run = pytest_in(project)
    assert run.returncode == 1 and "1 failed, 3 passed" in run.stdout, run.stdout
    assert "FAILED notebooks/02_changed.ipynb::Cell 0" in run.stdout


def test_without_a_path_only_unit_tests_and_notebooks_are_collected(tmp_path):
    project = miniature(tmp_path)
    for place in ("tests", "tests/slow", "tests/benchmarks"):
        (project / place).mkdir(exist_ok=True)
        (project / place / "test_one.py").write_text("def test_one():\n    pass\n")
    for place in ("notebooks", "notebooks/solutions", "notebooks/.ipynb_checkpoints", "build", ".venv/share",
                  "notebooks/.venv"):
        notebook(project / place / "01_a.ipynb", new_code_cell("pass"))
    run = pytest_in(project, "--collect-only", "-q")
    found = ["tests/test_one.py::test_one", "notebooks/01_a.ipynb::Cell 0", "notebooks/solutions/01_a.ipynb::Cell 0"]
    assert run.stdout.splitlines()[:3] == found, run.stdout
    assert "3 tests collected" in run.stdout, run.stdout


SKIPS = """\
import pytest

@pytest.mark.skip(reason="ruff is not installed")
def test_lacks_a_tool():
    pass

def test_lacks_a_package():
    pytest.importorskip("no_such_package")

@pytest.mark.skip(reason="needs a GPU")
def test_lacks_a_gpu():
    pass

@pytest.mark.xfail
def test_is_known_to_fail():
    assert False"""
SKIPPED_AS_A_WHOLE = """\
import pytest

pytest.skip("git is not installed", allow_module_level=True)"""


@pytest.mark.parametrize("on_ci, closing", [
    ("", "4 skipped, 1 xfailed"), ("true", "1 failed, 1 skipped, 1 xfailed, 2 errors")], ids=["elsewhere", "on CI"])
def test_where_ci_is_set_a_missing_tool_is_a_failure(on_ci, closing, tmp_path):
    project = miniature(tmp_path)
    (project / "tests/test_tools.py").write_text(SKIPS)
    (project / "tests/test_whole.py").write_text(SKIPPED_AS_A_WHOLE)
    run = pytest_in(project, "--continue-on-collection-errors", CI=on_ci)
    assert re.search(rf"^=* {closing} in", run.stdout, re.MULTILINE), run.stdout
    assert (run.returncode == 0) == (on_ci == "")


WAITS = """\
import subprocess, sys
import pytest

WAIT = [sys.executable, "-c", "import time; time.sleep(600)"]

@pytest.fixture(scope="module")
def never_closes():
    process = subprocess.Popen(WAIT)
    yield
    assert process.wait() == 0

@pytest.mark.limit(1)
def test_a_browser_that_hangs():
    subprocess.run(WAIT, check=True)

def test_the_next_one():
    subprocess.run([sys.executable, "-c", ""], check=True)

@pytest.mark.limit(1)
def test_closes(never_closes):
    pass"""


def test_what_hangs_loses_the_processes_that_it_waits_for_and_fails(tmp_path):
    project = miniature(tmp_path)
    (project / "tests/slow/test_waits.py").write_text(WAITS)
    run = pytest_in(project, "tests/slow", timeout=60)
    assert re.search(r"^=* 1 failed, 2 passed, 1 error in", run.stdout, re.MULTILINE), run.stdout
