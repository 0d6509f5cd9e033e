"""All notebooks on the full track, each in a fresh kernel, and how long each takes.

Where STL-10 or the weights are not on the disk, the kernels are told to expect the benchmark's own files in their
place, by the startup file that the tests of the full track use. So nothing is fetched, and what a notebook prints then
means nothing; how long it takes does.
"""
from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError

from tests.benchmarks.gpu_steps import Steps
from tests.benchmarks.gpu_world import World, checkpoint_file, random_checkpoint
from tests.slow import full_track

TRIAL = 5  # cells of the first notebook are all that the miniature runs
LONGEST_CELL = 900  # seconds
NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # nobody answers there


def notebooks(world: World) -> Steps:
    paths = sorted((full_track.ROOT / "notebooks").glob("0*.ipynb"))
    return {path.stem: partial(run, world, path) for path in (paths[:1] if world.miniature else paths)}


def run(world: World, path: Path) -> dict:
    """Run a notebook from top to bottom. Raises `RuntimeError` with the last line of the error that a cell met."""
    notebook = nbformat.read(path, as_version=4)
    if world.miniature:
        notebook.cells = notebook.cells[:TRIAL]
    client = nbclient.NotebookClient(notebook, timeout=LONGEST_CELL, startup_timeout=300,
                                     kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    with tempfile.TemporaryDirectory() as profile:
        settings, start = surroundings(world, Path(profile)), time.perf_counter()
        try:
            client.execute(env={**os.environ, **settings})
        except CellExecutionError as error:
            raise RuntimeError(f"{error.ename}: {error.evalue}") from None
        return {"seconds": time.perf_counter() - start}


def surroundings(world: World, profile: Path) -> dict[str, str]:
    """The environment of a kernel: the full track, where its data and weights lie, and its startup file."""
    checkpoint = checkpoint_file() if world.genuine_weights else random_checkpoint(world)
    full_track.make_profile(profile, world.folder, checkpoint, world.scale.narrow)
    home = {} if world.genuine_weights else {"TORCH_HOME": str(checkpoint.parents[2])}
    return {"TL_TRACK": "full", "TL_DEVICE": world.device.type, "TL_CACHE": str(world.folder),
            "IPYTHONDIR": str(profile), **NO_NETWORK, **home}
