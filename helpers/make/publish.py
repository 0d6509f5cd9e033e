"""Write the repository's address on GitHub wherever a reader needs it.

    python -m helpers.make.publish OWNER/REPO

The address stands in pyproject.toml. From there it goes into the Colab badges and links of README.md, the notebooks and
their solutions, into the notebooks' setup cells and CITATION.cff. As long as it is unknown, what can't work without it
is hidden: badges and links stand in comments, and a setup cell that would have to fetch the course refuses in one
sentence. Stamping the address shows all of that. Nothing else in these files changes, not a byte, and a second run
changes nothing at all. GitHub runs this command on the first push (.github/workflows/site.yml), and gives it the
address of the course's web site as well.
"""
from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
UNKNOWN = "OWNER/REPO"
BEFORE = (r'^repository = "|colab\.research\.google\.com/github/|git clone -q --depth 1 https://github\.com/|'
          r'codespaces\.new/|mybinder\.org/v2/gh/|repository-code: "https://github\.com/')
STAMP = re.compile(rf"({BEFORE})([\w.-]+/[\w.-]+)", re.MULTILINE)  # an address, and what it stands behind
VALID = re.compile(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}(?<!\.git)")  # GitHub's rules
# What keeps a setup cell from fetching somebody else's code as long as the address is unknown:
REFUSAL = ('    raise RuntimeError("The course has no address yet from which to fetch it: "\n',
           '                       "open this notebook in the course\'s own folder.")\n')
IN_JSON = re.compile("".join(rf"^ *{re.escape(json.dumps(line))},\r?\n" for line in REFUSAL), re.MULTILINE)
COMMENT = re.compile(r"<!-- (.*?) -->|^# (?=repository-code:)", re.MULTILINE)  # in Markdown, and in CITATION.cff
SITE = re.compile(r"(?:<!-- )?(.*\[on the web\]\()https://[^)]*(\).*?)(?: -->)?$", re.MULTILINE)  # a line of README.md


def addresses(text: str) -> list[str]:
    """Every address in the text of a file that `publish` stamps, in order."""
    return [address for _, address in STAMP.findall(text)]


def stamped(text: str, address: str) -> str:
    """The text of a file with `address` in all its places, and with nothing hidden any more that needs one."""
    text = "\n".join(shown(line) if STAMP.search(line) else line for line in IN_JSON.sub("", text).split("\n"))
    return STAMP.sub(rf"\g<1>{address}", text)


def shown(line: str) -> str:
    """The line without the signs that make it, or a part of it, a comment."""
    return COMMENT.sub(lambda comment: comment[1] or "", line)


def publish(address: str, root: Path = ROOT, site: str | None = None) -> list[str]:
    """Stamp `address`, "OWNER/REPO", into all files of the course at `root`; returns the names of those that changed.

    `site` is the address of the course's web site; README.md links to it as soon as it is known.

    Raises:
        ValueError: the address is none that GitHub allows, or a file has lost a place for it. Nothing is written then.
    """
    if not isinstance(address, str) or not VALID.fullmatch(address) or address == UNKNOWN:
        raise ValueError(f"{address!r} is no address on GitHub: write it as OWNER/REPO, without https:// and .git.")
    notebooks = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    solutions = sorted((root / "notebooks" / "solutions").glob("[0-9]*.ipynb"))
    places = {root / "pyproject.toml": 1, root / "CITATION.cff": 1, root / "README.md": len(notebooks) + 2}
    places |= dict.fromkeys(notebooks + solutions, 2)
    texts = {path: path.read_bytes().decode() for path in places}  # bytes, so that line ends stay as they are
    for path, count in places.items():
        if (found := len(addresses(texts[path]))) != count:
            raise ValueError(f"{path.name} should hold the repository's address {count} times, not {found}: put back "
                             "the line `repository =`, the badge, the link or the setup cell that it has lost.")
    new = {path: stamped(text, address) for path, text in texts.items()}
    if site:
        new[root / "README.md"] = SITE.sub(lambda line: line[1] + site + line[2], new[root / "README.md"])
    changed = [path for path in places if new[path] != texts[path]]
    for path in changed:
        part = path.with_name(path.name + ".part")
        part.write_bytes(new[path].encode())
        os.replace(part, path)
    return [path.name for path in changed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", metavar="OWNER/REPO")
    parser.add_argument("--site", metavar="URL", help="where the course's web site is, if there is one")
    arguments = parser.parse_args()
    try:
        changed = publish(arguments.address, site=arguments.site)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    address = arguments.address
    print(f"{address}: stamped into {', '.join(changed)}" if changed else f"{address} stands everywhere already")


if __name__ == "__main__":
    main()
