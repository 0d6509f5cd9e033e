"""The workflow on GitHub runs what README and CONTRIBUTING say, where it should, with the packages it should."""
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


README, CONTRIBUTING, SETUP = ((ROOT / name).read_text(encoding="utf-8") for name in
                               ("README.md", ".github/CONTRIBUTING.md", "notebooks/SETUP.md"))
FIRST = re.search(r"^python3 .*-m pytest$", README, re.MULTILINE)[0]  # what readers run
SECOND = re.search(r"^\.venv/.*-m pytest tests/slow$", CONTRIBUTING, re.MULTILINE)[0]  # what authors run after it


def steps(system: str) -> list[str]:
    """What runs on a system alone, leaving out what only prepares it."""
    return [step["run"] for step in JOB["steps"] if step.get("if") == f"runner.os == '{system}'"]


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


def test_macos_runs_the_first_command_and_windows_too_spelt_as_the_page_on_setting_up_says():
    rule = r"On Windows, write `python` for `python3` and `.venv\Scripts\` for `.venv/bin/`."
    assert rule in " ".join(SETUP.split())
    assert steps("macOS") == [FIRST]
    assert steps("Windows") == [FIRST.replace("python3", "python").replace(".venv/bin/", ".venv/Scripts/")]


CALLED = 'echo "called: $0 $*"\n[ -z "$FAILS" ] || case "$0 $*" in $FAILS) echo "1 failed"; exit 1;; esac\n'
STUBS = {
    "python3": CALLED + '[ "$CI" = true ] || exit 7\nmkdir -p .venv/bin\n'
               'for name in pip python; do [ -e .venv/bin/$name ] || cp "$0" .venv/bin/$name; done\n',
    "apt-get": f"exec >&2\n{CALLED}",
    "chromium": "exit 0\n",
}


@pytest.fixture
def ci(tmp_path):
    """Runs .ci/run in a copy in which every program that installs or tests something only says how it was called.

    A call that the shell's pattern `fails` matches fails.
    """
    if os.name == "nt":
        pytest.skip("a shell script, which Windows has no shell for")
    for folder in (".ci", ".github", "bin"):
        (tmp_path / folder).mkdir()
    for name in (".ci/run", "README.md", ".github/CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("bash", "sh", "dirname", "rm", "grep", "mkdir", "cp"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def run(*programs: str, fails: str = "") -> subprocess.CompletedProcess:
        for name in ("python3", *programs):
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{STUBS[name]}")
            (tmp_path / "bin" / name).chmod(0o755)
        environment = {"PATH": str(tmp_path / "bin"), "FAILS": fails}
        return subprocess.run([tmp_path / ".ci/run"], env=environment, capture_output=True, text=True)

    return run


def called(run: subprocess.CompletedProcess) -> list[str]:
    """What it called, leaving out what installs Chromium."""
    return re.findall(r"^called: (?:.*/)?(\.venv/.*|python3 .*)$", run.stdout, re.MULTILINE)


def test_linux_runs_both_commands_as_ci_does_in_an_environment_that_did_not_exist(ci):
    assert steps("Linux") == [".ci/run"]
    for _ in range(2):  # the second time there is an environment already
        run = ci("chromium", "apt-get")
        assert called(run) == [*FIRST.split(" && "), *SECOND.split(" && ")]
        assert (run.returncode, run.stderr) == (0, "")  # Chromium is there: nothing is installed


@pytest.mark.parametrize("fails, statuses", [("*-m pytest", (1, 0)), ("*tests/slow", (0, 1)), ("*-m pytest*", (1, 1))])
def test_both_commands_run_and_if_one_fails_so_does_the_run(fails, statuses, ci):
    run = ci("chromium", fails=fails)
    assert called(run) == [*FIRST.split(" && "), *SECOND.split(" && ")]
    assert run.returncode == 1 and run.stdout.count("1 failed") == sum(statuses)
    assert "README's test command ended with status {}, CONTRIBUTING's with status {}".format(*statuses) in run.stdout


def test_packages_that_cannot_be_installed_fail_the_run(ci):
    assert ci("chromium", fails="*-r tests/requirements.txt").returncode == 1


@pytest.mark.parametrize("programs, fails, said", [
    (["apt-get"], "", "apt-get install -qq --yes chromium"),
    (["apt-get"], "*chromium", "Chromium could not be installed."),
    ([], "", "Chromium could not be installed."),
], ids=["apt-get", "apt-get fails", "no apt-get"])
def test_ci_installs_chromium_on_debian_and_where_it_cannot_the_tests_run_all_the_same(programs, fails, said, ci):
    run = ci(*programs, fails=fails)
    assert said in run.stdout + run.stderr
    assert run.returncode == 0 and called(run) == [*FIRST.split(" && "), *SECOND.split(" && ")]
