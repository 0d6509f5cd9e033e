"""A lesson's figures as the web site shows them: small files, read aloud by their alternative text, fit for a phone.

Each figure becomes PNG or WebP, whichever is smallest, and is loaded when its reader comes near. One with two columns
is cut between them: side by side they look as before, and on a phone the second stands below the first.
"""
from __future__ import annotations

import html
import io
from pathlib import Path

import numpy as np
from PIL import Image

ENCODINGS = ({"format": "PNG"}, {"format": "WEBP", "lossless": True, "quality": 25, "method": 2},
             {"format": "WEBP", "quality": 90, "method": 2})
MIDDLE = (0.35, 0.65)  # where a gap between two columns is looked for, as shares of the width
GAP = 6  # pixels that such a gap is wide at least
ROW = 4  # a figure so many times as wide as high holds one row of images, which may be cut between any two of them


def figure(png: bytes, alt: str, name: str, folder: Path, address: str) -> str:
    """Write a figure's files into `folder` and return the HTML that shows them.

    `png` is what the notebook holds, `name` the files' name without its end, and `address` leads from the page to the
    folder, with "/" at its end.
    """
    parts = [smallest(part) for part in columns(png)]
    shown = []
    for k, (content, size, end) in enumerate(parts):
        file = f"{name}-{k + 1}{end}" if len(parts) > 1 else f"{name}{end}"
        (folder / file).write_bytes(content)
        words = alt if k == 0 else "The right half of the figure that was described before."
        shown.append(f'<a href="{address}{file}" style="flex: {size[0]} 1 0; max-width: {size[0]}px">'
                     f'<img src="{address}{file}" alt="{html.escape(words)}" width="{size[0]}" height="{size[1]}" '
                     'loading="lazy" decoding="async"></a>')
    return f'<div class="figure">{"".join(shown)}</div>'


def columns(png: bytes) -> list[bytes | Image.Image]:
    """The figure in one piece or two, as images; what moves stays as it is."""
    picture = Image.open(io.BytesIO(png))
    if getattr(picture, "n_frames", 1) > 1:
        return [png]
    picture = picture.convert("RGB")
    x = between_columns(np.asarray(picture))
    if x is None:
        return [picture]
    width, height = picture.size
    return [picture.crop((0, 0, x, height)), picture.crop((x, 0, width, height))]


def between_columns(pixels: np.ndarray) -> int | None:
    """Where to cut a figure, uint8 (height, width, 3), in two: the middle of the gap between its columns.

    None if there is no gap, or if there are many alike, as between the images of a grid, whose rows belong together.
    """
    height, width, _ = pixels.shape
    blank = (pixels == pixels[0, 0]).all(axis=(0, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], blank, [False]]).astype(int)))
    gaps = [(int(end - start), int(start + end) // 2) for start, end in zip(edges[::2], edges[1::2], strict=True)
            if start > 0 and end < width]
    central = [gap for gap in gaps if gap[0] >= GAP and MIDDLE[0] <= gap[1] / width <= MIDDLE[1]]
    if not central:
        return None
    widest = max(gap[0] for gap in central)
    alike = [x for size, x in gaps if size >= 0.8 * widest and 0.15 <= x / width <= 0.85]  # no gap beside an axis' name
    if len(alike) > 1 and width < ROW * height:
        return None
    return min(alike, key=lambda x: abs(x - width / 2))


def smallest(picture: bytes | Image.Image) -> tuple[bytes, tuple[int, int], str]:
    """The picture's shortest file, its width and height in pixels, and the end of its name."""
    if isinstance(picture, bytes):
        return picture, Image.open(io.BytesIO(picture)).size, ".png"
    files = []
    for encoding in ENCODINGS:
        buffer = io.BytesIO()
        picture.save(buffer, **encoding)
        files.append((buffer.getvalue(), picture.size, f".{encoding['format'].lower()}"))
    return min(files, key=lambda file: len(file[0]))
