"""Photographs read into one tensor, by all cores, and kept: what has not changed is not read a second time.

Each folder of files has a file of its own in the cache (TL_CACHE, or ~/.cache/transfer-learning; in it "folders"),
with the small pictures and, for each, its file's name, size and time of change. A photograph is read again where one of
these differs. The cache may be deleted at any time.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from pathlib import Path

import PIL
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers import pictures
from helpers.fetch import downloads
from helpers.images import whole_number
from helpers.photographs import Listing, counted, few, told
from helpers.progress import Progress

READER = 1  # to be raised when `pictures` makes other pixels of a file, or `Photo` other facts
THREADS = 8  # at most: each holds a file and what is decoded of it
LARGEST_FILE = 1_000_000_000  # bytes
MANY = 200  # files to read, from which on a bar is shown
MUCH = 50_000_000  # bytes of pixels, from which on they are announced

DEAD = "It is a link to a file that is not there. Connect the drive that it leads to, or make the link again."
GONE = "It has been moved or renamed since the folder was listed. Read the folder again."
BARRED = "It may not be opened ({}). Ask for permission to read it."
PASSING = "It could not be read just now ({}). See whether its drive is connected, and try again."
HUGE = "It is larger than a photograph can be (over 1 GB). Save it smaller first."
NOT_ONE = ("This is not a picture, whatever its name says, or only the beginning of one. Copy it again, or move it "
           "away.")


@dataclass(frozen=True)
class Photo:
    """What is known of a file."""

    name: str
    bytes: int
    changed: int  # ns, as the file system gives it
    digest: str = ""  # SHA-256 of its contents: equal for copies
    format: str = ""
    width: int = 0  # pixels, as stored
    height: int = 0
    problem: str = ""  # why there are no pixels, as a sentence
    lasting: bool = field(default=True, compare=False)  # whether the problem lies in the file, and not around it


@dataclass(frozen=True)
class Album:
    """All photographs of a `Listing`: `photos` and `pixels`, uint8 (n, 3, size, size), in its order, class by class.

    `labels` int64 (n,): positions among the listing's classes. Where a photo has a problem its pixels are white.
    """

    listing: Listing
    paths: tuple[Path, ...]
    photos: tuple[Photo, ...]
    pixels: Tensor
    labels: Tensor

    def names(self) -> list[str]:
        """The files' names with their folders, below the listing's root."""
        return [told(path, self.listing.root) for path in self.paths]

    def problems(self) -> dict[str, list[str]]:
        """The names of what can't be used, by reason."""
        found: dict[str, list[str]] = {}
        for name, photo in zip(self.names(), self.photos, strict=True):
            if photo.problem:
                found.setdefault(photo.problem, []).append(name)
        return found

    def check(self) -> None:
        """Raises `ValueError` that names every file that can't be used, with what to do about it."""
        problems = [f"{few(names, 100)} can't be used. {why}" for why, names in self.problems().items()]
        if problems:
            raise ValueError("\n".join(problems))


def read(listing: Listing, size: int) -> Album:
    """Every picture of a listing, `size` pixels a side; from the cache where it has not changed.

    Raises `ValueError` for a size that is none, and `MemoryError` if there is no room for them.
    """
    size = whole_number(size, "size", 1, pictures.LARGEST_SIZE)
    paths = tuple(path for files in listing.files.values() for path in files)
    labels = torch.tensor([label for label, files in enumerate(listing.files.values()) for _ in files]).long()
    pixels, photos = _room(len(paths), size), [Photo("", 0, 0)] * len(paths)
    folders: dict[Path, list[int]] = {}
    for k, path in enumerate(paths):
        folders.setdefault(path.parent, []).append(k)
    with Progress(len(paths), "Reading pictures" if len(paths) >= MANY else None) as bar, _pool() as pool:
        for folder, own in folders.items():
            kept = _kept(_place(folder, size))
            missing = [k for k in own if not _recall(paths[k], kept, photos, pixels, k)]
            bar.step(folder.name, len(own) - len(missing))
            for k, photo in zip(missing, pool.map(lambda k: _look(paths[k], pixels[k]), missing), strict=True):
                photos[k] = photo
                bar.step(folder.name)
            if missing or len(kept) != len(own):
                lasting = [k for k in own if photos[k].lasting]
                _keep(_place(folder, size), [photos[k] for k in lasting], pixels[lasting])
    return Album(listing, paths, tuple(photos), pixels, labels)


def _room(count: int, size: int) -> Tensor:
    """An empty tensor for so many pictures. What it takes is said before it is taken."""
    needed = count * 3 * size * size
    says = f"{counted(count, 'picture')} of {size} x {size} pixels take {needed / 1e6:,.0f} MB of memory"
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        there = needed
    with contextlib.suppress(RuntimeError):
        if needed <= there:
            if needed >= MUCH:
                print(f"{says}.")
            return torch.empty(count, 3, size, size, dtype=torch.uint8)
    raise MemoryError(f"{says}, which this computer doesn't have: choose a smaller size, or fewer pictures.")


@contextlib.contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads to read with; when the reader stops the cell, what has not been begun is not begun."""
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        with pictures.quiet():
            yield pool
    finally:
        pool.shutdown(cancel_futures=True)


# --- one file ----------------------------------------------------------------------------------------------------

def _look(path: Path, pixels: Tensor) -> Photo:
    """Read a file, its picture into `pixels`, uint8 (3, size, size)."""
    name, length, changed = path.name, 0, 0
    pixels.fill_(255)
    try:
        state = path.stat()
        length, changed = state.st_size, state.st_mtime_ns
        if length > LARGEST_FILE:
            return Photo(name, length, changed, problem=HUGE, lasting=False)
        with open(path, "rb") as file:
            head = file.read(pictures.HEAD)
            if head and not pictures.known(head):
                raise pictures.Stranger(NOT_ONE)
            data = head + file.read()
        digest = hashlib.sha256(data).hexdigest()
        picture = pictures.decode(data, pixels.shape[-1])
        pixels.copy_(picture.pixels[0])
        return Photo(name, length, changed, digest, picture.format, picture.width, picture.height)
    except OSError as error:
        return Photo(name, length, changed, problem=_around(path, error), lasting=False)
    except (pictures.Damaged, pictures.Stranger) as error:
        why = NOT_ONE if isinstance(error, pictures.Stranger) and length else str(error)
        return Photo(name, length, changed, problem=why)
    except ValueError as error:  # of a kind that can't be read here, today
        return Photo(name, length, changed, problem=str(error), lasting=False)


def _around(path: Path, error: OSError) -> str:
    """What an error of the file system means: nothing about the picture."""
    if isinstance(error, FileNotFoundError):
        return DEAD if path.is_symlink() else GONE
    return (BARRED if isinstance(error, PermissionError) else PASSING).format(error.strerror or error)


# --- the cache ---------------------------------------------------------------------------------------------------

def _place(folder: Path, size: int) -> Path:
    """Where the pictures of a folder are kept. Another Pillow may decode them otherwise."""
    key = json.dumps([READER, PIL.__version__, os.path.realpath(folder), size])
    return downloads.cache_folder() / "folders" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def _kept(place: Path) -> dict[str, tuple[Photo, Tensor]]:
    """What is kept of a folder, by file name; nothing where there is none, or where it is not whole."""
    try:
        with safe_open(place, "pt") as file:
            photos = [Photo(*row) for row in json.loads(file.metadata()["photos"])]
            pixels = file.get_tensor("pixels")
            return {photo.name: (photo, pixels[k]) for k, photo in enumerate(photos)}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError):
        return {}


def _recall(path: Path, kept: dict[str, tuple[Photo, Tensor]], photos: list[Photo], pixels: Tensor, k: int) -> bool:
    """Whether number `k` is kept and unchanged; then it is put where it belongs."""
    try:
        photo, own = kept[path.name]
        state = path.stat()
    except (KeyError, OSError):
        return False
    if (photo.bytes, photo.changed) != (state.st_size, state.st_mtime_ns):
        return False
    photos[k] = photo
    pixels[k] = own
    return True


def _keep(place: Path, photos: list[Photo], pixels: Tensor) -> None:
    """Write a file that is whole or not there at all; where there is no room for it, do without."""
    part = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=place.parent, suffix=".part")  # two notebooks may read one folder at once
        os.close(handle)
        save_file({"pixels": pixels}, part, {"photos": json.dumps([astuple(photo) for photo in photos])})
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, place)
    except (OSError, SafetensorError):
        if part:
            with contextlib.suppress(OSError):
                os.unlink(part)
