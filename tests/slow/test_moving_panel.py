"""The README's moving picture shows the panel as it is today."""
import numpy as np
from PIL import Image

from helpers.make import moving_panel


def pictures(file) -> list[np.ndarray]:
    with Image.open(file) as film:
        found = []
        for k in range(film.n_frames):
            film.seek(k)
            found.append(np.asarray(film.convert("RGB"), np.float32))
    return found


def test_it_shows_each_state_of_the_panel_as_it_is_drawn_now(tmp_path, capsys):
    moving_panel.main(tmp_path / "now.webp")
    now, shipped = pictures(tmp_path / "now.webp"), pictures(moving_panel.FILE)
    assert capsys.readouterr().out.startswith(f"wrote now.webp: {len(now)} pictures of 900 x ")
    assert [picture.shape for picture in now] == [picture.shape for picture in shipped] and len(now) == 8
    apart = [abs(one - other).mean() for one, other in zip(now, shipped, strict=True)]  # of 255
    assert max(apart) < 3, "the panel has changed: run `python -m helpers.make.moving_panel`"
    steps = [abs(one - other).mean() for one, other in zip(now, now[1:], strict=False)]
    assert min(steps) > 3, "two states look the same, so the comparison above says nothing"
