"""Checkpoints: the whole state of a training run in one file, so that a lost connection costs an epoch at most.

At any moment there is a whole checkpoint on the disk. A new one is written under a temporary name, forced to the disk,
and only then renamed; the one before it stays as `NAME.previous`, in case the newest is damaged. Files are read with
`weights_only=True`: tensors, numbers and text, never code.
"""
from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from helpers.preprocess import Preprocess

# --- files -------------------------------------------------------------------------------------------------------

def save(path: Path, state: dict) -> None:
    """Make `state` the newest checkpoint at `path`. Whatever happens, an older one stays. `OSError` if it can't be."""
    partial = _beside(path, "partial")  # always the same name: what a killed process left is overwritten, not piled up
    try:
        with open(partial, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()  # the disk may be full of it
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save wraps a failing write
        raise OSError(getattr(cause, "strerror", None) or str(error)) from None
    with contextlib.suppress(FileNotFoundError):  # the first time, there is none before it
        os.replace(path, _beside(path, "previous"))
    os.replace(partial, path)


def load(path: Path, fingerprint: dict) -> dict | None:
    """The newest whole checkpoint at `path`, or None. A damaged one is reported, and the one before it taken.

    Raises `ValueError` if its "fingerprint" is another one: it belongs to another run and must not be overwritten.
    """
    if path.is_dir():
        raise ValueError(f"The checkpoint {path} is a folder; give it the name of a file in that folder.")
    previous, state = _beside(path, "previous"), None
    for file, otherwise in (path, "the one before it is used, if there is one"), (previous, "training starts afresh"):
        try:
            state = _read(file)
        except FileNotFoundError:
            continue
        except Exception:  # a damaged file can break the reader in any way
            print(f"The checkpoint {file.name} is damaged or can't be read; {otherwise}.")
            continue
        break
    if state is None:
        return None
    theirs = state.get("fingerprint", {})
    other = [name for name, value in fingerprint.items() if theirs.get(name) != value]
    if other:
        raise ValueError(f"{file.name} is the checkpoint of another run (it differs in: {', '.join(other)}); give this "
                         f"run a file of its own, or delete {path.name} and {previous.name}.")
    if file == previous:  # a damaged one must not become the previous one, and push this one out
        with contextlib.suppress(OSError):
            os.replace(previous, path)
    return state


def _read(file: Path) -> dict:
    with zipfile.ZipFile(file) as archive:  # torch.save writes checksums, but torch.load does not look at them
        if archive.testzip():
            raise ValueError("wrong checksum")
    state = torch.load(file, map_location="cpu", weights_only=True)
    return state if isinstance(state, dict) else {}


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}.{kind}")


# --- what is in them ---------------------------------------------------------------------------------------------

def learnt(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: trainable parameters, and buffers such as batch norm's averages. Copies, on the CPU.

    A frozen VGG-16 has half a gigabyte of weights, of which a run with a new head changes 160 kilobytes.
    """
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: value.to("cpu", copy=True) for name, value in model.state_dict().items() if name not in frozen}


def capture(model: nn.Module, optimiser: Optimizer, schedule: LRScheduler, scaler: torch.amp.GradScaler,
            generator: torch.Generator) -> dict:
    """Everything that decides how training goes on: weights, optimiser, schedule, scaler, and the random generators."""
    random = {"fit": generator.get_state(), "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    return {"weights": learnt(model), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(),
            "scaler": scaler.state_dict(), "random": random}


def restore(state: dict, model: nn.Module, optimiser: Optimizer, schedule: LRScheduler, scaler: torch.amp.GradScaler,
            generator: torch.Generator) -> None:
    """Put back what `capture` took, on whichever device the model is now."""
    model.load_state_dict(state["weights"], strict=False)  # not strict: frozen weights are not in it
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    if state["scaler"]:  # empty if the run began on a device that needs none
        scaler.load_state_dict(state["scaler"])
    generator.set_state(state["random"]["fit"])
    torch.set_rng_state(state["random"]["cpu"])
    if "cuda" in state["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["random"]["cuda"])


def fingerprint(model: nn.Module, optimiser: Optimizer, train, val, preprocess: Preprocess | None,
                settings: dict) -> dict:
    """What two calls of `fit` must have in common for one to go on where the other stopped, by name.

    Data: sizes, labels and pixels; of features only the size, as another GPU rounds them differently. Network: shapes,
    which weights learn, and the values of the others. Not the values of those that learn: a reader who stops a cell
    and runs it again calls `fit` with weights that are half trained.
    """
    parameters = list(model.named_parameters())
    return {
        "training data": _describe(train), "validation data": _describe(val), "preprocessing": str(preprocess),
        "network": [f"{name} {tuple(p.shape)} {p.requires_grad}" for name, p in parameters],
        "frozen weights": _checksum(*(p for _, p in parameters if not p.requires_grad)),
        "learning rates": [[group["max_lr"], len(group["params"])] for group in optimiser.param_groups],
        **settings}


def _describe(split) -> str:
    inputs, labels = split.tensors
    pixels = [inputs] if inputs.dtype == torch.uint8 else []
    return f"{tuple(inputs.shape)} {inputs.dtype}, checksum {_checksum(labels, *pixels)}"


def _checksum(*tensors: Tensor) -> int:
    total = 0
    for tensor in tensors:
        total = zlib.crc32(tensor.detach().cpu().contiguous().numpy(), total)
    return total
