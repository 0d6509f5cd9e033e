"""Build the course's web site from the notebooks as they are; none is executed.

    pip install -r notebooks/site/requirements.txt
    python -m helpers.make.site                        # into build/site
    python -m http.server --directory build/site       # then open http://localhost:8000

The pages are prepared in build/site-pages: lessons and solutions, glossary, teacher's guide, and what notebooks/site
adds. Sphinx and myst-nb make them into a site; a warning of theirs is an error. As long as the course has no address on
GitHub, no page links to it.
"""
from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from helpers.make.site_lessons import lesson
from helpers.make.site_links import ROOT, pages, repository, rewritten
from helpers.make.site_pages import SITE, filled, picture, results, start

OUT = ROOT / "build" / "site"
NEEDED = {"furo": "furo", "myst-nb": "myst_nb", "sphinx": "sphinx"}  # packages and their modules


def prepare(folder: Path, figures: Path) -> None:
    """Write all pages into `folder`, as Markdown and notebooks for Sphinx, and their figures into `figures`."""
    address = repository()
    figures.mkdir(parents=True)
    for path, page in pages().items():
        source, copy = ROOT / path, folder / page
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".ipynb"):
            notebook = nbformat.read(source, as_version=4)
            lesson(notebook, path, page, address, figures)
            nbformat.write(notebook, copy)
        else:
            copy.write_text(rewritten(source.read_text(encoding="utf-8"), path, page, address), encoding="utf-8")
    own = {"index.md": start(address, figures),
           "results.md": filled("results.md", {"picture": picture(figures), **results(address)})}
    for name, text in own.items():
        (folder / name).write_text(text, encoding="utf-8")


def build(out: Path = OUT) -> None:
    """Build the site into `out`, in place of what an earlier call left there.

    Raises:
        RuntimeError: a package is missing, or Sphinx found a fault, which it has printed.
    """
    missing = [package for package, module in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise RuntimeError(f"The site needs {', '.join(missing)}: pip install -r notebooks/site/requirements.txt")
    folder = out.with_name(f"{out.name}-pages")
    for old in (out, folder):
        shutil.rmtree(old, ignore_errors=True)
    prepare(folder, out / "figures")
    done = subprocess.run([sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-d", folder / ".doctrees",
                           "-c", SITE, folder, out])
    if done.returncode:
        raise RuntimeError("The site has faults, which Sphinx names above: mend them and build again.")


def main() -> None:
    try:
        build()
    except RuntimeError as error:
        raise SystemExit(str(error)) from None
    print(f"The site is in {OUT.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
