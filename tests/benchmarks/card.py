"""The device under a benchmark: its name, when it has finished, how much it holds, and how to fill it.

All calls of `torch.cuda` that the benchmarks make stand here and in `gpu_graph`. On a CPU each does the nearest thing
that there is, so that everything above runs on any machine.
"""
from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torchvision
from torch import Tensor, nn

Result = TypeVar("Result")
BLOCK = 64 * 2**20  # bytes; what a full card may still have free


def device() -> torch.device:
    """The first CUDA device, or else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def machine(device: torch.device) -> dict:
    """Hardware and versions, for whoever reads the numbers later."""
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "python": platform.python_version(),
                "system": platform.system(), "cores": os.cpu_count()}
    if device.type != "cuda":
        return {"device": f"CPU ({platform.machine()})", "threads": torch.get_num_threads(), **versions}
    return {"device": torch.cuda.get_device_name(device),
            "memory, GB": round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1),
            "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
            "CUDA": torch.version.cuda, "cuDNN": torch.backends.cudnn.version(),
            "TF32 in convolutions": torch.backends.cudnn.allow_tf32, **versions}


def timed(device: torch.device, work: Callable[[], Result]) -> tuple[float, Result]:
    """The seconds that `work()` takes, until the device has finished all of it; and what it returns."""
    wait(device)
    start = time.perf_counter()
    result = work()
    wait(device)
    return time.perf_counter() - start, result


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- memory ------------------------------------------------------------------------------------------------------

def clear(device: torch.device) -> None:
    """Give back what nobody holds any longer, and count the most memory from here on."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def most(device: torch.device) -> int | None:
    """The most bytes that tensors have held on the card since `clear`; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


@contextmanager
def filled(model: nn.Module, room: int, images: int) -> Iterator[None]:
    """Within it, the card holds something else, and leaves about `room` bytes beside what is on it already.

    A CPU's memory is not filled: there the model says that there is no memory as soon as it gets more than `images`.
    Raises `RuntimeError` if the card has no more than `room` to begin with.
    """
    device = next(model.parameters()).device
    clear(device)
    if device.type == "cuda":
        stones = blocks(device, room)
        try:
            yield
        finally:
            stones.clear()
            clear(device)
    else:
        hook = model.register_forward_pre_hook(lambda _, inputs: refuse(len(inputs[0]), images))
        try:
            yield
        finally:
            hook.remove()


def blocks(device: torch.device, room: int) -> list[Tensor]:
    """So many blocks of memory that about `room` bytes are left."""
    held: list[Tensor] = []
    while torch.cuda.mem_get_info(device)[0] - room > BLOCK:
        try:
            held.append(torch.empty(BLOCK, dtype=torch.uint8, device=device))
        except torch.OutOfMemoryError:  # the last bytes that are free can't all be had
            break
    if not held:
        raise RuntimeError(f"The card has less than {room / 1e9:.1f} GB free: close what else uses it.")
    return held


def refuse(given: int, images: int) -> None:
    if given > images:
        raise torch.OutOfMemoryError(f"pretended: {given} images are more than {images}")
