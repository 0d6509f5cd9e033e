"""What a machine has, in a few lines: for a report of what went wrong.

    python -m helpers.report

Nothing is computed and nothing fetched. No folder is named, as folders are named after people.
"""
from __future__ import annotations

import os
import platform
import re

from helpers.install import REQUIREMENTS, required, version

SAID = ("TL_TRACK", "TL_DEVICE")  # of these variables the value is told, of the others only that they are set
HIDDEN = ("TL_CACHE", "TL_MIRROR")


def lines() -> list[str]:
    """The report, a line for each thing: course, system, Python, packages, variables, devices, track."""
    return [f"course: {course()}", f"system: {platform.platform()}", f"Python: {platform.python_version()}",
            f"packages: {packages()}", f"variables: {variables()}", *machine()]


def course() -> str:
    """The course's version, as its changelog has it."""
    text = (REQUIREMENTS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.search(r"^## (\S+)", text, re.MULTILINE)[1]


def packages() -> str:
    """The packages of requirements.txt, each with its version, or "missing"."""
    return ", ".join(f"{name} {version(name) or 'missing'}" for name in required())


def variables() -> str:
    """Those of the course's environment variables that are set."""
    there = [f"{name}={os.environ[name]}" for name in SAID if name in os.environ]
    there += [f"{name} is set" for name in HIDDEN if name in os.environ]
    return ", ".join(there) or "none"


def machine() -> list[str]:
    """Devices, and the track that `setup()` would try; where PyTorch can't be imported, that and why."""
    try:
        import torch

        from helpers import devices, lab
        from helpers.fetch import downloads, stl10, weights

        gpu = f" ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else ""
        device = devices.choose()
        track, reason = lab.track_for(device)
        weights_there = "there" if weights.weights_cached("vgg16") else "not there"
        data_there = "not there" if stl10.missing(downloads.cache_folder() / stl10.FOLDER) else "there"
        return [f"devices: {', '.join(devices.present())}{gpu}; {device.type} is used", f"track: {track} ({reason})",
                f"full track: VGG-16's weights are {weights_there}, STL-10 is {data_there}"]
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        return [f"devices and track: can't be told ({type(error).__name__}: {error})"]


if __name__ == "__main__":
    print("\n".join(lines()))
