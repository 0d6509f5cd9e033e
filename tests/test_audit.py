"""A folder before it is learnt from: what looks the same, what is uneven, and how it is divided."""
import shutil

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from helpers import alike, audit, datasets, division, figures
from helpers.images import SPLITS, ImageSplit
from helpers.intervals import things_of

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TL_CACHE", str(tmp_path_factory.mktemp("cache")))


def photo(seed: int, size=(160, 120)) -> Image.Image:
    """Soft blotches, as photographs have them; another seed, another picture."""
    noise = np.random.RandomState(seed).randint(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def burst(seed: int, step: int) -> Image.Image:
    """The same motive, the camera a little further."""
    moved = photo(seed, (320, 240)).crop((20 + 7 * step, 20 + 5 * step, 280 + 7 * step, 220 + 5 * step))
    return moved.resize((160, 120)).point(lambda value: min(255, round(value * (1 + 0.03 * step))))


def split_of(pictures, labels, names=()) -> ImageSplit:
    pixels = torch.stack([torch.from_numpy(np.array(one.resize((48, 48)))).permute(2, 0, 1) for one in pictures])
    return ImageSplit(pixels, torch.tensor(labels), tuple("abcdef"[: max(labels) + 1]), tuple(names))


# --- what looks the same -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("change", [
    lambda image: image.resize((80, 60)), lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    lambda image: image.filter(ImageFilter.GaussianBlur(1)), lambda image: image.point(lambda v: min(255, v + 25)),
    lambda image: image.convert("L").convert("RGB"), lambda image: image.quantize(32).convert("RGB")],
    ids=["smaller", "mirrored", "blurred", "brighter", "grey", "few colours"])
def test_a_changed_copy_looks_the_same(change):
    for seed in range(5):
        assert list(alike.pairs(split_of([photo(99), photo(seed), change(photo(seed))], [0] * 3).images)) == [(1, 2)]


def test_a_burst_looks_the_same():
    data = split_of([burst(seed, step) for seed in range(6) for step in range(3)], [0] * 18)
    assert alike.groups(range(18), alike.pairs(data.images)) == [k // 3 * 3 for k in range(18)]


def test_others_do_not():
    assert list(alike.pairs(split_of([photo(seed) for seed in range(600)], [0] * 600).images)) == []
    assert list(alike.pairs(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))) == []
    assert list(alike.pairs(torch.full((3, 3, 8, 8), 7, dtype=torch.uint8))) == [], "a plain area has no look"


def test_pairs_are_found_across_blocks(monkeypatch):
    data = split_of([photo(seed % 4) for seed in range(8)], [0] * 8).images
    whole = list(alike.pairs(data))
    assert whole == [(k, k + 4) for k in range(4)]
    monkeypatch.setattr(alike, "BLOCK", 3)
    assert list(alike.pairs(data)) == whole


# --- the division ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("counts", [(50, 50), (4, 40), (10, 20, 30), (4, 5, 6)])
def test_every_class_is_divided_by_the_shares(counts):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    data = split_of([photo(k) for k in range(len(labels))], labels, [f"{k}.jpg" for k in range(len(labels))])
    parts = division.divide(data)
    assert list(parts) == list(SPLITS)
    assert sorted(name for part in parts.values() for name in part.origin) == sorted(data.origin)
    for label, count in enumerate(counts):
        own = [int((part.labels == label).sum()) for part in parts.values()]
        assert sum(own) == count and min(own) >= 1
        assert abs(own[1] - 0.2 * count) < 1 and own[2] == max(2, own[1])


def test_the_seed_decides():
    data = split_of([photo(k) for k in range(40)], [k % 2 for k in range(40)], [f"{k}" for k in range(40)])
    assert division.divide(data)["test"].origin == division.divide(data, 0)["test"].origin
    assert division.divide(data)["test"].origin != division.divide(data, 1)["test"].origin
    with pytest.raises(ValueError, match="^seed must be a whole number from 0 to"):
        division.divide(data, -1)


@pytest.mark.parametrize("seed", range(5))
def test_bursts_stay_on_one_side_and_count_once(seed):
    shown = [(motive, step) for motive in range(24) for step in range(3 if motive % 3 == 0 else 1)]
    data = split_of([burst(*one) for one in shown], [motive % 2 for motive, _ in shown],
                    [f"{motive}-{step}.jpg" for motive, step in shown])
    parts = division.divide(data, seed)
    sides = {}
    for split, part in parts.items():
        for name in part.origin:
            sides.setdefault(name.split("; ")[-1].split("-")[0], set()).add(split)
    assert len(sides) == 24 and all(len(its) == 1 for its in sides.values())
    assert sum(len(set(things_of(part))) for part in parts.values()) == 24
    assert "0-0.jpg; 0-2.jpg" in [name for part in parts.values() for name in part.origin]


def test_a_large_burst_does_not_leave_a_split_too_small():
    """Two things at least in the exam: from one no interval can be had."""
    for sizes in ((5, 5, 5, 5), (12, 1, 1, 1), (1, 1, 1, 1), (30, 2, 1, 1, 1), (2, 2, 2, 2)):
        shown = [(motive, step / 10) for motive, size in enumerate(sizes) for step in range(size)]
        shown += [(50 + k, 0) for k in range(5)]
        data = split_of([burst(*one) for one in shown], [int(motive >= 50) for motive, _ in shown])
        for seed in range(5):
            for split, part in division.divide(data, seed).items():
                things = {thing for thing, label in zip(things_of(part), part.labels, strict=True) if label == 0}
                assert len(things) >= division.LEAST[split], (sizes, seed)


def test_too_few_that_differ():
    shown = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (3, 0), (4, 0)]
    data = split_of([burst(*one) for one in shown], [0, 0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match="^'a' has too few images that look different, namely 2: four are needed"):
        division.divide(data)


# --- the audit ---------------------------------------------------------------------------------------------------

@pytest.fixture
def photos(tmp_path):
    """A folder with everything that an audit tells of."""
    root = tmp_path / "photos"
    for split, name, count in (("train", "cat", 8), ("train", "dog", 2), ("val", "cat", 2), ("val", "Dog", 2)):
        (root / split / name).mkdir(parents=True)
        for k in range(count):
            seed = 1000 * len(list(root.rglob("*"))) + k
            photo(seed).save(root / split / name / f"{k}.jpg", quality=95)
    shutil.copy(root / "train/cat/0.jpg", root / "val/cat/copy.jpg")  # the same file in two splits
    shutil.copy(root / "train/cat/1.jpg", root / "train/dog/wrong.jpg")  # in two classes
    Image.open(root / "train/cat/2.jpg").resize((120, 90)).save(root / "train/cat/small.png")  # the same look
    (root / "train/cat/notes.txt").write_text("a note")
    (root / "train/dog/half.jpg").write_bytes((root / "train/dog/0.jpg").read_bytes()[:900])
    (root / "extra").mkdir()
    return root


def test_an_audit_tells_everything(photos):
    report = audit.audit(photos)
    assert str(report).splitlines()[1:8] == [
        "  class     train       val",
        "  Dog           0         2",
        "  cat           9         3",
        "  dog           3         0",
        "  all          12         5",
        "  formats: JPEG 16, PNG 1",
        "  pixels: 120 x 90 to 160 x 120, the middle one 160 x 120"]
    assert str(report).startswith("photos: 17 pictures of 3 classes, ") and repr(report) == str(report)
    assert report.points == [
        "Not read, because it stands beside the splits: 'extra'.",
        "train has no folder 'Dog', which others have: name the folders alike.",
        "val has no folder 'dog', which others have: name the folders alike.",
        "1 picture can't be used: train/dog/half.jpg. This picture is damaged or incomplete. Copy it again from where "
        "it came from.",
        "Left out: 1 no picture (train/cat/notes.txt).",
        "1 file is in two splits, so that the exam would ask what was learnt by heart: train/cat/0.jpg = "
        "val/cat/copy.jpg.",
        "1 file is in two classes, so that one label is wrong: train/cat/1.jpg = train/dog/wrong.jpg.",
        "1 group of look-alikes is in one class: train/cat/2.jpg = train/cat/small.png.",
        "1 picture will be enlarged to 96 pixels."]


def test_an_even_folder_without_splits_gives_no_points(photos):
    root = photos.parent / "even"
    for name, seed in (("a", 0), ("b", 50)):
        (root / name).mkdir(parents=True)
        for k in range(4):
            photo(seed + k).save(root / name / f"{k}.webp", lossless=True)
    report = audit.audit(root)
    assert report.points == [] and report.copies == report.lookalikes == []
    assert "  class  pictures\n  a             4\n  b             4\n  all           8\n" in str(report)


def filled(root, splits, damaged=()):
    """A folder with two classes, four pictures each, in each of these splits."""
    for k, split in enumerate(splits):
        for j, name in enumerate(("a", "b")):
            (root / split / name).mkdir(parents=True)
            for i in range(4):
                photo(100 * k + 10 * j + i).save(root / split / name / f"{i}.png")
    for name in damaged:
        (root / name).write_bytes(b"")
    return root


def test_what_can_be_used_of_one_folder_is_divided_and_what_can_not_is_left_out(tmp_path, capsys):
    found = audit.audit(filled(tmp_path / "mine", [""], ["a/empty.jpg"])).splits()
    assert list(found) == ["train", "val", "test"] and sum(map(len, found.values())) == 8
    assert all(split.classes == ("a", "b") and set(split.labels.tolist()) == {0, 1} for split in found.values())
    assert all(name[0] == "ab"[label] for split in found.values()
               for name, label in zip(split.origin, split.labels.tolist(), strict=True))
    (tmp_path / "mine/a/empty.jpg").unlink()  # so that all of it can be read
    whole = datasets.folder(tmp_path / "mine")
    place = whole.origin.index(found["val"].origin[0])
    assert torch.equal(found["val"].images[0], whole.images[place]) and capsys.readouterr().out == ""


def test_splits_that_are_there_are_kept(tmp_path):
    found = audit.audit(filled(tmp_path / "mine", ["Training", "valid", "test"], ["test/a/0.png"])).splits()
    assert [len(split) for split in found.values()] == [8, 8, 7]
    assert all(name.startswith("valid/") for name in found["val"].origin)


def test_a_folder_that_lacks_a_split_is_divided_anew_and_it_is_said(tmp_path, capsys):
    found = audit.audit(filled(tmp_path / "mine", ["train", "test"])).splits()
    assert sum(map(len, found.values())) == 16 and len(found["val"]) == 4
    assert capsys.readouterr().out == ("mine holds 'train', 'test', and all of train, val, test are needed: its "
                                       "pictures are divided anew.\n")


@pytest.mark.parametrize("split, count", [("train", 4), ("val", 4), ("test", 3)])
def test_a_class_that_a_split_lacks_is_named(split, count, tmp_path):
    bad = [f"{split}/b/{k}.png" for k in range(count)]
    with pytest.raises(ValueError, match=f"^There are too few pictures of 'b' in {split}: each class needs"):
        audit.audit(filled(tmp_path / "mine", ["train", "val", "test"], bad)).splits()


@pytest.mark.parametrize("count, told", [(3, []), (4, ["'b' has 2.0 times as many pictures as 'a'."])])
def test_uneven_classes(tmp_path, count, told):
    for name, number in (("a", 2), ("b", count)):
        (tmp_path / name).mkdir()
        for k in range(number):
            photo(100 * count + 10 * number + k).save(tmp_path / name / f"{k}.png")
    assert audit.audit(tmp_path).points == told


def test_what_a_folder_would_refuse_is_a_point_here(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    photo(0).save(tmp_path / "a" / "1.png")
    assert audit.audit(tmp_path).points == [f"No pictures in {tmp_path / 'b'}: put some there, or move that folder "
                                            "elsewhere."]
    (tmp_path / "b").rmdir()
    assert "holds one class only" in audit.audit(tmp_path).points[0]
    (tmp_path / "a" / "1.png").write_bytes(b"")
    report = audit.audit(tmp_path)
    assert "1 picture can't be used: a/1.png." in str(report) and ": 0 pictures of 1 class" in str(report)
    audit.draw(report)
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(ValueError, match="^No pictures in "):
        audit.audit(tmp_path)


def test_the_folder_is_read_once_for_the_audit_and_for_learning(photos, monkeypatch):
    audit.audit(photos)
    (photos / "train/dog/half.jpg").unlink()
    from helpers import album
    monkeypatch.setattr(album, "_look", lambda path, pixels: pytest.fail(f"{path} was read again"))
    assert len(datasets.folder(photos / "train")) == 12


def shown(report, monkeypatch) -> str:
    """The alternative text of the report's figure, which is drawn to its last pixel."""
    drawn = []
    monkeypatch.setattr(figures, "display", lambda drawing: drawn.append(drawing))
    audit.draw(report)
    (drawing,) = drawn
    assert len(drawing.png) > 5000
    return drawing.alt


def test_the_figure(photos, monkeypatch):
    assert shown(audit.audit(photos), monkeypatch) == (
        "Pictures of each class in train, val: Dog 0, 2; cat 9, 3; dog 3, 0. Beside it 3 pairs that look alike.")


@pytest.mark.parametrize("classes", [2, 3, 12, 40, 100])
def test_any_number_of_classes(tmp_path, monkeypatch, classes):
    for k in range(classes):
        (tmp_path / f"{k:03}").mkdir()
        for number in range(1 + (k == 1)):
            photo(10 * k + number, (24, 18)).save(tmp_path / f"{k:03}" / f"{number}.png")
    report = audit.audit(tmp_path, 16)
    table = str(report).splitlines()
    assert len(table) <= 20 and f"{classes + 1}" in table[0]
    assert any(line.startswith("  001") for line in table), "the richest class is in it"
    assert shown(report, monkeypatch).count(";") == min(classes, audit.BARS) - 1


def test_names_of_any_script_and_with_marks(tmp_path, monkeypatch):
    for k, name in enumerate(("$x_1$ $\\frac", "猫", "<b>*a*|", "e\u0301te\u0301 🦊")):
        (tmp_path / name).mkdir()
        photo(k).save(tmp_path / name / "1.png")
    report = audit.audit(tmp_path)
    assert "$x_1$ $\\frac 1; " in shown(report, monkeypatch)
    rows = str(report).splitlines()[1:7]
    assert len({audit._columns(row) for row in rows}) == 1, "the numbers stand in one column"


def test_many_copies_are_counted_and_a_few_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(5):
            photo(10 * ord(name) + k).save(tmp_path / name / f"{k}.png")
            if name == "a":
                shutil.copy(tmp_path / "a" / f"{k}.png", tmp_path / "a" / f"{k} (2).png")
    copies, uneven = audit.audit(tmp_path).points
    assert uneven == "'a' has 2.0 times as many pictures as 'b'."
    assert copies == ("5 files are more than once in one class: a/0 (2).png = a/0.png, a/1 (2).png = a/1.png, "
                      "a/2 (2).png = a/2.png and 2 more.")
