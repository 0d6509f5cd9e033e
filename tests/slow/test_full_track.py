"""All notebooks, as committed, on the full track: VGG-16 and STL-10 in miniature (see `full_track`), on a CPU."""
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from helpers.preprocess import channel_statistics
from tests.slow import full_track
from tests.slow.full_track import ROOT

NARROW = full_track.NARROW
WIDTHS = {"05": NARROW, "01": NARROW, "04": NARROW, "03": NARROW, "06": NARROW, "02": 1}  # the slowest first


pytestmark = pytest.mark.limit(600)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the miniature STL-10, both checkpoints and both profiles; and what was written into STL-10."""
    folder = tmp_path_factory.mktemp("full_track")
    written = full_track.make_stl10(folder / "cache")
    for narrow in set(WIDTHS.values()):
        checkpoint = full_track.make_checkpoint(folder / f"torch_{narrow}", narrow)
        full_track.make_profile(folder / f"ipython_{narrow}", folder / "cache", checkpoint, narrow)
    yield folder, written
    shutil.rmtree(folder, ignore_errors=True)  # pytest would keep the last three runs: half a gigabyte each


@pytest.fixture(scope="module")
def results(world, request):
    """The notebooks that the selected tests need, executed two at a time: by number, a future of its cells and text."""
    folder, _ = world

    def execute(number: str):
        path, = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        places = (folder / name for name in ("cache", f"torch_{WIDTHS[number]}", f"ipython_{WIDTHS[number]}"))
        notebook = full_track.execute(path, *places)
        return SimpleNamespace(cells=notebook.cells, text=full_track.printed(notebook))

    selected = [number for number in WIDTHS if any(f"test_{number}_" in item.name for item in request.session.items)]
    with ThreadPoolExecutor(2) as pool:
        yield {number: pool.submit(execute, number) for number in selected}


def check(result, data: str = "stl10") -> None:
    """What holds for each of them: the right track, everything ran, nothing on stderr, nothing of the pocket track."""
    assert re.search(rf"^full track \(TL_TRACK=full\): vgg16 on {data} data, ", result.text, re.MULTILINE)
    code = [cell for cell in result.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [output for cell in code for output in cell.outputs if output.get("name") == "stderr"] == []
    aside = "(Here stands a drawing pad. Run the notebook to draw on it.)"  # the same on every track
    assert re.findall(r".*(?:pocket|emoji|drawing).*", result.text.replace(aside, "")) == []


def test_01_transfers_from_a_thousand_classes_to_stl10(results):
    result = results["01"].result()
    check(result)
    assert re.search(r"\b1,?000 classes\b", result.text)
    assert re.search(r"\b750 train\b.*\b1,000 val.*\b400 test\b", result.text)
    for name in ("stl10", "letters", "digits"):
        leads = rf"^{name}: pre-trained - random .* points .*\n{name}: pre-trained - pixels .* points "
        assert re.search(leads, result.text, re.MULTILINE)


def test_02_takes_the_real_vgg16_apart(results):
    result = results["02"].result()
    check(result)
    assert re.search(r"\b138,357,544\b.*\b138,357,544 published", result.text)
    assert re.search(r"^vgg16\b.*\b96 x 96\b.*\b100\.0 %.*parameters", result.text, re.MULTILINE)
    assert "['classifier.6.weight', 'classifier.6.bias']" in result.text
    assert re.search(r"\blogits\b.*: True$", result.text, re.MULTILINE)


def test_03_measures_stl10_and_normalises_as_the_weights_want(results, world):
    result = results["03"].result()
    check(result)
    train = world[1]["train"]
    own = [(train.labels == label).nonzero().flatten()[:-100] for label in range(10)]
    mean, std = channel_statistics(train.images[[k for part in own for k in part]])
    assert re.search(rf"^red\b.*\b{mean[0]:.4f}\b.*\b{std[0]:.4f}\b", result.text, re.MULTILINE)
    numbers = (0.485, mean[0], 0.229, std[0])
    line = r"\b.*\b".join([*(re.escape(f"{number:.4f}") for number in numbers), re.escape(f"{0.229 / std[0]:.2f}")])
    assert re.search(rf"^red\b.*\b{line}\b", result.text, re.MULTILINE)


def test_04_compares_three_contenders_in_pairs(results):
    result = results["04"].result()
    check(result)
    assert re.search(r"\bsame logits\b.*: True$", result.text, re.MULTILINE)
    assert re.search(r"^\| trained parameters \| 650 \| ([\d,]+) \| \1 \|$", result.text, re.MULTILINE)
    for pair in ("full - frozen", "LP-FT - frozen", "LP-FT - full"):
        assert re.search(rf"^{pair}: .* points .*: (higher|lower|undecided)$", result.text, re.MULTILINE)
    assert re.search(r"^Decided, with 12 labels per class, .* 400 things: ", result.text, re.MULTILINE)


def test_05_goes_down_to_every_depth(results):
    result = results["05"].result()
    check(result)
    assert re.search(r"^depth 16: features\.0\b.*\bjoins\b", result.text, re.MULTILINE)
    assert re.search(r"\bthe same answers as the whole network: True$", result.text, re.MULTILINE)
    assert "depths: 1 (head), 3 (classifier), 6 (one block more), 16 (everything)" in result.text
    words = r"(higher|lower|undecided)$"
    assert len(re.findall(rf"^[a-z ]+ minus (?:head|one rate for all): {words}", result.text, re.MULTILINE)) == 5
    assert "num_batches_tracked, running_mean, running_var" in result.text
    assert "after the dark images 0 entries have changed, and the exam's accuracy by 0.0 points" in result.text
    assert re.search(r"^\| batch norm \| networks\.freeze; ", result.text, re.MULTILINE)


def test_06_takes_vgg16_home(results):
    result = results["06"].result()
    check(result, "my_pictures")
    assert re.search(r"^my_pictures: 452 pictures of 5 classes, ", result.text, re.MULTILINE)
    assert re.search(r"^everything \(rate [39]e-05\) - head alone: .* points .*\. We keep: ", result.text, re.MULTILINE)
    assert re.search(r"^the same logits: True$", result.text, re.MULTILINE)
    assert re.search(r"^### vgg16 for airplane, bird, car, dog, ship$", result.text, re.MULTILINE)
