"""Drawings become pictures: each is turned, scaled, coloured, and put on a ground that it stands out from.

A picture shows one drawing, 64 to 96 pixels wide, turned by at most 15 degrees, mirrored half of the time (letters
never are: a b would be a d); a few pixels of it may leave the frame. A one-coloured drawing gets a random colour, one
in four a pencil's; a coloured one is made brighter or darker. One ground in five is plain, most of these white paper;
the others are gradients, soft blobs, stripes and mottled textures between two tints, with a little grain. The tints
are random among those that contrast with the drawing.

One dial, `difficulty`, sets how small, turned, faint and busy all this may be: 0 the easiest, 1 the hardest, and the
numbers above are those of 0.5.

Same seed, same bytes, on every machine: only whole numbers, floats that hold whole numbers exactly, Pillow's
fixed-point arithmetic, and NumPy's frozen `RandomState`.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

SIZE = 96  # pixels, as in STL-10
DIFFICULTY = 0.5
BLOCK = 64  # pictures composed at a time: as many as stay in the processor's cache
GROUNDS = {"white": 3, "plain": 1, "gradient": 4, "blobs": 5, "stripes": 4, "texture": 3}  # of twenty
KINDS = np.repeat(list(GROUNDS), list(GROUNDS.values()))
# How much light a colour value gives off (sRGB), of 65,536. The powers are rounded: no value lies near a half.
LINEAR = np.array([round(65_536 * (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4))
                   for v in (k / 255 for k in range(256))])


class Dial(NamedTuple):
    """What `difficulty` sets."""

    width: int  # pixels, of the narrowest drawing; the widest is as wide as the frame
    turn: int  # degrees, at most
    beyond: int  # pixels of a drawing that may leave the frame
    contrast: int  # the lowest contrast of a one-coloured drawing with its ground: 100 times the ratio WCAG defines
    rim: int  # the same for a coloured drawing's rim
    spread: int  # how far apart a ground's two tints may be, in each channel
    grain: int  # eighths of the strongest, at most
    gain: int  # 128ths by which a coloured drawing may be made brighter or darker


EASIEST = Dial(width=80, turn=5, beyond=2, contrast=450, rim=220, spread=20, grain=0, gain=10)
HARDEST = Dial(width=48, turn=25, beyond=10, contrast=150, rim=100, spread=100, grain=8, gain=54)


def dial(difficulty: float) -> Dial:
    """The settings for a difficulty from 0 to 1, else `ValueError`."""
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty must be a number from 0 to 1, not {difficulty!r}.")
    share = round(1000 * difficulty)
    return Dial(*(((1000 - share) * easy + share * hard) // 1000
                  for easy, hard in zip(EASIEST, HARDEST, strict=True)))


def render(drawings: np.ndarray, renderings: int = 1, stream: int = 0, seed: int = 0, difficulty: float = DIFFICULTY,
           mirror: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """So many pictures of each drawing, shuffled: uint8 (n, 3, SIZE, SIZE); and which drawing each shows, int64 (n,).

    More renderings come behind those that there are with fewer. `stream` tells sets of one seed apart, so that no two
    are composed alike. The other arguments, and the errors, are those of `compose`.
    """
    images, order = [], []
    for turn in range(renderings):
        rng = np.random.RandomState([seed, stream, turn])
        order.append(rng.permutation(len(drawings)))
        images.append(compose(drawings[order[-1]], rng, difficulty, mirror))
    return np.concatenate(images), np.concatenate(order)


def compose(drawings: np.ndarray, rng: np.random.RandomState, difficulty: float = DIFFICULTY,
            mirror: bool = True) -> np.ndarray:
    """Make a picture of each drawing: uint8 (n, 3, SIZE, SIZE).

    `drawings` are premultiplied RGBA, uint8 (n, tile, tile, 4). One that is black all over counts as one-coloured.
    `mirror` says whether half of them are mirrored. Raises `ValueError` for a difficulty that is not between 0 and 1.
    """
    settings = dial(difficulty)
    pictures = np.empty((len(drawings), 3, SIZE, SIZE), np.uint8)
    for start in range(0, len(drawings), BLOCK):
        front, ground = layers(drawings[start:start + BLOCK], rng, settings, mirror)
        behind = divided(ground * (255 - front[:, 3:]).astype(np.uint16))
        np.add(behind, front[:, :3], out=pictures[start:start + BLOCK], casting="unsafe")
    return pictures


def layers(drawings: np.ndarray, rng: np.random.RandomState, settings: Dial,
           mirror: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The drawings in their frames, premultiplied uint8 (n, 4, SIZE, SIZE), and their grounds (n, 3, SIZE, SIZE)."""
    masks = ~drawings.max(axis=1).max(axis=1)[:, :3].any(axis=1)
    gain = rng.randint(128 - settings.gain, 129 + settings.gain, size=len(drawings))
    drawings, rim = drawings.copy(), np.zeros((len(drawings), 3), np.int64)
    drawings[~masks] = brighter(drawings[~masks], gain[~masks])
    rim[~masks] = rims(drawings[~masks])
    kinds = KINDS[rng.randint(len(KINDS), size=len(drawings))]
    inks, tints, kinds = colours(masks, rim, kinds, rng, settings)
    front = placed(drawings, masks, rng, settings, mirror)
    front[masks, :3] = divided(front[masks, 3:] * inks[masks, :, None, None].astype(np.uint16))
    return front, grounds(kinds, tints, settings.grain, rng)


# --- colours -----------------------------------------------------------------------------------------------------

def divided(products: np.ndarray) -> np.ndarray:
    """Products of two bytes, uint16, divided by 255 in place and rounded."""
    products += 128
    products += products >> 8
    products >>= 8
    return products


def brighter(drawings: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Premultiplied drawings, their colours times `gain` 128ths; no colour can exceed its alpha."""
    gained = drawings * gain[:, None, None, None].astype(np.uint16)
    gained >>= 7
    gained[..., 3] = drawings[..., 3]
    for channel in range(3):
        np.minimum(gained[..., channel], gained[..., 3], out=gained[..., channel])
    return gained.astype(np.uint8)


def rims(drawings: np.ndarray) -> np.ndarray:
    """The mean colour along the rim of each drawing, inside it: (n, 3) from premultiplied (n, tile, tile, 4)."""
    tiles = np.pad(drawings[:, ::2, ::2], ((0, 0), (1, 1), (1, 1), (0, 0)))  # a quarter of the pixels will do
    inside = tiles[..., 3] > 127
    deep = inside[:, :-2, 1:-1] & inside[:, 2:, 1:-1] & inside[:, 1:-1, :-2] & inside[:, 1:-1, 2:]
    rim = inside[:, 1:-1, 1:-1] & ~deep
    sums = (tiles[:, 1:-1, 1:-1] * rim[..., None]).sum(axis=(1, 2), dtype=np.int64)
    return np.minimum(255, sums[:, :3] * 255 // np.maximum(1, sums[:, 3:]))


def contrast(colour: np.ndarray, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """100 times the contrast ratio of a colour with whatever lies between two others, as WCAG 2 defines it.

    Colours are (..., 3), and `light` is in no channel darker than `dark`: so is then its luminance.
    """
    own, low, high = (LINEAR[c] @ np.array([2126, 7152, 722]) // 10_000 + 3277 for c in (colour, dark, light))
    return np.maximum(100 * own // high, 100 * low // own)


def colours(masks: np.ndarray, rims: np.ndarray, kinds: np.ndarray, rng: np.random.RandomState,
            settings: Dial) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An ink for each drawing (n, 3) and two tints for its ground (n, 2, 3) that contrast with it; the kinds of ground.

    A coloured drawing's ink is the colour of its rim. Of sixteen random proposals the first is taken in which the ink
    contrasts with all that lies between the tints; the last proposals, black and white, always do, up to a ratio of
    4.58. White paper is eight times proposed; a drawing too light for it gets a plain ground instead.
    """
    count = len(masks)
    inks = rng.randint(256, size=(count, 16, 3))
    inks[rng.randint(4, size=count) == 0] //= 6  # nearly black, as a pencil's
    inks[:, -1] = 0
    inks[~masks] = rims[~masks, None]
    first = rng.randint(20, 236, size=(count, 16, 1)) + rng.randint(-60, 61, size=(count, 16, 3))
    second = first + rng.randint(-settings.spread, settings.spread + 1, size=first.shape)
    tints = np.clip(np.stack([first, second], axis=2), 0, 255)
    tints[:, -2:] = np.array([0, 255])[:, None, None]
    paper = 255 - np.maximum(0, rng.randint(-10, 11, size=(count, 1, 1, 1)))  # white, or white in a poor light
    white, plain = kinds == "white", kinds == "plain"
    tints[white, :8] = paper[white]
    tints[plain, :, 1] = tints[plain, :, 0]

    wanted = np.where(masks, settings.contrast, settings.rim)[:, None]
    chosen = (contrast(inks, tints.min(axis=2), tints.max(axis=2)) >= wanted).argmax(axis=1)
    inks, tints = inks[np.arange(count), chosen], tints[np.arange(count), chosen]
    refused = white & (chosen >= 8)
    tints[refused, 1] = tints[refused, 0]
    return inks, tints, np.where(refused, "plain", kinds)


# --- shapes ------------------------------------------------------------------------------------------------------

def placed(drawings: np.ndarray, masks: np.ndarray, rng: np.random.RandomState, settings: Dial,
           mirror: bool) -> np.ndarray:
    """Each drawing in its frame, perhaps mirrored, turned, scaled, shifted: premultiplied uint8 (n, 4, SIZE, SIZE).

    The frame is sampled at twice its size with nearest neighbours, which Pillow does in fixed-point arithmetic, and
    then averaged two by two. The drawing is made twice as large before that, so that it has no steps.
    """
    count, tile = drawings.shape[:2]
    side = 1 - 2 * rng.randint(2, size=count) * mirror  # -1 where it is mirrored
    width = rng.randint(settings.width, SIZE + 1, size=count)
    angle = np.deg2rad(rng.randint(-settings.turn, settings.turn + 1, size=count))
    slack = (SIZE - width) // 2 + settings.beyond
    x, y = SIZE + 2 * (rng.randint(2**16, size=(2, count)) * (2 * slack + 1) // 2**16 - slack)
    cos, sin = np.round([np.cos(angle) * tile / width, np.sin(angle) * tile / width], 6)
    matrices = np.stack([side * cos, side * sin, tile - side * (cos * x + sin * y),
                         -sin, cos, tile + sin * x - cos * y], axis=1)
    front = np.zeros((count, 4, SIZE, SIZE), np.uint8)
    for k, drawing in enumerate(drawings):
        mode, pixels = ("L", drawing[..., 3]) if masks[k] else ("RGBa", drawing)
        image = Image.frombuffer(mode, (tile, tile), np.ascontiguousarray(pixels), "raw", mode, 0, 1)
        image = image.resize((2 * tile, 2 * tile), Image.Resampling.BILINEAR)
        image = image.transform((2 * SIZE, 2 * SIZE), Image.Transform.AFFINE, matrices[k], Image.Resampling.NEAREST)
        front[k, 3 if masks[k] else slice(None)] = np.asarray(image.reduce(2)).T.swapaxes(-1, -2)
    return front


def grounds(kinds: np.ndarray, tints: np.ndarray, grain: int, rng: np.random.RandomState) -> np.ndarray:
    """Grounds of the given kinds between two tints (n, 2, 3): uint8 (n, 3, SIZE, SIZE)."""
    shares = np.zeros((len(kinds), 3, SIZE, SIZE), np.int16)  # of the second tint, in 128ths
    for kind, draw in (("gradient", gradient), ("blobs", blobs), ("stripes", stripes), ("texture", texture)):
        for k in np.flatnonzero(kinds == kind):
            shares[k] = draw(rng)
    first, second = tints.astype(np.int16).swapaxes(0, 1)[..., None, None]
    shares *= second - first
    shares >>= 7
    shares += first
    noise = rng.randint(-8, 9, size=(3, SIZE + 64, SIZE + 64)).astype(np.int16)
    corners, strengths = rng.randint(64, size=(len(kinds), 2)), rng.randint(grain + 1, size=len(kinds))
    for ground, (y, x), strength in zip(shares, corners, strengths.astype(np.int16), strict=True):
        ground += (noise[:, y:y + SIZE, x:x + SIZE] * strength) >> 3
    return np.clip(shares, 0, 255, out=np.empty(shares.shape, np.uint8), casting="unsafe")


# Each of these draws one random pattern: whole numbers from 0 to 128, of a shape that fits (3, SIZE, SIZE).

COLUMNS = 2 * np.arange(SIZE, dtype=np.int32) - SIZE + 1  # half pixels from the middle of the frame
ROWS = COLUMNS[:, None]


def gradient(rng: np.random.RandomState) -> np.ndarray:
    """From one side to the other, or from a point outwards."""
    lean, x, y, round_one = rng.randint([-128, -SIZE, -SIZE, 0], [129, SIZE + 1, SIZE + 1, 2])
    if round_one:
        return np.minimum(128, ((COLUMNS - x) ** 2 + (ROWS - y) ** 2) >> 8)
    return 64 + (lean * COLUMNS + (128 - abs(lean)) * ROWS) // (2 * SIZE)


def stripes(rng: np.random.RandomState) -> np.ndarray:
    """Stripes 5 to 30 pixels wide in any direction, soft or sharp; or two such crossing."""
    fine, lean, start, sharp, crossing = rng.randint([3, -128, 0, 0, 0], [13, 129, 256, 3, 3])
    along, across = fine * lean // 128, fine - abs(fine * lean // 128)
    waves = [np.abs(((u * COLUMNS + v * ROWS + start) & 255) - 128) for u, v in ((along, across), (-across, along))]
    wave = np.abs(waves[0] - waves[1]) if crossing == 0 else waves[0]
    return np.clip(((wave - 64) << sharp) + 64, 0, 128)


def spline(cells: int) -> np.ndarray:
    """Smooth weights of `cells` + 2 knots at each pixel of a row: float64 (SIZE, cells + 2), in 2^-17ths."""
    at = np.arange(SIZE) * 256 * cells // SIZE
    weights = np.zeros((SIZE, cells + 2))
    for knot, part in enumerate(((256 - at % 256) ** 2, 256**2 + 2 * (at % 256) * (256 - at % 256), (at % 256) ** 2)):
        weights[np.arange(SIZE), at // 256 + knot] = part
    return weights


SPLINES = {cells: spline(cells) for cells in (2, 3, 4, 6, 24)}


def cloud(down: int, across: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    """Smooth noise with so many bumps down and across, each channel its own. The sums are exact: below 2^53."""
    knots = 128.0 * rng.randint(2, size=(channels, down + 2, across + 2))
    return (SPLINES[down] @ knots @ SPLINES[across].T).astype(np.int64) >> 34


def blobs(rng: np.random.RandomState) -> np.ndarray:
    cells = rng.randint(2, 5)
    return cloud(cells, cells, 3, rng)


def texture(rng: np.random.RandomState) -> np.ndarray:
    """Mottled, or with a grain like wood's that runs down or across."""
    return cloud(*((24, 24), (6, 24), (24, 6))[rng.randint(3)], 1, rng)
