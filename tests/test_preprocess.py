"""The way from stored images to a network's input, beside torchvision's own transforms and NumPy's statistics."""
import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from helpers.preprocess import Preprocess, channel_statistics, normalise, random_crop, random_flip

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    """Noise, not square, so that no two windows are equal and no two axes can be mixed up."""
    return torch.randint(0, 256, (16, 3, 20, 24), dtype=torch.uint8, generator=seeded(9))


def test_draws_differ_within_a_batch_and_repeat_with_a_seed(images):
    copies = images[:1].repeat(64, 1, 1, 1)
    preprocess = Preprocess(MEAN, STD)
    first, again, other = (preprocess.augment(copies, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({one.numpy().tobytes() for one in first}) > 30


def test_stored_images_are_left_alone(images):
    before = images.clone()
    Preprocess(MEAN, STD, flip=1.0).augment(images, seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize("padding", [1, 4])
def test_each_crop_is_a_window_of_its_own_padded_image_and_all_windows_occur(images, padding):
    places = set()
    for seed in range(60):
        for image, crop in zip(images, random_crop(images, padding, seeded(seed)), strict=True):
            padded = v2.functional.pad(image, padding)
            matches = [(top, left) for top in range(2 * padding + 1) for left in range(2 * padding + 1)
                       if torch.equal(crop, v2.functional.crop(padded, top, left, 20, 24))]
            assert len(matches) == 1
            places.update(matches)
    assert len(places) == (2 * padding + 1) ** 2


def test_flip_mirrors_exactly_and_about_half(images):
    assert torch.equal(random_flip(images, 1.0), v2.functional.horizontal_flip(images))
    assert torch.equal(random_flip(images, 0.0), images)
    many = images[:1].repeat(1000, 1, 1, 1)
    mirrored = (random_flip(many, 0.5, seeded()) != many).flatten(1).any(1)
    assert 440 < mirrored.sum() < 560


def test_normalise_equals_torchvision(images):
    pipeline = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    expected = torch.stack([pipeline(v2.functional.to_pil_image(image)) for image in images])
    assert torch.allclose(normalise(images, MEAN, STD), expected, atol=1e-6)
    assert torch.equal(Preprocess(MEAN, STD)(images), normalise(images, MEAN, STD))


def test_channel_statistics_equal_numpy(images):
    pixels = images.numpy() / 255
    mean, std = channel_statistics(images)
    assert np.allclose(mean, pixels.mean((0, 2, 3)), atol=1e-12)
    assert np.allclose(std, pixels.std((0, 2, 3)), atol=1e-12)


@pytest.mark.parametrize("wrong, named", [
    (torch.zeros(2, 3, 8, 8), "float32"),
    (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"\(2, 8, 8, 3\)"),
    (torch.zeros(3, 8, 8, dtype=torch.uint8), r"\(3, 8, 8\)"),
    ("car.png", "the path .car.png."),
])
def test_wrong_images_get_a_sentence(wrong, named):
    for function in (Preprocess(MEAN, STD), Preprocess(MEAN, STD).augment, channel_statistics):
        with pytest.raises(ValueError, match=f"uint8 tensor of shape .*{named}"):
            function(wrong)
