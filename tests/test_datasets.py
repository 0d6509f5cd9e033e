import hashlib
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import datasets
from helpers.images import SPLITS
from helpers.intervals import things_of
from helpers.pocket import CLASSES
from tests.damage import cut


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="'cifar'; choose one of pocket, letters, digits, stl10"):
        datasets.load("cifar", "train")
    with pytest.raises(ValueError, match="'valid' of the pocket data; choose one of train, val, test, final"):
        datasets.load("pocket", "valid")


@pytest.mark.parametrize("name, split, told", [
    (["pocket"], "val", r"^Unknown data set \['pocket'\]; choose one of pocket, letters, digits, stl10.$"),
    ("digits", "valid", "^Unknown split 'valid'; choose one of train, val, test.$"),
    ("pocket", ["val"], r"^Unknown split \['val'\] of the pocket data; choose one of train, val, test, final.$"),
    ("digits", None, "^Unknown split None; choose one of"),
    ("stl10", 0, "^Unknown split 0; choose one of")])
def test_names_of_another_kind(name, split, told):
    with pytest.raises(ValueError, match=told):
        datasets.load(name, split)


def test_final_is_a_set_of_its_own_or_the_test_set_where_there_is_no_other(stl10):
    root, _ = stl10
    assert same(datasets.load("digits", "final"), datasets.load("digits", "test"))
    assert same(datasets.load("stl10", "final", root), datasets.load("stl10", "test", root))
    final, others = datasets.load("pocket", "final"), [datasets.load("pocket", split) for split in SPLITS]
    assert not set(things_of(final)) & {thing for split in others for thing in things_of(split)}


# --- what one reader changes, the next does not see --------------------------------------------------------------

def spoil(data):
    data.images.zero_(), data.labels.fill_(3)


def same(one, other) -> bool:
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["pocket", "letters", "digits"])
@pytest.mark.parametrize("few", [False, True])
def test_a_change_does_not_reach_later_loads(name, few):
    load = lambda: datasets.load(name, "val").few(3) if few else datasets.load(name, "val")
    first, second = load(), load()
    assert same(first, second)
    spoil(first)
    assert not same(first, second) and same(second, load())


def test_a_change_does_not_reach_later_loads_of_stl10(stl10):
    root, _ = stl10
    for split in SPLITS:
        first, second = (datasets.load("stl10", split, root) for _ in range(2))
        spoil(first)
        assert not same(first, second) and same(second, datasets.load("stl10", split, root))


# --- digits, STL-10, folders -------------------------------------------------------------------------------------

def scramble(path):
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(data)


def test_digits():
    splits = {split: datasets.digits(split) for split in SPLITS}
    assert [len(splits[split]) for split in SPLITS] == [1000, 297, 500]
    test = splits["test"]
    assert test.images.shape[1:] == (3, 96, 96) and test.images.dtype == torch.uint8
    assert test.classes == tuple("0123456789")
    assert torch.equal(test.images[:, 0], test.images[:, 2])  # grey
    assert int(test.images.max()) > 240 and torch.bincount(test.labels).min() > 30
    seen = {image.tobytes() for image in splits["train"].images[:, 0].numpy()}
    assert not any(image.tobytes() in seen for image in test.images[:, 0].numpy())


@pytest.fixture
def stl10(tmp_path, monkeypatch):
    """A miniature STL-10 in the true binary format: 120 training images per class and 2 test images per class.

    Returns the folder, and by split the pixels (n, 3, 96, 96) and labels (0 to 9) that were written.
    """
    from torchvision.datasets import STL10

    base = tmp_path / "stl10_binary"
    base.mkdir()
    written, lists = {}, {"train": [], "test": []}
    for split, per_class in (("train", 120), ("test", 2)):
        rng = np.random.RandomState(per_class)
        labels = rng.permutation(np.arange(10).repeat(per_class))
        pixels = np.empty((len(labels), 3, 96, 96), np.uint8)
        pixels[:] = rng.randint(0, 256, (len(labels), 3, 1, 1)) // 2
        pixels += np.arange(96, dtype=np.uint8)[:, None]  # rows differ from columns
        written[split] = pixels, labels
        pixels.transpose(0, 1, 3, 2).tofile(base / f"{split}_X.bin")  # columns before rows
        (labels + 1).astype(np.uint8).tofile(base / f"{split}_y.bin")  # 1 to 10
        for name in (f"{split}_X.bin", f"{split}_y.bin"):
            lists[split].append([name, hashlib.md5((base / name).read_bytes()).hexdigest()])
    (base / "class_names.txt").write_text("\n".join(CLASSES) + "\n")
    monkeypatch.setattr(STL10, "train_list", lists["train"] + [["unlabeled_X.bin", "not there"]])
    monkeypatch.setattr(STL10, "test_list", lists["test"])
    return tmp_path, written


def test_stl10_is_read_as_it_was_written(stl10):
    root, written = stl10
    pixels, labels = written["test"]
    test = datasets.load("stl10", "test", root)
    assert np.array_equal(test.images.numpy(), pixels) and test.labels.tolist() == labels.tolist()
    assert test.classes == CLASSES

    pixels, labels = written["train"]
    parts = {split: datasets.stl10(split, root=root) for split in ("train", "val")}
    for split, chosen in (("train", slice(None, -100)), ("val", slice(-100, None))):
        positions = np.concatenate([np.flatnonzero(labels == k)[chosen] for k in range(10)])
        assert np.array_equal(parts[split].images.numpy(), pixels[positions])
        assert parts[split].labels.tolist() == labels[positions].tolist()


@pytest.fixture
def photographs(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TL_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30] = (200, 0, 0)  # red on the left of a wide picture
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter clockwise": the left side is the top
    Image.fromarray(picture).save(tmp_path / "left" / "turned.png", exif=exif)
    Image.fromarray(np.full((50, 30), 77, np.uint8)).save(tmp_path / "right" / "grey.png")
    return tmp_path


def test_folder_turns_crops_and_colours(photographs):
    data = datasets.folder(photographs, size=20)
    assert data.images.shape == (2, 3, 20, 20) and data.labels.tolist() == [0, 1]
    assert (data.classes, data.origin) == (("left", "right"), ("left/turned.png", "right/grey.png"))
    turned = data.images[0, 0].float()
    assert turned[:8].mean() > 190 and turned[12:].mean() < 10
    assert torch.equal(data.images[1], torch.full((3, 20, 20), 77, dtype=torch.uint8))


@pytest.mark.parametrize("damage, told", [
    (cut, "This picture is damaged or incomplete. Copy it again"),
    (scramble, "This is not a picture"), (lambda path: path.write_text("not an image"), "This is not a picture"),
    (lambda path: (path.unlink(), path.symlink_to("nowhere")), "It is a link to a file that is not there")])
def test_folder_names_the_file_that_cannot_be_read(photographs, damage, told):
    damage(photographs / "right" / "grey.png")
    with pytest.raises(ValueError, match=f"^right/grey.png can't be used. {told}.*[.]$"):
        datasets.folder(photographs)


@pytest.mark.parametrize("size", [0, -20, 20.0, True, 4097])
def test_folder_with_a_size_that_is_none(photographs, size):
    with pytest.raises(ValueError, match="^size must be a whole number from 1 to 4096, not "):
        datasets.folder(photographs, size)


def test_folders_in_the_home_folder(photographs, stl10, monkeypatch):
    monkeypatch.setenv("HOME", str(photographs.parent)), monkeypatch.setenv("USERPROFILE", str(photographs.parent))
    root = f"~/{photographs.name}"
    monkeypatch.chdir(photographs / "left")
    assert len(datasets.load("stl10", "test", root)) == len(datasets.stl10("test", root=root)) == 20
    shutil.rmtree(photographs / "stl10_binary")
    assert len(datasets.folder(root)) == 2


@pytest.mark.parametrize("root", [5, b"bytes", ["left"], True])
def test_a_root_that_is_no_path(root):
    for call in (datasets.folder, lambda root: datasets.load("stl10", "test", root)):
        with pytest.raises(ValueError, match="^root must be the path of a folder, not "):
            call(root)


@pytest.mark.parametrize("fold", [10, -1, True, 1.0, "1"])
def test_a_fold_that_there_is_not(fold):
    with pytest.raises(ValueError, match="^fold must be a whole number from 0 to 9, not "):
        datasets.stl10("train", fold)
