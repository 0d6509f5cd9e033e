"""Link each term of the glossary from its first use in the prose of each notebook.

    python -m helpers.make.glossary

Old links to the glossary are taken out first, so a second run changes nothing, and a notebook that was rewritten gets
its links in the right places. Only prose is touched: no heading, code, link, hint or HTML.
"""
from __future__ import annotations

import re
from pathlib import Path

import nbformat

from helpers.make.notebooks import NOTEBOOKS

GLOSSARY = NOTEBOOKS / "GLOSSARY.md"
LINK = re.compile(r"\[([^]]*)\]\(GLOSSARY\.md#[^)]*\)")
PROTECTED = re.compile(r"```.*?```|`[^`]*`|<details>.*?</details>|<[^>]+>|!?\[(?:!\[[^]]*\]\([^)]*\)|[^]])*\]\([^)]*\)|"
                       r"^#+ .*?$|https?://\S+", re.DOTALL | re.MULTILINE)


def terms() -> dict[str, list[str]]:
    """For each term of the glossary, the forms in which it is used; the comment "also:" lists all but the first."""
    entries = re.split(r"^### ", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    also = [re.search(r"<!-- also: (.*?) -->", entry) for entry in entries]
    return {entry.split("\n")[0]: [entry.split("\n")[0], *(forms[1].split(", ") if forms else [])]
            for entry, forms in zip(entries, also, strict=True)}


def anchor(term: str) -> str:
    """The name that GitHub gives to a heading's place in the page."""
    return re.sub(r"[^\w -]", "", term.lower()).replace(" ", "-")


def form_pattern(forms) -> str:
    """A regular expression for any of the forms as whole words, the longest first; a line may end inside of one."""
    spelt = [r"\s+".join(map(re.escape, form.split())) for form in sorted(forms, key=len, reverse=True)]
    return rf"(?<![\w-])(?:{'|'.join(spelt)})(?![\w-])"


def link(notebook) -> None:
    """Put the links of one notebook in their places."""
    glossary = terms()
    of_form = {form.lower(): term for term, forms in glossary.items() for form in forms}
    pattern, linked = re.compile(form_pattern(of_form), re.IGNORECASE), set()

    def linked_once(match: re.Match) -> str:
        term = of_form[" ".join(match[0].lower().split())]
        if term in linked:
            return match[0]
        linked.add(term)
        return f"[{match[0]}](GLOSSARY.md#{anchor(term)})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = LINK.sub(r"\1", cell.source)
            parts, end = [], 0
            for protected in PROTECTED.finditer(text):
                parts += [pattern.sub(linked_once, text[end:protected.start()]), protected[0]]
                end = protected.end()
            cell.source = "".join([*parts, pattern.sub(linked_once, text[end:])])


def main(folder: Path = NOTEBOOKS) -> None:
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        before = [cell.source for cell in notebook.cells]
        link(notebook)
        changed = sum(old != cell.source for old, cell in zip(before, notebook.cells, strict=True))
        if changed:
            nbformat.write(notebook, path)
        print(f"{path.name}: links in {changed} cells changed")


if __name__ == "__main__":
    main()
