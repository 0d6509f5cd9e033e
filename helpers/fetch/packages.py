"""Fetch packages from the npm registry, which holds the artwork, the fonts, and what runs a network in a browser."""
from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path


def unpack(tarball: Path, folder: Path) -> Path:
    """Extract an npm tarball and return its `package` folder."""
    with tarfile.open(tarball) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def fetch(package: str, version: str, folder: Path) -> Path:
    """Download one npm package into `folder` with the npm client; return the unpacked package's path.

    What lies there from an earlier time is taken as it is. Raises `RuntimeError` if the npm client is missing or can't
    get the package.
    """
    if (folder / "package").exists():
        return folder / "package"
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("npm") is None:
        raise RuntimeError(f"The npm client is needed to fetch {package}; install Node.js and try again.")
    done = subprocess.run(["npm", "pack", f"{package}@{version}", "--json"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npm could not fetch {package}@{version}: {done.stderr.strip().splitlines()[-1]}")
    return unpack(folder / json.loads(done.stdout)[0]["filename"], folder)
