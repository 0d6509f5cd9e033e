"""The project's own rules: what it depends on, what lies where, and which module may import which."""
import ast
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "helpers"

# A helper imports only what stands before it. A lesson's own figures, panels and checks come last; they may use all
# that lessons share and one another in this order, and nothing of another lesson.
ORDER = ("install", "progress", "fetch.downloads", "fetch.stl10", "fetch.weights", "images", "pictures", "pocket",
         "drawings", "composition", "world", "datasets", "preprocess", "networks", "lab", "hardware", "inference",
         "features", "history", "checkpoints", "training", "anatomy", "gradcam", "figures", "panel", "verdict")
LESSON = ("plots", "panels", "checks")


def requirements() -> list[str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return [line for line in lines if line]


def test_requirements_are_lower_bounds():
    """An exact pin or an upper bound would make pip replace what Colab ships."""
    assert requirements()
    assert [line for line in requirements() if not re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9.]+", line)] == []


def test_every_package_that_is_imported_is_required():
    names = {"PIL": "pillow", "sklearn": "scikit-learn", "IPython": "ipykernel", "traitlets": "ipykernel"}
    scripts = {"resvg_py", "fontTools"}  # for helpers/make/drawings.py alone, whose docstring asks for them
    required = {re.split(r"[><=]", line)[0].replace("-", "_") for line in requirements()} | {"scikit-learn"}
    used = set()
    for path in HELPERS.rglob("*.py"):
        used |= {name.split(".")[0] for name in imports(path)}
    used -= {"helpers"} | scripts | set(sys.stdlib_module_names)
    assert {name for name in used if names.get(name, name) not in required} == set()


def test_conda_installs_the_same_requirements():
    """environment.yml takes its packages from requirements.txt, and names nothing a second time."""
    lines = (ROOT / "environment.yml").read_text().splitlines()
    packages = [line.strip().removeprefix("- ") for line in lines[lines.index("dependencies:") + 1:]]
    assert packages == ["python>=3.10", "pip", "pip:", "-r requirements.txt"]


def test_the_top_level_holds_what_it_should():
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout, so there is no list of committed files")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    top = {name.split("/")[0] for name in files if name}
    assert top == {"README.md", "requirements.txt", "environment.yml", "notebooks", "helpers", "tests", "LICENSE",
                   "pyproject.toml", ".gitignore", ".ci", ".github"}
    assert not [name for name in files if ".ipynb_checkpoints" in name or "__pycache__" in name]


def imports(path: Path) -> set[str]:
    """The modules that a file imports, at its top or inside functions; `from helpers import x` counts as helpers.x."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            folder = (ROOT / node.module.replace(".", "/")).is_dir()
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if folder else {node.module}
    return found


def modules(pattern: str) -> list[Path]:
    return sorted(path for path in HELPERS.glob(pattern) if path.name != "__init__.py")


def own_imports(path: Path) -> set[str]:
    """Of the modules that a file imports, those in `helpers`, without that word."""
    return {name.removeprefix("helpers.") for name in imports(path) if name.startswith("helpers")}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(HELPERS).with_suffix("").parts)


@pytest.mark.parametrize("path", [*modules("*.py"), *modules("fetch/*.py")], ids=dotted)
def test_helpers_import_only_what_stands_above_them(path):
    assert dotted(path) in ORDER, f"where does {dotted(path)} stand?"
    assert own_imports(path) <= set(ORDER[: ORDER.index(dotted(path))])


@pytest.mark.parametrize("path", modules("lesson_*/*.py"), ids=dotted)
def test_a_lesson_imports_nothing_of_another_lesson(path):
    assert path.stem in LESSON
    above = {f"{path.parent.name}.{name}" for name in LESSON[: LESSON.index(path.stem)]}
    assert own_imports(path) <= {*ORDER, *above}


@pytest.mark.parametrize("path", modules("make/*.py"), ids=dotted)
def test_nothing_but_notebooks_needs_the_figures(path):
    assert not {name for name in own_imports(path) if name.split(".")[0].startswith(("lesson", "figures", "panel"))}


def test_ruff_is_content():
    if find_spec("ruff") is None:
        pytest.skip("ruff is a development tool and is not installed here")
    run = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
