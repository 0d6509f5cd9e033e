"""The long benchmarks' plan, memory and tables; what they measure is tested in tests/slow."""
import io
import subprocess
import sys
import tarfile

import pytest
import torch

from helpers.fetch import stl10
from tests.benchmarks import gpu, gpu_tables, stl10_folds, stl10_table, transfer
from tests.benchmarks import stl10 as stl10_experiment
from tests.benchmarks.gpu import SECTIONS, Section
from tests.benchmarks.ledger import Ledger

NOTEBOOKS = SECTIONS["notebooks"].seconds


class Here:
    """As much of a world as the plan looks at."""

    device, miniature = torch.device("cuda"), False


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "found.jsonl", {"on": "this machine"})


@pytest.mark.parametrize("module", [gpu, stl10_experiment])
def test_without_a_gpu_one_sentence_says_what_to_do(module, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", [module.__name__])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == module.NO_GPU
    assert f"python -m {module.__name__} --miniature`" in module.NO_GPU and module.NO_GPU.count(". ") == 0


# --- the ledger --------------------------------------------------------------------------------------------------

def test_a_line_that_was_cut_off_is_no_result_and_spoils_no_other(ledger):
    ledger.add(step="a", value=1)
    with ledger.path.open("a") as file:
        file.write('\n{"on": "this machine", "step": "b", "val')
    ledger.add(step="c", value=3)
    assert [one["step"] for one in ledger.results()] == ["a", "c"]


def test_results_of_another_machine_are_kept_and_passed_over(ledger):
    other = Ledger(ledger.path, {"on": "another"})
    other.add(step="a", value=1)
    ledger.add(step="a", value=2)
    assert [one["value"] for one in ledger.results(step="a")] == [2]
    assert [one["value"] for one in other.results(step="a")] == [1]


# --- the plan ----------------------------------------------------------------------------------------------------

@pytest.fixture
def clock(monkeypatch):
    """A clock that only the sections move; each takes `pace` times as long as planned. Returns what was run."""
    state = {"now": 100.0, "pace": 1.0, "ran": []}

    def run(name, here, ledger, limit):
        took = min(limit, state["pace"] * SECTIONS[name].seconds)
        state["now"] += took
        state["ran"].append((name, took))

    monkeypatch.setattr(gpu.time, "monotonic", lambda: state["now"])
    monkeypatch.setattr(gpu, "measure_apart", run)
    return state


@pytest.mark.parametrize("pace", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("minutes", [0.1, 2, 8, 60])
def test_the_minutes_are_kept_and_what_is_left_out_is_named(clock, ledger, minutes, pace):
    clock["pace"] = pace
    left_out = gpu.measure_what_fits(Here(), ledger, 100.0 + 60 * minutes)
    ran = [name for name, _ in clock["ran"]]
    assert clock["now"] <= 100.0 + 60 * minutes and sorted([*ran, *left_out]) == sorted(SECTIONS)
    assert all(SECTIONS[name].seconds > 100.0 + 60 * minutes - clock["now"] for name in left_out)


def test_eight_minutes_are_enough_for_everything_but_notebooks_and_the_most_valuable_comes_first(clock, ledger):
    left_out = gpu.measure_what_fits(Here(), ledger, 100.0 + 8 * 60)
    ran = [name for name, _ in clock["ran"]]
    assert ran[:4] == ["peak", "full", "frozen", "memory"] and "notebooks" in left_out and len(left_out) <= 2


def test_every_section_has_a_place_of_its_own():
    assert sorted(section.worth for section in SECTIONS.values()) == list(range(1, len(SECTIONS) + 1))


def test_a_section_that_hangs_or_breaks_off_costs_only_itself(monkeypatch, ledger, capsys):
    def run(command, timeout, env):
        assert env["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] == "1", "or a second time would compile nothing"
        assert command[-2:] == ["--section", "peak"]
        if timeout < 50:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, -11)

    monkeypatch.setattr(gpu.subprocess, "run", run)
    gpu.measure_apart("peak", Here(), ledger, 40)
    gpu.measure_apart("peak", Here(), ledger, 60)
    assert capsys.readouterr().out.splitlines() == [
        "peak: ended after 40 s; what it had measured is kept.", "peak: its process broke off; the others go on."]


def test_a_step_that_fails_is_written_down_and_tried_again_and_one_that_did_not_is_kept(monkeypatch, ledger, capsys):
    calls = []

    def step(name):
        calls.append(name)
        if name == "bad" and calls.count("bad") == 1:
            raise ValueError("no such kernel\nand more")
        return {"seconds": 1.5}

    monkeypatch.setitem(SECTIONS, "peak", Section(
        "T", lambda here: {name: lambda name=name: step(name) for name in ("good", "bad", "last")}, 1, 1))
    gpu.measure("peak", Here(), ledger)
    assert gpu.newest(ledger, "peak")["bad"] == {"failed": "ValueError: no such kernel"}
    assert "peak, bad: ValueError: no such kernel" in capsys.readouterr().out
    gpu.measure("peak", Here(), ledger)
    assert calls == ["good", "bad", "last", "bad"]
    assert gpu.newest(ledger, "peak") == {name: {"seconds": 1.5} for name in ("good", "bad", "last")}


# --- the tables --------------------------------------------------------------------------------------------------

def side(seconds: float) -> dict:
    return {"seconds": seconds, "images per second": 5000 / seconds, "operations per second": 1e14 / seconds,
            "memory": 2_500_000_000}


def test_the_tables_name_the_ratio_of_each_pair_and_the_share_of_the_peak():
    results = {"peak": {"float16": {"operations per second": 4e14}, "float32": {"operations per second": 9e14}},
               "full": {"0": {"usual": side(4.0), "course": side(0.5)}, "1": {"usual": side(6.0), "course": side(0.5)}},
               "graphs": {}, "compile": {"32": {"failed": "RuntimeError: no compiler"}}}
    text = gpu_tables.tables({name: name.upper() for name in results}, results, epochs=20)
    assert "| usual / course, 2 pairs | **10.0 ± 2.8** |" in text
    row, = [line for line in text.splitlines() if line.startswith("| course")]
    assert row.split(" | ") == ["| course", "0.5 ± 0", "10 ± 0", "10,000 ± 0", "50.0 ± 0.0 %", "2.50 |"]
    assert "GRAPHS" not in text and text.endswith("**COMPILE**\n\n32: RuntimeError: no compiler")


# --- the article's experiment ------------------------------------------------------------------------------------

def test_the_mean_over_folds_has_both_kinds_of_luck():
    labels = [0, 1] * 50
    exam = lambda fold, wrong: {"fold": fold, "right": "1" * (100 - wrong) + "0" * wrong, "accuracy": 1 - wrong / 100,
                                "rate": 1e-3, "images": 1000, "minutes": 1.0}
    alone = stl10_table.accuracy([exam(None, 20)], labels)
    alike = stl10_table.accuracy([exam(0, 20), exam(1, 20)], labels)
    apart = stl10_table.accuracy([exam(0, 10), exam(1, 30)], labels)
    assert alone == alike and alone.estimate == pytest.approx(0.8)
    assert apart.estimate == pytest.approx(0.8) and apart.high - apart.low > 2 * 12.71 * 0.1
    lead = stl10_table.difference([exam(1, 20), exam(0, 10)], [exam(0, 30), exam(1, 40)], labels)
    assert lead.estimate == pytest.approx(0.2)


def test_nothing_examined_is_a_sentence(ledger):
    assert stl10_table.table(stl10_table.report(ledger)) == "Nothing has been examined yet."


def archive(path, *members: tuple[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(f"stl10_binary/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


FOLDS = "".join(" ".join(str(10 * fold + k) for k in range(5)) + "\n" for fold in range(10)).encode()


def test_the_list_of_folds_is_read_from_the_end_of_the_archive(tmp_path, monkeypatch):
    monkeypatch.delenv("TL_MIRROR", raising=False)
    archive(tmp_path / "all.tar.gz", ("unlabeled_X.bin", bytes(300_000)), (stl10.FOLDS, FOLDS))
    monkeypatch.setattr(stl10, "ARCHIVE", str(tmp_path / "all.tar.gz"))
    cache = tmp_path / "cache"  # not there yet, as on a fresh machine
    stl10_folds.fetch(cache)
    assert stl10.folds(cache)[3].tolist() == [30, 31, 32, 33, 34]
    assert [path.name for path in (cache / stl10.FOLDER).iterdir()] == [stl10.FOLDS]


@pytest.mark.parametrize("members", [
    [("train_X.bin", b"abc")], [(stl10.FOLDS, b"1 2\n")], [(stl10.FOLDS, b"\xff\xfe")]])
def test_an_archive_without_a_whole_list_is_reported_in_a_sentence(tmp_path, monkeypatch, members):
    monkeypatch.delenv("TL_MIRROR", raising=False)
    archive(tmp_path / "all.tar.gz", *members)
    monkeypatch.setattr(stl10, "ARCHIVE", str(tmp_path / "all.tar.gz"))
    (tmp_path / stl10.FOLDER).mkdir()
    with pytest.raises(RuntimeError, match="could not be fetched .* run this again, or put fold_indices.txt"):
        stl10_folds.fetch(tmp_path)
    assert list((tmp_path / stl10.FOLDER).iterdir()) == []


def test_a_mirror_is_asked_first(tmp_path, monkeypatch):
    (tmp_path / "mirror" / stl10.FOLDER).mkdir(parents=True)
    (tmp_path / "mirror" / stl10.FOLDER / stl10.FOLDS).write_bytes(FOLDS)
    monkeypatch.setenv("TL_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(stl10, "ARCHIVE", "/nowhere")
    stl10_folds.fetch(tmp_path)
    assert stl10.folds(tmp_path).shape == (10, 5)
    assert stl10.folds(tmp_path)[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("best", [1e-4, 3e-3, 3e-2])
def test_the_search_ends_between_two_worse_rates(best):
    rates, asked = transfer.RATES, []
    place = rates.index(best)

    def score(rate):
        asked.append(rate)
        return -abs(rates.index(rate) - place)

    scores = stl10_experiment.searched(score, 3e-3)
    assert max(scores, key=scores.get) == best and {rates[place - 1], rates[place + 1]} <= set(scores)
    assert len(asked) == len(set(asked)) == len(scores)
