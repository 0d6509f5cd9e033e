"""What ships with the course: drawings, examples, weights. Each module knows its own files; one sentence serves all."""
from __future__ import annotations

from pathlib import Path


def damaged(file: Path) -> RuntimeError:
    """The error to raise where one of these files is missing or can't be read."""
    return RuntimeError(f"The asset {file.name} is missing or damaged; get a fresh copy of the course.")
