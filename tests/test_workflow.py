"""The workflow on GitHub runs what the README tells readers to run, where it should, with the packages it should."""
import os
import re
import shutil
import subprocess

import pytest
import yaml  # jupyterlab depends on it

from tests.test_project import ROOT, requirements

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
JOB = WORKFLOW["jobs"]["tests"]
MATRIX = JOB["strategy"]["matrix"]


@pytest.fixture(scope="module")
def command() -> str:
    """The README's test command."""
    return re.search(r"^python3 .*-m pytest$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[0]


def steps(system: str) -> list[str]:
    """What runs on a system, leaving out what only prepares it."""
    condition = {"Windows": "runner.os == 'Windows'", "Linux": "runner.os != 'Windows'"}[system]
    return [step["run"] for step in JOB["steps"] if step.get("if") == condition]


def test_it_covers_three_systems_with_the_oldest_and_the_newest_packages():
    assert JOB["runs-on"] == "${{ matrix.os }}" and not JOB["strategy"]["fail-fast"]
    assert sorted(MATRIX["os"]) == ["macos-latest", "ubuntu-latest", "windows-latest"]
    assert MATRIX["packages"] == ["oldest", "newest"] and "exclude" not in MATRIX
    assert JOB["timeout-minutes"] <= 60 and all(step.get("timeout-minutes", 60) <= 60 for step in JOB["steps"])


def test_the_oldest_are_the_floors_of_the_requirements():
    oldest, newest = MATRIX["include"]
    floors = dict(line.split(">=") for line in requirements())
    assert oldest["packages"] == "oldest" and newest["packages"] == "newest" and "constraints" not in newest
    assert oldest["constraints"] == f"torch=={floors['torch']}.* torchvision=={floors['torchvision']}.*"
    conda = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert f"- python>={oldest['python']}\n" in conda
    hold = next(step for step in JOB["steps"] if step.get("if") == "matrix.packages == 'oldest'")
    assert "${{ matrix.constraints }} > constraints.txt" in hold["run"] and "PIP_CONSTRAINT=" in hold["run"]


def test_windows_runs_the_command_spelt_as_the_readme_says(command):
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    assert r"On Windows, write `python` for `python3` and `.venv\Scripts\` for `.venv/bin/`." in readme
    assert steps("Windows") == [command.replace("python3", "python").replace(".venv/bin/", ".venv/Scripts/")]


@pytest.mark.skipif(os.name == "nt", reason="a shell script of the other systems")
def test_the_others_run_the_command_itself(command, tmp_path):
    """In a copy in which python3 only says what it was called with: nothing is installed."""
    assert steps("Linux") == [".ci/run"]
    (tmp_path / ".ci").mkdir()
    for name in (".ci/run", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    stub = tmp_path / "python3"
    stub.write_text('#!/bin/sh\nmkdir -p .venv/bin\nfor name in pip python; do cp "$0" .venv/bin/$name; done\n'
                    'echo "called: $0 $*"\n')
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run([tmp_path / ".ci/run"], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    called = re.findall(r"^called: (?:.*/)?(\.venv/.*|python3 .*)$", run.stdout, re.MULTILINE)
    assert run.returncode == 0, run.stderr
    assert called == command.split(" && ")
