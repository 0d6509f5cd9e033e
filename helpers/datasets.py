"""The images: every data set arrives as the same `ImageSplit` of uint8 pixels, labels and class names.

The **pocket data set** is composed on the spot from emoji artwork that ships with the course. It has STL-10's ten
classes and STL-10's image size, so code written for one runs on the other.

How hard it is, exactly. Three families of artists (Noto, Twemoji, Fluent) drew the same 65 emoji of the ten classes. Of
each emoji, two drawings go to training and the third, in turn from each family, goes to test (the first, third, fifth,
... emoji of a class) or to validation (the others). A network is thus trained on two artists' poodles and examined on a
third's: no drawing is ever in two splits. A class has from 4 (deer) to 28 (bird) drawings in training, from 1 (deer) to
7 (bird) in test, and as many or one fewer in validation. So few drawings make an exam a small sample: the two exams
differ in difficulty, and a validation accuracy must not be compared with a test accuracy.

Each image shows one drawing, mirrored half of the time, turned by up to 25 degrees, 56 to 96 pixels wide, anywhere in
the frame, brighter or darker by up to a quarter, on a smooth random background with fine noise.
"""
from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from helpers import downloads, pictures
from helpers import stl10 as stl10_files

ASSETS = Path(__file__).resolve().parent / "assets"
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FAMILIES = ("noto", "twemoji", "fluent")
SPLITS = ("train", "val", "test")
NAMES = ("pocket", "digits", "stl10")
SIZE = 96  # pixels, as in STL-10
PER_CLASS = {"train": 500, "val": 100, "test": 200}


def check_images(images: Tensor) -> None:
    """Raise `ValueError` unless `images` is a uint8 tensor of shape (n, 3, H, W)."""
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        got = f"{images.dtype} of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"Images must be a uint8 tensor of shape (n, 3, height, width), not {got}.")


@dataclass(frozen=True)
class ImageSplit:
    """Labelled images: `images` uint8 (n, 3, H, W), `labels` int64 (n,), `classes` the names behind the labels.

    `origin` says for each image where it comes from (pocket data: the drawing's name, family and licence).
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    origin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_images(self.images)
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.images),):
            raise ValueError(f"Labels must be int64 of shape ({len(self.images)},), "
                             f"not {self.labels.dtype} of shape {tuple(self.labels.shape)}.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """(images, labels), as in `torch.utils.data.TensorDataset`."""
        return self.images, self.labels

    def pick(self, indices: Tensor) -> ImageSplit:
        """The images at these positions, in this order."""
        origin = tuple(self.origin[int(k)] for k in indices) if self.origin else ()
        return replace(self, images=self.images[indices], labels=self.labels[indices], origin=origin)

    def few(self, per_class: int, seed: int = 0) -> ImageSplit:
        """A random subset with `per_class` images of every class; another seed gives another subset.

        Raises `ValueError` if a class has fewer.
        """
        counts = torch.bincount(self.labels, minlength=len(self.classes))
        if not 1 <= per_class <= int(counts.min()):
            scarce = self.classes[int(counts.argmin())]
            raise ValueError(f"{per_class} images a class were asked for; choose 1 to {int(counts.min())} "
                             f"({scarce!r} has no more).")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        chosen = [order[self.labels[order] == label][:per_class] for label in range(len(self.classes))]
        return self.pick(torch.cat(chosen))


def load(name: str, split: str, root: str | Path | None = None) -> ImageSplit:
    """One split ("train", "val" or "test") of the data set `name` ("pocket", "digits" or "stl10").

    `root` is the folder that holds STL-10's files; the other two come with the course's packages.
    """
    loaders = {"pocket": pocket, "digits": digits, "stl10": functools.partial(stl10, root=root)}
    if name not in loaders:
        raise ValueError(f"Unknown data set {name!r}; choose one of {', '.join(loaders)}.")
    return loaders[name](split)


def check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")


# --- the pocket data set -----------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=1)
def sprite_table() -> dict:
    """The contents of `assets/sprites.json`: tile size, families with licence and author, and the emoji."""
    path = ASSETS / "sprites.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not {"tile", "columns", "families", "emoji"} <= set(table):
            raise ValueError("incomplete")
        return table
    except (OSError, ValueError) as error:
        raise RuntimeError(f"The asset {path.name} is missing or damaged; get a fresh copy of the course.") from error


@functools.lru_cache(maxsize=1)
def sprite_pixels() -> np.ndarray:
    """All shipped drawings, premultiplied RGBA: uint8 of shape (family, emoji, tile, tile, 4)."""
    table = sprite_table()
    tile, columns, count = table["tile"], table["columns"], len(table["emoji"])
    sheets = []
    for family in FAMILIES:
        path = ASSETS / f"{family}.png"
        try:
            sheet = np.asarray(Image.open(path).convert("RGBA"))
            rows = sheet.shape[0] // tile
            tiles = sheet.reshape(rows, tile, columns, tile, 4).swapaxes(1, 2).reshape(-1, tile, tile, 4)[:count]
            if len(tiles) < count:
                raise ValueError("too few tiles")
        except (OSError, ValueError, SyntaxError) as error:
            raise RuntimeError(
                f"The asset {path.name} is missing or damaged; get a fresh copy of the course.") from error
        sheets.append(tiles)
    return premultiply(np.stack(sheets))


def premultiply(rgba: np.ndarray) -> np.ndarray:
    """Multiply colour by alpha, so that blending at the edges is a plain sum. uint8 in, uint8 out."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return np.concatenate([(rgba[..., :3] * alpha + 127) // 255, alpha], axis=-1).astype(np.uint8)


def split_sprites(split: str) -> list[tuple[int, int, int]]:
    """The drawings that `split` may use, as (class, family, emoji) indices; the rule is in the module's docstring."""
    check_split(split)
    seen = dict.fromkeys(CLASSES, 0)
    sprites = []
    for k, emoji in enumerate(sprite_table()["emoji"]):
        if emoji["label"] is None:
            continue
        number = seen[emoji["label"]]
        seen[emoji["label"]] += 1
        exam = (number + number // 3) % len(FAMILIES)  # the family whose drawing is kept for validation or test
        if split == "train":
            families = [family for family in range(len(FAMILIES)) if family != exam]
        else:
            families = [exam] if (number % 2 == 1) == (split == "val") else []
        sprites += [(CLASSES.index(emoji["label"]), family, k) for family in families]
    return sprites


def backgrounds(count: int, rng: np.random.RandomState) -> np.ndarray:
    """Smooth random backgrounds: uint8 of shape (count, 3, SIZE, SIZE), a grid of 3 x 3 tints, interpolated."""
    tint = rng.randint(70, 200, size=(count, 3, 1))
    knots = tint + rng.randint(-55, 56, size=(count, 3, 9))
    right = np.arange(SIZE) * 256 // (SIZE - 1)  # from knot to knot, in 128ths: whole numbers, so the sums are exact
    hats = np.stack([np.maximum(0, 128 - np.abs(right - 128 * k)) for k in range(3)])
    weights = np.einsum("iy,jx->ijyx", hats, hats).reshape(9, SIZE * SIZE).astype(np.float32) / 2**14
    smooth = knots.reshape(-1, 9).astype(np.float32) @ weights  # exact: no sum needs more than 24 bits
    return smooth.astype(np.uint8).reshape(count, 3, SIZE, SIZE)


def place(sprite: np.ndarray, rng: np.random.RandomState) -> Image.Image:
    """Draw a premultiplied sprite (tile, tile, 4) into an empty SIZE x SIZE frame: mirrored, turned, scaled, shifted.

    The frame is sampled at twice its size with nearest neighbours, which Pillow does in fixed-point arithmetic, and
    then averaged two by two: the same bytes on every machine, and smooth edges.
    """
    tile = len(sprite)
    mirror = 1 - 2 * rng.randint(2)
    width = rng.randint(56, SIZE + 1)
    angle = np.deg2rad(rng.randint(-25, 26))
    slack = (SIZE - width) // 2 + 6  # up to six pixels of the drawing may leave the frame
    x, y = SIZE + 2 * rng.randint(-slack, slack + 1, size=2)
    scale = tile / (2 * width)
    cos, sin = np.round([np.cos(angle) * scale, np.sin(angle) * scale], 6)
    matrix = (mirror * cos, mirror * sin, tile / 2 - mirror * (cos * x + sin * y),
              -sin, cos, tile / 2 + sin * x - cos * y)
    image = Image.frombuffer("RGBa", (tile, tile), np.ascontiguousarray(sprite), "raw", "RGBa", 0, 1)
    return image.transform((2 * SIZE, 2 * SIZE), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST).reduce(2)


def compose(sprites: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Put each premultiplied sprite (n, tile, tile, 4) uint8 on a background: uint8 of shape (n, 3, SIZE, SIZE).

    Only whole-number arithmetic and NumPy's frozen `RandomState`: the same seed gives the same bytes everywhere.
    """
    images = np.empty((len(sprites), 3, SIZE, SIZE), np.uint8)
    noise = rng.randint(-8, 9, size=(3, SIZE + 64, SIZE + 64)).astype(np.int16)
    for start in range(0, len(sprites), 64):  # in blocks that stay in the processor's cache
        block = sprites[start:start + 64]
        front = np.stack([np.asarray(place(sprite, rng)) for sprite in block]).transpose(0, 3, 1, 2)
        gain = rng.randint(96, 161, size=(len(block), 1, 1, 1)).astype(np.uint16)  # brightness, in 128ths
        corner = rng.randint(64, size=(len(block), 2))
        grain = np.stack([noise[:, y:y + SIZE, x:x + SIZE] for y, x in corner])
        pixels = backgrounds(len(block), rng) * (255 - front[:, 3:]).astype(np.uint16)  # what shines through
        pixels += 128
        pixels >>= 8
        pixels += front[:, :3]
        pixels *= gain
        pixels >>= 7
        pixels = pixels.view(np.int16)
        pixels += grain
        np.clip(pixels, 0, 255, out=images[start:start + 64], casting="unsafe")
    return images


@functools.lru_cache(maxsize=3)
def pocket(split: str, seed: int = 0) -> ImageSplit:
    """One split of the pocket data set: 500, 100 or 200 images a class for "train", "val", "test".

    Each class takes its drawings in turn, so that all appear equally often. Same seed, same bytes.
    """
    check_split(split)
    rng = np.random.RandomState(1_000 * seed + SPLITS.index(split))
    table, pixels, sprites = sprite_table(), sprite_pixels(), split_sprites(split)
    chosen = []
    for label in range(len(CLASSES)):
        own = [sprite for sprite in sprites if sprite[0] == label]
        chosen += [own[k % len(own)] for k in range(PER_CLASS[split])]
    chosen = [chosen[k] for k in rng.permutation(len(chosen))]
    labels, families, emoji = np.array(chosen).T
    images = compose(pixels[families, emoji], rng)
    licences = {name: table["families"][name]["licence"] for name in FAMILIES}
    origin = tuple(f"{table['emoji'][k]['name']}, {FAMILIES[f]}, {licences[FAMILIES[f]]}" for _, f, k in chosen)
    return ImageSplit(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)), CLASSES, origin)


def source_examples(count: int = 12) -> Tensor:
    """Drawings from the source task of `pocket_vgg`, for looking at: uint8 (3 * count, 3, tile, tile), on white.

    `count` emoji for each of the three families, in the same order; all of them lie outside the ten classes.
    """
    shown = [k for k, emoji in enumerate(sprite_table()["emoji"]) if emoji["label"] is None]
    shown = shown[:: max(1, len(shown) // count)][:count]
    drawings = sprite_pixels()[:, shown].reshape(-1, *sprite_pixels().shape[2:]).astype(np.uint16)
    on_white = drawings[..., :3] + (255 - drawings[..., 3:])
    return torch.from_numpy(on_white.astype(np.uint8).transpose(0, 3, 1, 2).copy())


# --- a far target, and photographs -------------------------------------------------------------------------------

@functools.lru_cache(maxsize=3)
def digits(split: str) -> ImageSplit:
    """scikit-learn's handwritten digits, 8 x 8 grey, enlarged to 96 x 96 RGB: a target far from any photograph.

    1,797 images: 1,000 for "train", 297 for "val", 500 for "test", shuffled once with a fixed seed.
    """
    from sklearn.datasets import load_digits

    check_split(split)
    grey, labels = load_digits(return_X_y=True)
    start, stop = {"train": (0, 1000), "val": (1000, 1297), "test": (1297, 1797)}[split]
    order = np.random.RandomState(0).permutation(len(labels))[start:stop]
    small = torch.from_numpy(grey[order]).view(-1, 1, 8, 8) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=SIZE, mode="bilinear", align_corners=False)
    images = large.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    return ImageSplit(images, torch.from_numpy(labels[order].astype(np.int64)), tuple("0123456789"))


def stl10(split: str, fold: int | None = None, root: str | Path | None = None) -> ImageSplit:
    """STL-10's labelled images, fetched into the folder `root` (by default TL_CACHE) where they are not there yet.

    The official 5,000 training images are divided: the last 100 of each class are "val", the others "train".
    "test" is the official test set of 8,000. With `fold` (0 to 9), "train" is one of the official protocol's ten
    overlapping sets of 1,000 images, and "val" the last 100 of each class among the others: ten runs, error bars.

    Raises:
        ValueError: an unknown split or fold.
        RuntimeError: the files can't be had, or the list of folds is absent; the message says what to do.
    """
    from torchvision import datasets

    class Labelled(datasets.STL10):
        train_list = datasets.STL10.train_list[:2]  # without unlabeled_X: torchvision would insist on it

    check_split(split)
    if fold is not None and fold not in range(10):
        raise ValueError(f"STL-10 has the folds 0 to 9, not {fold!r}.")
    root = Path(root) if root else downloads.cache_folder()
    stl10_files.fetch(root)
    data = Labelled(str(root), split="test" if split == "test" else "train")
    whole = ImageSplit(torch.from_numpy(data.data), torch.from_numpy(data.labels).long(), CLASSES)
    if split == "test":
        return whole
    chosen = torch.zeros(len(whole), dtype=torch.bool)
    if fold is not None:
        chosen[torch.from_numpy(stl10_files.folds(root)[fold])] = True
    own = [torch.nonzero((whole.labels == label) & ~chosen).flatten() for label in range(len(CLASSES))]
    if split == "val":
        return whole.pick(torch.cat([positions[-100:] for positions in own]))
    if fold is not None:
        return whole.pick(torch.nonzero(chosen).flatten())
    return whole.pick(torch.cat([positions[:-100] for positions in own]))


def folder(root: str | Path, size: int = SIZE) -> ImageSplit:
    """Photographs sorted into one folder a class, as torchvision's `ImageFolder` reads them.

    Each is turned upright, scaled so that its shorter side is `size` pixels, and cut to its central square.
    Raises `ValueError` if there are no images or one can't be read.
    """
    from torchvision.datasets import ImageFolder

    try:
        files = ImageFolder(str(root))
    except FileNotFoundError as error:
        raise ValueError(f"No images in {root}: put them into one folder a class below it.") from error
    images = []
    for path, _ in files.samples:
        try:
            images.append(pictures.read(Path(path).read_bytes(), size))
        except (OSError, ValueError) as error:
            raise ValueError(f"{Path(path).name} is not an image that can be read; remove it.") from error
    return ImageSplit(torch.cat(images), torch.tensor(files.targets), tuple(files.classes),
                      tuple(Path(path).name for path, _ in files.samples))
