"""Run a network over images without training it: `evaluate`, and what stands below it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from helpers.hardware import NO_ROOM, device_of, within_memory
from helpers.images import check_data, same_classes
from helpers.intervals import balanced_accuracy
from helpers.networks import evaluating, last_layer
from helpers.preprocess import Preprocess

AT_ONCE = 128  # images in a batch without gradients; on a CPU, 250 are slower and need more memory


@dataclass(frozen=True)
class Evaluation:
    """The outcome on a data set: mean `loss`, `accuracy` (0 to 1), `logits` (n, classes) and `labels` (n,).

    The accuracy is class-balanced, that is, the mean of the classes' accuracies: a class with many images counts no
    more than one with few. Where all have equally many, it is the share of right answers. `batch_size` is the number of
    images at a time for which the memory was large enough.
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

    Raises:
        ValueError: the data is of another kind, empty, or does not fit the network or the classes it has learnt.
        RuntimeError: the GPU's memory is too small for a single image.
    """
    check_fits(model, split, preprocess)
    same_classes(last_layer(model)[1], split, "what the network has learnt", "data")
    return examine(model, split, preprocess, batch_size)


def examine(model: nn.Module, split, preprocess: Preprocess | None = None, batch_size: int = AT_ONCE) -> Evaluation:
    """`evaluate` for data that has been checked already: `fit` looks at its exam once, and sits it in every epoch."""
    logits, batch_size = logits_of(model, split.tensors[0], preprocess, batch_size)
    labels = split.tensors[1].to(logits.device)
    loss = cross_entropy(logits, labels).item()
    logits, labels = logits.cpu(), labels.cpu()
    return Evaluation(loss, balanced_accuracy(logits.argmax(1) == labels, labels), logits, labels, batch_size)


def logits_of(model: nn.Module, inputs: Tensor, preprocess: Preprocess | None,
              batch_size: int = AT_ONCE) -> tuple[Tensor, int]:
    """The network's answers for stored images or features (n, ...), as (n, classes); and the batch size that fits."""
    parts: list[Tensor] = []
    batch_size = in_batches(model, inputs, preprocess, model, parts.append, batch_size)
    return torch.cat(parts), batch_size


@torch.no_grad()
def in_batches(model: nn.Module, inputs: Tensor, preprocess: Callable[[Tensor], Tensor] | None,
               compute: Callable[[Tensor], Tensor], keep: Callable[[Tensor], object], batch_size: int) -> int:
    """Hand `compute(batch)` of all inputs to `keep`, in order and in float32, with `model` in evaluation mode.

    Returns the batch size: the one asked for, or the smaller one that fits into the GPU's memory.
    """
    device, done, size = device_of(model), 0, max(1, min(batch_size, len(inputs)))
    prepare = preprocess or (lambda batch: batch.float())
    with evaluating(model):
        while done < len(inputs):
            outputs, size = within_memory(
                lambda size: compute(prepare(inputs[done:done + size].to(device))).float(), size)  # noqa: B023
            keep(outputs)
            done += len(outputs)
    return size


# --- what does not fit together ----------------------------------------------------------------------------------

def check_fits(model: nn.Module, split, preprocess: Preprocess | None, name: str = "data") -> None:
    """Raise `ValueError` with one sentence unless the network can answer for `split`; found out with one image."""
    check_data(split, name)
    inputs, labels = split.tensors
    if preprocess is None and inputs.dtype == torch.uint8:
        raise ValueError(f"{name} holds images as they are stored (uint8): give `preprocess` as well, which makes a "
                         "network's inputs of them.")
    if preprocess is not None and inputs.dtype != torch.uint8:
        raise ValueError(f"`preprocess` is for stored images (uint8), and {name} holds {inputs.dtype}: leave it out "
                         "where the inputs are features.")
    outputs, most = output_count(model, inputs[:1], preprocess), int(labels.max())
    if most >= outputs:
        raise ValueError(f"The network has {outputs} outputs, but the labels of {name} go up to {most}: each class "
                         "needs an output of its own, counted from 0. `networks.replace_head` makes a head that fits.")


def output_count(model: nn.Module, inputs: Tensor, preprocess: Preprocess | None) -> int:
    """How many logits the network gives for one input, (1, ...) as stored. Raises `ValueError` if it gives none."""
    try:
        logits, _ = logits_of(model, inputs, preprocess)
    except (RuntimeError, ValueError, AssertionError) as error:  # a ViT asserts the size it was made for
        if str(error) == NO_ROOM:
            raise
        raise unfit(inputs, error) from error
    if logits.ndim != 2:
        raise ValueError(f"The network gives outputs of shape {tuple(logits.shape[1:])} for an image; a classifier "
                         "gives one number per class.")
    return logits.shape[1]


def unfit(inputs: Tensor, error: Exception) -> ValueError:
    """What to raise for inputs (1, ...) for which the network raised `error`: one sentence, and what mends images."""
    size = " x ".join(map(str, inputs.shape[1:]))
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    advice = "; `pretrained.preprocessing` brings images to the size that its weights want" if inputs.ndim == 4 else ""
    return ValueError(f"The network can't take inputs of {size}: they are too small for it, or of another kind than "
                      f"it was made for ({reason}){advice}.")


@torch.no_grad()
def answers(networks: dict, preprocess: Preprocess, image: Tensor,
            count: int = 5) -> dict[str, list[tuple[str, float]]]:
    """What each network takes an image (3, H, W) uint8 for: its `count` most confident answers, (class, 0 to 1) each.

    `networks[label]` is (model, class names).
    """
    found = {}
    for label, (model, classes) in networks.items():
        with evaluating(model):
            confidences = model(preprocess(image[None].to(device_of(model)))).softmax(1)[0]
        values, places = confidences.topk(min(count, len(classes)))
        found[label] = [(classes[k], value) for k, value in zip(places.tolist(), values.tolist(), strict=True)]
    return found
