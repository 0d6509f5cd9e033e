"""STL-10's files: fetched once, checked, and without the 100,000 unlabelled images that nobody here needs.

STL-10 (Coates, Ng and Lee, 2011) comes as one archive of 2.6 GB. The four files with labels stand at its beginning, so
it is unpacked while it arrives, and the transfer ends behind the last of them. The names, md5 sums and folder are
torchvision's, and its `STL10` class reads what is put there.
"""
from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from helpers.fetch import downloads
from helpers.fetch.downloads import Damaged, Download, Unavailable
from helpers.progress import Progress

FOLDER = "stl10_binary"
FOLDS = "fold_indices.txt"  # ten lines of 1,000 positions in the training set; stands at the archive's end
ARCHIVE = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
LABELLED = 13_000 * (3 * 96 * 96 + 1) / 1e6  # MB, unpacked


def expected() -> dict[str, str]:
    """The four files with labels, and the md5 sum of each."""
    from torchvision.datasets import STL10  # not at the top: it takes a while, and the pocket track does not need it

    return {name: md5 for name, md5 in [*STL10.train_list[:2], *STL10.test_list]}


def missing(folder: Path) -> dict[str, str]:
    """Those of the four that are not in `folder`, or not whole."""
    return {name: md5 for name, md5 in expected().items() if downloads.digest(folder / name, "md5") != md5}


def fetch(root: Path) -> None:
    """Make sure that the four files with labels are in `root`/stl10_binary, whole.

    Tried in order: what is there; the mirror TL_MIRROR, a folder or an address with the same files; the official
    archive. Two processes may call this at once: the second waits for the first.

    Raises `RuntimeError` with one sentence if none of them has it or if it can't be written.
    """
    folder = root / FOLDER
    if not missing(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "stl10.lock"):
            failures = _try_sources(folder)
    except OSError as error:
        raise RuntimeError(f"STL-10 can't be written to {folder} ({error.strerror or error}): make room there, or "
                           "set TL_CACHE to another folder.") from None
    if failures:
        raise RuntimeError(f"STL-10 could not be fetched: {'; '.join(failures)}. Check the network connection and try "
                           f"again, put {', '.join(missing(folder))} into {folder} by hand, or set TL_MIRROR to a "
                           "folder or an address that has them.")


def _try_sources(folder: Path) -> list[str]:
    """What went wrong with each source, or [] as soon as one has brought everything."""
    failures = []
    for source, address in [*((from_mirror, address) for address in downloads.mirror(FOLDER)), (from_archive, ARCHIVE)]:
        try:
            if missing(folder):
                source(address, folder)
            downloads.partial(folder.parent / Path(ARCHIVE).name).unlink(missing_ok=True)
            return []
        except Unavailable as error:
            failures.append(f"{address}: {error}")
    return failures


def _right(name: str) -> Callable[[Path], bool]:
    """The function that tells whether a file has the contents that `name` should have."""
    if name == FOLDS:  # torchvision knows no md5 sum of it
        return lambda part: _read_folds(part) is not None
    md5 = expected()[name]
    return lambda part: downloads.digest(part, "md5") == md5


def _keep(blocks, folder: Path, name: str) -> None:
    """Write one file; `Damaged` if it has other contents than it should have."""
    if not downloads.save(blocks, folder / name, _right(name)):
        raise Damaged(f"{name} has other contents than it should have")


# --- the sources -------------------------------------------------------------------------------------------------

def from_mirror(address: str, folder: Path) -> None:
    """Each missing file by itself, and the list of folds if the mirror has it."""
    def fetch_one(name):
        downloads.fetch([f"{address}/{name}"], folder / name, _right(name))

    for name in missing(folder):
        try:
            fetch_one(name)
        except Unavailable as error:
            raise Unavailable(str(error).removeprefix(f"{address}/")) from None
    if not (folder / FOLDS).exists():
        with contextlib.suppress(Unavailable):  # few need it, and `folds` says what to do
            fetch_one(FOLDS)


def from_archive(address: str, folder: Path) -> None:
    """Unpack the archive while it arrives, until nothing is missing.

    What has arrived is kept beside `folder` as long as it holds no unlabelled images, so that a notebook that was
    killed does not begin again.
    """
    kept = downloads.partial(folder.parent / Path(ARCHIVE).name)
    resumed = kept.exists()
    try:
        _unpack(address, folder, kept)
    except Damaged:
        kept.unlink(missing_ok=True)
        if not resumed:
            raise
        from_archive(address, folder)  # perhaps only what was kept is damaged


def _unpack(address: str, folder: Path, kept: Path) -> None:
    wanted = missing(folder)
    with Tape(address, kept) as tape, Progress(LABELLED, "STL-10", unit="MB") as bar:
        try:
            with tarfile.open(fileobj=tape, mode="r|gz", bufsize=downloads.BLOCK) as archive:
                for member in archive:
                    name = Path(member.name).name
                    if name.startswith("unlabeled"):
                        tape.forget()
                    elif name in wanted or name == FOLDS:
                        _keep(_blocks(archive.extractfile(member), bar), folder, name)
                        wanted.pop(name, None)
                    if not wanted:
                        break
        except (tarfile.TarError, EOFError):
            raise Damaged("the archive is damaged or ends too early") from None
    if wanted:
        raise Damaged(f"the archive lacks {', '.join(wanted)}")
    kept.unlink(missing_ok=True)


def _blocks(file, bar: Progress):
    while block := file.read(downloads.BLOCK):
        bar.step(count=len(block) / 1e6)
        yield block


class Tape:
    """What `tarfile` reads: first what was kept on the disk, then the rest from the network, which is kept as well."""

    def __init__(self, address: str, kept: Path):
        self.file = open(kept, "a+b")  # every write goes to the end, wherever we read
        self.download = Download(address, start=self.file.tell())
        self.file.seek(0)
        self.live, self.buffer = iter(self.download), b""
        self.replaying = self.keeping = True

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *error) -> None:
        self.file.close()

    def read(self, size: int) -> bytes:
        if self.replaying:
            if block := self.file.read(size):
                return block
            self.replaying = False
        while len(self.buffer) < size and (block := next(self.live, b"")):
            self.buffer += block
        block, self.buffer = self.buffer[:size], self.buffer[size:]
        if self.keeping:
            self.file.write(block)
        return block

    def forget(self) -> None:
        """Keep nothing from here on, and not what was kept: unlabelled images follow, two gigabytes of them."""
        self.buffer = self.file.read() + self.buffer if self.replaying else self.buffer
        self.file.truncate(0)
        self.replaying = self.keeping = False


# --- the ten folds -----------------------------------------------------------------------------------------------

def folds(root: Path) -> np.ndarray:
    """The official protocol's ten training sets: int64 (10, 1000), positions in the training set of 5,000.

    Raises `RuntimeError` if the file that lists them is absent: it stands behind the unlabelled images.
    """
    found = _read_folds(root / FOLDER / FOLDS)
    if found is None:
        raise RuntimeError(f"STL-10's folds need {FOLDS} in {root / FOLDER}: take it from the official archive "
                           f"({ARCHIVE}), where it is the last file, or use fold=None.")
    return found


def _read_folds(path: Path) -> np.ndarray | None:
    try:
        table = np.loadtxt(path, dtype=np.int64, ndmin=2)
    except (OSError, ValueError):
        return None
    return table if len(table) == 10 and table.size and table.min() >= 0 else None
