"""One command for whoever has a GPU: how fast the course trains VGG-16 on it, and whether all of it works there.

    python -m tests.benchmarks.gpu                 # everything; a run that was stopped goes on where it was
    python -m tests.benchmarks.gpu --minutes 8     # what fits, the most valuable first
    python -m tests.benchmarks.gpu --miniature     # a trial on any machine, whose times mean nothing

Nothing is fetched: what stands in for STL-10 and for the weights where they are not on the disk, `gpu_world` tells.
Each section runs in a process of its own, so that one that fails, or hangs, costs only itself. Each result is a line in
`build/gpu.jsonl` as soon as it is there; at the end come the tables, and `build/gpu.json`. To measure anew, delete the
former.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import card, gpu_notebooks, gpu_steps, gpu_tables
from tests.benchmarks.gpu_world import World, world
from tests.benchmarks.ledger import Ledger, write_json

BUILD = Path("build")
NO_GPU = ("PyTorch sees no CUDA device here, so there is nothing to measure; `python -m tests.benchmarks.gpu "
          "--miniature` tries the whole script on this CPU.")
LONGEST = 3600  # seconds that a section may take where no limit was given: nothing hangs for ever


@dataclass(frozen=True)
class Section:
    """`seconds`: about how long it takes on a large GPU; `worth`: its place where time is short, 1 for the first."""

    title: str
    steps: Callable[[World], gpu_steps.Steps]
    seconds: int
    worth: int


SECTIONS = {
    "peak": Section("A product of two matrices; the faster one in 16 bits is the peak below", gpu_steps.peak, 20, 1),
    "full": Section("Everything learns: the usual recipe and the course, by turns", gpu_steps.full, 120, 2),
    "frozen": Section("Only the head learns: the usual recipe and the course, by turns", gpu_steps.frozen, 90, 3),
    "batch sizes": Section("Batch sizes, everything learns", gpu_steps.batch_sizes, 45, 6),
    "compile": Section("torch.compile", gpu_steps.compiling, 120, 7),
    "graphs": Section("CUDA graphs", gpu_steps.graphs, 30, 8),
    "memory": Section("A card that something else fills", gpu_steps.out_of_memory, 40, 4),
    "formats": Section("Number formats: float16 is what a T4 has", gpu_steps.formats, 35, 5),
    "notebooks": Section("All notebooks on the full track", gpu_notebooks.notebooks, 900, 9),
}


# --- one section -------------------------------------------------------------------------------------------------

def measure(name: str, here: World, ledger: Ledger) -> None:
    """Every step of the section that has no result yet; one that fails is written down with its reason."""
    done = newest(ledger, name)
    for key, step in SECTIONS[name].steps(here).items():
        if "failed" not in done.get(key, {"failed": "not tried yet"}):
            continue
        try:
            result = step()
        except Exception as error:  # whatever it is, the other steps are worth having
            result = {"failed": f"{type(error).__name__}: {error}".strip().splitlines()[0]}
        ledger.add(section=name, step=key, **result)
        print(f"{name}, {key}: {result.get('failed', 'done')}", flush=True)


def newest(ledger: Ledger, name: str) -> dict[str, dict]:
    """The last result of each of the section's steps, without what all results have in common."""
    common = {*ledger.under, "section", "step"}
    return {one["step"]: {key: value for key, value in one.items() if key not in common}
            for one in ledger.results(section=name)}


def measure_apart(name: str, here: World, ledger: Ledger, limit: float) -> None:
    """`measure` in a process of its own, which is ended after `limit` seconds. (On a CPU nothing can break a card.)"""
    if here.device.type != "cuda":
        return measure(name, here, ledger)
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--section", name] + ["--miniature"] * here.miniature
    surroundings = {**os.environ, "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}  # or a second time would compile nothing
    try:
        if subprocess.run(command, timeout=limit, env=surroundings).returncode:
            print(f"{name}: its process broke off; the others go on.", flush=True)
    except subprocess.TimeoutExpired:
        print(f"{name}: ended after {limit:.0f} s; what it had measured is kept.", flush=True)


# --- all of them -------------------------------------------------------------------------------------------------

def measure_all(here: World, ledger: Ledger) -> None:
    for name in SECTIONS:
        measure_apart(name, here, ledger, LONGEST)


def measure_what_fits(here: World, ledger: Ledger, end: float) -> list[str]:
    """The sections by their worth until the clock, `time.monotonic`, shows `end`. Returns those that were left out.

    On a slower card a section takes longer than planned; it may take twice as long, and keeps what it has by then.
    """
    waiting = list(SECTIONS)
    while name := next_section(waiting, end - time.monotonic()):
        measure_apart(name, here, ledger, min(end - time.monotonic(), 2 * SECTIONS[name].seconds))
        waiting.remove(name)
    return waiting


def next_section(waiting: list[str], left: float) -> str | None:
    """Of the sections that wait, the most valuable that fits into the seconds that are left; None if none does."""
    fitting = [name for name in waiting if SECTIONS[name].seconds <= left]
    return min(fitting, key=lambda name: SECTIONS[name].worth, default=None)


def report(here: World, machine: dict, ledger: Ledger, left_out: list[str]) -> None:
    """Print the tables of all results that there are, and write them to `gpu.json`."""
    results = {name: newest(ledger, name) for name in SECTIONS}
    titles = {name: section.title for name, section in SECTIONS.items()}
    print(gpu_tables.tables(titles, results, here.scale.epochs))
    if left_out:
        print(f"\nLeft out, as the time is too short: {', '.join(left_out)}.")
    found = {"machine": machine, "measured on": here.words(), "left out": left_out, "results": results}
    write_json(ledger.path.with_suffix(".json"), found)


def main() -> None:
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="stop after so many")
    parser.add_argument("--miniature", action="store_true", help="a trial on any machine")
    parser.add_argument("--section", choices=SECTIONS, help="measure this one alone")
    args = parser.parse_args()
    device = card.device()
    if device.type != "cuda" and not args.miniature:
        raise SystemExit(NO_GPU)
    here, machine = world(device, args.miniature, BUILD), card.machine(device)
    ledger = Ledger(BUILD / f"{here.own.name}.jsonl", {"machine": machine, "measured on": here.words()})
    if args.section:
        return measure(args.section, here, ledger)
    print(", ".join(f"{name} {value}" for name, value in machine.items()), here.words(), sep="\n", flush=True)
    if kept := len(ledger.results()):
        print(f"{kept} results are in {ledger.path} already, and are not measured again.", flush=True)
    left_out = []
    try:
        if args.minutes:
            left_out = measure_what_fits(here, ledger, start + 60 * args.minutes)
        else:
            measure_all(here, ledger)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.")
    report(here, machine, ledger, left_out)


if __name__ == "__main__":
    main()
