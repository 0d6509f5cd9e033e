"""Weights as the course ships them: in half precision, which takes half the room."""
from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_half(state: dict[str, Tensor], file: Path) -> None:
    """Write a state dict to `file` as safetensors, its floating-point numbers as float16."""
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    save_file({name: value.contiguous() for name, value in half.items()}, file)
