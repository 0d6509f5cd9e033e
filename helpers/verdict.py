"""What the checks of all exercises share: how a verdict is printed, and how an answer is looked at safely.

A check says whether an answer is right and, if not, what is wrong, never what is right. An answer that is still `...`
is reported as not answered yet.
"""
from __future__ import annotations

import math
import numbers
import reprlib


def report(name: str, answer, problem: str | None, praise: str) -> None:
    """Print the verdict on an exercise: `problem` says what is wrong, None means the answer is right."""
    if answer is ... or answer is None:
        print(f"{name}: not answered yet. Replace the ... above and run the cell again.")
    elif problem:
        print(f"{name}: not yet. {problem}")
    else:
        print(f"{name}: right. {praise}")


def guarded(find_problem, *arguments) -> str | None:
    """What `find_problem` finds; if the answer is so odd that looking at it fails, then that."""
    try:
        return find_problem(*arguments)
    except Exception as error:
        return f"The answer can't be checked, looking at it stopped with {type(error).__name__}: {error}"


def short(answer) -> str:
    """An answer as it is written in Python, cut if it is long; never fails, whatever the answer is."""
    return reprlib.repr(answer)


def is_whole(answer) -> bool:
    return isinstance(answer, numbers.Integral) and not isinstance(answer, bool)


def is_number(answer) -> bool:
    return isinstance(answer, (int, float)) and not isinstance(answer, bool) and math.isfinite(answer)
