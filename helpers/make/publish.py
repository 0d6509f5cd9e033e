"""Write the repository's address on GitHub wherever a reader needs it.

    python -m helpers.make.publish OWNER/REPO

The address stands in pyproject.toml. From there it goes into the Colab badges of README.md, the notebooks and their
solutions, and into the notebooks' setup cells. Nothing else in these files changes, not a byte, and a second run
changes nothing at all.
"""
from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BEFORE = r'^repository = "|colab\.research\.google\.com/github/|git clone -q --depth 1 https://github\.com/'
STAMP = re.compile(rf"({BEFORE})([\w.-]+/[\w.-]+)", re.MULTILINE)  # an address, and what it stands behind
VALID = re.compile(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}(?<!\.git)")  # GitHub's rules


def addresses(text: str) -> list[str]:
    """Every address in the text of a file that `publish` stamps, in order."""
    return [address for _, address in STAMP.findall(text)]


def publish(address: str, root: Path = ROOT) -> list[str]:
    """Stamp `address`, "OWNER/REPO", into all files of the course at `root`; returns the names of those that changed.

    Raises:
        ValueError: the address is none that GitHub allows, or a file has lost a place for it. Nothing is written then.
    """
    if not isinstance(address, str) or not VALID.fullmatch(address):
        raise ValueError(f"{address!r} is no address on GitHub: write it as OWNER/REPO, without https:// and .git.")
    notebooks = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    solutions = sorted((root / "notebooks" / "solutions").glob("[0-9]*.ipynb"))
    places = {root / "pyproject.toml": 1, root / "README.md": len(notebooks)} | dict.fromkeys(notebooks + solutions, 2)
    texts = {path: path.read_bytes().decode() for path in places}  # bytes, so that line ends stay as they are
    for path, count in places.items():
        if (found := len(addresses(texts[path]))) != count:
            raise ValueError(f"{path.name} should hold the repository's address {count} times, not {found}: put back "
                             "the line `repository =`, the badge or the setup cell that it has lost.")
    changed = []
    for path, old in texts.items():
        if (new := STAMP.sub(rf"\g<1>{address}", old)) != old:
            part = path.with_name(path.name + ".part")
            part.write_bytes(new.encode())
            os.replace(part, path)
            changed.append(path.name)
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", metavar="OWNER/REPO")
    address = parser.parse_args().address
    try:
        changed = publish(address)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    print(f"{address}: stamped into {', '.join(changed)}" if changed else f"{address} stands everywhere already")


if __name__ == "__main__":
    main()
