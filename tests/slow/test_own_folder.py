"""Notebooks, as committed, on a reader's own folder of other classes and another size (see `own_folder`)."""
import shutil

import pytest

from tests.slow import own_folder
from tests.slow.full_track import printed
from tests.slow.own_folder import ROOT

pytestmark = pytest.mark.limit(600)


@pytest.mark.parametrize("number, classes, each, size, divided", [
    ("04", 2, 8, 96, True),  # as few pictures as a class can have, in a folder with splits
    ("03", 12, 8, 224, False)])  # more classes and pixels than the course's own
def test_every_cell_runs(number, classes, each, size, divided, tmp_path):
    folder = own_folder.make(tmp_path / "mine", classes, each, size, divided)
    own_folder.make_profile(tmp_path / "ipython")
    path, = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    notebook = own_folder.execute(path, folder, size, tmp_path / "cache", tmp_path / "ipython")
    assert own_folder.faults(notebook) == []
    text = printed(notebook)
    assert "pocket_vgg on mine data" in text
    assert "airplane" not in text and "monkey" not in text, "a class of the course's own"
    shutil.rmtree(tmp_path)  # pytest would keep the last three runs
