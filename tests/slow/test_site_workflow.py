"""The workflow of the web site: what it keeps of each build, and the first push, whose address is stamped once."""
import os
import shutil
import subprocess
import sys

import pytest
import yaml  # jupyterlab depends on it

from helpers.make import publish
from tests.test_project import ROOT

JOBS = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))["jobs"]


@pytest.fixture
def main_branch(tmp_path):
    """A clone of a repository that holds the working tree, and a function that runs what the workflow's job runs."""
    ours, theirs = tmp_path / "clone", tmp_path / "github.git"
    shutil.copytree(ROOT, ours, ignore=shutil.ignore_patterns(".git", ".venv", "*cache*", "build", "*.part"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{environment['PATH']}"

    def git(*command: str, **more: str) -> str:
        return subprocess.run(["git", *command], cwd=ours, env=environment | more, check=True, capture_output=True,
                              text=True).stdout

    subprocess.run(["git", "init", "-q", "--bare", theirs], env=environment, check=True)
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "course"],
                    ["remote", "add", "origin", theirs], ["push", "-q", "-u", "origin", "main"]):
        git(*map(str, command), **who)

    def stamp(repository: str, site: str = "") -> str:
        script = next(step["run"] for step in JOBS["stamp"]["steps"] if "run" in step)
        more = {"GITHUB_REPOSITORY": repository, "SITE": site}
        subprocess.run(["bash", "-e", "-c", script], cwd=ours, env=environment | more, check=True, capture_output=True)
        return git("log", "--format=%s", "origin/main")

    return ours, git, stamp


@pytest.mark.skipif(os.name == "nt", reason="a shell script, which Windows has no shell for")
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_first_push_is_stamped_once_and_later_ones_are_left_alone(main_branch):
    ours, git, stamp = main_branch
    once = stamp("some-university/course")
    assert once.splitlines() == ["Stamp the repository's address into badges, links and setup cells", "course"]
    assert set(publish.addresses((ours / "README.md").read_text("utf-8"))) == {"some-university/course"}
    assert git("status", "--porcelain") == ""
    assert stamp("some-university/course") == once
    twice = stamp("some-university/course", "https://some-university.github.io/course/")
    assert len(twice.splitlines()) == 3
    assert git("diff", "--name-only", "HEAD~1").split() == ["README.md"]
    assert stamp("some-university/course", "https://some-university.github.io/course/") == twice
    assert stamp("some-university/course") == twice


def test_only_the_main_branch_of_what_is_no_fork_is_stamped_and_what_is_built_is_kept():
    assert "!github.event.repository.fork" in JOBS["stamp"]["if"]
    assert all("github.ref == 'refs/heads/main'" in JOBS[name]["if"] for name in ("stamp", "deploy"))
    assert JOBS["stamp"]["permissions"] == {"contents": "write"} and "permissions" not in JOBS["build"]
    kept = [step for step in JOBS["build"]["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert [(step["with"]["path"], "if" in step) for step in kept] == [("build/site", False)]
