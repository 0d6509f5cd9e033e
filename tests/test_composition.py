"""How drawings become pictures."""
import hashlib

import numpy as np
import pytest

from helpers import composition
from helpers.composition import compose, contrast, dial, layers

# The bytes of 300 pictures of made-up drawings, After a wanted change to how
# pictures are composed (or, for the second, to the drawings), take the new value from the message of the failing test.
MADE_UP_SHA256 = "7e3351f3b3d03e448159d4b0032354add5400aadeeb6c1021cc0341b16fd4f3c"


def made_up(count: int) -> np.ndarray:
    """Bars, corners and discs, by turns one-coloured and in two colours of many."""
    tiles, (y, x) = np.zeros((count, 64, 64, 4), np.uint8), np.mgrid[:64, :64]
    for k, tile in enumerate(tiles):
        shape = ((np.abs(y - 32) < 6), (x < 20) | (y > 50), ((x - 32) ** 2 + (y - 32) ** 2 < 900))[k % 3]
        tile[shape, 3] = 255
        tile[shape & (x == 31), 3] = 100
        if k % 2:
            tile[shape, :3] = np.array([37, 91, 151]) * k % 100
            tile[shape & (x > 31), :3] = np.array([53, 11, 201]) * k % 256
    return tiles


VALUES = np.arange(256) / 255
LIGHT = np.where(VALUES <= 0.04045, VALUES / 12.92, ((VALUES + 0.055) / 1.055) ** 2.4)


def luminance(colours: np.ndarray) -> np.ndarray:
    """As WCAG 2 defines it, in floats; colours are the last axis."""
    return LIGHT[colours] @ [0.2126, 0.7152, 0.0722]


def ratios(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = luminance(one) + 0.05, luminance(other) + 0.05
    return np.maximum(one / other, other / one)


# --- the same on every machine -----------------------------------------------------------------------------------

def test_pictures_are_the_same_on_every_machine():
    rng, found = np.random.RandomState(7), hashlib.sha256()
    for difficulty in (0, 0.5, 1):
        found.update(compose(made_up(100), rng, difficulty).tobytes())
    assert found.hexdigest() == MADE_UP_SHA256


def test_no_value_of_the_table_hangs_on_how_a_power_is_rounded():
    assert np.abs(65_536 * LIGHT % 1 - 0.5).min() > 1e-4
    assert composition.LINEAR[[0, 255]].tolist() == [0, 65_536]


def test_what_is_passed_in_stays_and_the_seed_decides():
    tiles = made_up(70)
    before = tiles.copy()
    first, again, other = (compose(tiles, np.random.RandomState(seed)) for seed in (1, 1, 2))
    assert first.shape == (70, 3, 96, 96) and first.dtype == np.uint8
    assert np.array_equal(tiles, before) and np.array_equal(first, again) and not np.array_equal(first, other)
    assert compose(tiles[:0], np.random.RandomState(0)).shape == (0, 3, 96, 96)


# --- contrast ----------------------------------------------------------------------------------------------------

def test_contrast_is_that_of_wcag():
    a, b = np.random.RandomState(0).randint(256, size=(2, 1000, 3))
    assert np.abs(contrast(a, b, b) / 100 - ratios(a, b)).max() < 0.02
    assert contrast(np.zeros(3, int), np.full(3, 255), np.full(3, 255)) == 2099  # 21, but for rounding
    assert contrast(np.full(3, 128), np.zeros(3, int), np.full(3, 255)) < 100, "between black and white lies everything"


@pytest.mark.parametrize("difficulty, least", [(0, 4.4), (0.5, 2.8), (1, 1.3)])
def test_a_one_coloured_drawing_stands_out_wherever_it_covers_its_ground(difficulty, least):
    """Every pixel that the drawing covers is compared with the ground beneath it, grain included."""
    rng, masks, lowest, pixels = np.random.RandomState(3), made_up(96)[::2], [], 0
    for _ in range(60):
        front, ground = layers(masks, rng, dial(difficulty))
        front, ground = front.transpose(0, 2, 3, 1), ground.transpose(0, 2, 3, 1)
        covered = front[..., 3] == 255
        assert covered.any(axis=(1, 2)).all()
        lowest.append(ratios(front[covered][:, :3], ground[covered]).min())
        pixels += covered.sum()
    assert pixels > 1_000_000 and least < min(lowest) < 1.3 * least


def test_a_coloured_drawing_keeps_its_colours_and_its_rim_stands_out():
    tiles = made_up(600)[1::2]
    tiles[..., :3] = tiles[:, 32:33, 10:11, :3] * (tiles[..., 3:] > 0)  # one colour throughout, so also at the rim
    front, ground = layers(tiles, np.random.RandomState(0), dial(0.5)._replace(grain=0))
    front, ground = front.transpose(0, 2, 3, 1), ground.transpose(0, 2, 3, 1)
    covered = front[..., 3] == 255
    assert ratios(front[covered][:, :3], ground[covered]).min() > 1.55
    for tile, picture, where in zip(tiles, front, covered, strict=True):
        shade = picture[where][0, :3] / np.maximum(1.0, tile[32, 10, :3])
        assert 0.73 < shade[tile[32, 10, :3] > 50].min(initial=1) and shade.max() < 1.26


def test_a_drawing_too_light_for_paper_does_not_come_on_paper(monkeypatch):
    monkeypatch.setattr(composition, "KINDS", np.array(["white"]))
    tiles = np.zeros((50, 64, 64, 4), np.uint8)
    tiles[:, 20:40, 20:40] = (250, 250, 250, 255)
    front, ground = layers(tiles, np.random.RandomState(0), dial(0.5)._replace(grain=0))
    covered = front[:, 3] == 255
    assert ratios(front.transpose(0, 2, 3, 1)[covered][:, :3], ground.transpose(0, 2, 3, 1)[covered]).min() > 1.55
    tiles[..., :3] //= 4
    assert compose(tiles, np.random.RandomState(0))[:, :, 0, 0].min() > 235


# --- grounds -----------------------------------------------------------------------------------------------------

def test_one_ground_in_five_is_plain_and_most_of_these_are_white():
    nothing = np.zeros((2000, 64, 64, 4), np.uint8)
    _, found = layers(nothing, np.random.RandomState(0), dial(0.5)._replace(grain=0))
    plain = (found == found[:, :, :1, :1]).all(axis=(1, 2, 3))
    white = plain & (found.min(axis=(1, 2, 3)) >= 245)
    assert 0.17 < plain.mean() < 0.24 and 0.12 < white.mean() < 0.19
    assert (found[white] == 255).all(axis=(1, 2, 3)).mean() > 0.3


@pytest.mark.parametrize("kind", ["gradient", "blobs", "stripes", "texture"])
def test_patterns_vary_within_their_range(kind):
    rng, draw = np.random.RandomState(0), getattr(composition, kind)
    found = [np.broadcast_to(draw(rng), (3, 96, 96)) for _ in range(300)]
    assert min(f.min() for f in found) >= 0 and max(f.max() for f in found) <= 128
    assert min(np.ptp(f) for f in found) > 25, "each pattern can be seen"
    steps = np.median([np.abs(np.diff(f.astype(int))).mean() for f in found])
    assert steps < {"gradient": 2, "blobs": 4, "stripes": 20, "texture": 15}[kind]


# --- size, turn, place -------------------------------------------------------------------------------------------

def alphas(tile: np.ndarray, count: int, difficulty: float, **changes) -> np.ndarray:
    front, _ = layers(np.repeat(tile[None], count, 0), np.random.RandomState(0), dial(difficulty)._replace(**changes))
    return front[:, 3].astype(float) / 255


@pytest.mark.parametrize("difficulty, narrowest", [(0, 80), (0.5, 64), (1, 48)])
def test_drawings_are_as_wide_as_the_dial_says(difficulty, narrowest):
    tile = np.zeros((64, 64, 4), np.uint8)
    tile[30:34, :, 3] = 255  # as wide as the tile
    widths = alphas(tile, 500, difficulty, turn=0, beyond=0).max(axis=1).sum(axis=1)
    assert narrowest - 1 < widths.min() < narrowest + 2 and 94 < widths.max() <= 96


@pytest.mark.parametrize("difficulty, most", [(0, 5), (0.5, 15), (1, 25)])
def test_drawings_are_turned_as_far_as_the_dial_says(difficulty, most):
    tile = np.zeros((64, 64, 4), np.uint8)
    tile[31:33, 12:52, 3] = 255
    turns, at = [], np.arange(96)
    for alpha in alphas(tile, 400, difficulty, beyond=0):
        weight = alpha.sum(axis=0)
        seen = weight > 0.5
        rows = (alpha * at[:, None]).sum(axis=0)[seen] / weight[seen]
        turns.append(np.degrees(np.arctan(np.polyfit(at[seen], rows, 1)[0])))
    assert most - 1 < max(turns) < most + 1 and -most - 1 < min(turns) < -most + 1


def test_half_of_the_drawings_are_mirrored_or_none_and_few_pixels_are_lost():
    tile = np.zeros((64, 64, 4), np.uint8)
    tile[:, :12, 3] = 255  # a bar at the left edge
    found = alphas(tile, 600, 0.5, turn=0)
    left = (found * (np.arange(96) < 48)).sum(axis=(1, 2)) > found.sum(axis=(1, 2)) / 2
    assert 0.4 < left.mean() < 0.6
    front, _ = layers(np.repeat(tile[None], 100, 0), np.random.RandomState(0), dial(0.5)._replace(turn=0), mirror=False)
    assert (front[..., :48].sum((1, 2, 3), dtype=int) > front[..., 48:].sum((1, 2, 3), dtype=int)).all(), "none of them"
    lost = 12 * 1.0 - (found.max(axis=1).sum(axis=1))  # of the bar's width, 12 to 18 pixels
    assert 3 < lost.max() <= 6


@pytest.mark.parametrize("difficulty", [-0.1, 1.1, float("nan")])
def test_the_dial_goes_from_0_to_1(difficulty):
    with pytest.raises(ValueError, match="^difficulty must be a number from 0 to 1, not"):
        compose(made_up(1), np.random.RandomState(0), difficulty)
