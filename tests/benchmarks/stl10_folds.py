"""STL-10's list of ten folds, which stands at the very end of its archive, behind 2.3 GB of images without labels."""
from __future__ import annotations

import tarfile
from pathlib import Path

from helpers.fetch import downloads, stl10
from helpers.fetch.downloads import Unavailable


def fetch(root: Path) -> None:
    """Make sure that the list is in `root`/stl10_binary: from the mirror TL_MIRROR, or by reading the whole archive.

    What is read on the way is dropped. Raises `RuntimeError` with one sentence if the list can't be had.
    """
    final = root / stl10.FOLDER / stl10.FOLDS
    if final.exists():
        return
    try:
        if addresses := downloads.mirror(f"{stl10.FOLDER}/{stl10.FOLDS}"):
            return downloads.fetch(addresses, final, there)
    except Unavailable:
        pass  # a mirror for a class need not have it
    print("STL-10's folds stand at the end of its archive: 2.6 GB are read for them, once.", flush=True)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)  # nothing else of STL-10 need be there yet
        from_archive(stl10.ARCHIVE, final)
    except (Unavailable, OSError, tarfile.TarError, EOFError) as error:
        raise RuntimeError(f"The list of STL-10's folds could not be fetched ({error}): run this again, or put "
                           f"{final.name} from {stl10.ARCHIVE} into {final.parent}.") from None


def from_archive(address: str, final: Path) -> None:
    with stl10.Tape(address, final.with_name("folds.tape")) as tape:
        tape.forget()  # keep nothing of what comes
        with tarfile.open(fileobj=tape, mode="r|gz", bufsize=downloads.BLOCK) as archive:
            for member in archive:
                if Path(member.name).name == stl10.FOLDS:
                    downloads.save(iter([archive.extractfile(member).read()]), final, there)
    final.with_name("folds.tape").unlink()
    if not final.exists():
        raise Unavailable("the archive ends without it")


def there(part: Path) -> bool:
    """Ten lines of whole numbers; nobody has published a checksum of this file."""
    lines = part.read_text(encoding="utf-8", errors="replace").splitlines()
    return len(lines) == 10 and all(word.isdecimal() for line in lines for word in line.split())
