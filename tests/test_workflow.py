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


STUBS = {
    "python3": 'echo "called: $0 $*"\nmkdir -p .venv/bin\n'
               'for name in pip python; do [ -e .venv/bin/$name ] || cp "$0" .venv/bin/$name; done\n',
    "apt-get": 'echo "called: apt-get $*" >&2\n[ -z "$APT_FAILS" ]\n',
    "id": 'echo "$USER_ID"\n',
    "chromium": "exit 0\n",
}


@pytest.fixture
def ci(tmp_path):
    """Runs .ci/run in a copy in which every program that installs something only says what it was called with."""
    if os.name == "nt":
        pytest.skip("a shell script of the other systems")
    for folder in (".ci", "bin"):
        (tmp_path / folder).mkdir()
    for name in (".ci/run", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("bash", "sh", "dirname", "rm", "grep", "mkdir", "cp"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def run(*programs: str, **environment: str) -> subprocess.CompletedProcess:
        for name in ("python3", *programs):
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{STUBS[name]}")
            (tmp_path / "bin" / name).chmod(0o755)
        environment = {"PATH": str(tmp_path / "bin"), "USER_ID": "0", "APT_FAILS": "", **environment}
        return subprocess.run([tmp_path / ".ci/run"], env=environment, capture_output=True, text=True)

    return run


def test_the_others_run_the_command_itself(command, ci):
    assert steps("Linux") == [".ci/run"]
    run = ci("chromium", "apt-get", "id")
    called = re.findall(r"^called: (?:.*/)?(\.venv/.*|python3 .*)$", run.stdout, re.MULTILINE)
    assert run.returncode == 0, run.stderr
    assert called == command.split(" && ")
    assert run.stderr == ""  # Chromium is there: nothing is installed


def test_ci_installs_chromium_as_root_on_debian_and_goes_on(command, ci):
    run = ci("apt-get", "id")
    assert "called: apt-get install -qq --yes chromium" in run.stderr
    assert run.returncode == 0 and run.stdout.count("called: ") == 3 and "skipped" not in run.stdout


@pytest.mark.parametrize(("programs", "environment", "reason"), [
    (["id"], {}, "No Chromium, and no apt-get with root's rights"),
    (["apt-get", "id"], {"USER_ID": "1000"}, "No Chromium, and no apt-get with root's rights"),
    (["apt-get", "id"], {"APT_FAILS": "yes"}, "Chromium could not be installed"),
], ids=["no apt", "not root", "apt fails"])
def test_ci_goes_on_without_chromium_and_says_so_in_one_line(programs, environment, reason, command, ci):
    run = ci(*programs, **environment)
    assert run.returncode == 0 and run.stdout.count("called: ") == 3
    assert re.findall(r"^.*the browser test will be skipped\.$", run.stdout, re.MULTILINE)[0].startswith(reason)
