"""The project's own rules: what it depends on, what lies where, and which module may import which."""
import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import export, install, scale

ROOT = Path(__file__).resolve().parent.parent
HELPERS, TESTS = ROOT / "helpers", ROOT / "tests"

# A helper imports only what stands before it. A lesson's own figures, panels and checks come last; they may use all
# that lessons share and one another in this order, and nothing of another lesson.
ORDER = ("install", "shipped", "progress", "fetch.packages", "fetch.downloads", "fetch.stl10", "fetch.weights",
         "images", "intervals", "calibration", "evidence", "pictures", "photographs", "album", "alike", "division",
         "drawings", "composition", "collection", "sketches", "pocket", "letters", "folds", "source", "datasets",
         "preprocess", "plans", "pretrained", "networks", "devices", "lab", "hardware", "inference", "guessers",
         "features", "history", "checkpoints", "training", "anatomy", "drift", "gradcam", "first_layer", "figures",
         "audit", "animation", "panel", "mistakes", "pad", "verdict", "takeaway", "model_card", "export", "page",
         "one_page", "scale", "report")
LESSON = ("example", "plots", "panels", "checks")


def requirements(path: str = "requirements.txt") -> list[str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line]


def names(lines: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {re.split(r"[><=]", line)[0] for line in lines}


READERS, (BASE, *AUTHORS) = requirements(), requirements("tests/requirements.txt")
SITE = requirements("notebooks/site/requirements.txt")  # what builds the web site is called, and not imported
OPTIONAL = {*export.NEEDED, *scale.NEEDED}  # who wants an ONNX file or many GPUs is told to install them; nobody else


def packages(*paths: Path) -> set[str]:
    """The packages whose modules these files import, under the names that requirements give them."""
    package = {"PIL": "pillow", "sklearn": "scikit-learn", "IPython": "ipykernel", "traitlets": "ipykernel",
               "yaml": "pyyaml", "fontTools": "fonttools", "resvg_py": "resvg-py", "pillow_heif": "pillow-heif"}
    used = {name.split(".")[0] for path in paths for name in imports(path)}
    return {package.get(name, name) for name in used - {"helpers", "tests"} - set(sys.stdlib_module_names)}


def test_requirements_are_lower_bounds():
    """An exact pin or an upper bound would make pip replace what Colab ships."""
    assert READERS and AUTHORS and BASE == "-r ../requirements.txt"
    assert set(SITE) <= set(AUTHORS)
    assert [line for line in READERS + AUTHORS if not re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9.]+", line)] == []


MAKE = tuple(HELPERS.glob("make/*.py"))  # what authors run
SHARED = tuple(set(HELPERS.rglob("*.py")) - set(MAKE))


def test_every_package_that_helpers_import_is_required():
    assert packages(*SHARED) - names(READERS) - OPTIONAL == set()
    assert OPTIONAL <= names(AUTHORS), "else their tests are skipped everywhere"
    assert packages(*MAKE) - names(READERS + AUTHORS) == set()


def test_every_package_that_tests_import_is_required_where_they_run():
    """tests/slow has requirements of its own; a benchmark's data set is for that benchmark alone, which says so."""
    assert packages(*TESTS.glob("*.py"), *TESTS.glob("benchmarks/*.py")) - {"elpv_dataset"} - names(READERS) == set()
    assert packages(*TESTS.glob("slow/*.py")) - names(READERS + AUTHORS) == set()


def test_nobody_installs_what_they_do_not_need():
    """A reader's packages are used by helpers, or open and test notebooks. ruff is a program that no module imports;
    onnxscript is what torch imports for an ONNX file."""
    assert names(READERS) - packages(*SHARED) - set(install.ELSEWHERE) == set()
    assert names(AUTHORS) - packages(*TESTS.glob("slow/*.py"), *MAKE) - {"ruff"} - names(SITE) - OPTIONAL == set()
    assert names(READERS) & names(AUTHORS) == set()


def test_conda_installs_the_same_requirements():
    """environment.yml takes its packages from requirements.txt, and names nothing a second time."""
    lines = (ROOT / "environment.yml").read_text().splitlines()
    listed = [line.strip().removeprefix("- ") for line in lines[lines.index("dependencies:") + 1:]]
    assert listed == ["python>=3.10", "pip", "pip:", "-r requirements.txt"]


COURSE = {"README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "requirements.txt", "environment.yml", "notebooks",
          "helpers", "tests"}
STRAY = re.compile(r"(^|/)(__pycache__|\.ipynb_checkpoints|\.(pytest|ruff)_cache|build|dist|\.venv|[^/]*\.egg-info)/"
                   r"|\.(py[co]|pth?|ckpt|bin|gz|zip|tar)$|(^|/)\.DS_Store$")


def test_what_is_committed_is_the_course_and_nothing_that_a_run_leaves_behind():
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("git is not installed, or this is no checkout: there is no list of committed files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [name for name in listed.split("\0") if name and (ROOT / name).exists()]
    assert COURSE <= {name.split("/")[0] for name in files}
    assert [name for name in files if STRAY.search(name)] == []
    assert [name for name in files if name.endswith(".ipynb") and not name.startswith("notebooks/")] == []
    assert [name for name in files if (ROOT / name).stat().st_size > 5_000_000] == []
    # What is heavier opens slowly on a phone, and GitHub may not draw it at all.
    assert [name for name in files if name.endswith(".ipynb") and (ROOT / name).stat().st_size > 1_500_000] == []


@pytest.mark.parametrize("name, stray", [
    ("CONTRIBUTING.md", False), ("CITATION.cff", False), (".devcontainer/devcontainer.json", False),
    (".github/ISSUE_TEMPLATE/config.yml", False), ("helpers/build_it.py", False),
    ("build/screenshots/01.png", True), ("helpers/__pycache__/lab.cpython-311.pyc", True), ("full.pt", True),
    ("notebooks/.ipynb_checkpoints/01-checkpoint.ipynb", True), (".venv/bin/python", True), ("train_X.bin", True)])
def test_what_counts_as_left_behind(name, stray):
    assert bool(STRAY.search(name)) == stray


def functions(path: Path) -> dict[str, int]:
    """Lines of each function, its decorators and docstring included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node.end_lineno - min([node.lineno, *(d.lineno for d in node.decorator_list)]) + 1
            for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("path", sorted(HELPERS.rglob("*.py")), ids=lambda path: path.relative_to(HELPERS).as_posix())
def test_helpers_are_short_enough_to_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    assert {name: lines for name, lines in functions(path).items() if lines > 60} == {}


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


FILM = HELPERS / "make/moving_panel.py"  # the README's moving picture shows a panel


@pytest.mark.parametrize("path", sorted({*modules("make/*.py")} - {FILM}), ids=dotted)
def test_nothing_but_notebooks_needs_the_figures(path):
    assert not {name for name in own_imports(path) if name.split(".")[0].startswith(("lesson", "figures", "panel"))}
