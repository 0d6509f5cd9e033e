"""An Apple GPU that is none: tensors of the CPU that say they are on "mps", and refuse what they could not do there.

Inside `with PretendMPS() as gpu:` whatever is moved to "mps", or made there, is a `Ghost`: real numbers, which the CPU
computes. Apple's GPU has no float64, does not compute with tensors that are elsewhere, averages maps to a number of
places only if one of the two divides the other, and lacks some operations. A `Ghost` refuses the first three;
`gpu.used` gathers the operations, which `lacking` looks up in PyTorch's own list of what there is for "mps".
"""
import re
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

MPS = torch.device("mps")
MAKERS = (torch.tensor, torch.empty, torch.zeros, torch.ones, torch.full, torch.eye, torch.arange, torch.rand,
          torch.randn, torch.randint, torch.randperm)
FROM_ANYWHERE = (Tensor.copy_, Tensor.__getitem__, Tensor.__setitem__, Tensor.__deepcopy__)


class Ghost(Tensor):
    device = property(lambda self: MPS)


def haunt(tensor, ghost: bool = True):
    """`tensor` as one that is on "mps", or is not; what is no tensor stays what it is."""
    return tensor.as_subclass(Ghost if ghost else Tensor) if isinstance(tensor, Tensor) else tensor


class PretendMPS(TorchFunctionMode):
    """See the head of this file."""

    def __init__(self):
        super().__init__()
        self.used, self.record, self.generator = set(), _Record(), torch.Generator
        self.record.used = self.used

    def __enter__(self):
        torch.Generator = lambda device="cpu": self.generator("cpu")
        self.record.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.record.__exit__(*error)
        torch.Generator = self.generator

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, found = dict(kwargs or {}), None
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        ghosts = [tensor for tensor in tensors if isinstance(tensor, Ghost)]
        if function is Tensor.cpu:
            args, function = (args[0], "cpu"), Tensor.to
        if function in MAKERS and torch.device(kwargs.get("device") or "cpu").type == "mps":
            found = haunt(function(*args, **kwargs | {"device": "cpu"}))
        elif function is Tensor.to:
            found = moved(*args, **kwargs)
        elif function is torch._has_compatible_shallow_copy_type and ghosts:  # a network that moves gets new weights
            found = len(ghosts) == len(tensors)
        elif ghosts:
            refuse(function, args, tensors)
            found = function(*args, **kwargs)
            if function in (torch.autograd.grad, Tensor.grad.__get__):
                found = tree_map(haunt, found)
        else:
            found = function(*args, **kwargs)
        if any(isinstance(leaf, Ghost) and leaf.dtype is torch.float64 for leaf in tree_leaves(found)):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype, which the MPS framework does not support.")
        return found


class _Record(TorchDispatchMode):
    """Notes every operation, those of the backward pass too."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "aten":
            self.used.add(function.name().removeprefix("aten::"))
        return function(*args, **(kwargs or {}))


def moved(tensor: Tensor, *args, copy: bool = False, **kwargs) -> Tensor:
    """What `tensor.to(...)` gives."""
    if isinstance(args[0] if args else None, Tensor):
        args = (args[0].device, args[0].dtype)
    device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)
    device, options = device or tensor.device, {"memory_format": layout} if layout else {}
    if device.type == tensor.device.type:
        return tensor.to(dtype or tensor.dtype, copy=copy, **options)
    return haunt(tensor.to(dtype or tensor.dtype, copy=True, **options), device.type == "mps")


def refuse(function, args, tensors: list[Tensor]) -> None:
    """Raise what PyTorch raises on a Mac for what Apple's GPU can't do with these tensors."""
    if function in (Tensor.numpy, Tensor.__array__):
        raise TypeError("can't convert mps:0 device type tensor to numpy.")
    apart = [tensor for tensor in tensors if not isinstance(tensor, Ghost) and tensor.ndim]
    if apart and function not in FROM_ANYWHERE:
        raise RuntimeError(f"Expected all tensors to be on the same device, but {function} found mps:0 and cpu!")
    if function is functional.adaptive_avg_pool2d:
        wanted = (args[1],) * 2 if isinstance(args[1], int) else args[1]
        for one, other in zip(args[0].shape[-2:], wanted, strict=True):
            if max(one, other) % min(one, other):
                raise RuntimeError("Adaptive pool MPS: input sizes must be divisible by output sizes.")


# --- which operations there are ----------------------------------------------------------------------------------

def lacking(used: set[str]) -> list[str]:
    """Which of these operations PyTorch has no version of for "mps", by its own list of all operations."""
    listed = operations()
    return sorted(name for name in used if not on_mps(listed, name))


def on_mps(listed: dict[str, str], name: str) -> bool:
    """Whether an operation has a version for "mps", by itself or with another, or is put together of others."""
    entry = listed.get(name, "dispatch:")
    if other := re.search(r"structured_delegate: (\S+)", entry):
        return on_mps(listed, other[1])
    return "dispatch:" not in entry or bool(re.search(r"\b(MPS|Composite\w+)\b", entry))


def operations() -> dict[str, str]:
    """PyTorch's list: for each operation, by name, how it is computed, as the list says it."""
    file = Path(torch.__file__).parent.parent / "torchgen/packaged/ATen/native/native_functions.yaml"
    entries = re.split(r"^- func: ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {entry.partition("(")[0]: entry for entry in entries}
