"""A picture of one's own: read from a file as phones, cameras and the web make them."""
from __future__ import annotations

import contextlib
import importlib
import io
import re
import struct
import threading
import warnings
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from helpers.images import whole_number

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")  # the last two where Pillow can
LARGEST = {"JPEG": 250_000_000, "MPO": 250_000_000}  # pixels; a JPEG (MPO: with a second picture) is decoded small
LARGEST_SIZE = 4096  # pixels a side of what is made from them
LARGEST_OTHER = 50_000_000  # these are decoded whole, in four bytes a pixel
SEVERAL = {"JPEG": 60_000_000, "MPO": 60_000_000}  # pixels; of larger pictures, threads decode one at a time
SEVERAL_OTHER = 12_000_000
TWELVE_BITS = re.compile(rb"\xff[\xc0-\xc2]\x00.\x0c", re.DOTALL)  # how such a JPEG announces its pixels
HEAD = 64  # bytes, by which a file's format is recognised

EMPTY = "This file is empty. Copy it again from where it came from."
HEIC = ("This is a HEIC photo, as iPhones take them. To have it read here, install the package pillow-heif "
        "(pip install pillow-heif), or choose a JPEG of it; a screenshot will do.")
STRANGER = "This is not a picture, or only the beginning of one. Choose a JPEG, PNG, WebP or GIF file."
DAMAGED = "This picture is damaged or incomplete. Copy it again from where it came from."
UNUSUAL = "This picture stores its colours in a way that can't be read here ({}). Save it as a PNG first."
NO_MEMORY = "There is not enough memory for this picture. Close other programs or notebooks, and try again."


_alone = threading.Lock()


class Stranger(ValueError):
    """A file that is not a picture."""


class Damaged(ValueError):
    """A file that was a picture once."""


class Picture(NamedTuple):
    """What a file holds."""

    pixels: Tensor  # uint8 (1, 3, size, size)
    format: str  # "JPEG", "PNG", ...
    width: int  # pixels, as stored in the file
    height: int


def read(data: bytes, size: int = 96) -> Tensor:
    """The picture in a file's bytes as a network's input before normalisation: uint8 of shape (1, 3, size, size).

    It is turned upright, scaled so that its shorter side has `size` pixels, and cut to its central square. What is
    transparent becomes white; of an animation the first frame is taken.
    Raises `ValueError` with a sentence for the reader if there is no picture in it that can be read (`Damaged` and
    `Stranger` are such), and `MemoryError` if there is no room for it.
    """
    with quiet():
        return decode(data, size).pixels


@contextlib.contextmanager
def quiet():
    """`with quiet():` nothing is heard of notes by the camera that Pillow finds odd.

    Not to be entered by several threads at once: warnings are switched off for all of them together.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode(data: bytes, size: int) -> Picture:
    """As `read`, with what the file was; several threads may do it at once, within one `quiet()`."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ValueError("A picture is read from the bytes of its file, Path(...).read_bytes(), not from a value of "
                         f"type {type(data).__name__}.")
    size = whole_number(size, "size", 1, LARGEST_SIZE)
    try:
        image = _open(bytes(data))
        kind, width, height = image.format, *image.size
        large = width * height > SEVERAL.get(kind, SEVERAL_OTHER)
        with _alone if large else contextlib.nullcontext():
            square = np.array(_square(_loaded(image, size), size))
        pixels = torch.from_numpy(square).permute(2, 0, 1)[None].contiguous()
        return Picture(pixels, "JPEG" if kind == "MPO" else kind, width, height)
    except MemoryError:  # says nothing about the file
        raise MemoryError(NO_MEMORY) from None


def known(head: bytes) -> bool:
    """Whether a file that begins with these bytes (HEAD of them are enough) can be a picture, of a kind that is known
    here."""
    return _is_heic(head) or any(True for _ in _readers(head))


def _readers(head: bytes):
    """Those of Pillow's readers that recognise the beginning of a file."""
    Image.init()
    if _is_heic(head) and "HEIF" not in Image.OPEN:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()  # optional: nobody has to install it
        except ImportError:
            pass
    for reader, accepts in (Image.OPEN[name] for name in FORMATS if name in Image.OPEN):
        answer = accepts(bytes(head[:16]))
        if answer and not isinstance(answer, str):  # words: it would be such a file, but this Pillow can't read them
            yield reader


def _open(data: bytes) -> Image.Image:
    """Read the file's header; raise `ValueError` if it is of no use, or the picture too large to decode.

    `Image.open` would apply Pillow's own limit, which the photos of some phones exceed; to lift it, one would have to
    change it for the whole process. So the readers are asked one by one, as `Image.open` does.
    """
    if not data:
        raise Stranger(EMPTY)
    for reader in _readers(data[:HEAD]):
        try:
            image = reader(io.BytesIO(data), "")
            break
        except (SyntaxError, IndexError, TypeError, struct.error):
            pass
        except MemoryError:
            raise
        except Exception as error:
            raise Damaged(DAMAGED) from error
    else:
        if _is_heic(data) and "HEIF" not in Image.OPEN:
            raise ValueError(HEIC)
        if data[:2] == b"\xff\xd8" and TWELVE_BITS.search(data):
            raise ValueError(UNUSUAL.format("a JPEG of 12 bits"))
        raise Stranger(STRANGER)
    most = LARGEST.get(image.format, LARGEST_OTHER)
    if image.width * image.height > most:
        raise ValueError(f"This picture has {image.width} x {image.height} pixels, too many to read here "
                         f"(at most {most // 1_000_000} million). Make it smaller first.")
    return image


def _loaded(image: Image.Image, size: int) -> Image.Image:
    try:
        image.draft(None, (2 * size, 2 * size))  # JPEG: decode at 1/2, 1/4 or 1/8, to no less than this
        image.load()
        return image
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow's readers raise almost anything
        raise Damaged(DAMAGED) from error


def _is_heic(data: bytes) -> bool:
    """Whether the file's first box names one of HEIF's brands."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def _square(image: Image.Image, size: int) -> Image.Image:
    """The central square of a loaded image, upright, RGB, `size` pixels a side."""
    depth = _depth(image)
    try:
        image = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # a damaged note about the orientation: the picture is as the camera held it
        pass
    if image.mode[0] in "IF":  # more than 8 bits a pixel; Pillow would cut off everything above 255
        image = Image.fromarray(_eight_bits(np.asarray(image), depth))
    see_through = "A" in image.getbands() or "transparency" in image.info
    try:
        image = image.convert("RGBA" if see_through else "RGB")
    except ValueError:
        raise ValueError(UNUSUAL.format(image.mode)) from None
    square = ImageOps.fit(image, (size, size))
    if see_through:
        square = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    return square


def _depth(image: Image.Image) -> int | None:
    """How many of a grey pixel's bits are used, where the file says so."""
    if image.format == "PPM" and image.mode == "I":
        return 16  # Pillow scales these, whatever their range was
    depth = getattr(image, "tag_v2", {}).get(258, ())
    return depth[0] if depth and 8 < depth[0] < 16 else None


def _eight_bits(grey: np.ndarray, depth: int | None) -> np.ndarray:
    """Grey values of any range, (h, w), as uint8: black stays black, and white becomes 255.

    White is 2^depth - 1 where that is known. Otherwise it is told from the values: up to 1 for floats; up to 255,
    4095 (cameras and microscopes of 12 bits) or 65535 for whole numbers. Values of any other range are measurements:
    the lowest becomes black, the highest white.
    """
    whites = [2.0**depth - 1] if depth else [255, 4095, 65535]
    if grey.dtype.kind == "f":
        whites = [1, *whites]
    grey = np.nan_to_num(grey.astype(np.float64), nan=0, posinf=0, neginf=0)
    low, high = grey.min(), grey.max()
    white = next((white for white in whites if high <= white), None)
    if low < 0 or white is None:
        low, white = low, max(high - low, 1e-12)
        grey = grey - low
    return (grey / white * 255 + 0.5).clip(0, 255).astype(np.uint8)
