"""Execute notebooks top to bottom, in place, and keep only what a reader needs.

    python -m helpers.make.notebooks           # all of them, or name some: notebooks/02_inside_vgg.ipynb

A notebook is written back only if every cell ran. Widget state and time stamps are left out: the first makes GitHub
refuse to show a notebook, the second make every run look like a change.
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"


def execute(path: Path) -> None:
    """Run one notebook in its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=900, kernel_name="python3", record_timing=False, store_widget_state=False,
                            resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    tidy(notebook)
    nbformat.write(notebook, path)


def tidy(notebook) -> None:
    """Drop everything from the metadata that depends on the machine or the moment."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def main() -> None:
    paths = [Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    for path in paths:
        start = time.perf_counter()
        execute(path.resolve())
        print(f"{path.name}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
