"""Files that arrive whole or not at all: from a web server or from a folder, resumed where a connection broke.

A file is written as NAME.part, checked, forced to the disk, and only then gets its name. What a broken connection or a
killed notebook leaves in NAME.part is not fetched again. Addresses may be `http://...`, `https://...` or a path.
A server that has too many visitors at once is left alone for as long as it asks for, within limits.
"""
from __future__ import annotations

import contextlib
import email.utils
import functools
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from helpers.progress import Progress

TIMEOUT = 20  # seconds without an answer, or without a byte
SLOWEST = 20_000  # bytes a second; a server that stays below this for WINDOW seconds of waiting is given up
WINDOW = 20
ATTEMPTS = 4  # in a row that bring fewer than a block; an attempt that brings more counts as the first again
PAUSE = 1  # seconds before the second attempt, twice as long before each further one
BLOCK = 64 * 1024  # bytes
BUSY = (429, 503)  # HTTP statuses with which a server may say in Retry-After when to come back
LONGEST_WAIT = 120  # seconds; a server that asks for more is given up, since a lesson can't wait for it
LONGEST_WAITS = 300  # seconds in all that one download waits because it was asked to
SILENT_WAIT = 3  # seconds; before a longer one, a line tells the reader


class Unavailable(RuntimeError):
    """A file can't be had from one source. The message says why in a few words, and has no full stop."""


class Damaged(Unavailable):
    """It came, but it is not what it should be."""


def cache_folder() -> Path:
    """Where fetched data is kept: the environment variable TL_CACHE, or ~/.cache/transfer-learning."""
    return Path(os.environ.get("TL_CACHE") or "~/.cache/transfer-learning").expanduser()


def mirror(name: str) -> list[str]:
    """The address of the file `name` on the mirror TL_MIRROR (an address or a folder), in a list; [] without one."""
    place = os.environ.get("TL_MIRROR")
    if not place:
        return []
    return [f"{place.rstrip('/')}/{name}" if "://" in place else str(Path(place).expanduser() / name)]


@functools.lru_cache(maxsize=64)
def _digest(path: Path, algorithm: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.new(algorithm, file.read()).hexdigest()  # Python 3.10


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest ("md5", "sha256") of a file; "" if there is none. Computed again only if the file changed."""
    try:
        stat = path.stat()
        return _digest(path, algorithm, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return ""


# --- reading -----------------------------------------------------------------------------------------------------

class Download:
    """`for block in Download(address, start)`: the file's bytes from position `start` on, in blocks.

    A connection that breaks is taken up again; from a server that can't begin in the middle, what we have is read and
    dropped. `received` counts the bytes that came; `total` is the size of the file, None while it is unknown.

    Raises `Unavailable`, whatever goes wrong.
    """

    def __init__(self, address: str, start: int = 0):
        self.address, self.position = address, start
        self.received, self.total = 0, None

    def __iter__(self) -> Iterator[bytes]:
        blocks = self._web if "://" in self.address else self._disk
        return blocks()

    def _disk(self) -> Iterator[bytes]:
        try:
            with open(self.address, "rb") as file:
                self.total = os.fstat(file.fileno()).st_size
                file.seek(self.position)
                while block := file.read(BLOCK):
                    self.received += len(block)
                    yield block
        except OSError as error:
            raise Unavailable((error.strerror or str(error)).lower()) from None

    def _web(self) -> Iterator[bytes]:
        failures, mark, waits = 0, self.position, Waits(self.address)
        while True:
            try:
                yield from self._connection()
                return
            except urllib.error.HTTPError as error:
                if error.code == 416 and self.position:  # there is nothing after what we have
                    return
                reason = "it redirects in circles" if error.code < 400 else f"HTTP status {error.code}"
                if error.code < 500 and error.code not in (*BUSY, 408):  # 408: the server waited too long for us
                    raise Unavailable(reason) from None
                asked = asked_to_wait(error.headers) if error.code in BUSY else None
            except (OSError, http.client.HTTPException, ValueError) as error:
                cause, asked = getattr(error, "reason", error), None
                reason = f"no answer within {TIMEOUT} s" if isinstance(cause, TimeoutError) else \
                    getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            if asked is not None:  # no failure: it will have time for us
                waits.wait(asked, reason)
                continue
            failures = failures + 1 if self.position - mark < BLOCK else 1
            mark = self.position
            if failures == ATTEMPTS:
                raise Unavailable(reason) from None
            time.sleep(PAUSE * 2 ** (failures - 1))

    def _connection(self) -> Iterator[bytes]:
        headers = {"User-Agent": "transfer-learning-course", "Accept-Encoding": "identity"}
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
        request = urllib.request.Request(self.address, headers=headers)
        # An opener for each connection, as `urlopen` would keep the proxies that it found when it was first called.
        with urllib.request.build_opener().open(request, timeout=TIMEOUT) as answer:
            size = answer.headers.get("Content-Length")
            total, skip = int(size) if size else None, self.position
            if answer.status == 206:
                part = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
                if not part:
                    raise Unavailable("it does not say which part of the file it sends")
                total, skip = int(part[2]), self.position - int(part[1])
            if skip < 0 or self.total not in (None, total):
                raise Unavailable("the file has changed on the server")
            self.total = total
            for block in _steadily(answer):
                self.received += len(block)
                dropped, skip = block[:skip], max(0, skip - len(block))
                self.position += len(block) - len(dropped)
                if len(dropped) < len(block):
                    yield block[len(dropped):]
        if self.total is not None and self.position < self.total:
            raise ConnectionError("the connection broke")


def _steadily(answer) -> Iterator[bytes]:
    """The blocks of a server's answer, as they come; `Unavailable` if they come too slowly."""
    waited, count = 0.0, 0
    while True:
        start = time.monotonic()
        block = answer.read1(BLOCK)  # read() would wait for a whole block, from a slow server for hours
        waited, count = waited + time.monotonic() - start, count + len(block)
        if not block:
            return
        yield block
        if waited > WINDOW:
            if count < SLOWEST * waited:
                raise Unavailable(f"it sends less than {SLOWEST // 1000} kB a second")
            waited, count = 0.0, 0


class Waits:
    """Waits for a server as long as it asks for, and gives it up (`Unavailable`) where that is longer than a lesson."""

    def __init__(self, address: str):
        self.address, self.count, self.seconds = address, 0, 0.0

    def wait(self, asked: float, reason: str) -> None:
        """`asked` is in seconds; where the server asks again and again for next to nothing, the waits grow longer."""
        if asked > LONGEST_WAIT:
            raise Unavailable(f"{reason}, and it asks to wait for {asked:.0f} s")
        seconds = min(LONGEST_WAIT, max(asked, PAUSE * 2**self.count))
        if self.seconds + seconds > LONGEST_WAITS:
            raise Unavailable(f"{reason}, even after {self.seconds:.0f} s of waiting as it asked")
        self.count, self.seconds = self.count + 1, self.seconds + seconds
        if seconds > SILENT_WAIT:
            host = urllib.parse.urlsplit(self.address).hostname
            print(f"{host} is busy: going on in {seconds:.0f} s.", flush=True)
        time.sleep(seconds)


def asked_to_wait(headers) -> float | None:
    """The seconds of a server's Retry-After, which is a number or a date (by its own clock); None where it has none."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        now = email.utils.parsedate_tz(headers.get("Date", ""))
        then = email.utils.mktime_tz(email.utils.parsedate_tz(value))
        return max(0.0, then - (email.utils.mktime_tz(now) if now else time.time()))
    except (TypeError, ValueError, OverflowError):  # neither a number nor a date
        return None


# --- writing -----------------------------------------------------------------------------------------------------

def partial(final: Path) -> Path:
    """Where a file is written before it is known to be whole."""
    return final.with_name(f"{final.name}.part")


def save(blocks: Iterable[bytes], final: Path, right: Callable[[Path], bool], append: bool = False) -> bool:
    """Write `blocks` to NAME.part, behind what is there if `append`, and give it its name `final` if it is right.

    Returns whether `right(NAME.part)` was true; if not, NAME.part is deleted. If `blocks` breaks off with an error,
    NAME.part stays. Raises `OSError` if it can't be written; then it is deleted, as the disk may be full of it.
    """
    part = partial(final)
    try:
        with open(part, "ab" if append else "wb") as file:
            for block in blocks:
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        whole = right(part)
        if whole:
            os.replace(part, final)
        else:
            part.unlink()
        return whole
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def fetch(addresses: list[str], final: Path, right: Callable[[Path], bool]) -> None:
    """Bring the file `final` from the first address that has it with the right contents.

    Raises `Unavailable` with what was tried and why each failed, and `OSError` if it can't be written.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for address in addresses:
        try:
            left = partial(final).stat().st_size if partial(final).exists() else 0
            if left and save(_with_bar(Download(address, left), final.name), final, right, append=True):
                return
            if save(_with_bar(Download(address), final.name), final, right):  # nothing was left, or nothing good
                return
            failures.append(f"{address}: the file has other contents than it should have")
        except Unavailable as error:
            failures.append(f"{address}: {error}")
    raise Unavailable("; ".join(failures))


def _with_bar(download: Download, label: str) -> Iterator[bytes]:
    with Progress(0, label, unit="MB") as bar:
        for block in download:
            bar.total = (download.total or 0) / 1e6
            bar.step(count=len(block) / 1e6)
            yield block
