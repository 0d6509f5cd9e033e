"""The repository's address, and what it is for: a notebook that is opened alone fetches the course and runs.

GitHub is played by a repository on this disk that holds the working tree, uncommitted changes included: git is told to
take it instead of the address in the notebooks' setup cells, which run as they are. No test needs a network.
"""
import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import nbclient
import nbformat
import pytest

from helpers import install
from helpers.make import publish
from tests.test_project import ROOT, requirements

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PATHS = LESSONS + sorted((ROOT / "notebooks" / "solutions").glob("[0-9]*.ipynb"))
PLACES = [ROOT / "pyproject.toml", ROOT / "CITATION.cff", ROOT / "README.md", *PATHS]
COURSE = "transfer-learning-course"  # the folder into which the setup cell puts the course
FETCHED = f"helpers in ./{COURSE}, installed course-extra\n"

STAMPED = "some-university/course_1.0"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="pip is not installed")


def address() -> str:
    return publish.addresses((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[0]


def setup_cell(path: Path = PATHS[0]):
    return next(cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def stamped(tmp_path_factory) -> Path:
    """The files that hold the address, with one stamped in, whether this course has one yet or not."""
    folder = copy_of_places(tmp_path_factory.mktemp("stamped"))
    publish.publish(STAMPED, folder)
    return folder


@pytest.fixture(scope="module")
def setup_source(stamped) -> str:
    """The setup cell as a reader meets it on the web."""
    return setup_cell(stamped / PATHS[0].relative_to(ROOT)).source


def copy_of_places(folder: Path) -> Path:
    (folder / "notebooks" / "solutions").mkdir(parents=True)
    for path in PLACES:
        shutil.copy(path, folder / path.relative_to(ROOT))
    return folder


# --- the address ---------------------------------------------------------------------------------------------------

def test_notebooks_and_readme_hold_the_address_of_pyproject():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["course"]["repository"] == address()
    for path in PLACES:
        assert set(publish.addresses(path.read_text(encoding="utf-8"))) == {address()}, path.name


def test_every_notebook_opens_with_its_own_badge_and_the_readme_has_all(stamped):
    link = re.compile(r"\[!\[[^]]*Colab\]\(https://colab\.research\.google\.com/assets/colab-badge\.svg\)\]\("
                      rf"https://colab\.research\.google\.com/github/{STAMPED}/blob/main/notebooks/([^)]*)\)")
    for path in PATHS:
        own = link.match(nbformat.read(stamped / path.relative_to(ROOT), as_version=4).cells[0].source)[1]
        assert own == path.relative_to(ROOT / "notebooks").as_posix()
    assert link.findall((stamped / "README.md").read_text(encoding="utf-8")) == [path.name for path in LESSONS]


def test_all_setup_cells_are_the_same_short_plain_python(stamped):
    cells = [setup_cell(path) for path in PATHS]
    assert {cell.source for cell in cells} == {cells[0].source}
    assert all("setup" in cell.metadata.get("tags", []) for cell in cells)
    source = setup_cell(stamped / PATHS[0].relative_to(ROOT)).source
    assert len(source.splitlines()) <= 15 and ast.parse(source) and ast.parse(cells[0].source)


def visible(text: str) -> str:
    """Markdown, or a .cff file, without its comments."""
    return re.sub(r"(?s:<!--.*?-->)|^# .*$", "", text, flags=re.MULTILINE)


def test_what_cannot_work_yet_is_hidden_and_what_can_is_shown(stamped):
    """A badge whose address nobody knows is a broken one."""
    for path in PLACES[1:]:
        text = path.read_text("utf-8")
        every, shown = publish.addresses(text), publish.addresses(visible(text))
        cell = [address()] * (path.suffix == ".ipynb")  # the setup cell's, which is no link
        assert shown == (cell if address() == publish.UNKNOWN else every), path.name
        text = (stamped / path.relative_to(ROOT)).read_text("utf-8")
        assert publish.addresses(visible(text)) == [STAMPED] * len(every), path.name


def test_the_readme_links_to_the_web_site_as_soon_as_there_is_one(copy):
    where, readme = "https://some-university.github.io/course_1.0/", copy / "README.md"
    line = re.search(r"^(?:<!-- )?(.*\[on the web\]\(.*?)(?: -->)?$", readme.read_text("utf-8"), re.MULTILINE)
    readme.write_text(readme.read_text("utf-8").replace(line[0], f"<!-- {line[1]} -->"), "utf-8")  # as without a site
    publish.publish(STAMPED, copy)
    assert "[on the web](" not in visible(readme.read_text("utf-8"))
    assert publish.publish(STAMPED, copy, site=where) == ["README.md"]
    assert f"[on the web]({where})" in visible(readme.read_text("utf-8"))
    assert publish.publish(STAMPED, copy, site=where) == []
    assert publish.publish(STAMPED, copy) == []
    assert publish.publish(STAMPED, copy, site="https://course.example/") == ["README.md"]
    assert "[on the web](https://course.example/)" in visible(readme.read_text("utf-8"))


@pytest.fixture
def copy(tmp_path):
    """The files that hold the address, in a folder of their own."""
    return copy_of_places(tmp_path / "copy")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_publish_changes_the_address_and_nothing_else(copy):
    old, new = address(), "another-university/course"
    before, expected = contents(copy), {}
    for name, data in before.items():
        refusal = rb"no address yet|in the course's own folder"
        lines = [line for line in data.split(b"\n") if not re.search(refusal, line)]
        for k, line in enumerate(lines):
            for place in (b'repository = "', b"github/", b"github.com/", b"codespaces.new/", b"mybinder.org/v2/gh/"):
                if place + old.encode() in line:
                    line = re.sub(rb"<!-- | -->|^# ", b"", line.replace(place + old.encode(), place + new.encode()))
            lines[k] = line
        expected[name] = b"\n".join(lines)
    assert sorted(publish.publish(new, copy)) == sorted(before)
    assert contents(copy) == expected
    assert publish.publish(new, copy) == []
    publish.publish(STAMPED, copy)
    assert publish.publish(new, copy) and contents(copy) == expected


@pytest.mark.parametrize("wrong", ["", "owner", "owner/", "/repo", "owner/repo/", "a/b/c", "own er/repo", "-owner/repo",
                                   "https://github.com/owner/repo", "owner/repo.git", "owner/..", "owner/repo\n",
                                   publish.UNKNOWN, "own_er/repo", 'owner/re"po', "ö/repo", None])
def test_a_malformed_address_is_refused(wrong, copy):
    before = contents(copy)
    with pytest.raises(ValueError, match="write it as OWNER/REPO"):
        publish.publish(wrong, copy)
    assert contents(copy) == before


def test_a_notebook_that_lost_its_setup_cell_is_named_before_anything_is_written(copy):
    path = copy / PATHS[-1].relative_to(ROOT)
    path.write_bytes(path.read_bytes().replace(b"git clone", b"git"))
    before = contents(copy)
    with pytest.raises(ValueError, match=f"{path.name} should hold the repository's address 2 times, not 1"):
        publish.publish("owner/repo", copy)
    assert contents(copy) == before


def test_the_command_refuses_in_one_sentence():
    command = [sys.executable, "-m", "helpers.make.publish", "nonsense"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr == "'nonsense' is no address on GitHub: write it as OWNER/REPO, without https:// and .git.\n"


# --- what a notebook meets that is opened alone ----------------------------------------------------------------------

def environment(**more) -> dict[str, str]:
    """This process's environment without what would change git, pip or the track, and with `more`."""
    foreign = ("GIT_", "PIP_", "TL_", "PYTHONPATH")
    ours = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    ours |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PIP_CONFIG_FILE": os.devnull,
             "PIP_NO_INDEX": "1", "TL_TRACK": "pocket"}
    return ours | {key: str(value) for key, value in more.items()}


@pytest.fixture(scope="module")
def github(tmp_path_factory) -> dict[str, str]:
    """The course on GitHub, with one more requirement, a package that nobody has: variables that make git take it."""
    folder = tmp_path_factory.mktemp("github") / "course"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".venv", "*cache*", "build", "*.part"))
    with (folder / "requirements.txt").open("a") as file:
        file.write("course-extra>=1.0\n")
    who = {f"GIT_{role}_{what}": "course@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "course"]):
        subprocess.run(["git", *command], cwd=folder, env=environment(**who), check=True, capture_output=True)
    return instead_of_github(folder)


def instead_of_github(folder: Path) -> dict[str, str]:
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"https://github.com/{STAMPED}"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """A folder from which pip installs: the missing package, one that wants another numpy, and that numpy."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, version, requires in [("course_extra", "1.0", ""), ("numpy", "0.1", ""),
                                    ("course_greedy", "1.0", "Requires-Dist: numpy==0.1\n")]:
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


class Machine:
    """A Python that has all packages of this one, torch and pip included, and a place of its own for new ones."""

    def __init__(self, folder: Path):
        venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.own = Path(self.run("import sysconfig; print(sysconfig.get_path('purelib'))", folder).stdout.strip())
        (self.own / "ours.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))

    def run(self, code: str, folder: Path, **more) -> subprocess.CompletedProcess:
        return subprocess.run([self.python, "-c", code], cwd=folder, env=environment(**more), capture_output=True,
                              text=True, timeout=120)

    def installed(self) -> list[str]:
        """What pip put there."""
        return sorted(found.name for found in metadata.distributions(path=[str(self.own)]))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


@pytest.fixture
def alone(tmp_path):
    """An empty folder to open a notebook in."""
    (tmp_path / "alone").mkdir()
    return tmp_path / "alone"


def sentence(run: subprocess.CompletedProcess) -> str:
    """What a failed cell says: one error, not one on top of another."""
    assert run.returncode == 1 and run.stderr.count("Traceback") == 1, run.stderr
    return run.stderr.splitlines()[-1]


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/solutions", "tests/benchmarks"])
def test_in_a_clone_the_cell_finds_the_helpers_from_any_folder(folder, machine):
    run = machine.run(setup_cell().source, ROOT / folder, PATH="")  # so there is no git
    assert (run.stdout, run.stderr) == ("helpers found, no package is missing\n", "")
    assert not (ROOT / folder / COURSE).exists() and machine.installed() == []


@needs_git
@needs_pip
def test_alone_the_cell_fetches_and_installs_once(machine, alone, github, wheels, setup_source):
    first = machine.run(setup_source, alone, PIP_FIND_LINKS=wheels, **github)
    assert (first.stdout, first.stderr) == (FETCHED, "")
    again = machine.run(setup_source, alone, PATH="")
    assert (again.stdout, again.stderr) == ("helpers found, no package is missing\n", "")
    assert os.listdir(alone) == [COURSE] and machine.installed() == ["course_extra"]


@needs_git
@pytest.mark.parametrize("git", ["is not installed", "finds no repository"])
def test_alone_without_git_or_network_the_cell_says_what_to_do(git, machine, alone, tmp_path, setup_source):
    more = {"PATH": ""} if git == "is not installed" else instead_of_github(tmp_path / "nowhere")
    said = sentence(machine.run(setup_source, alone, **more))
    assert said.startswith("RuntimeError: ") and "Install git" in said and "network" in said
    assert os.listdir(alone) == []


@pytest.mark.skipif(os.name == "nt", reason="a shell script, which Windows has no shell for")
def test_alone_without_an_address_the_cell_says_what_to_do_and_fetches_nothing(machine, alone, tmp_path, setup_source):
    """Whoever registers the placeholder on GitHub must not get to run code on a reader's machine."""
    (tmp_path / "git").write_text('#!/bin/sh\ntouch asked\n')
    (tmp_path / "git").chmod(0o755)
    without = setup_source.replace("    part = ", "".join(publish.REFUSAL) + "    part = ")
    assert without != setup_source and setup_cell().source in (without.replace(STAMPED, publish.UNKNOWN),
                                                        setup_source.replace(STAMPED, address()))
    said = sentence(machine.run(without, alone, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}"))
    assert said == ("RuntimeError: The course has no address yet from which to fetch it: open this notebook in the "
                    "course's own folder.")
    assert os.listdir(alone) == []


@needs_git
@needs_pip
@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes, which Windows has not")
def test_a_clone_that_was_killed_is_not_taken_for_the_course(machine, alone, github, wheels, tmp_path, setup_source):
    """Here git is a script that makes half of the course in the folder that it is given, and hangs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text('#!/bin/sh\nfor folder; do :; done\nmkdir -p "$folder/helpers"\n'
                                          'touch "$folder/helpers/install.py" half\nsleep 60\n')
    (tmp_path / "bin" / "git").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    cell = subprocess.Popen([machine.python, "-c", setup_source], cwd=alone, env=environment(PATH=path),
                            start_new_session=True)
    while not (alone / "half").exists():
        assert cell.poll() is None
        time.sleep(0.02)
    os.killpg(cell.pid, signal.SIGKILL)
    cell.wait()
    run = machine.run(setup_source, alone, PIP_FIND_LINKS=wheels, **github)
    assert (run.stdout, run.stderr) == (FETCHED, "")


# --- installing ------------------------------------------------------------------------------------------------------

@pytest.fixture
def course(tmp_path):
    """A course that consists of `install.py` and of requirements: this one's, and the lines given."""

    def make(*lines: str) -> Path:
        (tmp_path / "course" / "helpers").mkdir(parents=True)
        shutil.copy(install.__file__, tmp_path / "course" / "helpers")
        text = "\n".join([*requirements(), *lines])
        (tmp_path / "course" / "requirements.txt").write_text(text, encoding="utf-8")
        return tmp_path / "course"

    return make


INSTALL = "from helpers.install import install_missing; print(install_missing())"


@needs_pip
def test_a_package_that_wants_another_numpy_is_refused(machine, course, wheels):
    run = machine.run(INSTALL, course("course-greedy>=1.0"), PIP_FIND_LINKS=wheels)
    assert sentence(run).startswith("RuntimeError: pip could not install course-greedy (Cannot install ")
    assert machine.installed() == []


@needs_pip
def test_a_package_that_pip_does_not_get_is_named(machine, course):
    said = sentence(machine.run(INSTALL, course("course-extra>=1.0")))
    assert said.startswith("RuntimeError: pip could not install course-extra (Could not find a version that satisfies")
    assert "network" in said and "run this cell again" in said


@pytest.fixture
def no_pip(monkeypatch):
    def run(*_, **__):
        raise AssertionError("pip was called")

    monkeypatch.setattr(install.subprocess, "run", run)


@pytest.mark.parametrize("name", install.FIXED)
def test_torch_and_numpy_are_reported_and_not_installed(name, monkeypatch, no_pip):
    monkeypatch.setattr(install, "version", lambda wanted: None if wanted in (name, "pillow") else "1.0")
    with pytest.raises(RuntimeError, match=f"lacks {name}, which"):
        install.install_missing()


def test_what_opens_and_tests_notebooks_is_not_installed_and_old_packages_stay(monkeypatch, no_pip):
    monkeypatch.setattr(install, "version", lambda name: None if name in install.ELSEWHERE else "0.0.1")
    assert install.install_missing() == "no package is missing"
    assert {*install.ELSEWHERE, *install.FIXED} <= {line.split(">=")[0] for line in requirements()}


# --- the notebooks ---------------------------------------------------------------------------------------------------

def to_the_first_figure(path: Path):
    """The notebook without outputs, cut off behind the first cell that shows a figure."""
    notebook = nbformat.read(path, as_version=4)
    figures = [any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])) for cell in
               notebook.cells]
    notebook.cells = notebook.cells[: figures.index(True) + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def snapshot() -> dict[str, int]:
    """When each file of torch, torchvision and numpy was last changed."""
    files = [file.locate() for name in install.FIXED for file in metadata.distribution(name).files]
    return {str(file): file.stat().st_mtime_ns for file in files if file.exists()}


@needs_git
@needs_pip
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)
def test_a_notebook_alone_in_an_empty_folder_runs_and_leaves_torch_as_it_is(path, machine, alone, github, wheels,
                                                                            tmp_path, monkeypatch, stamped):
    """Its cells up to the first figure, as the rest needs minutes; `setup()` and the helpers' assets are among them."""
    kernel = f'{{"argv": ["{machine.python.as_posix()}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]'
    (tmp_path / "kernels" / "alone").mkdir(parents=True)
    (tmp_path / "kernels" / "alone" / "kernel.json").write_text(kernel + ', "display_name": "a", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    notebook, before = to_the_first_figure(stamped / path.relative_to(ROOT)), snapshot()
    notebook.cells.append(nbformat.v4.new_code_cell("print(torch.__version__, torch.__file__)"))
    nbformat.write(notebook, alone / path.name)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="alone", resources={"metadata": {"path": str(alone)}}
                            ).execute(env=environment(PIP_FIND_LINKS=wheels, **github))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].outputs[0].text == FETCHED
    assert any("image/png" in output.get("data", {}) for output in code[-2].outputs)
    assert machine.installed() == ["course_extra"] and sorted(os.listdir(alone)) == sorted([COURSE, path.name])
    torch = sys.modules["torch"]
    assert code[-1].outputs[0].text == f"{torch.__version__} {torch.__file__}\n"
    assert snapshot() == before
