"""A GPU that is not there: tensors say that they lie on it, the CPU computes, and no call of `torch.cuda` is made up.

`torch.cuda` is replaced by a stand-in that knows the real one's names and signatures. A name that the real one lacks is
an AttributeError, arguments that the real one would not take are a TypeError, and a call for which nothing is arranged
below is an AssertionError. The card has a gigabyte, and room for an image per 100 MB that nobody holds.
"""
from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import create_autospec, patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.data import get_worker_info

REAL, GENERATOR = torch.cuda, torch.Generator
GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
TOTAL, PER_IMAGE, PEAK = 10**9, 10**8, 3 * 10**8  # bytes


class Card:
    """What stands in for the module `torch.cuda`. `called`: which names were called; `held`: bytes that are taken."""

    def __init__(self):
        self.called, self.held = set(), 0
        graph = create_autospec(REAL.CUDAGraph)
        self.answers = {
            "is_available": lambda: True, "current_device": lambda: 0, "device_count": lambda: 1,
            "get_device_name": lambda device=None: "pretended", "get_device_capability": lambda device=None: (9, 0),
            "get_device_properties": lambda device=None: SimpleNamespace(total_memory=TOTAL),
            "is_bf16_supported": lambda including_emulation=True: True,
            "is_current_stream_capturing": lambda: False, "synchronize": lambda device=None: None,
            "empty_cache": lambda: None, "mem_get_info": lambda device=None: (TOTAL - self.held, TOTAL),
            "memory_allocated": lambda device=None: 0, "max_memory_allocated": lambda device=None: PEAK,
            "reset_peak_memory_stats": lambda device=None: None, "manual_seed_all": lambda seed: None,
            "Stream": lambda *_, **__: create_autospec(REAL.Stream, instance=True),
            "current_stream": lambda device=None: create_autospec(REAL.Stream, instance=True),
            "stream": lambda stream: nullcontext(), "graph": lambda graph, **_: nullcontext(), "CUDAGraph": graph}

    def __getattr__(self, name: str):
        real = getattr(REAL, name)
        if name.startswith("_") or not callable(real):
            return real
        if name not in self.answers:
            raise AssertionError(f"nothing is arranged for torch.cuda.{name}")
        self.called.add(name)
        return create_autospec(real, side_effect=self.answers[name])

    def hold(self, tensor: torch.Tensor) -> torch.Tensor:
        def release(size=tensor.nbytes):
            self.held -= size

        self.held += tensor.nbytes
        weakref.finalize(tensor, release)
        return tensor


class Redirected(TorchFunctionMode):
    """Torch's functions, with the CPU in the place of the GPU; a tensor's `device` is the GPU all the same."""

    def __init__(self, card: Card):
        super().__init__()
        self.card = card

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.device or get_worker_info():  # a data loader's workers have no GPU
            return function(*args, **(kwargs or {}))
        if function == torch.Tensor.device.__get__:
            place = function(*args)
            return GPU if place == CPU else place
        if function == torch.Tensor.is_cuda.__get__:
            return True
        if function is torch.conv2d and self.card.held and len(args[0]) > (TOTAL - self.card.held) // PER_IMAGE:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        kwargs = kwargs or {}
        result = function(*map(here, args), **{name: here(value) for name, value in kwargs.items()})
        return self.card.hold(result) if function is torch.empty and on_gpu(kwargs.get("device")) else result


def on_gpu(value) -> bool:
    return isinstance(value, torch.device) and value.type == "cuda" or isinstance(value, str) and value == "cuda"


def here(value):
    return CPU if on_gpu(value) else value


class Generator:
    """`torch.Generator("cuda")` is one of the CPU's."""

    def __new__(cls, device=CPU):
        return GENERATOR(here(torch.device(device)))


@contextmanager
def pretended_gpu() -> Iterator[Card]:
    card = Card()
    accelerator = create_autospec(torch.accelerator.is_available, return_value=False)  # so data loaders pin no memory
    compiled = create_autospec(torch.compile, side_effect=lambda model, **_: model)
    with patch.object(torch, "cuda", card), patch.object(torch, "Generator", Generator), patch.object(
            torch, "compile", compiled), patch.object(torch.accelerator, "is_available", accelerator), Redirected(card):
        yield card
