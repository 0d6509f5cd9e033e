"""Write a handout of one page for each notebook, to print for a class: its predictions, its quiz, and room to write.

    python -m helpers.make.handout FOLDER      # then open the pages in a browser and print them

Questions and quiz are read from the notebooks, so that a page never asks for what its lesson does not.
"""
from __future__ import annotations

import argparse
import re
from pathlib import Path

import nbformat
from nbconvert.filters import markdown2html

from helpers.make.notebooks import NOTEBOOKS

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 12mm 14mm; }}
body {{ font: 9.5pt/1.3 sans-serif; max-width: 182mm; margin: auto; color: #000; }}
h1 {{ font-size: 15pt; margin: 0; }}
h2 {{ font-size: 11pt; margin: 3mm 0 1mm; }}
p {{ margin: 1mm 0; }}
ul {{ margin: 0; padding-left: 6mm; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border: 0.3mm solid #777; padding: 0.5mm 1.5mm; text-align: left; vertical-align: top; }}
li p, td p {{ margin: 0; }}
small {{ color: #555; }}
.write {{ width: 28mm; }}
.name {{ float: right; }}
.line {{ border-bottom: 0.3mm solid #777; height: 7mm; }}
</style></head><body>
<p class="name">Name ______________________</p><h1>{title}</h1>
{goal}
<h2>Predict first, then run the cell</h2>
<table>
<tr><th>Before you see the result</th><th class="write">My prediction</th><th class="write">What came out</th></tr>
{rows}
</table>
<h2>Quiz</h2>
{quiz}
<h2>One sentence that I take home</h2>
<div class="line"></div><div class="line"></div>
</body></html>
"""
ROW = "<tr><td><small>{section}</small>{question}</td><td></td><td></td></tr>"


def html(markdown: str) -> str:
    """Markdown as HTML, without links, which paper can't follow."""
    return markdown2html(re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown)).strip()


def inline(markdown: str) -> str:
    """One line of Markdown as HTML, without the paragraph around it."""
    return html(markdown).removeprefix("<p>").removesuffix("</p>")


def handout(path: Path) -> str:
    """The page of one notebook.

    Raises `ValueError` if the notebook has no goal ("After this notebook you can"), no prediction or no quiz.
    """
    text = "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    lesson = text.split("\n## Exercises")[0]
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    goal = re.search(r"^(\*\*)?After this notebook you can.+?(?=\n\n\*\*Time)", text, re.DOTALL | re.MULTILINE)
    rows = [ROW.format(section=inline(section.split("\n")[0]), question=html(on_its_own(question)))
            for section in lesson.split("\n## ")
            for question in re.findall(r"\*\*Predict:\*\* (.+?)(?=\n\n|\Z)", section, re.DOTALL)]
    closing = text.partition("\n### Three questions to close\n")[2].split("\n## ")[0]
    quiz = re.findall(r"^\*\*\d\.\*\* .+?(?=\n\n)", closing, re.DOTALL | re.MULTILINE)
    if not (title and goal and rows and quiz):
        raise ValueError(f"{path.name} lacks its goal, a prediction or its quiz, of which the handout is made.")
    return PAGE.format(title=title[1].replace("\xa0", " "), goal=html(goal[0]), quiz=html("\n\n".join(quiz)),
                       rows="\n".join(rows))


def on_its_own(question: str) -> str:
    """The question without what it says about the cell below it, and with a capital letter to begin with."""
    question = re.sub(r"\s+", " ", question)
    about_the_cell = r" (Write|\(In JupyterLab)[^.]*? (in( the)? place of the question mark|stays)[^.]*\.\)?"
    question = re.sub(about_the_cell, "", question)
    return re.sub(r"[a-z]", lambda first: first[0].upper(), question, count=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pages go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        (folder / f"{path.stem}.html").write_text(handout(path), encoding="utf-8")
        print(f"wrote {folder / path.stem}.html")


if __name__ == "__main__":
    main()
