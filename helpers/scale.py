"""When it outgrows your machine: photographs read from the disk, the training step on several GPUs, and the cost of it.

The step is that of `training`, with the help of Hugging Face's accelerate, which only this needs: `pip install
accelerate`. Each GPU has a process of its own, with a copy of the network. Each takes its share of every batch, and the
gradients are averaged before the weights move: so all copies stay alike, and learn what one process would have learnt.

    python -m helpers.scale my_pictures my_network              # one process: the device that `devices.choose` chooses
    accelerate launch -m helpers.scale my_pictures my_network   # one for each GPU

or in a notebook whose kernel has not used the GPUs yet:

    accelerate.notebook_launcher(scale.run, ("my_pictures", "my_network"), num_processes=8)
"""
from __future__ import annotations

import argparse
import importlib.util
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from helpers import devices, networks, photographs, pictures, plans, takeaway
from helpers.preprocess import Preprocess
from helpers.training import optimiser_groups, rise_and_fall, training_mode

NEEDED = ("accelerate",)
SIZES = {"ten thousand": 10_000, "a million": 1_000_000, "ImageNet": 1_281_167}  # images
GPUS = (1, 8)


class Photographs(Dataset):
    """Photographs in one folder per class, read when they are asked for: the memory holds their paths alone.

    An item is (pixels uint8 (3, size, size), label). `left_out` says which files are no pictures. `classes` are as in
    `datasets.folder`, which raises the same `ValueError`s. A photograph that can't be read ends the training with its
    name: `audit` finds them beforehand.
    """

    def __init__(self, root: str | Path, size: int, classes: tuple[str, ...] | None = None):
        found = photographs.listing(root)
        self.classes, self.size, self.left_out = photographs.class_names(found, classes), size, found.said()
        self.files = [(file, self.classes.index(name)) for name, files in found.files.items() for file in files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        file, label = self.files[place]
        try:
            return pictures.read(file.read_bytes(), self.size)[0], label
        except (OSError, ValueError) as error:
            raise ValueError(f"{file}: {error} Look at the whole folder with `audit.audit` before a long "
                             "training.") from error


@dataclass(frozen=True)
class Outcome:
    """`losses` of all steps, each the mean over its whole batch; `accuracy` (0 to 1) on the validation images, or None;
    and how many `images_per_second` all processes together have trained on, reading included (None after one step)."""

    losses: tuple[float, ...]
    accuracy: float | None
    images_per_second: float | None


def train(model: nn.Module, data: Dataset, preprocess: Preprocess, val: Dataset | None = None, *, lr: float = 1e-3,
          groups: list[dict] | None = None, epochs: int = 1, batch_size: int = 64, workers: int = 4,
          augment: bool = True, seed: int = 0) -> Outcome:
    """`training.fit` for data that no memory holds, on every GPU that accelerate was launched for.

    `batch_size` is that of a whole step: it is divided among the processes, so that it needs no other learning rate
    with eight GPUs than with one. The same seed gives the same order of images whatever their number. (Augmentation and
    dropout are drawn by each process for itself, and batch norm takes mean and variance from its share of the batch.)

    Raises `RuntimeError` if accelerate is missing, `ValueError` if the batch can't be divided equally, and
    `FloatingPointError` if the loss stops being a number.
    """
    check_package()
    from accelerate import Accelerator
    from accelerate.utils import DataLoaderConfiguration, set_seed

    accelerator = Accelerator(cpu=devices.choose().type == "cpu",
                              dataloader_config=DataLoaderConfiguration(split_batches=True))
    if batch_size % accelerator.num_processes:
        raise ValueError(f"A batch of {batch_size} can't be divided equally among {accelerator.num_processes} "
                         "processes: choose a multiple of their number.")
    set_seed(seed, device_specific=True)
    if hasattr(data, "classes"):
        networks.last_layer(model)[1].classes = tuple(data.classes)  # so that others can compare theirs with them
    optimiser = AdamW(optimiser_groups(model, groups, lr))
    loader = DataLoader(data, batch_size, shuffle=True, num_workers=workers,
                        generator=torch.Generator().manual_seed(seed))
    model, optimiser, loader = accelerator.prepare(model, optimiser, loader)
    steps = epochs * len(loader)
    schedule = LambdaLR(optimiser.optimizer, lambda step: rise_and_fall(step, steps))
    draws = torch.Generator().manual_seed(seed + accelerator.process_index)
    losses, seconds = [], 0.0
    for _ in range(epochs):
        training_mode(model)
        sums = []
        for (inputs, labels), batch in zip(loader, batches(len(data), batch_size), strict=True):
            inputs = preprocess.augment(inputs, draws) if augment else preprocess(inputs)
            sums.append(training_step(accelerator, model, optimiser, inputs, labels, batch))
            schedule.step()
            if len(sums) == 1:  # which has waited for the workers to start
                sums[0].item()
                clock = time.perf_counter()
        losses += accelerator.reduce(torch.stack(sums)).tolist()
        seconds += time.perf_counter() - clock
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError("The loss is no longer a number; try a smaller learning rate.")
    exam = None if val is None else accuracy(accelerator, model, val, preprocess, batch_size, workers)
    timed = epochs * max(0, len(data) - batch_size)
    return Outcome(tuple(losses), exam, timed / seconds if timed else None)


def training_step(accelerator, model: nn.Module, optimiser, inputs: Tensor, labels: Tensor, batch: int) -> Tensor:
    """`training.training_step` for this process's share of a batch of `batch` images; its part of the batch's loss.

    Each image weighs 1/`batch`, wherever it is computed. As accelerate averages the gradients over the processes, each
    multiplies its own by their number. The share of a last, smaller batch is filled up with images that have had their
    turn (all processes must take equally many steps): these don't count.
    """
    optimiser.zero_grad()
    own = share(accelerator, len(labels), batch)
    loss = cross_entropy(model(inputs).float(), labels, reduction="none")[:own].sum() / batch
    accelerator.backward(loss * accelerator.num_processes)
    optimiser.step()
    return loss.detach()


@torch.no_grad()
def accuracy(accelerator, model: nn.Module, data: Dataset, preprocess: Preprocess, batch_size: int,
             workers: int) -> float:
    """The share of right answers (0 to 1), every image counted once."""
    right = torch.zeros((), device=accelerator.device)
    loader = accelerator.prepare(DataLoader(data, batch_size, num_workers=workers))
    with networks.evaluating(model):
        for (inputs, labels), batch in zip(loader, batches(len(data), batch_size), strict=True):
            own = share(accelerator, len(labels), batch)
            right += (model(preprocess(inputs)).argmax(1) == labels)[:own].sum()
    return accelerator.reduce(right).item() / len(data)


def batches(count: int, batch_size: int) -> list[int]:
    """How many images each batch has: the last one has what is left."""
    return [min(batch_size, count - start) for start in range(0, count, batch_size)]


def share(accelerator, held: int, batch: int) -> int:
    """Of the `held` images that this process has of a batch of `batch`, how many are no filling."""
    return min(max(batch - accelerator.process_index * held, 0), held)


def check_package() -> None:
    """Raise `RuntimeError` with the command to run if accelerate is missing."""
    if importlib.util.find_spec(NEEDED[0]) is None:
        raise RuntimeError("Training on several GPUs needs a package that is not here: run `pip install accelerate` "
                           "first.")


# --- what it costs -----------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Cost:
    """The `hours` that pass, the `gpu_hours` that are paid for, and the `money` that these take."""

    hours: float
    gpu_hours: float
    money: float


def cost(images: int, images_per_second: float, epochs: int = 20, gpus: int = 1, price: float = 2.0,
         efficiency: float = 0.9) -> Cost:
    """What a training takes, calculated from a speed that was measured.

    Args:
        images_per_second: measured on one GPU, reading included, as `train` and `python -m helpers.scale` tell it.
        price: of one GPU for one hour, in your currency. 2 is an example: look up what yours costs.
        efficiency: with several GPUs, the share of their speed that is left when they wait for one another and for the
            disk. 0.9 is an assumption: measure yours as images per second with all of them, divided by their number
            times images per second with one.

    Raises `ValueError` for numbers that can't be.
    """
    for name, value in (("images", images), ("images_per_second", images_per_second), ("epochs", epochs),
                        ("gpus", gpus), ("efficiency", efficiency)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value}.")
    if not (price >= 0 and efficiency <= 1):
        raise ValueError("A price is 0 or more, and an efficiency at most 1.")
    hours = images * epochs / (images_per_second * gpus * (efficiency if gpus > 1 else 1)) / 3600
    return Cost(hours, hours * gpus, hours * gpus * price)


def costs(images_per_second: float, epochs: int = 20, price: float = 2.0, efficiency: float = 0.9) -> str:
    """A table of `cost` for ten thousand images, a million and ImageNet's, on one GPU and on eight."""
    lines = [f"{photographs.counted(epochs, 'epoch')} at {images_per_second:.0f} images per second and GPU, {price:g} "
             f"per GPU and hour; eight GPUs at {100 * efficiency:.0f} % of eight times the speed:"]
    for name, images in SIZES.items():
        for gpus in GPUS:
            one = cost(images, images_per_second, epochs, gpus, price, efficiency)
            lines.append(f"{name:>12}  {images:>9,} images  {gpus} GPU{'s' if gpus > 1 else ' '} {one.hours:>9.2f} h "
                         f"{one.money:>10.2f}")
    return "\n".join(lines)


def run(folder: str | Path, out: str | Path, network: str = "pocket_resnet", size: int = 96, epochs: int = 20,
        lr: float = 3e-4, batch_size: int = 64, workers: int = 4) -> None:
    """Train a network on `folder`, which holds train and val, save it with `takeaway.save`, and print what it cost.

    Every process runs this; the first one saves and prints. `lr` is the backbone's peak rate, and the head's is ten
    times as large. Raises what `train`, `Photographs` and `takeaway.save` raise.
    """
    check_package()
    from accelerate import PartialState

    data = Photographs(Path(folder) / "train", size)
    val = Photographs(Path(folder) / "val", size, data.classes)
    processes = PartialState(cpu=devices.choose().type == "cpu")
    for name, split in (("train", data), ("val", val)):
        if split.left_out and processes.is_main_process:
            print(f"Left out of {name}: {split.left_out}.")
    model = networks.build(network, num_classes=len(data.classes))
    preprocess = Preprocess(*networks.normalisation(network))
    outcome = train(model, data, preprocess, val, groups=networks.parameter_groups(model, lr, 10 * lr), epochs=epochs,
                    batch_size=batch_size, workers=workers)
    if processes.is_main_process:
        takeaway.save(model, out, network, data.classes, size, preprocess)
        print(f"Validation accuracy {100 * outcome.accuracy:.1f} %; the network is in {out}.")
        if outcome.images_per_second:
            alone = processes.num_processes == 1  # several have been measured as they wait for one another
            print(costs(outcome.images_per_second / processes.num_processes, epochs, efficiency=0.9 if alone else 1.0))
    processes.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.scale", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="holds train and val; in each of them a folder per class")
    parser.add_argument("out", help="the folder for the network: a new one, or that of an earlier network")
    parser.add_argument("--network", choices=plans.NAMES, default="pocket_resnet", metavar="NAME")
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=3e-4,
                        help="of the backbone (VGG-16 wants a tenth of this); the head's is ten times as large")
    parser.add_argument("--batch-size", type=int, default=64, help="of a whole step, divided among the GPUs")
    parser.add_argument("--workers", type=int, default=4, help="processes that read, for each GPU")
    try:
        run(**vars(parser.parse_args()))
    except (ValueError, RuntimeError, FloatingPointError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
