"""What the GPU benchmark measures, section by section.

Each function takes a `World` and gives the section's steps: a dict of functions, each of which measures one thing and
returns it as a dict. So results are written down one by one, and a run that was stopped goes on with the next.
"""
from __future__ import annotations

import contextlib
import functools
import io
import statistics
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from helpers import features, hardware, networks
from helpers.hardware import Arithmetic
from helpers.history import History
from helpers.training import fit, training_mode, training_step
from tests.benchmarks import card, usual_recipe
from tests.benchmarks.gpu_graph import recorded_step
from tests.benchmarks.gpu_world import World
from tests.benchmarks.work import fastest_product, operations

Steps = dict[str, Callable[[], dict]]
RATE = 3e-5
# float16 first: a T4 only emulates bfloat16, which may take all the time that there is.
FORMATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": None}


# --- the peak ----------------------------------------------------------------------------------------------------

def peak(world: World) -> Steps:
    return {name: partial(matrix_product, world, getattr(torch, name)) for name in FORMATS}


def matrix_product(world: World, dtype: torch.dtype) -> dict:
    """The speed of a product of two square matrices: what the card can do at most."""
    return {"rows and columns": world.scale.matrix,
            "operations per second": fastest_product(world.device, dtype, world.scale.matrix)}


# --- the usual recipe and the course, by turns -------------------------------------------------------------------

def full(world: World) -> Steps:
    return pairs(world, frozen=False)


def frozen(world: World) -> Steps:
    return pairs(world, frozen=True)


def pairs(world: World, frozen: bool) -> Steps:
    @functools.cache
    def warm_up() -> None:  # a process's first run waits for libraries to load and to choose their kernels
        usual(world, frozen, seed=0, epochs=1)
        course(world, frozen, seed=0, epochs=1)

    return {str(k): partial(pair, world, frozen, k, warm_up) for k in range(world.scale.pairs)}


def pair(world: World, frozen: bool, k: int, warm_up: Callable[[], None]) -> dict:
    """Both sides once, with seed k; the recipe begins in even pairs, the course in odd ones."""
    warm_up()
    sides = {"usual": usual, "course": course}
    order = list(sides) if k % 2 == 0 else list(sides)[::-1]
    return {side: sides[side](world, frozen, seed=k) for side in order}


def usual(world: World, frozen: bool, seed: int, epochs: int | None = None) -> dict:
    """The usual recipe: "seconds" per epoch, "images per second", "operations per second", "memory" in bytes."""
    epochs = epochs or world.scale.usual_epochs
    model = world.network(frozen, folded=False, seed=seed)
    work = both_passes(model, world) * len(world.train)
    mean, std = world.preprocess.mean, world.preprocess.std
    card.clear(world.device)
    seconds = usual_recipe.train(model, world.train, world.val, mean, std, RATE, epochs, seed)["seconds"] / epochs
    return measured(world, seconds, work)


def course(world: World, frozen: bool, seed: int, epochs: int | None = None) -> dict:
    """The course's way, and the same about it; of frozen features, computed once, each epoch bears its part."""
    epochs = epochs or world.scale.epochs
    model = world.network(frozen, folded=not frozen, seed=seed)
    work = both_passes(model, world) * len(world.train) / (epochs if frozen else 1)
    settings = {"epochs": epochs, "batch_size": world.scale.batch, "seed": seed}
    card.clear(world.device)

    def run() -> None:
        if frozen:
            kept = [features.extract(model, split, world.preprocess) for split in (world.train, world.val)]
            fit(networks.head(model), *kept, **settings)
        else:
            groups = networks.parameter_groups(model, RATE, 3 * RATE)
            fit(model, world.train, world.val, groups=groups, preprocess=world.preprocess, **settings)

    return measured(world, card.timed(world.device, run)[0] / epochs, work)


def both_passes(model: nn.Module, world: World) -> int:
    """Operations for one image, forward and back. (Evaluation is left out: it has hardly any images.)"""
    return operations(model, world.preprocess(world.train.images[:1].to(world.device)))[1]


def measured(world: World, seconds: float, work: float) -> dict:
    return {"seconds": seconds, "images per second": len(world.train) / seconds,
            "operations per second": work / seconds, "memory": card.most(world.device)}


# --- batch sizes and number formats ------------------------------------------------------------------------------

def batch_sizes(world: World) -> Steps:
    return {str(size): partial(batch_size, world, size) for size in world.scale.batches}


def batch_size(world: World, size: int) -> dict:
    """"said" is there if the batch did not fit and was computed in parts: then time and memory are those of parts."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        history = trained(world.network(), world, size)
    return of_the_last_epoch(world, history) | ({"said": lines} if (lines := said.getvalue().splitlines()) else {})


def formats(world: World) -> Steps:
    """float16 is what older GPUs have, Colab's T4 among them: there the loss is scaled, see `hardware.Arithmetic`.

    In float32, PyTorch convolves in TF32 on cards that have it (from the A100 on), unless it is told not to.
    """
    return {name: partial(in_format, world, name) for name in FORMATS}


def in_format(world: World, name: str) -> dict:
    with patch.object(hardware, "short_format", lambda device: FORMATS[name]):
        history = trained(world.network(), world, world.scale.batch)
    return {**of_the_last_epoch(world, history), "training loss": history.column("train_loss")[-1]}


def trained(model: nn.Module, world: World, batch: int) -> History:
    """Two epochs of everything: the first to warm up, the second to be timed."""
    card.clear(world.device)
    return fit(model, world.train, world.val, lr=RATE, epochs=2, batch_size=batch, preprocess=world.preprocess)


def of_the_last_epoch(world: World, history: History) -> dict:
    seconds = history.column("seconds")[-1]
    return {"seconds": seconds, "images per second": len(world.train) / seconds, "memory": history.peak_memory}


# --- torch.compile and CUDA graphs -------------------------------------------------------------------------------

def compiling(world: World) -> Steps:
    return both_ways(world, "compiled")


def graphs(world: World) -> Steps:
    """None on a CPU, where there is nothing to record."""
    return both_ways(world, "recorded") if world.device.type == "cuda" else {}


def both_ways(world: World, other: str) -> Steps:
    """Steps as they are and in another way, for a small batch, which may wait for the processor, and the usual one."""
    small, usual = world.scale.batches[0], world.scale.batch

    @functools.cache
    def warm_up() -> None:  # or whichever step comes first would seem long to prepare
        steps_of(world, small, "as it is")

    def measured_step(size: int, how: str) -> dict:
        warm_up()
        return steps_of(world, size, how)

    return {f"{size} {how}": partial(measured_step, size, how)
            for size in (small, usual) for how in ("as it is", other)}


def steps_of(world: World, size: int, how: str) -> dict:
    """Seconds of a training step, the median of many, and "to prepare": what the first one took on top."""
    model = training_mode(world.network())
    if world.device.type == "cuda":
        model.to(memory_format=torch.channels_last)
    optimiser, arithmetic = AdamW(model.parameters(), lr=RATE, fused=True), Arithmetic(world.device, True, size)
    inputs, labels = batch(world, size)
    card.clear(world.device)
    if how == "compiled":
        backend = "inductor" if world.device.type == "cuda" else "aot_eager"  # a CPU needs a C++ compiler for more
        model = torch.compile(model, backend=backend, dynamic=False)  # or the second size would get a code for any size

    def first() -> Callable[[Tensor, Tensor], object]:
        step = partial(training_step, model, optimiser, arithmetic=arithmetic)
        if how == "recorded":
            step = recorded_step(model, optimiser, inputs, labels, arithmetic)
        step(inputs, labels)
        return step

    start, step = card.timed(world.device, first)
    times = [card.timed(world.device, partial(step, inputs, labels))[0] for _ in range(world.scale.steps)]
    middle = statistics.median(times)
    return {"seconds": middle, "images per second": size / middle,
            "to prepare": max(0.0, start - middle), "memory": card.most(world.device)}


def batch(world: World, size: int) -> tuple[Tensor, Tensor]:
    """A batch on the device, prepared for the network; images come again where there are too few."""
    few = world.train.pick(torch.arange(size) % len(world.train))
    return world.preprocess.augment(few.images.to(world.device)), few.labels.to(world.device)


# --- out of memory -----------------------------------------------------------------------------------------------

def out_of_memory(world: World) -> Steps:
    return {"too full for a batch": partial(goes_on, world), "too full for one image": partial(gives_up, world)}


def goes_on(world: World) -> dict:
    """Fill the card so that the largest batch does not fit, and a quarter of it does; and train as if nothing were."""
    large = world.scale.batches[-1]
    small = large // 4
    alone, needs = {}, {}
    for size in (small, large):
        model = world.network()
        alone[size] = trained(model, world, size)
        needs[size] = alone[size].peak_memory or 0
        del model
    model = world.network()
    own = sum(p.nbytes for p in model.parameters())
    with card.filled(model, (needs[small] + needs[large]) // 2 - own, small), contextlib.redirect_stdout(
            io.StringIO()) as said:
        history = trained(model, world, large)
    return {"said": said.getvalue().strip().splitlines(), **how_it_went(history),
            **{f"{name} with room": value for name, value in how_it_went(alone[large]).items()}}


def gives_up(world: World) -> dict:
    """Leave room for the gradients alone: `fit` must say so in one sentence, and train as usual once there is more."""
    model, said = world.network(), ""
    own = sum(p.nbytes for p in model.parameters())
    with card.filled(model, room=own, images=0), contextlib.redirect_stdout(io.StringIO()):
        try:
            trained(model, world, world.scale.batch)
        except RuntimeError as error:
            said = str(error)
    history = trained(model, world, world.scale.batch)
    return {"said": [said], **how_it_went(history)}


def how_it_went(history: History) -> dict:
    last = history.epochs[-1]
    return {"epochs": len(history.epochs), "seconds": last["seconds"], "training loss": last["train_loss"]}
