"""What depends on the machine: how much fits into its memory, and the number format in which it computes fast.

On a laptop's CPU none of this changes a result. It is here so that the same lesson runs on a small GPU as well.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

NO_ROOM = ("The GPU's memory is too small, even with one image at a time: close other notebooks that use the GPU, "
           "freeze more layers, or take a smaller network.")
# cuBLAS and cuDNN allocate memory of their own, and report a failure in their own words. ("Not initialized" is what
# they say when a full card has no room for their first call: github.com/pytorch/pytorch/issues/91958.)
NO_MEMORY = ("CUBLAS_STATUS_NOT_INITIALIZED", "CUDNN_STATUS_NOT_INITIALIZED", "CUBLAS_STATUS_ALLOC_FAILED",
             "CUDNN_STATUS_ALLOC_FAILED", "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION",
             "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION", "CUDA error: out of memory", "MPS backend out of memory",
             "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY")


def device_of(model: nn.Module) -> torch.device:
    """Where the network's weights are; the CPU for a network without any."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


# --- memory ------------------------------------------------------------------------------------------------------

def out_of_memory(error: RuntimeError) -> bool:
    """Whether the device's memory was too small, in whichever words the error says so."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)


def within_memory(compute: Callable[[int], Any], size: int, note: str = "") -> tuple[Any, int]:
    """`compute(size)`, and the size: it is halved, and a line says so, for as long as the GPU's memory is too small.

    `note` ends that line. Raises `RuntimeError` where a size of 1 does not fit.
    """
    while True:
        try:
            return compute(size), size
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if size == 1:
                raise RuntimeError(NO_ROOM) from None
        # Not inside `except`: as long as the error is there, so are the tensors of the attempt that failed.
        release_memory()
        print(f"Out of GPU memory with {size} images at a time; going on with {size // 2}{note}.")
        size //= 2


def release_memory() -> None:
    """Give back what PyTorch keeps of the GPU's memory and does not use; without a GPU, nothing happens."""
    torch.cuda.empty_cache()
    torch.xpu.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def resident(split, device: torch.device) -> TensorDataset:
    """The data on the device, images as uint8, if they fill at most a quarter of the GPU's free memory; else as is."""
    tensors = split.tensors
    if device.type == "cuda" and sum(t.nbytes for t in tensors) <= torch.cuda.mem_get_info(device)[0] / 4:
        tensors = [tensor.to(device) for tensor in tensors]
    return TensorDataset(*tensors)


class MemoryOfSteps:
    """The most memory, in bytes, that a step of one run took on a CUDA GPU; None elsewhere.

    Made before the run has anything on the GPU but the network: what else is there then belongs to others.
    """

    def __init__(self, model: nn.Module):
        self.device = device_of(model)
        self.cuda = self.device.type == "cuda"
        own = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
        self.others = torch.cuda.memory_allocated(self.device) - own if self.cuda else 0

    def begin(self) -> None:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) - self.others if self.cuda else None


# --- numbers -----------------------------------------------------------------------------------------------------

def short_format(device: torch.device) -> torch.dtype | None:
    """The 16-bit number format in which the device computes fast, or None if there is none.

    bfloat16 has float32's range and fewer digits; recent GPUs and server processors have it. Older GPUs, such as
    Colab's T4, have float16, whose smallest number is so large that small gradients vanish unless the loss is scaled.
    Apple's and Intel's GPUs compute in float32 here.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type != "cpu":
        return None
    # torch before 2.10 can't say what the CPU has
    return torch.bfloat16 if getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16", False) else None


class Arithmetic:
    """How a training step is computed: the number format, float16's loss scale, and how many images at a time.

    `part` is the number of images for which the memory is large enough; a larger batch is computed in parts.
    """

    def __init__(self, device: torch.device, short: bool, part: int):
        self.device, self.part = device, part
        self.format = short_format(device) if short else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.format is torch.float16)

    def autocast(self) -> torch.autocast:
        """Within it, convolutions and linear layers compute in the short format."""
        return torch.autocast(self.device.type, self.format, enabled=self.format is not None)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of the loss to the parameters, scaled so that float16 does not lose the small ones."""
        self.scaler.scale(loss).backward()

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """Move the weights along their gradients, unless the scale was too large for float16: then it is made smaller.

        Raises `RuntimeError` where AdamW's two running averages don't fit into the GPU's memory.
        """
        try:
            self.scaler.step(optimiser)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            raise RuntimeError(NO_ROOM) from None
        self.scaler.update()
