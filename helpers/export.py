"""A network as an ONNX file, which programs without PyTorch can run: on phones, in browsers, on servers.

ONNX is a list of operations and the numbers they need. The preparation of the pixels is made a part of it, so that
nobody has to write it a second time and get it a little wrong: images go in as they are stored, and logits come out.

Three packages do the work, which only this needs: `pip install onnx onnxscript onnxruntime`.
"""
from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from helpers.inference import logits_of
from helpers.preprocess import Resized
from helpers.takeaway import Taken

NEEDED = ("onnx", "onnxscript", "onnxruntime")
CLOSE = 1e-4  # how far the file's logits may be from PyTorch's, where logits are about 1; of larger ones, this share


class FromPixels(nn.Module):
    """Stored images, uint8 (n, 3, size, size), to logits, float32 (n, classes): preparation and network in one."""

    def __init__(self, taken: Taken):
        super().__init__()
        self.network = taken.model
        for name, values in (("mean", taken.preprocess.mean), ("std", taken.preprocess.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1) * 255)

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images.float() - self.mean) / self.std)


def export(taken: Taken, file: str | Path) -> float:
    """Write the network to `file`, whose name ends in .onnx, and return how far its logits are from PyTorch's at most.

    Input "images": uint8 (n, 3, size, size), any n. Output "logits": float32 (n, classes). The file gets its name only
    after ONNX Runtime has run it and its answers were PyTorch's.

    Raises:
        ValueError: another ending, or a network whose `preprocess` changes the images' size, which the file can't.
        RuntimeError: a package is missing, the network can't be expressed in ONNX, or the answers differ.
    """
    file = Path(file).expanduser()
    if file.suffix != ".onnx":
        raise ValueError(f"The name of an ONNX file ends in .onnx, not {file.suffix!r}.")
    if isinstance(taken.preprocess, Resized):
        raise ValueError("An ONNX file takes images as they are given, and this network's are brought to another size "
                         "first: train it on images read at the size that it wants, with `Preprocess`.")
    check_packages()
    images = torch.randint(0, 256, (3, 3, taken.size, taken.size), generator=torch.Generator().manual_seed(0))
    images, part = images.to(torch.uint8), file.with_name(f"{file.name}.part")
    try:
        with silence():
            torch.onnx.export(FromPixels(taken).eval(), (images[:2],), part, input_names=["images"],
                              output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("n")},), dynamo=True,
                              external_data=False, verbose=False)
        forget_origin(part)
        expected, _ = logits_of(taken.model, images, taken.preprocess)
        found = torch.cat([run(part, images), run(part, images[:1])])  # batches of two sizes
        apart = float((found - torch.cat([expected, expected[:1]])).abs().max())
        if not apart <= CLOSE * max(1.0, float(expected.abs().max())):
            raise RuntimeError(f"its logits are up to {apart:.2g} away from PyTorch's")
        os.replace(part, file)
        return apart
    except Exception as error:  # the exporter raises its own kinds, whose text fills pages
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RuntimeError(f"{taken.network} can't be written as {file} ({reason}).") from error
    finally:
        part.unlink(missing_ok=True)


def check_packages() -> None:
    """Raise `RuntimeError` with the command to run if one of the packages is missing."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise RuntimeError(f"An ONNX file needs packages that are not here: run `pip install {' '.join(missing)}` "
                           "first.")


def forget_origin(file: Path) -> None:
    """Take out which lines of which files on this computer each operation came from: that is nobody's business."""
    import onnx

    model = onnx.load(file)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        part.ClearField("metadata_props")
    onnx.save(model, file)


def run(file: Path, images: Tensor) -> Tensor:
    """What ONNX Runtime gives for stored images: logits, float32 (n, classes)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    return torch.from_numpy(logits)


@contextlib.contextmanager
def silence():
    """The exporter tells its own developers much that readers need not know."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
