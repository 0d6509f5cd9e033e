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
        label: what is being done, in a few words; None shows nothing at all.
        unit: what is counted, for downloads "MB": the bar then shows the speed as well.
    """

    def __init__(self, total: float, label: str | None, unit: str = ""):
        self.total, self.label, self.unit = total, label, unit
        self.done, self.note = 0, ""

    def __enter__(self) -> Progress:
        self.start, self.drawn, self.handle = time.perf_counter(), 0.0, None
        self._draw()
        return self

    def step(self, note: str = "", count: float = 1) -> None:
        """Count one step, or `count` of them; `note` is shown behind the bar."""
        self.done, self.note = self.done + count, note
        if time.perf_counter() - self.drawn > INTERVAL:
            self._draw()

    def __exit__(self, error_type, error, traceback) -> None:
        seconds = time.perf_counter() - self.start
        outcome = "done" if error_type is None else f"stopped at {self._count()}"
        self._show(f"{self.label}: {outcome} in {seconds:.1f} s" + (f", {self.note}" if self.note else ""), last=True)

    def _draw(self) -> None:
        self.drawn = time.perf_counter()
        share = min(1, self.done / self.total) if self.total else 0  # of a file of unknown size, nobody knows
        elapsed = self.drawn - self.start
        speed = f", {self.done / max(elapsed, 1e-9):.1f} {self.unit}/s" if self.unit else ""
        left = f", about {elapsed / share * (1 - share):.0f} s left" if share else ""
        filled = round(20 * share)
        self._show(f"{self.label} [{'█' * filled}{'·' * (20 - filled)}] {self._count('/')}{speed}{left}  {self.note}")

    def _count(self, of: str = " of ") -> str:
        if self.unit:
            return f"{self.done:.0f}" + (f"{of}{self.total:.0f}" if self.total else "") + f" {self.unit}"
        return f"{self.done}{of}{self.total}"

    def _show(self, text: str, last: bool = False) -> None:
        if self.label is None:
            return
        ipython = sys.modules.get("IPython")
        if ipython and hasattr(ipython.get_ipython(), "kernel"):  # in a notebook
            from IPython.display import display
            content = {"text/plain": text}
            if self.handle is None:
                self.handle = display(content, raw=True, display_id=True)
            else:
                self.handle.update(content, raw=True)
        elif sys.stderr.isatty():
            print(f"\r\033[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
