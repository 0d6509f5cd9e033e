"""A notebook as the web site shows it. Nothing is run: a page holds what the notebook holds.

The result of a prediction and the solution of an exercise wait behind a click, a panel becomes a sentence, a table of
layers becomes a table, and the first cell says how to run the lesson and what its results were made with.
"""
from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from urllib.parse import quote

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from helpers.make.site_figures import figure
from helpers.make.site_links import rewritten

WIDGET = "application/vnd.jupyter.widget-view+json"
RULE = re.compile(r".+\n-{20,}\n(?:.+\n?)+")  # a printed table: its head, a rule, and lines to the next empty one
CELL = re.compile(r"\S+(?: \S+)*")
SOLVED = re.compile(r"^## (Exercise|Challenge)")
FOLDED = (("result", "hide-output", "Predicted? Show the result", "Hide the result"),
          ("setup", "hide-cell", "Show how the course is found", "Hide it"))  # tag, myst-nb's tag, the button's words
DOORS = {"Colab": "https://colab.research.google.com/github/{address}/blob/main/{path}",
         "Kaggle": "https://kaggle.com/kernels/welcome?src=https://github.com/{address}/blob/main/{path}",
         "Codespaces": "https://codespaces.new/{address}"}


def lesson(notebook: NotebookNode, path: str, page: str, address: str | None, figures: Path) -> None:
    """Turn the notebook of the course's file `path` into what myst-nb shows as `page`, in place.

    Its figures are written into the folder `figures`, which the site has at its root; `address` is the repository's on
    GitHub, None if there is none yet.
    """
    up = "../" * page.count("/")
    number = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = rewritten(cell.source, path, page, address)
            continue
        fold(cell)
        shown = []
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                number += 1
                shown.append(as_figure(output, f"{Path(page).stem}-{number}", figures, up))
            else:
                shown += as_words(output, path, page, address)
        cell.outputs = shown
    notebook.cells[0].source = opening(notebook, path, address, up)
    if "solutions" in path:
        notebook.cells = behind_a_click(notebook.cells)


def fold(cell: NotebookNode) -> None:
    """Hide what a reader should predict first, and the cell that only finds the course."""
    tags = cell.metadata.get("tags", [])
    for tag, hidden, show, hide in FOLDED:
        if tag in tags:
            cell.metadata["tags"] = [*tags, hidden]
            cell.metadata["mystnb"] = {"code_prompt_show": show, "code_prompt_hide": hide}


# --- outputs ---------------------------------------------------------------------------------------------------------

def as_html(words: str) -> NotebookNode:
    return new_output("display_data", data={"text/html": words})


def as_figure(output: NotebookNode, name: str, figures: Path, up: str) -> NotebookNode:
    """The figure with the alternative text that stands in the output's metadata."""
    png, alt = base64.b64decode(output.data["image/png"]), output.metadata["image/png"]["alt"]
    return as_html(figure(png, alt, name, figures, f"{up}figures/"))


def as_words(output: NotebookNode, path: str, page: str, address: str | None) -> list[NotebookNode]:
    """Any other output, in one part or several."""
    data = output.get("data", {})
    if WIDGET in data:
        return [as_html(panel(data["text/plain"], "../" * page.count("/")))]
    if "text/markdown" in data:  # its headings belong to the output, and not to the lesson
        text = re.sub(r"^#+ (.*)$", r"**\1**", data["text/markdown"], flags=re.MULTILINE)
        return [new_output("display_data", data={"text/markdown": rewritten(text, path, page, address)})]
    printed = RULE.search(output.text) if output.output_type == "stream" else None
    if printed is None:
        return [output]
    before, after = output.text[: printed.start()], output.text[printed.end():]
    parts = [new_output("stream", name="stdout", text=text) if text.strip() else None for text in (before, after)]
    return [part for part in (parts[0], as_html(table(printed[0])), parts[1]) if part]


def panel(words: str, up: str) -> str:
    """A sentence for a widget, made of what it says where no widget runs."""
    place, how = re.fullmatch(r"\((Here stands .*?)\. Run the notebook (.*?)\.\)", words).groups()
    return (f'<p class="panel">{place}. The figure above shows one view of it. '
            f'<a href="{up}index.html#run-the-lessons">Run the lesson</a> {how}.</p>')


def table(printed: str) -> str:
    """A printed table as HTML. What stands in a column begins where its head begins, or ends where its head ends."""
    head, *lines = printed.splitlines()
    columns = [match.span() for match in CELL.finditer(head)]
    rows = [in_columns(line, columns) for line in (head, *lines) if set(line) != {"-"}]
    right = {k for k, match in rows[1].items() if match.start() != columns[k][0]}

    def row(cells: dict, tag: str) -> str:
        kinds = (' class="number"' if k in right else "" for k in range(len(columns)))
        words = (html.escape(cells[k][0]) if k in cells else "" for k in range(len(columns)))
        return f"<tr>{''.join(f'<{tag}{a}>{b}</{tag}>' for a, b in zip(kinds, words, strict=True))}</tr>"

    return ('<div class="table-wrapper"><table class="docutils align-default printed">'
            f'<thead>{row(rows[0], "th")}</thead><tbody>{"".join(row(cells, "td") for cells in rows[1:])}</tbody>'
            '</table></div>')


def in_columns(line: str, columns: list[tuple[int, int]]) -> dict[int, re.Match]:
    """The line's words by the number of the column that they stand in."""
    placed = {}
    for match in CELL.finditer(line):
        far = [min(abs(match.start() - start), abs(match.end() - end)) for start, end in columns]
        placed[far.index(min(far))] = match
    return placed


# --- the page --------------------------------------------------------------------------------------------------------

def opening(notebook: NotebookNode, path: str, address: str | None, up: str) -> str:
    """The first cell, from its heading on, with the ways to run the lesson and what its results were made with."""
    heading, rest = re.search(r"^(# .*?\n)(.*)", notebook.cells[0].source, re.DOTALL | re.MULTILINE).groups()
    links = "".join(f'<a href="{link.format(address=address, path=quote(path))}">Open in {name}</a>'
                    for name, link in DOORS.items()) if address else ""
    here = f'<a href="{up}index.html#run-the-lessons">Run it on your computer</a>'
    return f'{heading}\n<p class="launch">{links}{here}</p>\n{rest}\n\n<p class="executed">{executed(notebook)}</p>\n'


def executed(notebook: NotebookNode) -> str:
    """Where the results come from, as far as the notebook knows it: its track's line, and what its metadata holds."""
    printed = [line for cell in notebook.cells for output in cell.get("outputs", [])
               for line in output.get("text", "").splitlines()]
    track = next((line for line in printed if re.match(r"(pocket|full) track", line)), None)
    found = notebook.metadata.get("executed")
    words = f"Results of the {html.escape(track)}." if track else ""
    if found:
        with_what = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
        words += f" Last executed on {found['date']} with {with_what}, in {found['minutes']:g} minutes."
    return words.strip()


def behind_a_click(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells of a solutions' notebook, with each solution folded below its heading."""
    found, is_open = [], False
    for cell in cells:
        if is_open and re.match("## ", cell.source):
            found.append(new_markdown_cell("</details>"))
            is_open = False
        if cell.cell_type == "markdown" and SOLVED.match(cell.source):
            heading, _, rest = cell.source.partition("\n")
            fold = '<details class="solution"><summary>Show the solution</summary>'
            cell.source = f"{heading}\n\n{fold}\n\n{rest.lstrip()}"
            is_open = True
        found.append(cell)
    return [*found, new_markdown_cell("</details>")] if is_open else found
