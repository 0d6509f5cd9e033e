"""A picture of one's own: read from a file as phones, cameras and the web make them."""
from __future__ import annotations

import io
import warnings

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from helpers.images import whole_number

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")  # the last two where Pillow can
LARGEST = {"JPEG": 250_000_000, "MPO": 250_000_000}  # pixels; a JPEG (MPO: with a second picture) is decoded small
LARGEST_SIZE = 4096  # pixels a side of what is made from them
LARGEST_OTHER = 50_000_000  # these are decoded whole, in four bytes a pixel

HEIC = ("This is a HEIC photo, as iPhones take them, which can't be read here. Take a screenshot of it and choose "
        "that, or set the camera to JPEG first (Settings, Camera, Formats, Most Compatible).")
STRANGER = "This is not a picture, or only the beginning of one. Choose a JPEG, PNG, WebP or GIF file."
DAMAGED = "This picture is damaged or incomplete. Copy it again from where it came from."


def read(data: bytes, size: int = 96) -> Tensor:
    """The picture in a file's bytes as a network's input before normalisation: uint8 of shape (1, 3, size, size).

    It is turned upright, scaled so that its shorter side has `size` pixels, and cut to its central square. What is
    transparent becomes white; of an animation the first frame is taken.
    Raises `ValueError` with a sentence for the reader if there is no picture in it that can be read.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ValueError("A picture is read from the bytes of its file, Path(...).read_bytes(), not from a value of "
                         f"type {type(data).__name__}.")
    size = whole_number(size, "size", 1, LARGEST_SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of notes by the camera that Pillow finds odd
        image = _open(data)
        try:
            image.draft(None, (2 * size, 2 * size))  # JPEG: decode at 1/2, 1/4 or 1/8, to no less than this
            image.load()
            return torch.from_numpy(np.array(_square(image, size))).permute(2, 0, 1)[None].contiguous()
        except Exception as error:  # damaged files make Pillow's readers raise almost anything
            raise ValueError(DAMAGED) from error


def _open(data: bytes) -> Image.Image:
    """Read the file's header; raise `ValueError` if it is of no use, or the picture too large to decode.

    Pillow's own limit is lifted meanwhile: the photos of some phones exceed it.
    """
    if not data:
        raise ValueError("This file is empty.")
    Image.init()
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        raise ValueError(HEIC if _is_heic(data) else STRANGER) from None
    except Exception as error:
        raise ValueError(DAMAGED) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    most = LARGEST.get(image.format, LARGEST_OTHER)
    if image.width * image.height > most:
        raise ValueError(f"This picture has {image.width} x {image.height} pixels, too many to read here "
                         f"(at most {most // 1_000_000} million). Make it smaller first.")
    return image


def _is_heic(data: bytes) -> bool:
    """Whether the file's first box names one of HEIF's brands."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def _square(image: Image.Image, size: int) -> Image.Image:
    """The central square of a loaded image, upright, RGB, `size` pixels a side."""
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # a damaged note about the orientation: the picture is as the camera held it
        pass
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow would cut off everything above 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    see_through = "A" in image.getbands() or "transparency" in image.info
    square = ImageOps.fit(image.convert("RGBA" if see_through else "RGB"), (size, size))
    if see_through:
        square = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    return square
