"""A web page on which your network looks at pictures: on a phone or a computer, in the browser, with nothing behind it.

    python -m helpers.page my_network my_page
    python -m http.server --directory my_page       # then open http://localhost:8000

`my_network` is what `takeaway.save` has made. The page can be put on any web server as it is, and needs no other: a
picture is chosen, taken with a phone's camera or drawn, and does not leave the device.

The same pixels give PyTorch's logits. The same *file* gives nearly the same: a browser decodes a JPEG a little
differently from Pillow, which decodes a large one at a fraction of its size, so some pixels differ by some levels.

What runs the network in the browser is ONNX Runtime Web, under the MIT licence, of the one version that this page was
tested with. It is fetched once with the npm client, or taken from the folder that `--runtime` names.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from pathlib import Path

from helpers import export, networks, takeaway
from helpers.fetch import downloads, packages
from helpers.takeaway import Taken, write

HERE = Path(__file__).resolve().parent
OWN = ("page.css", "page.mjs", "page.html")  # the last is called index.html there
GENERATOR = b'content="transfer-learning course"'  # stands in every index.html, and tells it from other people's
LARGEST = 50  # million bytes: a phone has to fetch the network, and keep it in its memory twice
RUNTIME = ("onnxruntime-web", "1.30.0")
FILES = {"ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",  # SHA-256
         "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"}
NOTICES = {"LICENSE": "LICENSE-onnxruntime.txt", "ThirdPartyNotices.txt": "NOTICES-onnxruntime.txt"}

LICENCE = "LICENSE-page.txt"  # of what OWN holds: the course's


def make(folder: str | Path, out: str | Path, runtime: str | Path | None = None) -> Path:
    """Write the page for the network in `folder` into the folder `out`, and return `out`.

    `index.html` comes last, so that a page that is there is whole. `runtime` is a folder with ONNX Runtime Web's files.

    Raises:
        ValueError: the network is too large, `out` holds something else, or `runtime` another version.
        RuntimeError: a package is missing, or ONNX Runtime Web can't be had; and whatever `takeaway.load` raises.
    """
    taken, out = takeaway.load(folder), Path(out).expanduser()
    check_size(taken)
    leave_others_alone(out)
    export.check_packages()
    found = runtime_files(runtime)
    out.mkdir(parents=True, exist_ok=True)
    export.export(taken, out / "network.onnx")
    notices = Path(importlib.util.find_spec("onnxruntime").origin).parent  # the same project's, for Python
    for source, name in ((found / name, name) for name in FILES):
        write(out / name, source.read_bytes())
    for source, name in NOTICES.items():
        write(out / name, (notices / source).read_bytes())
    if (HERE.parent / "LICENSE").is_file():
        write(out / LICENCE, (HERE.parent / "LICENSE").read_bytes())
    write(out / "page.json", json.dumps({"classes": taken.classes, "size": taken.size, "words": words(taken)},
                                        ensure_ascii=False, indent=2).encode())
    for name in OWN:
        write(out / name.replace("page.html", "index.html"), (HERE / name).read_bytes())
    return out


def words(taken: Taken) -> str:
    """What the page tells about the network."""
    exam = ("How often it is right, nobody has told." if taken.accuracy is None else
            f"In its exam it was right {taken.accuracy} of the time; the exam's pictures were like those that it has "
            "learnt from, and yours may be harder.")
    return f"{taken.network}, trained on pictures of {', '.join(taken.classes)}. {exam}"


def check_size(taken: Taken) -> None:
    """Raise `ValueError` if the network is too large for a page."""
    size = 4 * networks.count_parameters(taken.model) / 1e6
    if size > LARGEST:
        raise ValueError(f"{taken.network} takes {size:.0f} MB, and a page should take at most {LARGEST}, all of which "
                         "a phone has to fetch: train a smaller network, such as mobilenet_v3_small or resnet18, and "
                         "make a page of that.")


def leave_others_alone(out: Path) -> None:
    """Raise `ValueError` if there is something in the folder's place that `make` has not written."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file, and it is left alone; give the name of a new folder.")
    index, ours = out / "index.html", {"network.onnx", "page.json", LICENCE, *OWN, *FILES, *NOTICES.values()}
    if index.exists():
        strangers = [] if GENERATOR in index.read_bytes() else ["index.html"]
    else:
        strangers = [file.name for file in out.iterdir()] if out.exists() else []
    if strangers := [name for name in strangers if name.removesuffix(".part") not in ours and name[0] != "."]:
        raise ValueError(f"{out} holds other things, such as {min(strangers)}, and is left alone; give the name of a "
                         "new folder.")


def runtime_files(folder: str | Path | None = None) -> Path:
    """A folder that holds ONNX Runtime Web's FILES: `folder` or its `dist`, else the cache, to which they are fetched.

    Raises `ValueError` if `folder` has other files, `RuntimeError` if they can't be fetched.
    """
    if folder is not None:
        for place in (Path(folder).expanduser(), Path(folder).expanduser() / "dist"):
            if all(whole(place / name, name) for name in FILES):
                return place
        raise ValueError(f"{folder} does not hold {' '.join(RUNTIME)}: give the folder that the npm package "
                         f"{'@'.join(RUNTIME)} was unpacked into, or leave `--runtime` out to have it fetched.")
    cache = downloads.cache_folder() / "-".join(RUNTIME)
    if not all(whole(cache / name, name) for name in FILES):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            package = packages.fetch(*RUNTIME, Path(work))
            for name in FILES:
                if not downloads.save([(package / "dist" / name).read_bytes()], cache / name,
                                      right=lambda part: whole(part, name)):  # noqa: B023
                    raise RuntimeError(f"What npm gave for {'@'.join(RUNTIME)} has other contents than it should have.")
    return cache


def whole(file: Path, name: str) -> bool:
    return downloads.digest(file, "sha256") == FILES[name]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.page", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="what takeaway.save has made")
    parser.add_argument("out", help="the folder for the page: a new one, or that of an earlier page")
    parser.add_argument("--runtime", help="a folder with the npm package onnxruntime-web, to do without a connection")
    given = parser.parse_args()
    try:
        out = make(given.folder, given.out, given.runtime)
    except (ValueError, RuntimeError) as error:
        parser.exit(1, f"{error}\n")
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    print(f"{out} holds the page, {size:.0f} MB. Run `python -m http.server --directory {out}` and open "
          "http://localhost:8000; on a phone in the same network, this computer's address in place of localhost.")


if __name__ == "__main__":
    main()
