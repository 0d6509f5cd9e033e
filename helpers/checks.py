"""Checks for the exercises: each says whether an answer is right and, if not, what is wrong, never what is right.

An answer that is still `...` is reported as not answered yet.
"""
from __future__ import annotations


def _report(name: str, answer, problem: str | None, praise: str) -> None:
    """Print the verdict on an exercise: `problem` says what is wrong, None means the answer is right."""
    if answer is ... or answer is None:
        print(f"{name}: not answered yet. Replace the ... above and run the cell again.")
    elif problem:
        print(f"{name}: not yet. {problem}")
    else:
        print(f"{name}: right. {praise}")
