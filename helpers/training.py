"""Training: `fit`, and the `History` of a run. Notebook 04 writes this loop by hand."""
from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from helpers import checkpoints
from helpers.inference import AT_ONCE, NO_ROOM, evaluate, within_memory
from helpers.preprocess import Preprocess
from helpers.progress import Progress


@dataclass
class History:
    """One dict an epoch: `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, `lr` (the first group's, at the
    epoch's end), `seconds` and `memory`. Accuracies run from 0 to 1; training figures are averages over the epoch,
    measured on the augmented images while the weights change. `memory`: the most GPU memory, in bytes, that a training
    step took, with the network's weights and the images that `fit` keeps there; None on a CPU."""

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

    @property
    def waited(self) -> int:
        """How many epochs have passed since the best one."""
        return len(self.epochs) - 1 - self.best_epoch if self.epochs else 0

    @property
    def peak_memory(self) -> int | None:
        """The highest `memory` of all epochs, in bytes; None on a CPU."""
        return max((memory for memory in self.column("memory") if memory is not None), default=None)


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


def short_format(device: torch.device) -> torch.dtype | None:
    """The 16-bit number format in which the device computes fast, or None if there is none.

    bfloat16 has float32's range and fewer digits; recent GPUs and server processors have it. Older GPUs, such as
    Colab's T4, have float16, whose smallest number is so large that small gradients vanish unless the loss is scaled.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # torch before 2.10 can't say what the CPU has
    return torch.bfloat16 if getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16", False) else None


def resident(split, device: torch.device) -> TensorDataset:
    """The data on the device, images as uint8, if they fill at most a quarter of the GPU's free memory; else as is."""
    tensors = split.tensors
    if device.type == "cuda" and sum(t.nbytes for t in tensors) <= torch.cuda.mem_get_info(device)[0] / 4:
        tensors = [tensor.to(device) for tensor in tensors]
    return TensorDataset(*tensors)


def backward(model: nn.Module, inputs: Tensor, labels: Tensor, part: int, label_smoothing: float = 0.0,
             compute_in: torch.dtype | None = None, scaler: torch.amp.GradScaler | None = None) -> Tensor:
    """Leave the gradient of the batch's mean loss in the parameters, computed from `part` images at a time.

    Each part's loss is weighted with its share of the batch, so the sum of the gradients is the gradient of the whole
    batch. (In a `_bn` network it is not quite: batch norm in training takes mean and variance from the part alone.)

    Returns the sum of the losses and the number of right answers, float64 of shape (2,), on the device: to read them
    would make the processor wait for the GPU.
    """
    model.zero_grad(set_to_none=True)
    sums = torch.zeros(2, dtype=torch.float64, device=inputs.device)
    for x, y in zip(inputs.split(part), labels.split(part), strict=True):
        with torch.autocast(x.device.type, compute_in, enabled=compute_in is not None):
            logits = model(x)
        loss = cross_entropy(logits.float(), y, label_smoothing=label_smoothing)
        sums += torch.stack([loss.detach() * len(y), (logits.argmax(1) == y).sum()])
        if len(y) < len(labels):
            loss = loss * (len(y) / len(labels))
        (scaler.scale(loss) if scaler else loss).backward()
    return sums


def optimiser_step(optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
    """Move the weights along their gradients, unless the scale was too large for float16: then it is made smaller.

    Raises `RuntimeError` where AdamW's two running averages don't fit into the GPU's memory.
    """
    try:
        scaler.step(optimiser)
    except torch.OutOfMemoryError:
        raise RuntimeError(NO_ROOM) from None
    scaler.update()


def fit(model: nn.Module, train, val, *, lr: float = 1e-3, groups: list[dict] | None = None, epochs: int = 20,
        batch_size: int = 32, preprocess: Preprocess | None = None, augment: bool = True, weight_decay: float = 0.01,
        label_smoothing: float = 0.0, patience: int | None = None, seed: int = 0, bar: str | None = None,
        checkpoint: str | Path | None = None, on_epoch: Callable[[History], bool | None] | None = None) -> History:
    """Train whatever has `requires_grad`, and leave the model with the weights of its best epoch.

    Optimiser: AdamW. Schedule: one cycle, the learning rate rises over the first tenth of the steps and falls along a
    cosine to almost zero (Smith and Topin, 2018, arXiv 1708.07120). Best: the highest accuracy on `val`, the first
    such epoch. On a CPU, the same seed and the same starting weights give bit-identical results.

    Images are computed in `short_format`, features in float32. A batch for which the GPU has too little memory is
    computed in parts, whose gradients are added up, and a line says so.

    Args:
        train, val: anything with `.tensors`: (uint8 images (n, 3, H, W) or float features (n, d), int64 labels (n,)).
        lr: peak learning rate of all trainable parameters, unless `groups` gives optimiser groups with their own.
        preprocess: turns images into inputs; needed for images. With `augment`, training images are cropped and
            flipped at random; validation images never are.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al., 2016).
        patience: stop after this many epochs without a better validation accuracy; None never stops early.
        bar: show a progress bar with this label.
        checkpoint: a file that is written after every epoch. If training breaks off, make the same call again: it goes
            on after the last epoch in the file, on a CPU to the very same bits, and if that was the last of all it
            returns at once. Give every run a file of its own. On Colab, choose one on your Drive, which outlives a
            lost connection: `from google.colab import drive; drive.mount("/content/drive")`, and then
            `checkpoint="/content/drive/MyDrive/full.pt"`. The file takes four times the size of the weights that
            learn (2.2 GB for all of VGG-16), and the one before it is kept as well. To start afresh, delete both.
        on_epoch: called after every epoch with the history so far; if it returns True, training ends there, with the
            weights of the best epoch so far. (With a checkpoint, the same call later goes on from there.)

    Returns:
        The `History`, one entry for each epoch that was run.

    Raises:
        ValueError: nothing to train, no data, or a checkpoint that belongs to another run.
        FloatingPointError: the loss stopped being a number, which a smaller learning rate usually cures.
        RuntimeError: the GPU's memory is too small for a single image.
    """
    groups = groups or [{"params": [p for p in model.parameters() if p.requires_grad], "lr": lr}]
    if not any(group["params"] for group in groups):
        raise ValueError("Every parameter is frozen, so there is nothing to train; unfreeze the head at least.")
    count = len(train.tensors[1])
    if not count or epochs < 1:
        raise ValueError(f"Training needs at least one image and one epoch, not {count} and {epochs}.")
    device = next(model.parameters()).device
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)  # like the inputs: the layout that GPUs convolve fastest
    torch.manual_seed(seed)  # for dropout
    generator = torch.Generator().manual_seed(seed)  # for the order of the images and their augmentation
    optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    steps = epochs * math.ceil(count / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in optimiser.param_groups], total_steps=steps,
        pct_start=0.1 if steps != 10 else 0.11)  # torch divides by zero if the rise is exactly one step long
    compute_in = short_format(device) if preprocess else None  # a head alone gains nothing
    scaler = torch.amp.GradScaler(device.type, enabled=compute_in is torch.float16)
    prepare = (lambda images: images) if preprocess is None else \
        (lambda images: preprocess.augment(images, generator)) if augment else preprocess

    history, best, part, exam_part = History(), None, min(batch_size, count), AT_ONCE
    if checkpoint:
        checkpoint, running = Path(checkpoint), (model, optimiser, schedule, scaler, generator)
        call = checkpoints.fingerprint(model, optimiser, train, val, preprocess, {
            "epochs": epochs, "batch size": batch_size, "weight decay": weight_decay, "augmentation": augment,
            "label smoothing": label_smoothing, "patience": patience, "seed": seed})
        if saved := checkpoints.load(checkpoint, call):
            checkpoints.restore(saved, *running)
            history.epochs, best = saved["history"], saved["best"]
            print(f"{checkpoint.name}: resumed after epoch {len(history.epochs)} of {epochs}.")
    print_once = functools.cache(print)  # a full disk is worth a line, but not a line an epoch

    cuda = device.type == "cuda"
    others = torch.cuda.memory_allocated(device) - sum(p.nbytes for p in model.parameters()) if cuda else 0
    (inputs, labels), val = resident(train, device).tensors, resident(val, device)
    with Progress(epochs - len(history.epochs), bar) if bar else _NoBar() as progress:
        while len(history.epochs) < epochs and (patience is None or history.waited < patience):
            start = time.perf_counter()
            if cuda:
                torch.cuda.reset_peak_memory_stats(device)
            training_mode(model)
            sums = torch.zeros(2, dtype=torch.float64, device=device)  # of the losses; of the right answers
            for chosen in torch.randperm(count, generator=generator).to(inputs.device).split(batch_size):
                x, y = prepare(inputs[chosen].to(device)), labels[chosen].to(device)
                gradients = functools.partial(backward, model, x, y, label_smoothing=label_smoothing,
                                              compute_in=compute_in, scaler=scaler)
                batch_sums, part = within_memory(gradients, part, f", their gradients added up for {len(y)}")
                optimiser_step(optimiser, scaler)
                schedule.step()
                sums += batch_sums
            train_loss, train_accuracy = (sums / count).tolist()
            if not math.isfinite(train_loss):
                raise FloatingPointError("The loss is no longer a number; try a smaller learning rate.")
            memory = torch.cuda.max_memory_allocated(device) - others if cuda else None
            result = evaluate(model, val, preprocess, exam_part)
            exam_part = result.batch_size
            history.epochs.append({
                "train_loss": train_loss, "train_accuracy": train_accuracy, "val_loss": result.loss,
                "val_accuracy": result.accuracy, "lr": schedule.get_last_lr()[0],
                "seconds": time.perf_counter() - start, "memory": memory})
            if not history.waited:
                best = checkpoints.learnt(model)
            if checkpoint:
                state = {"fingerprint": call, "history": history.epochs, "best": best, **checkpoints.capture(*running)}
                try:
                    checkpoints.save(checkpoint, state)
                except OSError as error:
                    print_once(f"The checkpoint {checkpoint} can't be written ({error}); training goes on without it.")
            progress.step(f"validation accuracy {100 * result.accuracy:.1f} %")
            if on_epoch and on_epoch(history):
                break
    model.load_state_dict(best, strict=False)  # not strict: frozen weights are not in it, they are as they were
    return history


class _NoBar:
    """Stands in for `Progress` where nobody wants to watch."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def step(self, note: str = "") -> None:
        pass
