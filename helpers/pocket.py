"""The pocket data set: composed on the spot from emoji artwork that ships with the course. It has STL-10's ten
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
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from helpers.images import LARGEST_SEED, SPLITS, ImageSplit, check_split, whole_number

ASSETS = Path(__file__).resolve().parent / "assets"
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FAMILIES = ("noto", "twemoji", "fluent")
SIZE = 96  # pixels, as in STL-10
PER_CLASS = {"train": 500, "val": 100, "test": 200}


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
    """All shipped drawings, premultiplied RGBA: uint8 of shape (family, emoji, tile, tile, 4), read-only."""
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
    pixels = premultiply(np.stack(sheets))
    pixels.setflags(write=False)  # one array for all who ask
    return pixels


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


def pocket(split: str, seed: int = 0) -> ImageSplit:
    """One split of the pocket data set: 500, 100 or 200 images per class for "train", "val", "test".

    Each class takes its drawings in turn, so that all appear equally often. Same seed, same bytes.
    Raises `ValueError` for an unknown split or a seed that is no whole number from 0 to 4,294,966.
    """
    check_split(split)
    seed = whole_number(seed, "seed", 0, LARGEST_SEED // 1_000 - 1)
    # Composing takes seconds, so it is done once. Everyone gets a copy, at a twentieth of that: what one cell writes
    # into its images must not show up in another's.
    return _compose_split(split, seed).copy()


@functools.lru_cache(maxsize=3)
def _compose_split(split: str, seed: int) -> ImageSplit:
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
    Raises `ValueError` if there are not so many.
    """
    shown = [k for k, emoji in enumerate(sprite_table()["emoji"]) if emoji["label"] is None]
    count = whole_number(count, "count", 1, len(shown))
    shown = shown[:: len(shown) // count][:count]
    drawings = sprite_pixels()[:, shown].reshape(-1, *sprite_pixels().shape[2:]).astype(np.uint16)
    on_white = drawings[..., :3] + (255 - drawings[..., 3:])
    return torch.from_numpy(on_white.astype(np.uint8).transpose(0, 3, 1, 2).copy())
