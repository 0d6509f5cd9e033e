"""Exams, networks and panels that are made up: for what must hold with any number of classes and any size of image."""
import torch

from helpers import anatomy, mistakes, networks
from helpers.images import ImageSplit
from helpers.inference import Evaluation
from helpers.intervals import Difference
from helpers.lesson_02 import panels as panels_02
from helpers.lesson_03 import panels as panels_03
from helpers.lesson_05 import panels as panels_05
from helpers.lesson_06 import panels as panels_06
from helpers.preprocess import Preprocess

PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3)
NAMES = ("sun", "Norwegian forest cat", "$x_1$", "ox")  # short and long, and one with signs that start a formula


def names(classes: int) -> tuple[str, ...]:
    return tuple(f"{NAMES[k % 4]} {k}" for k in range(classes))


def exam(classes: int, size: int, per_class: int = 1) -> ImageSplit:
    """Noise in so many classes, class by class."""
    draws = torch.Generator().manual_seed(classes)
    images = torch.randint(0, 256, (classes * per_class, 3, size, size), dtype=torch.uint8, generator=draws)
    return ImageSplit(images, torch.arange(classes).repeat_interleave(per_class), names(classes))


def answered(split: ImageSplit, wrong: bool = True) -> Evaluation:
    """Every answer is right; or each is that of the class behind, with another certainty for every image."""
    classes = len(split.classes)
    answers = (split.labels + wrong) % classes
    sure = torch.linspace(1, 4, len(split))[:, None]
    return Evaluation(0.5, 0.0 if wrong else 1.0, sure * torch.eye(classes)[answers], split.labels)


def explain(images, classes):
    """Heat maps that are lightest at the right."""
    return torch.linspace(0, 1, images.shape[-1]).expand(len(images), *images.shape[2:])


def network(classes: int):
    """Small, and drawn at random."""
    return networks.build("pocket_vgg", weights=None, num_classes=classes)


def layer_explorer(split: ImageSplit):
    model = network(len(split.classes))
    table = anatomy.layer_table(model, split.images.shape[-1])
    shown = [row.name for row in table if row.block and row.kind != "ReLU"]
    liked = anatomy.favourites(model, PREPROCESS(split.images[:20]), shown)
    return panels_02.layer_explorer(model, split.few(1), PREPROCESS, split.pick(torch.arange(len(split)) < 20), liked)


def augmentation(split: ImageSplit):
    return panels_03.augmentation(
        split.images[0], lambda **settings: (None, f"v2.Compose([v2.RandomCrop(size={split.images.shape[-1]})])"),
        lambda pipeline, images, seed: images, lambda pipeline, seed: Difference(0.01, -0.02, 0.04),
        lambda difference, verdict: f"Drawn like this, the exam changes by {difference}.")


def try_picture(split: ImageSplit):
    known = {f"{when}: {len(split.classes)} classes of the task": (network(len(split.classes)), split.classes)
             for when in ("before", "after")}
    return panels_06.try_picture(known, PREPROCESS, split.images[0])


def refusals(split: ImageSplit):
    sure = torch.linspace(0, 1, len(split))
    return panels_06.refusals({"own classes, right": sure, "own classes, wrong": sure[:0], "other things": sure}, 0.4)


def freeze_depth(split: ImageSplit):
    layers = [row for row in anatomy.layer_table(network(len(split.classes)), split.images.shape[-1]) if row.parameters]
    memory = {depth: {"weights": 1e6, "gradients": depth * 1e5, "optimiser": depth * 2e5, "activations": depth * 3e5}
              for depth in range(1, len(layers) + 1)}
    return panels_05.freeze_depth(layers, memory, {depth: depth * 100 for depth in memory}, 16, 3)


def live_training(_):
    return panels_05.LiveTraining(lambda depth, rate, on_epoch: None, 11, [1e-4, 3e-4, 1e-3], 3e-4, 16, {})


def browser(split: ImageSplit):
    return mistakes.browser(split, answered(split), explain)


PANELS = {"mistakes.browser": browser, "panels.layer_explorer": layer_explorer, "panels.augmentation": augmentation,
          "panels.try_picture": try_picture, "panels.refusals": refusals, "panels.freeze_depth": freeze_depth,
          "panels.LiveTraining": live_training}
