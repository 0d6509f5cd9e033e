"""Checkpoints: the whole state of a training run in one file, so that a lost connection costs an epoch at most.

    fit(model, train, val, ..., checkpoint="/content/drive/MyDrive/full.pt")

The file is written after every epoch. If training breaks off, make the same call again: it goes on after the last epoch
in the file, on a CPU to the very same bits, and if that was the last of all it returns at once. Give every run a file
of its own; a new name is a new start. On Colab choose one on your Drive, which outlives a lost connection
(`from google.colab import drive; drive.mount("/content/drive")`). The file takes four times the size of the weights
that learn, 2.2 GB for all of VGG-16.

At any moment there is a whole checkpoint on the disk. A new one is written under a temporary name, forced to the disk,
and only then renamed; the one before it stays as `NAME.previous`, in case the newest is damaged. A file that this
module has not written is never touched. Files are read with `weights_only=True`: tensors, numbers and text, never code.
"""
from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from helpers.hardware import Arithmetic
from helpers.history import History
from helpers.preprocess import Preprocess

# The first words of every checkpoint. torch.save neither compresses nor reorders, so they stand at the file's
# beginning, and tell a checkpoint from somebody else's file even where the rest of it is damaged.
MARK = "checkpoint of the transfer-learning course"
BEGINNING = 1024  # bytes in which the mark must stand


@dataclass
class Run:
    """All that changes while a network is trained. `best`: what `learnt` gave after the best epoch, or at the start."""

    model: nn.Module
    optimiser: Optimizer
    schedule: LRScheduler
    arithmetic: Arithmetic
    history: History
    best: dict[str, Tensor]

    def note(self, epoch: dict) -> None:
        """Write an epoch down; if it is the best so far, or nobody has examined it, keep its weights."""
        self.history.epochs.append(epoch)
        if "val_accuracy" not in epoch or self.history.best_epoch == len(self.history.epochs) - 1:
            self.best = learnt(self.model)

    def state(self) -> dict:
        """Everything that decides how training goes on. Random generators are not among it: each epoch has its own."""
        return {"weights": learnt(self.model), "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(), "scaler": self.arithmetic.scaler.state_dict(),
                "history": self.history.epochs, "best": self.best}

    def restore(self, state: dict) -> None:
        """Put back what `state` gave, on whichever device the model is now."""
        self.model.load_state_dict(state["weights"], strict=False)  # not strict: frozen weights are not in it
        self.optimiser.load_state_dict(state["optimiser"])
        for parameter, averages in self.optimiser.state.items():
            for name, value in averages.items():  # in the layout that the weight has here: a GPU's is another
                if value.shape == parameter.shape:
                    averages[name] = torch.empty_like(parameter).copy_(value)
        self.schedule.load_state_dict(state["schedule"])
        if state["scaler"]:  # empty if the run began on a device that needs none
            self.arithmetic.scaler.load_state_dict(state["scaler"])
        self.history.epochs, self.best = state["history"], state["best"]


def learnt(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: trainable parameters, and buffers such as batch norm's averages. Copies, on the CPU.

    A frozen VGG-16 has half a gigabyte of weights, of which a run with a new head changes 160 kilobytes.
    """
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: value.to("cpu", copy=True) for name, value in model.state_dict().items() if name not in frozen}


# --- the file ----------------------------------------------------------------------------------------------------

class Checkpoint:
    """The file of one run, which `fingerprint` tells from all others. A `~` in the path is the home folder.

    Raises `ValueError` with one sentence where there is a file that must not be overwritten, or none can be written.
    """

    def __init__(self, path: str | Path, fingerprint: dict):
        self.path, self.fingerprint = Path(path).expanduser(), fingerprint
        self.previous = self.path.with_name(f"{self.path.name}.previous")
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        self.warned = False
        if self.path.is_dir():
            raise ValueError(f"The checkpoint {path} is a folder; give it the name of a file in that folder.")
        for file in (self.path, self.previous, self.partial):
            if not ours(file):
                raise ValueError(f"There is a file {file.name} in {file.parent} that is no checkpoint of this course. "
                                 "It is left alone; give this run's checkpoint another name.")
        try:
            with open(self.partial, "ab"):
                pass
            self.partial.unlink()
        except OSError as error:
            raise ValueError(f"The checkpoint {self.path} can't be written ({error.strerror or error}): choose a place "
                             "that is there and open to you.") from None

    def resume(self, run: Run) -> bool:
        """Put the newest whole checkpoint's state into `run`; False if there is none. A damaged one is reported.

        Raises `ValueError` if it belongs to another run, and `RuntimeError` if it can't be read just now.
        """
        for file, otherwise in ((self.path, "the one before it is used, if there is one"),
                                (self.previous, "training starts afresh")):
            if not file.exists():
                continue
            state = read(file)
            if state is None:
                print(f"The checkpoint {file.name} is damaged; {otherwise}.")
                continue
            theirs = state["fingerprint"]
            if other := [name for name, value in self.fingerprint.items() if theirs.get(name) != value]:
                raise ValueError(f"{file.name} is the checkpoint of another run (it differs in: {', '.join(other)}); "
                                 "give this run a file of its own.")
            if file == self.previous:  # a damaged one must not become the previous one, and push this one out
                with contextlib.suppress(OSError):
                    os.replace(self.previous, self.path)
            run.restore(state)
            return True
        return False

    def save(self, run: Run) -> None:
        """Make the run's state the newest checkpoint. Whatever happens, an older one stays.

        Where that fails, a full disk for example, training must go on: a line says so, once.
        """
        try:
            write(self.partial, {"mark": MARK, "fingerprint": self.fingerprint, **run.state()})
            if not ours(self.path):
                raise OSError("there is another file by that name now")
            with contextlib.suppress(FileNotFoundError):  # the first time, there is none before it
                os.replace(self.path, self.previous)
            os.replace(self.partial, self.path)
        except OSError as error:
            if not self.warned:
                print(f"The checkpoint {self.path} can't be written ({error.strerror or error}); training goes on "
                      "without it.")
            self.warned = True


def write(file: Path, state: dict) -> None:
    """Write `state` and force it to the disk, or leave nothing behind and raise `OSError`."""
    try:
        with open(file, "wb") as stream:  # always the same name: what a killed process left is overwritten
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            file.unlink()  # the disk may be full of it
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save wraps a failing write
        raise OSError(getattr(cause, "strerror", None) or str(error)) from None


def ours(file: Path) -> bool:
    """Whether a file by this name may be overwritten: it is a checkpoint, whole or damaged, or empty, or not there.

    Raises `RuntimeError` if it can't be read just now: that is no reason to think it worthless.
    """
    try:
        with open(file, "rb") as stream:
            beginning = stream.read(BEGINNING)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise RuntimeError(unreadable(file, error)) from None
    return not beginning or MARK.encode() in beginning


def read(file: Path) -> dict | None:
    """What `write` wrote, or None if it is damaged. Raises `RuntimeError` if it can't be read just now."""
    try:
        with zipfile.ZipFile(file) as archive:  # torch.save writes checksums, but torch.load does not look at them
            if archive.testzip():
                return None
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RuntimeError(unreadable(file, error)) from None
    except Exception:  # a damaged file can break the reader in any way
        return None


def unreadable(file: Path, error: OSError) -> str:
    return (f"The checkpoint {file} can't be read just now ({error.strerror or error}). It is left as it is: make the "
            "same call again once it can be, or give this run's checkpoint another name.")


# --- whose it is -------------------------------------------------------------------------------------------------

def fingerprint(run: Run, train, val, preprocess: Preprocess | None, settings: dict) -> dict:
    """What two calls of `fit` must have in common for one to go on where the other stopped, by name.

    Data: sizes, labels and pixels; of features only the size, as another GPU rounds them differently. Network: shapes,
    which weights learn, and the values of the others. Not the values of those that learn: a reader who stops a cell
    and runs it again calls `fit` with weights that are half trained.
    """
    parameters = list(run.model.named_parameters())
    rates = [[group["initial_lr"], len(group["params"])] for group in run.optimiser.param_groups]
    return {
        "training data": describe(train), "validation data": None if val is None else describe(val),
        "preprocessing": str(preprocess),
        "network": [f"{name} {tuple(p.shape)} {p.requires_grad}" for name, p in parameters],
        "frozen weights": checksum(*(p for _, p in parameters if not p.requires_grad)), "learning rates": rates,
        **settings}


def describe(split) -> str:
    inputs, labels = split.tensors
    pixels = [inputs] if inputs.dtype == torch.uint8 else []
    return f"{tuple(inputs.shape)} {inputs.dtype}, checksum {checksum(labels, *pixels)}"


def checksum(*tensors: Tensor) -> int:
    total = 0
    for tensor in tensors:
        total = zlib.crc32(tensor.detach().cpu().contiguous().numpy(), total)
    return total
