"""Run a network over images without training it: `evaluate`, and what stands below it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from helpers.preprocess import Preprocess

AT_ONCE = 128  # images in a batch without gradients; on a CPU, 250 are slower and need more memory
NO_ROOM = ("The GPU's memory is too small, even with one image at a time: close other notebooks that use the GPU, "
           "freeze more layers, or take a smaller network.")


@dataclass(frozen=True)
class Evaluation:
    """The outcome on a data set: mean `loss`, `accuracy` (0 to 1), `logits` (n, classes) and `labels` (n,).

    `batch_size` is the number of images at a time for which the memory was large enough.
    """

    loss: float
    accuracy: float
    logits: Tensor
    labels: Tensor
    batch_size: int = AT_ONCE

    @property
    def predictions(self) -> Tensor:
        return self.logits.argmax(1)

    def confusion(self) -> Tensor:
        """Counts of shape (classes, classes): row = true class, column = predicted class."""
        classes = self.logits.shape[1]
        return torch.bincount(self.labels * classes + self.predictions, minlength=classes**2).view(classes, classes)

    @property
    def confidences(self) -> Tensor:
        """The probability (0 to 1) that the network gave to each of its answers, shape (n,)."""
        return self.logits.softmax(1).amax(1)

    def mistakes(self, true: int | None = None, answer: int | None = None, most_certain: bool = True) -> list[int]:
        """Which images were answered wrong, by number: the most certain answers first, or the least certain.

        `true` and `answer` keep only those of one true class, and those taken for one class.
        """
        wrong = self.predictions != self.labels
        if true is not None:
            wrong &= self.labels == true
        if answer is not None:
            wrong &= self.predictions == answer
        order = self.confidences.argsort(descending=most_certain, stable=True)
        return order[wrong[order]].tolist()


def evaluate(model: nn.Module, split, preprocess: Preprocess | None = None, batch_size: int = AT_ONCE) -> Evaluation:
    """Loss, accuracy and logits in evaluation mode, without augmentation. The model's mode is put back afterwards.

    `split` has `.tensors`: (uint8 images or float features, int64 labels); `preprocess` turns images into inputs. All
    is computed in float32. A batch that does not fit into the GPU's memory is halved, which changes nothing else.
    """
    logits, batch_size = in_batches(model, split, preprocess, lambda model, inputs: model(inputs), batch_size)
    labels = split.tensors[1].to(logits.device)
    loss, accuracy = cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()
    return Evaluation(loss.item(), accuracy.item(), logits.cpu(), labels.cpu(), batch_size)


@torch.no_grad()
def answers(networks: dict, preprocess, image: Tensor, count: int = 5) -> dict[str, list[tuple[str, float]]]:
    """What each network takes an image (3, H, W) uint8 for: its `count` most confident answers, (class, 0 to 1) each.

    `networks[label]` is (model, class names). The models are left in evaluation mode.
    """
    found = {}
    for label, (model, classes) in networks.items():
        device = next(model.parameters()).device
        confidences = model.eval()(preprocess(image[None].to(device))).softmax(1)[0]
        values, places = confidences.topk(min(count, len(classes)))
        found[label] = [(classes[k], value) for k, value in zip(places.tolist(), values.tolist(), strict=True)]
    return found


@torch.no_grad()
def in_batches(model: nn.Module, split, preprocess: Callable[[Tensor], Tensor] | None,
               compute: Callable[[nn.Module, Tensor], Tensor], batch_size: int) -> tuple[Tensor, int]:
    """`compute(model, inputs)` for all inputs of `split`, float32, in evaluation mode, which is put back afterwards.

    The second value is the batch size: the one asked for, or the smaller one that fits into the GPU's memory.
    """
    device, inputs = next(model.parameters()).device, split.tensors[0]
    prepare = preprocess or (lambda batch: batch)
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    outputs = within_memory(
        lambda size: torch.cat([compute(model, prepare(batch.to(device))).float() for batch in inputs.split(size)]),
        max(1, min(batch_size, len(inputs))))
    for layer, mode in modes:
        layer.training = mode
    return outputs


def within_memory(compute: Callable[[int], Any], size: int, note: str = "") -> tuple[Any, int]:
    """`compute(size)`, and the size: it is halved, and a line says so, for as long as the GPU's memory is too small.

    `note` ends that line. Raises `RuntimeError` where a size of 1 does not fit.
    """
    while True:
        try:
            return compute(size), size
        except torch.OutOfMemoryError:
            if size == 1:
                raise RuntimeError(NO_ROOM) from None
        # Not inside `except`: as long as the error is there, so are the tensors of the attempt that failed.
        torch.cuda.empty_cache()
        print(f"Out of GPU memory with {size} images at a time; going on with {size // 2}{note}.")
        size //= 2
