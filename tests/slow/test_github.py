"""What GitHub, Codespaces, Binder and pre-commit read: well formed, and in agreement with the course."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml  # jupyterlab depends on it

from tests.test_project import ROOT, names, requirements

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = [ROOT / ".github/ISSUE_TEMPLATE" / name for name in ("bug.yml", "result.yml")]
POST_BUILD = ROOT / ".binder/postBuild"
posix = pytest.mark.skipif(os.name == "nt", reason="a shell script, which Windows has no shell for")


def read(path: Path | str):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_jobs_that_end_and_no_more_rights_than_it_needs(path):
    workflow = read(path)
    assert workflow[True] and workflow["permissions"] == {"contents": "read"}  # YAML 1.1 reads "on" as True
    for job in workflow["jobs"].values():
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
            continue
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "actions/none@v1"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_runs_is_there(path):
    for job in read(path)["jobs"].values():
        for step in job.get("steps", []):
            run = step.get("run", "")
            for module in re.findall(r"-m ((?:helpers|tests)[\w.]*)", run):
                assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module
            for file in re.findall(r"(?:-r|bash) ([\w./]+)", run):
                assert (ROOT / file).exists(), file


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_one_that_github_shows(path):
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    for field in form["body"]:
        assert field["type"] in ("input", "textarea", "dropdown") and field["attributes"]["label"]
        assert field["type"] != "dropdown" or len(field["attributes"]["options"]) > 1


def test_the_forms_ask_for_the_report_and_a_result_for_the_benchmarks_json():
    for path in FORMS:
        fields = {field["id"]: field["attributes"] for field in read(path)["body"]}
        assert "python -m helpers.report" in fields["report"]["description"]
    asked = {field["id"]: field for field in read(FORMS[1])["body"]}
    assert asked["json"]["validations"]["required"]
    modules = re.findall(r"-m (tests\.benchmarks[\w.]*)", " ".join(asked["command"]["attributes"]["options"]))
    assert len(modules) == 4
    for module in modules:
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


def test_the_citation_has_what_its_format_demands():
    citation = read("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"] and citation["authors"]
    assert citation["license"] == "Apache-2.0" and re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])


# --- Codespaces and Binder -------------------------------------------------------------------------------------------

@posix
def test_codespaces_and_binder_install_torch_and_torchvision_of_one_index_and_then_the_rest(tmp_path):
    """Run with a Python that only says how it was called."""
    (tmp_path / "python").write_text('#!/bin/sh\necho "$*"\n')
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run([POST_BUILD], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    first, second = run.stdout.splitlines()
    assert first == "-m pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
    assert second == "-m pip install -r requirements.txt" and (ROOT / "requirements.txt").exists()
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"] == "bash .binder/postBuild"
    assert all((ROOT / name).exists() for name in container["customizations"]["codespaces"]["openFiles"])
    runtime = (ROOT / ".binder/runtime.txt").read_text().strip()
    assert runtime == f"python-{container['image'].rpartition(':')[2]}"


def test_the_page_on_setting_up_names_the_same_index_for_both():
    text = (ROOT / "notebooks/SETUP.md").read_text(encoding="utf-8")
    assert re.search(r"pip install torch torchvision --index-url https://download\.pytorch\.org/whl/cpu$", text, re.M)


# --- pre-commit ------------------------------------------------------------------------------------------------------

def test_pre_commit_runs_ruff_on_notebooks_too_codespell_and_the_notebooks_rules():
    repositories = read(".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for repository in repositories for hook in repository["hooks"]}
    assert {"ruff-check", "codespell", "notebooks"} <= set(hooks) and "jupyter" in hooks["ruff-check"]["types_or"]
    own = hooks["notebooks"]
    files = re.findall(r"tests/\S+\.py", own["entry"])
    assert len(files) == 3 and all((ROOT / file).exists() for file in files)
    assert re.search(own["files"], "notebooks/02_inside_vgg.ipynb")
    assert "ruff" in names(requirements("tests/requirements.txt"))
