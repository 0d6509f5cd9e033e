"""The GPU benchmark where there is no GPU: as a whole in miniature, and each of its calls on a pretended one."""
import ast
import json
import subprocess
import sys

import pytest
import torch

from tests.benchmarks import gpu
from tests.slow.full_track import ROOT
from tests.slow.pretended_gpu import pretended_gpu

MODULES = [*(ROOT / "tests" / "benchmarks").glob("gpu*.py"), ROOT / "tests" / "benchmarks" / "card.py",
           ROOT / "helpers" / "hardware.py"]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A folder for what the benchmark makes: the data is composed once for all tests here."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture
def command(build, monkeypatch):
    """The benchmark, called in this process with these arguments; what it starts runs in this process as well."""
    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
        gpu.main()

    def run(command, timeout, env):
        assert command[:3] == [sys.executable, "-m", "tests.benchmarks.gpu"] and timeout > 0
        call(*command[3:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(gpu, "BUILD", build)
    monkeypatch.setattr(gpu.subprocess, "run", run)
    return call


def names_called(path) -> set[str]:
    """The X of every `torch.cuda.X` in a file."""
    return {node.attr for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "torch.cuda"}


@pytest.mark.limit(600)
def test_every_call_of_torch_cuda_is_one_that_torch_has(command, build, monkeypatch, capsys):
    monkeypatch.setitem(gpu.SECTIONS, "notebooks", gpu.Section("none", lambda world: {}, 1, 9))
    with pretended_gpu() as card:
        command("--miniature")
    said = capsys.readouterr().out
    results = json.loads((build / "gpu_miniature.json").read_text())
    assert results["machine"]["device"] == "pretended" and results["machine"]["capability"] == "9.0"
    steps = {name: set(found) for name, found in results["results"].items()}
    assert steps["graphs"] == {"8 as it is", "8 recorded"} and steps["compile"] == {"8 as it is", "8 compiled"}
    assert [(name, step, found["failed"]) for name, section in results["results"].items()
            for step, found in section.items() if "failed" in found] == []
    memory = results["results"]["memory"]
    assert memory["too full for a batch"]["said"][0].startswith("Out of GPU memory with 16 images at a time")
    assert memory["too full for a batch"]["epochs"] == memory["too full for one image"]["epochs"] == 2
    assert "even with one image at a time" in memory["too full for one image"]["said"][0]
    assert results["results"]["full"]["0"]["course"]["memory"] > 0 and "0.30" in said
    assert set().union(*map(names_called, MODULES)) <= card.called and card.held == 0


@pytest.mark.parametrize("call, error", [
    (lambda: torch.cuda.synchronise(), AttributeError), (lambda: torch.cuda.mem_get_info(0, 1), TypeError),
    (lambda: torch.cuda.CUDAGraph().play(), AttributeError), (lambda: torch.cuda.Stream().wait_stream(), TypeError),
    (lambda: torch.cuda.graph(), TypeError), (lambda: torch.compile(mode=1, quick=True), TypeError),
    (lambda: torch.cuda.ipc_collect(), AssertionError)])
def test_the_pretended_gpu_takes_no_call_that_is_misspelt(call, error):
    with pretended_gpu(), pytest.raises(error):
        call()


# --- in miniature, on the CPU ------------------------------------------------------------------------------------

@pytest.mark.limit(600)
def test_the_miniature_measures_everything_and_goes_on_where_it_was_stopped(command, build, monkeypatch, capsys):
    tried = []

    def stopped(name, here, ledger):
        tried.append(name)
        if name == "batch sizes":
            raise KeyboardInterrupt
        measure(name, here, ledger)

    measure = gpu.measure
    monkeypatch.setattr(gpu, "measure", stopped)
    command("--miniature")
    said = capsys.readouterr().out
    assert tried == ["peak", "full", "frozen", "batch sizes"] and "Stopped; the same command goes on" in said
    assert "random weights" in said and "times mean nothing" in said and "| usual / course, 2 pairs |" in said
    kept = (build / "gpu_miniature.jsonl").read_text()
    monkeypatch.setattr(gpu, "measure", measure)
    command("--miniature")
    assert "7 results are in" in capsys.readouterr().out
    found = json.loads((build / "gpu_miniature.json").read_text())["results"]
    assert (build / "gpu_miniature.jsonl").read_text().startswith(kept)
    assert {name: len(steps) for name, steps in found.items()} == {
        "peak": 3, "full": 2, "frozen": 2, "batch sizes": 2, "compile": 2, "graphs": 0, "memory": 2, "formats": 3,
        "notebooks": 1}
    assert [steps for steps in found.values() if any("failed" in one for one in steps.values())] == []
