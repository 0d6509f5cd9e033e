"""Which device computes: the CPU, or a GPU that PyTorch can use.

A CUDA GPU is used where there is one. Apple's GPU (mps) and Intel's (xpu) are used where the reader asks for them, as
results on them need not repeat to the bit.
"""
from __future__ import annotations

import os

import torch

NAMES = ("cpu", "cuda", "mps", "xpu")  # as PyTorch calls them


def present() -> tuple[str, ...]:
    """Of `NAMES`, what this machine has and this PyTorch can use; the CPU comes first."""
    gpus = {"cuda": torch.cuda, "mps": torch.backends.mps, "xpu": torch.xpu}
    return ("cpu", *(name for name, gpu in gpus.items() if gpu.is_available()))


def choose() -> torch.device:
    """The device that the environment variable TL_DEVICE names or, without it, a CUDA GPU, or else the CPU.

    Raises `ValueError` for a name that no device has, and `RuntimeError` for a device that is not there.
    """
    here, wish = present(), os.environ.get("TL_DEVICE")
    if not wish:
        return torch.device("cuda" if "cuda" in here else "cpu")
    if wish not in NAMES:
        raise ValueError(f"Unknown device TL_DEVICE={wish!r}; choose one of {', '.join(NAMES)}.")
    if wish not in here:
        raise RuntimeError(f"TL_DEVICE={wish} was asked for, but this machine, or this PyTorch, has no {wish}; choose "
                           f"one of {', '.join(here)}.")
    return torch.device(wish)


def told(device: torch.device) -> str | None:
    """One sentence on which devices are there and that this one is used; None where there is only the CPU."""
    here = present()
    if len(here) == 1:
        return None
    others = " or ".join(f"TL_DEVICE={name}" for name in here if name != device.type)
    caveat = "" if device.type in ("cpu", "cuda") else ", where results need not repeat to the bit"
    return f"This machine has {' and '.join(here)}: {device.type} is used{caveat}; {others} chooses another."
