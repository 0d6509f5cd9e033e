"""Whether the pages that the course links to are still there.

    python -m helpers.make.external_links

Read are all Markdown files and the Markdown cells of the notebooks. A page that its server does not know, and a server
that nobody knows, is a broken link, and the command then ends with status 1. A server that answers in another way, as
those do that want no programs as visitors, is named, and nothing more.
"""
from __future__ import annotations

import argparse
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
UNSEEN = re.compile(r"<!--.*?-->|^```.*?^```", re.DOTALL | re.MULTILINE)  # comments and code: nobody can click there
ADDRESS = re.compile(r"""(?:\]\(|<|href="|src=")(https?://[^)>"\s]+)""")
SECONDS = 20
BROWSER = {"User-Agent": "Mozilla/5.0 (a weekly check of links)"}


def texts(root: Path) -> Iterable[tuple[str, str]]:
    """Each page's name, as its path from `root`, and its Markdown."""
    folders = [root / name for name in (".github", "notebooks", "helpers")]
    for path in sorted([*root.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))]):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((root / "notebooks").rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        markdown = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        yield path.relative_to(root).as_posix(), "\n\n".join(markdown)


def addresses(root: Path = ROOT) -> dict[str, list[str]]:
    """Every address on the web that a page of the course links to, without its place in the page, and those pages."""
    found: dict[str, list[str]] = {}
    for name, text in texts(root):
        for address in ADDRESS.findall(UNSEEN.sub("", text)):
            pages = found.setdefault(address.split("#")[0], [])
            if name not in pages:
                pages.append(name)
    return found


def answer(address: str) -> str:
    """"there"; "broken: ..." if the page or its server is not there; "unsure: ..." if the server says neither."""
    try:
        request = urllib.request.Request(address, headers=BROWSER)
        with urllib.request.urlopen(request, timeout=SECONDS):
            return "there"
    except urllib.error.HTTPError as error:
        return f"{'broken' if error.code in (404, 410) else 'unsure'}: status {error.code}"
    except TimeoutError:
        return f"unsure: no answer in {SECONDS} seconds"
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"broken: {getattr(error, 'reason', error)}"


def main(root: Path = ROOT) -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    links = addresses(root)
    with ThreadPoolExecutor(16) as pool:
        answers = dict(zip(links, pool.map(answer, links), strict=True))
    for address, said in sorted(answers.items(), key=lambda pair: pair[1]):
        if said != "there":
            print(f"{said}  {address}  ({', '.join(links[address])})")
    broken = sum(said.startswith("broken") for said in answers.values())
    print(f"{len(answers)} links, {broken} broken")
    if broken:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
