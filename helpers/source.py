"""A look at the source task: some of the drawings that the small backbones were pre-trained on."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from helpers.images import whole_number
from helpers.shipped import damaged

ASSETS = Path(__file__).resolve().parent / "assets" / "source"


def examples(count: int = 12) -> dict[str, Tensor]:
    """The same `count` emoji by each family of artists, on white: uint8 (count, 3, 64, 64) by the family's title.

    All of them lie outside the ten classes. Raises `ValueError` if there are not so many.
    """
    path = ASSETS / "examples.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        titles = [family["title"] for family in table["families"].values()]
        path = ASSETS / "examples.webp"
        sheet = np.asarray(Image.open(path).convert("RGB"))
        tiles = sheet.reshape(len(titles), table["tile"], len(table["emoji"]), table["tile"], 3).swapaxes(1, 2)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise damaged(path) from error
    count = whole_number(count, "count", 1, len(table["emoji"]))
    pictures = torch.from_numpy(tiles[:, :count].transpose(0, 1, 4, 2, 3).copy())
    return dict(zip(titles, pictures, strict=True))
