"""Links of the course's texts as the web site needs them: to its own pages, else to the repository.

A link to the glossary gets the word's explanation, which shows when a mouse points at it.
"""
from __future__ import annotations

import html
import posixpath
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from helpers.make.glossary import GLOSSARY, anchor
from helpers.make.publish import UNKNOWN, addresses

ROOT = Path(__file__).resolve().parent.parent.parent
LINK = re.compile(r"```.*?```|(?<!!)\[((?:`[^`]*`|[^][`])*)\]\(([^)\s]+)\)|`[^`]*`", re.DOTALL)
OUTSIDE = re.compile(r"[a-z]+:", re.IGNORECASE)


def pages() -> dict[str, str]:
    """The site's pages that are files of the course: their paths in the course and on the site."""
    texts = [*ROOT.glob("notebooks/*.md"), *ROOT.glob("notebooks/[0-9]*.ipynb"),
             *ROOT.glob("notebooks/solutions/[0-9]*.ipynb"), *ROOT.glob("helpers/assets/**/LICENCES.md")]
    paths = sorted(path.relative_to(ROOT).as_posix() for path in texts)
    own = {"notebooks/RESULTS.md": "results.md"}  # the site has a fuller page of results, filled from the same file
    return {path: own.get(path, path.removeprefix("notebooks/").removeprefix("helpers/assets/")) for path in paths}


def repository() -> str | None:
    """The repository's address on GitHub, None as long as nobody has published it."""
    address, = addresses((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return None if address == UNKNOWN else address


def rewritten(text: str, path: str, page: str, address: str | None) -> str:
    """The Markdown `text` of the course's file `path`, with links as they must be on the site's `page`.

    What is no page becomes a link into the repository at `address`, or plain words if that is None.
    """
    ours = pages()

    def link(match: re.Match) -> str:
        words, target = match[1], match[2]
        if words is None or OUTSIDE.match(target):
            return match[0]
        file, _, place = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
        place = f"#{anchor(unquote(place))}" if place else ""
        if file in ours:
            goal = posixpath.relpath(ours[file], posixpath.dirname(page) or ".") if file != path else ""
            known = explanations().get(place.removeprefix("#")) if file == "notebooks/GLOSSARY.md" else None
            return term(words, f"{goal}{place}", known) if known else f"[{words}]({goal}{place})"
        return f"[{words}](https://github.com/{address}/blob/main/{file})" if address else words

    return LINK.sub(link, text)


def term(words: str, goal: str, explanation: str) -> str:
    """A link to the glossary, as HTML: older versions of myst-parser lose the title of a link to another page."""
    goal = goal.replace(".md#", ".html#")
    return f'<a class="term" href="{goal}" title="{html.escape(explanation)}">{words}</a>'


@lru_cache(maxsize=1)
def explanations() -> dict[str, str]:
    """What the glossary says of each word, by the word's place in the page, as plain text."""
    entries = re.split(r"^### ", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    parts = [entry.split("\n\n") for entry in entries]
    return {anchor(name.strip()): plain(text) for name, text, *_ in parts}


def plain(text: str) -> str:
    """Markdown without comments, links and emphasis, and without the link to a notebook at its end."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*\[Notebook \d\]\([^)]*\)\s*$", "", text.strip())
    return " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)|[*`]", r"\1", text).split())
