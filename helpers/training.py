"""Training: a step, an epoch, and `fit`, the whole of it. Notebook 04 writes these loops by hand, in the same words."""
from __future__ import annotations

import functools
import math
import numbers
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torchvision.ops import StochasticDepth

from helpers.checkpoints import Checkpoint, Run, fingerprint, learnt
from helpers.hardware import Arithmetic, MemoryOfSteps, device_of, resident, within_memory
from helpers.history import History
from helpers.images import LARGEST_SEED, same_classes, whole_number
from helpers.inference import AT_ONCE, check_fits, examine
from helpers.networks import evaluating, last_layer
from helpers.preprocess import Preprocess
from helpers.progress import Progress


def rise_and_fall(step: int, steps: int) -> float:
    """The learning rate of step 0, 1, ... `steps` - 1, as a share of its peak.

    It rises in equal parts over the first tenth of the steps, then falls along a cosine, to zero behind the last step
    (a warm-up, then Loshchilov and Hutter, 2017, arXiv 1608.03983). A run of one step has the peak.
    """
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return (1 + math.cos(math.pi * (step + 1 - rise) / (steps + 1 - rise))) / 2


def training_mode(model: nn.Module) -> nn.Module:
    """Like `model.train()`, but everything before the first trainable layer stays in evaluation mode.

    The frozen part is then one fixed function: its dropout does not fire, its batch norm does not drift, and the
    features it gives can be computed once and kept. "Before" means in the order in which the model lists its layers, in
    which torchvision's networks run them.
    """
    model.train()
    for layer in model.modules():
        if any(p.requires_grad for p in layer.parameters(recurse=False)):
            break
        if not list(layer.children()):
            layer.eval()
    return model


def training_step(model: nn.Module, optimiser: AdamW, inputs: Tensor, labels: Tensor, arithmetic: Arithmetic,
                  label_smoothing: float = 0.0) -> Tensor:
    """Predict, measure the loss, clear the old gradients, compute the new ones, and move the weights.

    A batch too large for the GPU's memory is computed in parts. Each part's loss is weighted with its share of the
    batch, so the sum of the gradients is the gradient of the whole batch. (In a `_bn` network it is not quite: batch
    norm in training takes mean and variance from the part alone.)

    Returns the sum of the losses and the number of right answers, float32 of shape (2,), on the device: to read them
    would make the processor wait for the GPU.
    """
    def gradients(part: int) -> Tensor:
        optimiser.zero_grad()
        sums = torch.zeros(2, device=inputs.device)
        for x, y in zip(inputs.split(part), labels.split(part), strict=True):
            with arithmetic.autocast():
                logits = model(x)
            loss = cross_entropy(logits.float(), y, label_smoothing=label_smoothing)
            arithmetic.backward(loss * (len(y) / len(labels)))
            sums += torch.stack([loss.detach() * len(y), (logits.argmax(1) == y).sum()])
        return sums

    sums, arithmetic.part = within_memory(gradients, arithmetic.part, f", their gradients added up for {len(labels)}")
    arithmetic.step(optimiser)
    return sums


def train_epoch(run: Run, inputs: Tensor, labels: Tensor, prepare: Callable[[Tensor, torch.Generator], Tensor],
                batch_size: int, label_smoothing: float = 0.0, seed: int = 0) -> dict[str, float]:
    """One pass over all images, in a new random order; returns "train_loss", "train_accuracy" and the last "lr".

    `prepare(batch, generator)` turns stored images into the network's inputs. The seed decides order, augmentation and
    dropout, and nothing outside of this epoch changes them.

    Raises `FloatingPointError` if the loss stopped being a number.
    """
    device, generator = device_of(run.model), torch.Generator().manual_seed(seed)
    training_mode(run.model)
    sums = []
    with dropout_from(torch.Generator(device).manual_seed(seed), run.model):
        for batch in torch.randperm(len(labels), generator=generator).to(inputs.device).split(batch_size):
            x, y = prepare(inputs[batch].to(device), generator), labels[batch].to(device)
            sums.append(training_step(run.model, run.optimiser, x, y, run.arithmetic, label_smoothing))
            lr = run.optimiser.param_groups[0]["lr"]
            run.schedule.step()
    loss, right = torch.stack(sums).cpu().double().sum(0).tolist()
    if not math.isfinite(loss):
        raise FloatingPointError("The loss is no longer a number; try a smaller learning rate.")
    return {"train_loss": loss / len(labels), "train_accuracy": right / len(labels), "lr": lr}


def fit(model: nn.Module, train, val=None, *, lr: float = 1e-3, groups: list[dict] | None = None, epochs: int = 20,
        batch_size: int = 32, preprocess: Preprocess | None = None, augment: bool = True, weight_decay: float = 0.01,
        label_smoothing: float = 0.0, seed: int = 0, bar: str | None = None, checkpoint: str | Path | None = None,
        on_epoch: Callable[[History], bool | None] | None = None) -> History:
    """Train whatever has `requires_grad` with AdamW, and leave the model with the weights of its best epoch.

    Best: the highest accuracy on `val`, the first such epoch; without `val` the last one, as nothing is chosen then.
    Whatever ends the training, an error or an interrupt too, the model gets the weights of the best epoch so far, or
    those that it came with. On a CPU, the same seed and the same starting weights give bit-identical results.

    Args:
        train, val: anything with `.tensors`: (uint8 images (n, 3, H, W) or float features (n, ...), int64 labels (n,)).
        lr: peak learning rate of all trainable parameters, unless `groups` gives optimiser groups with their own.
        preprocess: turns images into inputs; needed for images. With `augment`, training images are cropped and
            flipped at random; validation images never are.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al., 2016, arXiv 1512.00567).
        bar: show a progress bar with this label.
        checkpoint: a file that keeps the run after every epoch (see `checkpoints`). After a break, make the same call.
        on_epoch: called after every epoch with the history so far; if it returns True, training ends there.

    Returns the `History`, one entry for each epoch that was run. Raises `ValueError` before the first epoch for what
    does not fit together, `FloatingPointError` if the loss stops being a number, and `RuntimeError` where the GPU's
    memory is too small for a single image.
    """
    settings = {"epochs": epochs, "batch size": batch_size, "weight decay": weight_decay, "augmentation": augment,
                "label smoothing": label_smoothing, "seed": seed}
    groups = optimiser_groups(model, groups, lr)
    check_call(model, train, val, preprocess, settings)
    model.zero_grad()
    memory, device = MemoryOfSteps(model), device_of(model)
    run = new_run(model, train, groups, settings)
    file = Checkpoint(checkpoint, fingerprint(run, train, val, preprocess, settings)) if checkpoint else None
    if file and file.resume(run):
        print(f"{file.path.name}: resumed after epoch {len(run.history.epochs)} of {epochs}.")
    prepare = preparation(preprocess, augment)
    (inputs, labels), at_once = resident(train, device).tensors, AT_ONCE
    exam = None if val is None else resident(val, device)
    with leaving_the_best(run), Progress(epochs - len(run.history.epochs), bar) as progress:
        for epoch_seed in seeds(seed, epochs)[len(run.history.epochs):]:
            start = time.perf_counter()
            memory.begin()
            outcome = train_epoch(run, inputs, labels, prepare, batch_size, label_smoothing, epoch_seed)
            outcome["memory"], words = memory.peak(), f"training loss {outcome['train_loss']:.2f}"
            if exam is not None:
                result = examine(model, exam, preprocess, at_once)
                at_once, words = result.batch_size, f"validation accuracy {100 * result.accuracy:.1f} %"
                outcome |= {"val_loss": result.loss, "val_accuracy": result.accuracy}
            run.note(outcome | {"seconds": time.perf_counter() - start})
            if file:
                file.save(run)
            progress.step(words)
            if on_epoch and on_epoch(run.history):
                break
    return run.history


# --- what `fit` needs --------------------------------------------------------------------------------------------

def check_call(model: nn.Module, train, val, preprocess: Preprocess | None, settings: dict) -> None:
    """Raise `ValueError` with one sentence for arguments of `fit` that can't lead to anything."""
    whole_number(settings["epochs"], "The number of epochs", 1, 10**6)
    whole_number(settings["batch size"], "The batch size", 1, 10**9)
    whole_number(settings["seed"], "The seed", 0, LARGEST_SEED)
    check_fits(model, train, preprocess, "train")
    if val is not None:
        check_fits(model, val, preprocess, "val")
        same_classes(train, val)
    if torch.is_inference_mode_enabled():
        raise ValueError("Nothing can be learnt inside `torch.inference_mode()`: call `fit` outside of it.")


def optimiser_groups(model: nn.Module, groups: list[dict] | None, lr: float) -> list[dict]:
    """Copies of the parameter groups, with what is trainable in them: the optimiser rewrites the dicts it is given.

    Raises `ValueError` if there is nothing to train, or a learning rate is no positive number. (In one of several
    groups it may be 0.)
    """
    if groups is None:
        groups = [{"params": model.parameters(), "lr": lr}]
    groups = [group | {"params": [p for p in group["params"] if p.requires_grad]} for group in groups]
    if not any(group["params"] for group in groups):
        raise ValueError("Every parameter is frozen, so there is nothing to train; unfreeze the head at least. (Or the "
                         "groups came from a generator, which one run uses up: write `list(...)` around it.)")
    groups = [group for group in groups if group["params"]]
    rates = [group.get("lr", lr) for group in groups]
    if not all(isinstance(rate, numbers.Real) and 0 <= rate < math.inf for rate in rates) or not any(rates):
        raise ValueError(f"A learning rate must be a number above 0, such as 1e-3, not {', '.join(map(str, rates))}.")
    return [group | {"lr": rate} for group, rate in zip(groups, rates, strict=True)]


def new_run(model: nn.Module, train, groups: list[dict], settings: dict) -> Run:
    """A run that has not begun."""
    if device_of(model).type == "cuda":
        model.to(memory_format=torch.channels_last)  # like the inputs: the layout that GPUs convolve fastest
    if hasattr(train, "classes"):
        last_layer(model)[1].classes = tuple(train.classes)  # so that `evaluate` can compare them with an exam's
    inputs, labels = train.tensors
    steps = settings["epochs"] * math.ceil(len(labels) / settings["batch size"])
    optimiser = AdamW(groups, weight_decay=settings["weight decay"], fused=True)
    schedule = LambdaLR(optimiser, lambda step: rise_and_fall(step, steps))
    # Images and maps gain from a short format, a head alone does not.
    arithmetic = Arithmetic(device_of(model), short=inputs.ndim > 2, part=min(settings["batch size"], len(labels)))
    return Run(model, optimiser, schedule, arithmetic, History(), learnt(model))


def preparation(preprocess: Preprocess | None, augment: bool) -> Callable[[Tensor, torch.Generator], Tensor]:
    """The function that turns a batch as it is stored into the network's inputs, with random draws from a generator."""
    if preprocess is None:
        return lambda features, generator: features.float()
    return preprocess.augment if augment else lambda images, generator: preprocess(images)


def seeds(seed: int, count: int) -> list[int]:
    """A seed for each epoch, drawn from `seed`: so no generator has to live from one epoch to the next."""
    return torch.randint(2**31, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


@contextmanager
def leaving_the_best(run: Run) -> Iterator[None]:
    """Whatever ends the block, the model gets the best weights so far, and every layer the mode that it was in.

    Inside it gradients are computed, even where somebody has switched them off.
    """
    try:
        with evaluating(run.model), torch.enable_grad():  # for the modes it puts back; `train_epoch` sets its own
            yield
    finally:
        run.model.load_state_dict(run.best, strict=False)  # not strict: frozen weights are not in it
        run.model.zero_grad()


@contextmanager
def dropout_from(generator: torch.Generator, model: nn.Module) -> Iterator[None]:
    """Let every dropout layer draw from `generator`, not from torch's global one, from which other cells draw, too.

    Stochastic depth is one as well: it drops what a residual block adds, for whole images (Huang et al., 2016, arXiv
    1603.09382).
    """
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Dropout, StochasticDepth))]
    for layer in layers:
        layer.forward = functools.partial(dropout, layer, generator)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own shows again


def dropout(layer: nn.Dropout | StochasticDepth, generator: torch.Generator, inputs: Tensor) -> Tensor:
    """What `layer` does: in training mode each number is dropped with probability p, and the others grow by 1/(1-p).

    Stochastic depth makes one draw for all numbers of an image or, in the mode "batch", of the batch.
    """
    if not layer.training or not layer.p:
        return inputs
    draws = inputs
    if isinstance(layer, StochasticDepth):
        images = len(inputs) if layer.mode == "row" else 1
        draws = inputs.new_empty(images, *[1] * (inputs.ndim - 1))
    kept = torch.empty_like(draws).bernoulli_(1 - layer.p, generator=generator)
    return inputs * kept / max(1 - layer.p, 1e-9)
