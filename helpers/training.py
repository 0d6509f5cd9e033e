"""Training and evaluation: `fit`, `evaluate`, and the `History` of a run. Notebook 04 writes these loops by hand."""
from __future__ import annotations

import contextlib
import copy
import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from helpers.augment import Preprocess
from helpers.progress import Progress


@dataclass
class History:
    """One dict an epoch: `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, `lr` (the first group's, at the
    epoch's end) and `seconds`. Accuracies run from 0 to 1; training figures are averages over the epoch, measured on
    the augmented images while the weights change."""

    epochs: list[dict] = field(default_factory=list)

    def column(self, name: str) -> list[float]:
        return [epoch[name] for epoch in self.epochs]

    @property
    def best_epoch(self) -> int:
        """Index of the first epoch with the highest validation accuracy; the one whose weights `fit` keeps."""
        accuracies = self.column("val_accuracy")
        return accuracies.index(max(accuracies))

    @property
    def best_accuracy(self) -> float:
        return self.epochs[self.best_epoch]["val_accuracy"]


@dataclass(frozen=True)
class Evaluation:
    """The outcome on a data set: mean `loss`, `accuracy` (0 to 1), `logits` (n, classes) and `labels` (n,)."""

    loss: float
    accuracy: float
    logits: Tensor
    labels: Tensor

    @property
    def predictions(self) -> Tensor:
        return self.logits.argmax(1)

    def confusion(self) -> Tensor:
        """Counts of shape (classes, classes): row = true class, column = predicted class."""
        classes = self.logits.shape[1]
        return torch.bincount(self.labels * classes + self.predictions, minlength=classes**2).view(classes, classes)


def layers_in_order(model: nn.Module) -> list[nn.Module]:
    """The layers without parts of their own, in the order in which a sequential model such as VGG runs them."""
    return [layer for layer in model.modules() if not list(layer.children())]


def training_mode(model: nn.Module) -> nn.Module:
    """Like `model.train()`, but everything before the first trainable layer stays in evaluation mode.

    The frozen part is then one fixed function: its dropout does not fire, its batch norm does not drift, and the
    features it gives can be computed once and kept.
    """
    model.train()
    for layer in layers_in_order(model):
        if any(p.requires_grad for p in layer.parameters()):
            break
        layer.eval()
    return model


def autocast(device: torch.device) -> torch.autocast:
    """A context in which convolutions and matrix products are computed in bfloat16, if the processor can do so fast.

    Weights, gradients and optimiser stay float32. On a processor without bfloat16 instructions it changes nothing.
    """
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # torch before 2.10 can't say what the CPU has
        able = getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16", False)
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


@torch.no_grad()
def evaluate(model: nn.Module, split, preprocess: Preprocess | None = None, batch_size: int = 250) -> Evaluation:
    """Loss, accuracy and logits in evaluation mode, without augmentation. The model's mode is put back afterwards.

    `split` has `.tensors`: (uint8 images or float features, int64 labels); `preprocess` turns images into inputs.
    """
    device = next(model.parameters()).device
    inputs, labels = split.tensors
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    prepare = preprocess or (lambda batch: batch)
    logits = torch.cat([model(prepare(batch.to(device))).float() for batch in inputs.split(batch_size)])
    for layer, mode in modes:
        layer.training = mode
    labels = labels.to(device)
    loss, accuracy = cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()
    return Evaluation(loss.item(), accuracy.item(), logits.cpu(), labels.cpu())


def fit(model: nn.Module, train, val, *, lr: float = 1e-3, groups: list[dict] | None = None, epochs: int = 20,
        batch_size: int = 32, preprocess: Preprocess | None = None, augment: bool = True, weight_decay: float = 1e-4,
        label_smoothing: float = 0.0, patience: int | None = None, seed: int = 0, bar: str | None = None) -> History:
    """Train whatever has `requires_grad`, and leave the model with the weights of its best epoch.

    Optimiser: AdamW. Schedule: one cycle, the learning rate rises over the first tenth of the steps and falls along a
    cosine to almost zero (Smith and Topin, 2018, arXiv 1708.07120). Best: the highest accuracy on `val`, the first
    such epoch. On a CPU, the same seed and the same starting weights give bit-identical results.

    Args:
        train, val: anything with `.tensors`: (uint8 images (n, 3, H, W) or float features (n, d), int64 labels (n,)).
        lr: peak learning rate of all trainable parameters, unless `groups` gives optimiser groups with their own.
        preprocess: turns images into inputs; needed for images. With `augment`, training images are cropped and
            flipped at random; validation images never are.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al., 2016).
        patience: stop after this many epochs without a better validation accuracy; None never stops early.
        bar: show a progress bar with this label.

    Returns:
        The `History`, one entry for each epoch that was run.

    Raises:
        ValueError: nothing to train, or no data.
        FloatingPointError: the loss stopped being a number, which a smaller learning rate usually cures.
    """
    groups = groups or [{"params": [p for p in model.parameters() if p.requires_grad], "lr": lr}]
    if not any(group["params"] for group in groups):
        raise ValueError("Every parameter is frozen, so there is nothing to train; unfreeze the head at least.")
    inputs, labels = train.tensors
    if not len(inputs) or epochs < 1:
        raise ValueError(f"Training needs at least one image and one epoch, not {len(inputs)} and {epochs}.")
    device = next(model.parameters()).device
    torch.manual_seed(seed)  # for dropout
    generator = torch.Generator().manual_seed(seed)  # for the order of the images and their augmentation
    optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    steps = epochs * math.ceil(len(inputs) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in optimiser.param_groups], total_steps=steps, pct_start=0.1)
    prepare = (lambda images: images) if preprocess is None else \
        (lambda images: preprocess.augment(images, generator)) if augment else preprocess

    history, best, waited = History(), None, 0
    with Progress(epochs, bar) if bar else _NoBar() as progress:
        for _ in range(epochs):
            start = time.perf_counter()
            training_mode(model)
            total_loss = total_right = 0.0
            for chosen in torch.randperm(len(inputs), generator=generator).split(batch_size):
                x, y = prepare(inputs[chosen].to(device)), labels[chosen].to(device)
                with autocast(device) if preprocess else contextlib.nullcontext():  # a head alone gains nothing
                    logits = model(x)
                loss = cross_entropy(logits.float(), y, label_smoothing=label_smoothing)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
                total_loss += loss.item() * len(y)
                total_right += (logits.argmax(1) == y).sum().item()
            if not math.isfinite(total_loss):
                raise FloatingPointError("The loss is no longer a number; try a smaller learning rate.")
            result = evaluate(model, val, preprocess)
            history.epochs.append({
                "train_loss": total_loss / len(inputs), "train_accuracy": total_right / len(inputs),
                "val_loss": result.loss, "val_accuracy": result.accuracy,
                "lr": schedule.get_last_lr()[0], "seconds": time.perf_counter() - start})
            if history.best_epoch == len(history.epochs) - 1:
                best, waited = copy.deepcopy(model.state_dict()), 0
            else:
                waited += 1
            progress.step(f"validation accuracy {100 * result.accuracy:.1f} %")
            if patience is not None and waited >= patience:
                break
    model.load_state_dict(best)
    return history


def memory_of_step(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, int]:
    """Bytes that one training step with AdamW must hold, counted on the tensors themselves, on any device.

    "weights"; "gradients" and "optimiser" (two running averages), for trainable parameters only; "activations", what
    autograd keeps of the forward pass for the backward pass. The model's weights and gradients are left as they are.
    """
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model(inputs), labels)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    trainable = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    del loss
    return {"weights": size, "gradients": trainable, "optimiser": 2 * trainable, "activations": sum(kept.values())}


class _NoBar:
    """Stands in for `Progress` where nobody wants to watch."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def step(self, note: str = "") -> None:
        pass
