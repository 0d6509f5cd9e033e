"""A folder of photographs as people have it: which classes are in it, which files are pictures, and what is left out.

Nothing is opened here beyond the first bytes of a file: they say whether it is a picture, whatever its name ends in.
"""
from __future__ import annotations

import os
import tarfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helpers import pictures

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
          "test": "test", "testing": "test"}  # what people call a folder of training images, and so on
JUNK = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information", "__pycache__"}
ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif",
           ".avif"}  # of a file that ought to be a picture

HIDDEN = "hidden, or made by a program"
NO_PICTURE = "no picture"
LOOSE = "beside the class folders instead of in one"
NAMED = 3  # names that a message lists where nothing has to be done about them


@dataclass
class Listing:
    """What is below a folder: `files` by class name, sorted, as paths; and `left_out`, path by path, with the reason.

    A class without pictures has an empty list. Names are as Unicode composes them (NFC): a Mac writes é in two signs.
    """

    root: Path
    files: dict[str, list[Path]] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(files) for files in self.files.values())

    def said(self) -> str:
        """One line on what is left out; "" where nothing is."""
        reasons = {reason: [told(path, self.root) for path, its in self.left_out.items() if its == reason]
                   for reason in dict.fromkeys(self.left_out.values())}
        return "; ".join(f"{len(names)} {reason} ({few(names)})" for reason, names in reasons.items())


def listing(root: str | Path) -> Listing:
    """The pictures below `root`, which has one folder per class. Links are followed.

    Raises `ValueError`, with a sentence that says what to do, if that is not what `root` is.
    """
    root = checked(root)
    found = Listing(root)
    for entry in _entries(root, found):
        if entry.is_dir():
            own = found.files.setdefault(composed(entry.name), [])
            own.extend(_pictures(Path(entry.path), found, [os.path.realpath(root)]))
            own.sort()
        else:
            loose = entry.is_file() and _is_picture(Path(entry.path))
            found.left_out[Path(entry.path)] = LOOSE if loose else NO_PICTURE
    found.files = dict(sorted(found.files.items()))
    return found


def checked(root: str | Path) -> Path:
    """`root` as the path of a folder; raises `ValueError` if there is none."""
    if not isinstance(root, (str, Path)):
        raise ValueError(f"root must be the path of a folder, not {root!r}.")
    root = Path(root).expanduser()
    if root.is_file():
        packed = zipfile.is_zipfile(root) or tarfile.is_tarfile(root)
        raise ValueError(f"{root} is an archive: unpack it, and give the folder that comes out of it." if packed else
                         f"{root} is a file: give the folder that holds one folder per class.")
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}: check how its path is written.")
    return root


def class_names(found: Listing, classes: Iterable[str] | None) -> tuple[str, ...]:
    """The classes of a folder: those given, such as the training folder's, or else the names of its own folders.

    Raises `ValueError` where there are not two or more, each with a picture; where `classes` are given, one of these
    may lack pictures, but there must be no others.
    """
    if not found.files:
        raise ValueError(f"No class folders in {found.root}: put its pictures into one folder per class below it.")
    if inner := splits_of(found):
        raise ValueError(f"{found.root} holds {listed(inner)}, which are splits and not classes: read each by itself, "
                         f"beginning with datasets.folder({str(found.root / inner[0])!r}).")
    if classes is None:
        _check_own(found)
        return tuple(found.files)
    wanted = _check_given(found, classes)
    if not len(found):
        raise ValueError(f"No pictures in {found.root}: put some into one folder per class below it.")
    return wanted


def _check_own(found: Listing) -> None:
    root, names = found.root, list(found.files)
    for name in names:
        if not found.files[name]:
            others = [told(path, root) for path in found.left_out
                      if composed(path.relative_to(root).parts[0]) == name and len(path.relative_to(root).parts) > 1]
            hint = f" (what is in it is left out: {few(others)})" if others else ""
            raise ValueError(f"No pictures in {root / name}{hint}: put some there, or move that folder elsewhere.")
    if len(names) == 1:
        below = sorted({path.relative_to(root).parts[1] for path in found.files[names[0]]
                        if len(path.relative_to(root).parts) > 2})
        hint = (f"its folders {listed(below)} look like classes: if they are, read {root / names[0]}" if len(below) > 1
                else "add a folder of something else")
        raise ValueError(f"{root} holds one class only, {names[0]!r}, and a network needs two to tell apart: {hint}.")


def splits_of(found: Listing) -> list[str]:
    """The names of the splits, such as "train" and "val", where a folder holds these instead of classes."""
    inner = [name for name in found.files if name.lower() in SPLITS]
    deep = [name for name in inner if any(len(path.relative_to(found.root).parts) > 2 for path in found.files[name])]
    return sorted(inner, key=lambda name: list(SPLITS).index(name.lower())) if deep and (
        len(inner) > 1 or len(inner) == len(found.files)) else []


def _check_given(found: Listing, classes: Iterable[str]) -> tuple[str, ...]:
    wanted = list(classes) if isinstance(classes, Iterable) and not isinstance(classes, str) else []
    if not all(isinstance(name, str) for name in wanted) or len(set(wanted)) < max(2, len(wanted)):
        raise ValueError(f"classes must be two or more names, each once, such as train.classes, not {classes!r}.")
    known = {composed(name) for name in wanted}
    stray = [name for name in found.files if name not in known]
    if stray:
        lacking = [name for name in wanted if composed(name) not in found.files]
        alike = {name.casefold(): name for name in lacking}
        pairs = [f"{name!r} should be {alike[name.casefold()]!r}" for name in stray if name.casefold() in alike]
        hint = f"; {', '.join(pairs)}" if pairs else f"; it has none of {listed(lacking)}" if lacking else ""
        raise ValueError(f"{found.root} has {listed(stray)}, which {'is' if len(stray) == 1 else 'are'} not among the "
                         f"classes{hint}. Give its folders the names of the training folder's.")
    return tuple(map(composed, wanted))


# --- walking -----------------------------------------------------------------------------------------------------

def _entries(folder: Path, found: Listing) -> Iterator[os.DirEntry]:
    """What is in a folder, by name, without what is hidden or what programs leave behind."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(f"{folder} can't be opened ({error.strerror}): see whether the drive is connected and the "
                         "folder may be read, and try again.") from None
    for entry in ordered:
        if entry.name.startswith(".") or entry.name.lower() in JUNK:
            found.left_out[Path(entry.path)] = HIDDEN
        else:
            yield entry


def _pictures(folder: Path, found: Listing, above: list[str]) -> Iterator[Path]:
    """The pictures in a folder and in those below it; `above`: the real paths of the folders that it is in."""
    here = os.path.realpath(folder)
    if here in above:
        found.left_out[folder] = "a link to a folder above it"
        return
    for entry in _entries(folder, found):
        path = Path(entry.path)
        if entry.is_dir():
            yield from _pictures(path, found, [*above, here])
        elif (entry.is_file() or entry.is_symlink()) and _is_picture(path):  # a dead link is told of when it is read
            yield path
        else:
            found.left_out[path] = NO_PICTURE


def _is_picture(path: Path) -> bool:
    """Whether a file ought to be read: it begins as a picture does, or its name says that it is one."""
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with open(path, "rb") as file:
            return pictures.known(file.read(pictures.HEAD))
    except OSError:  # it may be one: reading it will tell
        return not path.suffix


# --- words -------------------------------------------------------------------------------------------------------

def composed(name: str) -> str:
    """A name of any script as text that can be shown: é in one sign, and a question mark for what is no sign at all."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))


def told(path: Path, root: Path) -> str:
    """A path below `root` for the reader, with its folders."""
    return composed(path.relative_to(root).as_posix())


def few(names: Sequence[str], most: int = NAMED) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def listed(names: Sequence[str]) -> str:
    return few([repr(name) for name in names])


def counted(number: int, thing: str) -> str:
    """ "1 picture", "1,234 pictures"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def tally(words: Iterable[str]) -> str:
    """ "JPEG 300, PNG 12"."""
    return ", ".join(f"{word} {number:,}" for word, number in Counter(words).most_common())
