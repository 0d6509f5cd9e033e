"""The notebooks' own test run: nbval with this project's settings, on a miniature project of the same layout."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent

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


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments], cwd=folder,
                          capture_output=True, text=True, timeout=300, env=environment)


def miniature(folder: Path) -> Path:
    """A project with this one's settings and plugin, and nothing else yet."""
    (folder / "tests").mkdir()
    for name in ("pyproject.toml", "tests/__init__.py", "tests/patient_nbval.py"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_cells_run_in_their_folder_and_environment_and_may_send_thousands_of_updates(tmp_path):
    project = miniature(tmp_path)
    where = checked(WHERE, f"notebooks {Path(sys.prefix).as_posix()}\n")
    notebook(project / "notebooks/01_a.ipynb", where, new_code_cell(MANY), checked(REMEMBERED, "42\n"))
    run = pytest_in(project)
    assert run.returncode == 0 and "3 passed" in run.stdout, run.stdout


def test_a_changed_output_fails(tmp_path):
    project = miniature(tmp_path)
    notebook(project / "notebooks/01_a.ipynb", checked(REMEMBERED, "43\n"))
    run = pytest_in(project)
    assert run.returncode == 1 and "1 failed" in run.stdout, run.stdout


def test_only_tests_and_notebooks_are_collected(tmp_path):
    project = miniature(tmp_path)
    (project / "tests/test_one.py").write_text("def test_one():\n    pass\n")
    for place in ("notebooks", "notebooks/solutions", "notebooks/.ipynb_checkpoints", "build", ".venv/share",
                  "notebooks/.venv"):
        notebook(project / place / "01_a.ipynb", new_code_cell("pass"))
    run = pytest_in(project, "--collect-only", "-q")
    found = ["tests/test_one.py::test_one", "notebooks/01_a.ipynb::Cell 0", "notebooks/solutions/01_a.ipynb::Cell 0"]
    assert run.stdout.splitlines()[:3] == found, run.stdout
    assert "3 tests collected" in run.stdout, run.stdout
