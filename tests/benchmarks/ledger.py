"""What a long benchmark has found so far: a line of JSON per result, so that a run that is stopped keeps them."""
from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

MEASURED = Path(__file__).parent / "measured"  # tracked: hours of work, and anyone can count again


class Ledger:
    """The results in the file `path`. Each is a dict; `under` names what must agree for a result to count.

    With `under={"on": "machine A"}`, results that were taken elsewhere are kept in the file and passed over.
    """

    def __init__(self, path: Path, under: dict):
        self.path, self.under = path, under

    def add(self, **result) -> dict:
        """Write a result down at once, and return it as it stands in the file."""
        result = {**self.under, **result}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(result) + "\n")  # after a line that was cut off, on a new one
            file.flush()
            os.fsync(file.fileno())
        return result

    def results(self, **wanted) -> list[dict]:
        """The results with these values, in the order in which they came; a line that was cut off is none."""
        wanted, found = self.under | wanted, []
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line))
        return [one for one in found if isinstance(one, dict) and all(one.get(k) == v for k, v in wanted.items())]


def write_json(path: Path, content: dict) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
