"""Execute notebooks top to bottom, in place, and keep only what a reader needs.

    python -m helpers.make.notebooks           # all of them, or name some: notebooks/02_inside_vgg.ipynb
    python -m helpers.make.notebooks --tidy    # execute nothing, only put structure and metadata in order
    python -m helpers.make.notebooks --blank FOLDER    # a copy of the folder notebooks, without any outputs

A notebook is written back only if every cell ran. Widget state and the cells' time stamps are left out: the first makes
GitHub refuse to show a notebook, the second make every run look like a change. The notebook's metadata say when, with
what and in how many minutes its results were made; a run that gives the same results leaves that as it is. What each
cell is in a slide show is worked out anew each time, so `jupyter nbconvert --to slides` always gives a deck that agrees
with the notebook.

The outputs of a cell that is tagged `result` are folded: JupyterLab shows three dots below a prediction, and the result
when the reader runs the cell. GitHub, Colab and slides show it at once; for a class there are copies without outputs.
"""
from __future__ import annotations

import argparse
import base64
import copy
import datetime
import platform
import re
import shutil
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from helpers.install import version

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"

SLIDE, TALLEST = 780, 840  # pixels of height that a slide should hold and can; slides.json makes it 1440 x 810
LONG = 90  # words of prose beyond which the teacher says it, and the class reads it in the notebook


def execute(path: Path) -> None:
    """Run one notebook in its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    before, start = copy.deepcopy(notebook.cells), time.perf_counter()
    client = NotebookClient(notebook, timeout=900, kernel_name="python3", record_timing=False, store_widget_state=False,
                            coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    tidy(notebook)
    if notebook.cells != before or "executed" not in notebook.metadata:
        notebook.metadata["executed"] = {"date": str(datetime.date.today()),
                                         "minutes": round((time.perf_counter() - start) / 60, 1),
                                         "versions": {"Python": platform.python_version()}
                                         | {name: version(name) for name in ("torch", "torchvision")}}
    nbformat.write(notebook, path)


def tidy(notebook) -> None:
    """Give each section a cell of its own to begin in, and each cell nothing but its tags and its place in the slides.

    Everything that depends on the machine or the moment goes, but for what `execute` has noted.
    """
    noted = {name: value for name, value in notebook.metadata.items() if name == "executed"}
    notebook.metadata = noted | {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.cells = [part for cell in notebook.cells for part in split_at_sections(cell)]
    for cell, kind in zip(notebook.cells, slide_types(notebook.cells), strict=True):
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.NotebookNode({"slideshow": {"slide_type": kind}} | ({"tags": tags} if tags else {})
                                              | ({"jupyter": {"outputs_hidden": True}} if "result" in tags else {}))


def blank(folder: Path) -> None:
    """Copy the folder `notebooks` to `folder`, which must not exist yet, and take all outputs out of the copies."""
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".*", "site"))
    for path in folder.rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.pop("executed", None)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
                cell.metadata.pop("jupyter", None)  # nothing is left to be folded
        nbformat.write(notebook, path)


def split_at_sections(cell) -> list:
    """The cell, or several: a `## ` heading begins a cell, since a slide can begin only where a cell does."""
    parts = re.split(r"\n+(?=## )", cell.source) if cell.cell_type == "markdown" and "```" not in cell.source else []
    if len(parts) < 2:
        return [cell]
    return [nbformat.v4.new_markdown_cell(part, id=f"{cell.id}-{k}" if k else cell.id) for k, part in enumerate(parts)]


# --- slides ----------------------------------------------------------------------------------------------------------

def slide_types(cells) -> list[str]:
    """What each cell is in `jupyter nbconvert --to slides`: slide, subslide, fragment, notes or skip.

    Title and sections begin a slide, exercises and questions that do not fit a subslide. What follows appears on the
    same slide at the press of a key, as long as it fits, so that the class has answered before it sees the result.
    Skipped: what sets the notebook up, panels, the cells for the exercises' answers, and what is too tall for any wall.
    Speaker notes: long texts, and the sentence that reads a result where there is no room left below it.
    """
    kinds, used, in_section = [], 0, False
    for k, cell in enumerate(cells):
        section = cell.cell_type == "markdown" and cell.source.startswith("## ")
        in_section = in_section or section
        if k == 0 or section:
            kind = "slide"
        elif not in_section or is_panel(cell) or is_answer(cell) or height(cell) > TALLEST:
            kind = "skip"
        elif cell.source.startswith("### "):
            kind = "subslide"
        elif is_long(cell):
            kind = "notes"
        elif used + height(cell) <= SLIDE:
            kind = "fragment"
        else:
            leads_on = cell.cell_type == "code" or "**Predict" in cell.source or leads_to_code(cells, k)
            kind = "subslide" if leads_on else "notes"
        if kind in ("slide", "subslide"):
            used = 0
        if kind in ("slide", "subslide", "fragment"):
            used += height(cell)
        kinds.append(kind)
    return kinds


def leads_to_code(cells, k: int) -> bool:
    """Whether the prose in cell `k` is followed by code that will be shown."""
    return k + 1 < len(cells) and cells[k + 1].cell_type == "code" and not is_panel(cells[k + 1])


def is_answer(cell) -> bool:
    return cell.cell_type == "code" and re.search(r"^answer = \.\.\.", cell.source, re.MULTILINE) is not None


def is_panel(cell) -> bool:
    outputs = cell.get("outputs", [])
    return any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)


def is_long(cell) -> bool:
    """Prose that is too long to project and holds no question."""
    return cell.cell_type == "markdown" and len(cell.source.split()) > LONG and "**Predict" not in cell.source


def height(cell) -> int:
    """About how many pixels a cell takes on a slide of 1440 x 810."""
    if cell.cell_type == "markdown":
        paragraphs = re.split(r"\n{2,}", re.sub(r"\n(?=[-*\d])", "\n\n", cell.source))
        return 20 + sum(45 if text.startswith("#") else 20 + 26 * -(-len(text) // 132) for text in paragraphs)
    return 55 + 21 * len(cell.source.splitlines()) + sum(map(output_height, cell.outputs))


def output_height(output) -> int:
    if output.output_type == "stream":
        return 22 + 21 * len(output.text.splitlines())
    if "text/markdown" in output.get("data", {}):
        return 40 + 32 * len(output.data["text/markdown"].splitlines())
    png = output.get("data", {}).get("image/png")
    return 25 + int.from_bytes(base64.b64decode(png[:32])[20:24], "big") if png else 45  # the height stands in its head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of them, the solutions included, if none is named")
    parser.add_argument("--tidy", action="store_true", help="execute nothing")
    parser.add_argument("--blank", metavar="FOLDER", type=Path, help="copy all of them there, without outputs")
    arguments = parser.parse_args()
    if arguments.blank:
        if arguments.notebooks or arguments.tidy or arguments.blank.exists():
            parser.error("--blank makes a new folder with all notebooks: name one that does not exist yet, and nothing "
                         "else.")
        return blank(arguments.blank)
    every = [*sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), *sorted(NOTEBOOKS.glob("solutions/[0-9]*.ipynb"))]
    for path in arguments.notebooks or every:
        start = time.perf_counter()
        if arguments.tidy:
            notebook = nbformat.read(path, as_version=4)
            tidy(notebook)
            nbformat.write(notebook, path)
        else:
            execute(path.resolve())
        print(f"{path.name}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
