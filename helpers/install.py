"""Installs what a notebook needs and its Python lacks. The setup cell at the top of every notebook calls it.

Nothing that is there is ever changed, however old: on Colab and Kaggle the packages fit each other and the GPU, and
replacing them is what breaks lessons. Only the standard library is imported here, since nothing else may be there yet.
"""
from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
FIXED = ("torch", "torchvision", "numpy")  # they must fit each other and the machine, so pip may not touch them
# They open and test notebooks:
ELSEWHERE = ("jupyterlab", "ipykernel", "nbclient", "nbformat", "nbval", "pytest")


def install_missing() -> str:
    """Install the packages of `requirements.txt` that are not there, and say in a few words what was done.

    Those that open or test notebooks are left out: a notebook that runs has been opened. torch, torchvision and numpy
    are pinned to the versions that are there while pip works, so that no other package can replace them.

    Raises:
        RuntimeError: torch, torchvision or numpy is not there, or pip failed; the message says what to do.
    """
    needed = required()
    missing = [name for name in needed if name not in ELSEWHERE and version(name) is None]
    if fixed := [name for name in missing if name in FIXED]:
        raise RuntimeError(f"This Python lacks {' and '.join(fixed)}, which the course never installs from a notebook: "
                           "open the notebook in the environment that the README's first command makes, or on Colab.")
    if not missing:
        return "no package is missing"
    wanted = [needed[name] for name in missing] + [f"{name}=={version(name)}" for name in FIXED]
    pip = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], capture_output=True, text=True)
    if pip.returncode != 0:
        reasons = re.findall(r"(?im)^error: *(.+)", pip.stderr) or pip.stderr.splitlines()[-1:]
        raise RuntimeError(f"pip could not install {', '.join(missing)} ({''.join(reasons[:1])}): check the network "
                           "connection and run this cell again.")
    importlib.invalidate_caches()
    return f"installed {', '.join(missing)}"


def required() -> dict[str, str]:
    """The lines of `requirements.txt` by the name of the package, comments left out."""
    lines = [line.split("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines()]
    return {re.match(r"[\w.-]+", line)[0]: line for line in lines if line}


def version(name: str) -> str | None:
    """The installed version of a package, None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
