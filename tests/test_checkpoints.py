"""Checkpoints: a run that is broken off, killed or damaged ends with the very bits of a run that was left in peace."""
import io
import os
import pickle
import random
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers import checkpoints, hardware, training
from helpers.images import ImageSplit
from helpers.inference import examine
from helpers.preprocess import Preprocess
from helpers.training import History, fit

ROOT = Path(__file__).resolve().parent.parent
PLAIN = Preprocess((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), padding=1)
SETTINGS = {"lr": 0.01, "epochs": 5, "batch_size": 8, "preprocess": PLAIN, "seed": 3}


def split(count: int, seed: int) -> ImageSplit:
    """Images of 8 x 8 pixels in which the class is the channel that is bright."""
    labels = torch.arange(count) % 3
    images = torch.randint(0, 190, (count, 3, 8, 8), generator=torch.Generator().manual_seed(seed))
    images[torch.arange(count), labels] += 60
    return ImageSplit(images.to(torch.uint8), labels, tuple("rgb"))


def network() -> nn.Sequential:
    """Small, with dropout, which is random as well, and with batch norm, which has buffers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(),
                         nn.Linear(8 * 6 * 6, 3))


def run(model: nn.Module | None = None, **changes) -> tuple[nn.Module, History]:
    model = model or network()
    return model, fit(model, split(20, seed=0), split(12, seed=1), **{**SETTINGS, **changes})


def outcome(result: tuple[nn.Module, History]) -> tuple:
    """All that two runs must have in common, to the last bit: weights, buffers, and the history without the time."""
    model, history = result
    return ([(name, tuple(value.flatten().tolist())) for name, value in model.state_dict().items()],
            [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in history.epochs])


class BrokenOff(Exception):
    pass


def break_off(monkeypatch, path: Path, after: int, **changes) -> None:
    """A run that ends in the evaluation of the epoch that follows epoch `after`."""
    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > after:
            raise BrokenOff
        return examine(*arguments)

    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(training, "examine", interrupted)
        with pytest.raises(BrokenOff):
            run(checkpoint=path, **changes)


@pytest.fixture(scope="module")
def undisturbed():
    return outcome(run())


# --- killed at random moments ------------------------------------------------------------------------------------

PEACE, WRITING, RENAMING = range(3)  # what a run is doing: training; writing a checkpoint; between the two renames


def slow_run(folder: str, doing) -> None:
    """In a process of its own: a whole run whose saves take longer than its training, with `doing.value` kept true."""
    torch.set_num_threads(1)
    save, dump, replace = checkpoints.Checkpoint.save, torch.save, os.replace

    def slow_save(*arguments):
        doing.value = WRITING
        save(*arguments)
        doing.value = PEACE

    def slow_dump(state, file):
        buffer = io.BytesIO()
        dump(state, buffer)
        for start in range(0, len(buffer.getbuffer()), 4096):  # a kill leaves a file of any length
            file.write(buffer.getbuffer()[start:start + 4096])
            file.flush()
            time.sleep(0.001)

    def slow_replace(*names):
        replace(*names)
        doing.value = RENAMING if str(names[1]).endswith("previous") else PEACE
        time.sleep(0.005)

    checkpoints.Checkpoint.save, torch.save, os.replace = slow_save, slow_dump, slow_replace
    run(epochs=1)  # what torch imports at the first step takes longer than all the rest
    doing.value = PEACE
    result = run(checkpoint=Path(folder) / "run.pt", epochs=8)
    dump(outcome(result), Path(f"{folder}.partial"))
    replace(f"{folder}.partial", Path(folder) / "result")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a server that imports torch once and forks; safe on Linux")
def test_killed_at_random_moments_a_run_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.test_checkpoints"])

    def live(folder: Path, seconds: float | None) -> int | None:
        """Start the run, and kill it after so many seconds; what it was doing then, or None if it had ended."""
        doing = context.Value("i", -1, lock=False)
        process = context.Process(target=slow_run, args=(str(folder), doing))
        process.start()
        while doing.value < 0 and process.is_alive():
            time.sleep(0.001)
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            return doing.value
        assert process.exitcode == 0
        return None

    for name in ("first", "undisturbed"):  # the first process waits for the server to start
        (tmp_path / name).mkdir()
        start = time.perf_counter()
        live(tmp_path / name, None)
    longest = 0.4 * (time.perf_counter() - start)
    expected = torch.load(tmp_path / "undisturbed" / "result", weights_only=True)
    moments, kills = random.Random(0), []
    for number in range(1, 31):
        folder = tmp_path / str(number)
        folder.mkdir()
        while not (folder / "result").exists():
            what = live(folder, moments.uniform(0, longest) if len(kills) < 30 else None)
            kills += [what] if what is not None else []
        assert torch.load(folder / "result", weights_only=True) == expected
        assert sorted(path.name for path in folder.iterdir()) == ["result", "run.pt", "run.pt.previous"]
        if len(kills) >= 30:
            break
    print(f"{len(kills)} kills in {number} runs: {kills.count(PEACE)} while training, {kills.count(WRITING)} while "
          f"writing, {kills.count(RENAMING)} between the renames")
    assert len(kills) == 30 and len(kills) - kills.count(PEACE) >= 5


# --- broken off, and going on ------------------------------------------------------------------------------------

@pytest.mark.parametrize("short", [None, torch.bfloat16, torch.float16])
def test_a_run_goes_on_where_it_was_broken_off(tmp_path, monkeypatch, capsys, short):
    """float16 has a scaler, whose scale and count of steps must go on as well."""
    monkeypatch.setattr(hardware, "short_format", lambda device: short)
    monkeypatch.setattr(torch.amp.GradScaler, "get_growth_interval", lambda scaler: 4)  # grows every four steps
    expected = outcome(run())
    for after in (2, 1):  # stops after epoch 2, goes on, and stops again after epoch 3
        break_off(monkeypatch, tmp_path / "run.pt", after)
    torch.rand(5)
    assert outcome(run(checkpoint=tmp_path / "run.pt")) == expected
    assert capsys.readouterr().out == ("run.pt: resumed after epoch 2 of 5.\nrun.pt: resumed after epoch 3 of 5.\n")


LAYOUTS = torch.contiguous_format, torch.channels_last


@pytest.mark.parametrize(("before", "after"), [LAYOUTS, LAYOUTS[::-1]])
def test_a_run_goes_on_where_the_layout_is_another(tmp_path, monkeypatch, before, after):
    """A GPU's weights lie channels last, a CPU's don't; and a fused step reads the averages as they lie in memory."""
    monkeypatch.setattr(hardware, "short_format", lambda device: None)
    _, expected = run()
    break_off(monkeypatch, tmp_path / "run.pt", 2, model=network().to(memory_format=before))
    _, history = run(network().to(memory_format=after), checkpoint=tmp_path / "run.pt")
    assert history.column("train_loss") == pytest.approx(expected.column("train_loss"), abs=1e-4)


def test_the_same_cell_may_run_again_with_a_half_trained_network(tmp_path, monkeypatch, undisturbed):
    break_off(monkeypatch, tmp_path / "run.pt", 2)
    model, _ = run(epochs=1, lr=0.1)
    assert outcome(run(model, checkpoint=tmp_path / "run.pt")) == undisturbed


def test_a_finished_run_returns_its_history_without_training(tmp_path, monkeypatch):
    first = run(checkpoint=tmp_path / "run.pt")
    monkeypatch.setattr(training, "train_epoch", lambda *_: pytest.fail("it was trained again"))
    assert outcome(run(checkpoint=tmp_path / "run.pt")) == outcome(first)


def test_frozen_weights_are_not_written(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    state = checkpoints.learnt(model)
    assert set(state) == set(model.state_dict()) - {"0.weight", "0.bias"}
    run(model, checkpoint=tmp_path / "run.pt")
    saved = checkpoints.read(tmp_path / "run.pt")
    assert set(saved["weights"]) == set(saved["best"]) == set(state)


# --- damaged -----------------------------------------------------------------------------------------------------

def cut(content: bytes) -> bytes:
    return content[:len(content) // 2]


def flip(content: bytes) -> bytes:
    """One bit in the middle: torch.load alone would not notice."""
    return content[:len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1:]


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b""])
def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path, monkeypatch, capsys, undisturbed, damage):
    path = tmp_path / "run.pt"
    break_off(monkeypatch, path, 3)
    path.write_bytes(damage(path.read_bytes()))
    assert outcome(run(checkpoint=path)) == undisturbed
    assert capsys.readouterr().out == (
        "The checkpoint run.pt is damaged; the one before it is used, if there is one.\n"
        "run.pt: resumed after epoch 2 of 5.\n")


def test_a_damaged_checkpoint_does_not_push_the_good_one_out(tmp_path, monkeypatch, capsys, undisturbed):
    """Found damaged, then killed between the two renames of the next save: the good one must still be there."""
    path = tmp_path / "run.pt"
    break_off(monkeypatch, path, 3)
    path.write_bytes(cut(path.read_bytes()))
    replace = os.replace

    def killed(source, target):
        replace(source, target)
        if str(target).endswith("previous"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=path)
    assert not path.exists()
    capsys.readouterr()
    assert outcome(run(checkpoint=path)) == undisturbed
    assert capsys.readouterr().out == "run.pt: resumed after epoch 2 of 5.\n"


def test_when_both_are_damaged_training_starts_afresh(tmp_path, monkeypatch, capsys, undisturbed):
    path = tmp_path / "run.pt"
    break_off(monkeypatch, path, 3)
    for file in tmp_path.iterdir():
        file.write_bytes(cut(file.read_bytes()))
    assert outcome(run(checkpoint=path)) == undisturbed
    assert capsys.readouterr().out.splitlines()[1] == \
        "The checkpoint run.pt.previous is damaged; training starts afresh."


# --- refused -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, change", {
    "epochs": {"epochs": 6}, "learning rates": {"lr": 0.02}, "seed": {"seed": 4}, "batch size": {"batch_size": 4},
    "augmentation": {"augment": False}, "weight decay": {"weight_decay": 0.1},
    "label smoothing": {"label_smoothing": 0.1}, "preprocessing": {"preprocess": Preprocess((0.4,) * 3, (0.2,) * 3)},
}.items())
def test_the_checkpoint_of_another_call_is_refused(tmp_path, monkeypatch, name, change):
    path = tmp_path / "run.pt"
    break_off(monkeypatch, path, 1)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"differs in: {name}\); give this run a file of its own\.$"):
        run(checkpoint=path, **change)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_other_data_or_another_network_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    frozen = network()
    frozen[0].requires_grad_(False)
    fit(frozen, split(20, seed=0), split(12, seed=1), checkpoint=path, **SETTINGS)
    wider, other, thawed = (network() for _ in range(3))
    wider[5] = nn.Linear(8 * 6 * 6, 4)
    wider[0].requires_grad_(False)
    other[0].requires_grad_(False).weight.data += 1e-3
    for model, sizes, seed, name in (
            (frozen, (20, 12), 5, "training data"), (frozen, (19, 12), 0, "training data"),
            (frozen, (20, 11), 0, "validation data"), (wider, (20, 12), 0, "network"),
            (other, (20, 12), 0, "frozen weights"), (thawed, (20, 12), 0, "network, frozen weights, learning rates")):
        with pytest.raises(ValueError, match=rf"differs in: {name}\)"):
            fit(model, split(sizes[0], seed), split(sizes[1], seed=1), checkpoint=path, **SETTINGS)


# --- other people's files ----------------------------------------------------------------------------------------

class Harmful:
    def __reduce__(self):
        return exec, ("import os; os.environ['HARMED'] = 'yes'",)


FOREIGN = {
    "a network": lambda file: torch.save(network(), file),
    "its weights": lambda file: torch.save(network().state_dict(), file),
    "a harmful pickle": lambda file: file.write(pickle.dumps(Harmful())),
    "a harmful checkpoint": lambda file: torch.save({"fingerprint": Harmful()}, file),
    "a text": lambda file: file.write(b"my notes"),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("name", ["full.pt", "full.pt.previous", "full.pt.partial"])
def test_a_file_that_is_no_checkpoint_is_never_overwritten_or_renamed(tmp_path, name, what):
    with open(tmp_path / name, "wb") as file:
        FOREIGN[what](file)
    before, model = (tmp_path / name).read_bytes(), network()
    with pytest.raises(ValueError, match=rf"a file {name} in .* that is no checkpoint of this course. It is left"):
        run(model, checkpoint=tmp_path / "full.pt")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {name: before}
    assert "HARMED" not in os.environ
    assert outcome((model, History())) == outcome((network(), History()))  # said before the first epoch


def test_a_file_that_somebody_puts_there_meanwhile_is_left_alone(tmp_path, capsys, undisturbed):
    path = tmp_path / "full.pt"
    assert outcome(run(checkpoint=path, on_epoch=lambda _: torch.save(network(), path))) == undisturbed
    assert isinstance(torch.load(path, weights_only=False), nn.Sequential)
    assert capsys.readouterr().out.count("can't be written (there is another file by that name now)") == 1


@pytest.mark.parametrize("where", ["zipfile", "open"])
def test_a_read_error_is_not_damage(tmp_path, monkeypatch, undisturbed, where):
    """A network drive that is away for a moment: the checkpoint is whole, and must survive the attempt."""
    path = tmp_path / "run.pt"
    break_off(monkeypatch, path, 3)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def away(file, *arguments, **settings):
        if str(file).endswith("run.pt"):
            raise OSError(5, "Input/output error")
        return plain(file, *arguments, **settings)

    with monkeypatch.context() as patch:
        plain = checkpoints.zipfile.ZipFile if where == "zipfile" else open
        if where == "zipfile":
            patch.setattr(checkpoints.zipfile, "ZipFile", away)
        else:
            patch.setattr(checkpoints, "open", away, raising=False)
        with pytest.raises(RuntimeError, match=r"run.pt can't be read just now \(Input/output error\). It is left as"):
            run(checkpoint=path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert outcome(run(checkpoint=path)) == undisturbed


# --- can't be written --------------------------------------------------------------------------------------------

def test_a_place_that_cannot_be_written_is_said_before_the_first_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "train_epoch", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=r"run.pt can't be written \(No such file or directory\): choose a place"):
        run(checkpoint=tmp_path / "not_mounted" / "run.pt")
    with pytest.raises(ValueError, match="is a folder; give it the name of a file in that folder"):
        run(checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run(checkpoint="~/run.pt")
    assert {file.name for file in tmp_path.iterdir()} == {"run.pt", "run.pt.previous"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't limit the size of files")
def test_a_disk_that_fills_up_leaves_the_last_whole_checkpoint(tmp_path, monkeypatch, capsys, undisturbed):
    """The limit on a process's file sizes breaks a write off in the middle, as a full disk does."""
    import resource
    path = tmp_path / "run.pt"
    break_off(monkeypatch, path, 2)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        assert outcome(run(checkpoint=path)) == undisturbed
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"The checkpoint {path} can't be written (File too large)" in capsys.readouterr().out
    assert path.read_bytes() == before and {file.name for file in tmp_path.iterdir()} == {"run.pt", "run.pt.previous"}
