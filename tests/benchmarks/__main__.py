"""How fast the course trains, beside the usual recipe: same data, same network, same number of epochs, in turn.

    python -m tests.benchmarks                            # every task, five pairs of runs each
    python -m tests.benchmarks --task "frozen pocket" --pairs 3
    python -m tests.benchmarks --tune --task "full pocket"    # both sides' learning rates, on validation images

Each run is a process of its own, recipe and ours by turns, pair k with seed k; a ratio is one pair's. Tasks on VGG-16
need torchvision's weights on this machine. Writes `build/benchmarks.json`.
"""
from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch

from helpers import hardware
from helpers.fetch.weights import weights_cached
from tests.benchmarks import card
from tests.benchmarks.gpu_tables import spread
from tests.benchmarks.ledger import write_json
from tests.benchmarks.measure import TASKS, in_own_process
from tests.benchmarks.work import fastest_product

OUT = Path("build/benchmarks.json")
SIDES = ("recipe", "ours")
MATRIX = 2048  # rows and columns
RATES = {"recipe": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), "ours": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)}


def measure(task: str, side: str, seed: int, lr: float | None = None) -> dict:
    """One run in a process of its own: "seconds", "accuracy" (0 to 1), "operations", "memory" (bytes)."""
    rate = ["--lr", str(lr)] if lr else []
    return in_own_process("tests.benchmarks.measure", task, side, "--seed", str(seed), *rate)


def row(task: str, pairs: list[dict], peaks: dict[str, float]) -> str:
    """One line of the table, from pairs of results."""
    column = lambda side, name, unit=1: [pair[side][name] * unit for pair in pairs]
    ratios = [recipe / ours for recipe, ours in zip(column("recipe", "seconds"), column("ours", "seconds"),
                                                    strict=True)]
    cells = [task, *(spread(column(side, "seconds"), ".1f") for side in SIDES), f"**{spread(ratios, '.1f')}**",
             *(shares([pair[side] for pair in pairs], peaks) for side in SIDES),
             *(spread(column(side, "accuracy", 100), ".1f") for side in SIDES),
             *(f"{max(column(side, 'memory', 1e-6)):,.0f}" for side in SIDES)]
    return "| " + " | ".join(cells) + " |"


def shares(runs: list[dict], peaks: dict[str, float]) -> str:
    """What share of each peak the operations per second are, in %, on average."""
    speed = statistics.mean(run["operations"] / run["seconds"] for run in runs)
    return " / ".join(f"{100 * speed / peak:.0f}" for peak in peaks.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, action="append", help="may be given several times; default: all")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="try each side's learning rates once instead")
    args = parser.parse_args()
    there = {name: name == "pocket_vgg" or weights_cached(name) for name in ("pocket_vgg", "vgg16")}
    tasks = [task for task in args.task or TASKS if there[TASKS[task].backbone]]
    if args.tune:
        for task in tasks:
            for side in SIDES:
                scores = {lr: measure(task, side, seed=100, lr=lr)["accuracy"] for lr in RATES[side]}
                print(task, side, ", ".join(f"{lr:g}: {100 * score:.1f} %" for lr, score in scores.items()), flush=True)
        return
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
          f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'}; mean ± standard deviation")
    device = card.device()
    formats = [torch.float32, *filter(None, [hardware.short_format(device)])]
    peaks = {str(dtype).removeprefix("torch."): fastest_product(device, dtype, MATRIX) for dtype in formats}
    print("The peak, a product of two matrices: " + ", ".join(
        f"{name} {speed / 1e9:,.0f} x 10^9 operations per second" for name, speed in peaks.items()))
    of = f"% of the peak in {' / '.join(peaks)}"
    print(f"| task | recipe, s | ours, s | ratio | recipe, {of} | ours, {of} | recipe, % right | ours, % right "
          "| recipe, MB | ours, MB |\n|:--|" + "--:|" * 9)
    results = {}
    for task in tasks:
        results[task] = [{side: measure(task, side, seed) for side in SIDES} for seed in range(args.pairs)]
        print(row(task, results[task], peaks), flush=True)
        write_json(OUT, {"peaks": peaks, "tasks": results})


if __name__ == "__main__":
    main()
