"""Training by several processes: that it is the training by one, what it costs, and its command line."""
import json
import os
import re
import subprocess
import sys

import pytest
import torch
from accelerate import notebook_launcher
from PIL import Image

from helpers import scale, takeaway
from tests.slow.two_processes import COUNTS
from tests.test_project import ROOT

pytestmark = pytest.mark.limit(600)  # each of the processes imports torch
CPU = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process and what two have found, in this order."""
    if sys.platform != "linux":
        pytest.skip("accelerate's launcher for two processes on a CPU needs Linux")
    folder = tmp_path_factory.mktemp("processes")
    run = subprocess.run([sys.executable, "-m", "tests.slow.two_processes", folder], cwd=ROOT, env=CPU,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    one, two = (json.loads((folder / name / "found.json").read_text()) for name in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    return one, two


@pytest.mark.parametrize("count", COUNTS)
def test_two_processes_learn_what_one_learns(count, found):
    """Whatever is left for the last batch; only the order in which numbers are added up differs."""
    one, two = (torch.tensor(each[str(count)]["losses"]) for each in found)
    assert len(one) == 2 * -(-count // 8) and one[-1] < one[0] / 1.2, "else there is nothing to compare"
    assert torch.allclose(one, two, rtol=1e-5, atol=1e-6), (one - two).abs().max()
    one, two = (torch.tensor(each[str(count)]["weights"]) for each in found)
    assert torch.allclose(one, two, rtol=0, atol=1e-6), (one - two).abs().max()
    assert found[0][str(count)]["accuracy"] == found[1][str(count)]["accuracy"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Red and blue ones, nine of each to learn from and three to validate."""
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 9), ("val", 3)):
        for name in ("red", "blue"):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                Image.new("RGB", (40 + k, 50), name).save(root / split / name / f"{k}.png")
    (root / "train/red/notes.txt").write_text("red, nine times")
    return root


def test_accelerate_launches_it_and_its_workers_read(pictures, tmp_path):
    run = subprocess.run([sys.executable, "-m", "accelerate.commands.launch", "--cpu", "-m", "helpers.scale", pictures,
                          tmp_path / "network", "--size", "32", "--epochs", "1", "--batch-size", "6", "--workers", "2"],
                         cwd=ROOT, env=CPU, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    left_out, said, *table = run.stdout.splitlines()
    assert left_out == "Left out of train: 1 no picture (red/notes.txt)."
    assert re.fullmatch(r"Validation accuracy [\d.]+ %; the network is in .*network\.", said)
    assert re.match(r"1 epoch at \d+ images per second", table[0]) and len(table) == 1 + 2 * len(scale.SIZES)
    assert takeaway.load(tmp_path / "network").classes == ("blue", "red")


def test_a_notebook_launches_it_and_the_network_comes_home(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    notebook_launcher(scale.run, (pictures, tmp_path / "network", "pocket_resnet", 32, 5, 3e-4, 6, 0), num_processes=1)
    assert "Validation accuracy 100.0 %;" in capsys.readouterr().out
    taken = takeaway.load(tmp_path / "network")
    assert (taken.classes, taken.size, taken.network) == (("blue", "red"), 32, "pocket_resnet")
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    assert taken.model(taken.preprocess(red)).argmax() == 1


def test_photographs_are_read_when_they_are_asked_for(pictures):
    data = scale.Photographs(pictures / "train", 24)
    pixels, label = data[17]
    assert (len(data), data.classes, label) == (18, ("blue", "red"), 1)
    assert pixels.dtype == torch.uint8 and torch.equal(pixels[:, 5, 5], torch.tensor([255, 0, 0], dtype=torch.uint8))
    assert torch.equal(torch.tensor([label for _, label in data.files]), torch.tensor([0] * 9 + [1] * 9))


def test_what_can_not_be_read_is_named(pictures, tmp_path):
    for name in ("red", "blue"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes((pictures / "val" / name / "1.png").read_bytes()[:60])
    data = scale.Photographs(tmp_path, 24)
    with pytest.raises(ValueError, match=r"red.1\.png: .*audit"):
        data[1]


def test_cost_by_hand():
    """A million images, 20 times, at 1,000 per second: 20,000 seconds, which eight GPUs do in an eighth, and a bit."""
    one = scale.cost(1_000_000, 1000, epochs=20, price=3)
    assert one.hours == one.gpu_hours == pytest.approx(20_000 / 3600) and one.money == pytest.approx(3 * 20_000 / 3600)
    eight = scale.cost(1_000_000, 1000, epochs=20, gpus=8, price=3, efficiency=0.8)
    assert eight.hours == pytest.approx(one.hours / 6.4)
    assert eight.gpu_hours == pytest.approx(one.hours / 0.8) and eight.money == pytest.approx(one.money / 0.8)


def test_the_table_is_the_calculation():
    lines = scale.costs(500, epochs=10, price=4, efficiency=0.5).splitlines()
    assert lines[0].startswith("10 epochs at 500 images") and "50 %" in lines[0]
    rows = [(images, gpus) for images in scale.SIZES.values() for gpus in scale.GPUS]
    for line, (images, gpus) in zip(lines[1:], rows, strict=True):
        its = scale.cost(images, 500, 10, gpus, 4, 0.5)
        assert line.endswith(f"{its.hours:.2f} h {its.money:10.2f}") and f"{images:,} images  {gpus} GPU" in line


@pytest.mark.parametrize("wrong", [{"images": 0}, {"images_per_second": 0}, {"images_per_second": float("nan")},
                                   {"epochs": -1}, {"gpus": 0}, {"efficiency": 1.2}, {"price": -1}])
def test_numbers_that_can_not_be(wrong):
    with pytest.raises(ValueError, match="above 0|0 or more"):
        scale.cost(**({"images": 1000, "images_per_second": 100} | wrong))


@pytest.mark.parametrize("wish, cpu", [("", True), ("cpu", True), ("mps", False)])
def test_another_gpu_than_cuda_is_used_where_the_reader_asks_for_it(wish, cpu, monkeypatch):
    monkeypatch.setenv("TL_DEVICE", wish)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)

    def stop(**options):
        raise InterruptedError(options["cpu"])

    monkeypatch.setattr("accelerate.Accelerator", stop)
    with pytest.raises(InterruptedError, match=f"^{cpu}$"):
        scale.train(torch.nn.Linear(2, 2), None, None)


def test_without_accelerate_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(scale, "NEEDED", ("accelerate_that_is_not_here",))
    with pytest.raises(RuntimeError, match=r"^Training on several GPUs .* run `pip install accelerate` first\.$"):
        scale.train(torch.nn.Linear(2, 2), [], None)
