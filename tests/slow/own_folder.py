"""A reader's own folder, made on the spot, and notebooks that are pointed at it as README.md and notebook 6 say.

The pictures are the course's drawings of other sizes and formats, and the classes are invented: so they come in any
number, under names of any length and script.
"""
from __future__ import annotations

import os
import re
from pathlib import Path

import nbclient
import nbformat
import numpy as np
from nbformat import NotebookNode
from PIL import Image

from helpers import drawings, pocket
from tests.invented import names

ROOT = Path(__file__).resolve().parents[2]
SPLITS = {"train": 3, "val": 1, "test": 1}  # shares
FORMATS = (".jpg", ".png", ".webp")


def make(folder: Path, classes: int, each: int, side: int, divided: bool) -> Path:
    """A folder of `classes` classes with about `each` pictures, the first class with half as many again.

    They are 1 to 1.5 times `side` pixels wide. If `divided`, there is a folder each for train, val and test.
    """
    numbers = [k for part in drawings.PARTS for k in drawings.numbers_of(part)]
    numbers = sorted({drawings.table()[k].thing: k for k in numbers}.values())  # one of each thing
    parts = [numbers[k::classes] for k in range(classes)]  # neighbours may look the same, so they are in other classes
    rng = np.random.RandomState(classes)
    for k, (name, part) in enumerate(zip(names(classes), parts, strict=True)):
        count = each + each // 2 * (k == 0)
        images = pocket.rendered(part[:count], stream=70).images
        home = np.repeat(list(SPLITS), np.array(list(SPLITS.values())) * -(-count // sum(SPLITS.values())))
        for j, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
            width, height = (int(side * share) for share in rng.uniform(1, 1.5, 2))
            below = folder / (home[::-1][j] if divided else "") / name
            below.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).resize((width, height)).save(below / f"{j}{FORMATS[j % 3]}")
    return folder


def pointed(notebook: NotebookNode, folder: Path, size: int) -> NotebookNode:
    """The notebook after the one change that a reader makes."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
    setup, = (cell for cell in cells if "lab = setup(" in cell.source)
    data = "PATH" if "PATH = None" in setup.source else repr(str(folder))
    setup.source = setup.source.replace("PATH = None", f"PATH = {str(folder)!r}")
    setup.source = re.sub(r"(lab = setup)\(.*\)", rf"\1(data={data}, size={size})", setup.source)
    return notebook


def make_profile(profile: Path) -> None:
    """Write the IPython startup file that makes trainings short: these networks need not learn anything."""
    startup = profile / "profile_default" / "startup" / "00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                       "from functools import partial\nfrom helpers import training\n"
                       "from tests.slow.full_track import fit_briefly\n"
                       "training.fit = partial(fit_briefly, training.fit)\nsys.path.pop(0)\n", encoding="utf-8")


def execute(path: Path, folder: Path, size: int, cache: Path, profile: Path) -> NotebookNode:
    """A notebook, run in a fresh kernel to its end, whatever fails; the file itself stays as it is."""
    notebook = pointed(nbformat.read(path, as_version=4), folder, size)
    client = nbclient.NotebookClient(notebook, timeout=600, startup_timeout=300, allow_errors=True,
                                     resources={"metadata": {"path": str(path.parent)}})
    settings = {"TL_TRACK": "pocket", "TL_CACHE": str(cache), "IPYTHONDIR": str(profile),
                "OMP_NUM_THREADS": "1"}
    return client.execute(env={**os.environ, **settings})


def faults(notebook: NotebookNode) -> list[tuple[int, str]]:
    """Of all cells that failed or warned: number and message."""
    return [(k, output.get("ename", "stderr") + ": " + output.get("evalue", output.get("text", "")))
            for k, cell in enumerate(notebook.cells) for output in cell.get("outputs", [])
            if output.output_type == "error" or output.get("name") == "stderr"]
