"""The GPU benchmark's results as Markdown tables, one per section, ready for notebooks/SPEED.md."""
from __future__ import annotations

import statistics

SIDES = ("usual", "course")
SHORT = ("bfloat16", "float16")


def tables(titles: dict[str, str], results: dict[str, dict[str, dict]], epochs: int) -> str:
    """The sections that have results, under their titles; `results[section][step]` is what a step returned.

    `epochs` is the length of a whole training run, for which the pairs' times are given as well.
    """
    peak = best_peak(results.get("peak", {}))
    parts = []
    for name, found in results.items():
        whole = {step: result for step, result in found.items() if "failed" not in result}
        failed = [f"{step}: {result['failed']}" for step, result in found.items() if "failed" in result]
        rows = pair_rows(whole, peak, epochs) if any("usual" in result for result in whole.values()) else \
            [{"": step, **readable(result, peak)} for step, result in whole.items()]
        if rows or failed:
            parts.append("\n".join([f"**{titles[name]}**", "", *markdown(rows), *failed]))
    return "\n\n".join(parts)


def best_peak(found: dict[str, dict]) -> float | None:
    """Operations per second of the fastest product in a format of 16 bits; None before it has been measured."""
    return max((found[name]["operations per second"] for name in SHORT
                if "operations per second" in found.get(name, {})), default=None)


def pair_rows(found: dict[str, dict], peak: float | None, epochs: int) -> list[dict]:
    """Recipe and course, mean ± standard deviation over the pairs, and how many times as fast the course is."""
    if not found:
        return []
    rows = []
    for side in SIDES:
        own = [result[side] for result in found.values()]
        column = lambda name, unit=1.0: [one[name] * unit for one in own]  # noqa: B023
        rows.append({
            "": side, "s per epoch": spread(column("seconds")), f"s for {epochs} epochs": spread(
                column("seconds", epochs)), "images per s": spread(column("images per second"), ",.0f"),
            "share of the peak": spread(column("operations per second", 100 / peak), ".1f") + " %" if peak else "",
            "GB": gigabytes(max((one["memory"] or 0) for one in own) or None)})
    ratios = [result["usual"]["seconds"] / result["course"]["seconds"] for result in found.values()]
    return [*rows, {"": f"usual / course, {len(ratios)} pairs", "s per epoch": f"**{spread(ratios, '.1f')}**"}]


def readable(result: dict, peak: float | None) -> dict[str, str]:
    """A result's numbers in the units that people read, under headings that name them."""
    shown = {}
    for name, value in result.items():
        if name == "operations per second":
            shown["10^12 operations per s"] = f"{value / 1e12:.4g}"
            if peak:
                shown["share of the peak"] = f"{100 * value / peak:.1f} %"
        elif name == "memory":
            shown["GB"] = gigabytes(value)
        elif isinstance(value, list):
            shown[name] = " / ".join(value)
        else:
            shown[name] = f"{value:,.4g}" if isinstance(value, float) and value < 1e4 else f"{value:,.0f}"
    return shown


def gigabytes(memory: int | None) -> str:
    return f"{memory / 1e9:.2f}" if memory else ""


def spread(values: list[float], form: str = ".3g") -> str:
    """Mean ± standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):{form}} ± {deviation:{form}}"


def markdown(rows: list[dict]) -> list[str]:
    """The lines of a table with a column for every name that a row has, in the order in which they appear."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        return []
    return ["| " + " | ".join(names) + " |", "|:--|" + "--:|" * (len(names) - 1),
            *("| " + " | ".join(str(row.get(name, "")) for name in names) + " |" for row in rows)]
