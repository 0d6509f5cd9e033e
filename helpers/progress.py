"""A progress bar that leaves one line behind, in a notebook and in a terminal.

In a notebook the bar is one output that is replaced a few times a second, so a saved notebook holds its last line and
nothing else: no widget, no trail of half-drawn bars.
"""
from __future__ import annotations

import sys
import time

INTERVAL = 0.25  # seconds between two updates


class Progress:
    """`with Progress(total, "frozen") as bar: bar.step("loss 0.3")` draws; at the end, one line stays.

    Args:
        total: how many steps there will be.
        label: what is being done, in a few words.
    """

    def __init__(self, total: int, label: str):
        self.total, self.label = total, label
        self.done, self.note = 0, ""

    def __enter__(self) -> Progress:
        self.start, self.drawn, self.handle = time.perf_counter(), 0.0, None
        self._draw()
        return self

    def step(self, note: str = "") -> None:
        """Count one step; `note` is shown behind the bar."""
        self.done, self.note = self.done + 1, note
        if time.perf_counter() - self.drawn > INTERVAL:
            self._draw()

    def __exit__(self, error_type, error, traceback) -> None:
        seconds = time.perf_counter() - self.start
        outcome = "done" if error_type is None else f"stopped at {self.done} of {self.total}"
        self._show(f"{self.label}: {outcome} in {seconds:.1f} s" + (f", {self.note}" if self.note else ""), last=True)

    def _draw(self) -> None:
        self.drawn = time.perf_counter()
        filled = round(20 * self.done / max(self.total, 1))
        elapsed = self.drawn - self.start
        left = f", about {elapsed / self.done * (self.total - self.done):.0f} s left" if self.done else ""
        self._show(f"{self.label} [{'█' * filled}{'·' * (20 - filled)}] {self.done}/{self.total}{left}  {self.note}")

    def _show(self, text: str, last: bool = False) -> None:
        if "ipykernel" in sys.modules:
            from IPython.display import display
            content = {"text/plain": text}
            if self.handle is None:
                self.handle = display(content, raw=True, display_id=True)
            else:
                self.handle.update(content, raw=True)
        elif sys.stderr.isatty():
            print(f"\r\033[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
