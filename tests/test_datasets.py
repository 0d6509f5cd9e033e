import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import datasets
from helpers import pocket as drawings
from helpers.images import SPLITS
from helpers.pocket import CLASSES, FAMILIES

# The bytes of the pocket test split: images, then labels. After a wanted change to how images are composed, take the
# new value from the message of the failing test.
POCKET_TEST_SHA256 = "7d9497d4dd3e3b78cd02f4043c45d90289fd074d2ac903d8bf7843e1fbda7f1c"


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="'cifar'; choose one of pocket, world, digits, stl10"):
        datasets.load("cifar", "train")
    with pytest.raises(ValueError, match="'valid'; choose one of train, val, test"):
        datasets.load("pocket", "valid")


@pytest.mark.parametrize("name, split, told", [
    (["pocket"], "val", r"^Unknown data set \['pocket'\]; choose one of pocket, world, digits, stl10.$"),
    ("digits", "valid", "^Unknown split 'valid'; choose one of train, val, test.$"),
    ("pocket", ["val"], r"^Unknown split \['val'\]; choose one of"),
    ("digits", None, "^Unknown split None; choose one of"),
    ("stl10", 0, "^Unknown split 0; choose one of")])
def test_names_of_another_kind(name, split, told):
    with pytest.raises(ValueError, match=told):
        datasets.load(name, split)


@pytest.mark.parametrize("seed", [-1, 5_000_000, 1.5, "1", True])
def test_pocket_with_a_seed_that_is_none(seed):
    with pytest.raises(ValueError, match="^seed must be a whole number from 0 to 4294966, not "):
        datasets.pocket("val", seed)


# --- what one reader changes, the next does not see --------------------------------------------------------------

def spoil(data):
    data.images.zero_(), data.labels.fill_(3)


def same(one, other) -> bool:
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["pocket", "world", "digits"])
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


def test_pocket_is_composed_only_once(monkeypatch):
    first = datasets.load("pocket", "val")
    monkeypatch.setattr(drawings, "compose", None)
    assert same(first, datasets.load("pocket", "val")) and same(first, datasets.pocket("val", seed=0))


def test_a_change_does_not_reach_the_drawings():
    table, examples, pixels = drawings.sprite_table(), drawings.source_examples(3), drawings.sprite_pixels()
    kept = [json.dumps(table), examples.clone()]
    table["emoji"].clear(), table["families"]["noto"].clear(), examples.zero_()
    assert json.dumps(drawings.sprite_table()) == kept[0] and torch.equal(drawings.source_examples(3), kept[1])
    with pytest.raises(ValueError, match="read-only"):
        pixels[:] = 0


# --- pocket ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("split", SPLITS)
def test_pocket_has_the_promised_shape(pocket, split):
    data, per_class = pocket[split], {"train": 500, "val": 100, "test": 200}[split]
    assert data.images.shape == (10 * per_class, 3, 96, 96) and data.images.dtype == torch.uint8
    assert torch.bincount(data.labels).tolist() == [per_class] * 10
    assert data.classes == ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def test_pocket_is_the_same_on_every_machine(pocket):
    data = pocket["test"]
    found = hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().astype("<i8").tobytes()).hexdigest()
    assert found == POCKET_TEST_SHA256


def test_pocket_seeds():
    again, other = drawings.pocket("val"), drawings.pocket("val", seed=1)
    drawings._compose_split.cache_clear()
    assert torch.equal(again.images, datasets.pocket("val").images)
    assert not torch.equal(other.images, again.images) and not torch.equal(other.labels, again.labels)


def test_no_drawing_is_in_two_splits(pocket):
    rule = {split: {(family, emoji) for _, family, emoji in drawings.split_sprites(split)} for split in SPLITS}
    used = {split: set(pocket[split].origin) for split in SPLITS}
    for sets in (rule, used):
        assert not sets["train"] & sets["val"] and not sets["train"] & sets["test"] and not sets["val"] & sets["test"]
    assert {split: len(rule[split]) for split in SPLITS} == {split: len(used[split]) for split in SPLITS}
    assert all({family for family, _ in drawings} == {0, 1, 2} for drawings in rule.values())


def test_every_image_is_traced_to_its_drawing_family_and_licence(pocket):
    table = json.loads((drawings.ASSETS / "sprites.json").read_text(encoding="utf-8"))
    label_of = {emoji["name"]: emoji["label"] for emoji in table["emoji"]}
    assert set(table["families"]) == set(FAMILIES)
    for data in pocket.values():
        assert len(data.origin) == len(data)
        for origin, label in zip(data.origin, data.labels.tolist(), strict=True):
            name, family, licence = origin.split(", ")
            assert label_of[name] == CLASSES[label]
            assert licence == table["families"][family]["licence"] != ""


def test_the_drawing_named_is_the_drawing_shown(monkeypatch):
    composed = []
    monkeypatch.setattr(drawings, "PER_CLASS", dict.fromkeys(SPLITS, 20))
    monkeypatch.setattr(drawings, "compose", lambda sprites, rng: composed.append(sprites) or np.zeros(
        (len(sprites), 3, 96, 96), np.uint8))
    data = drawings._compose_split.__wrapped__("test", 0)
    names = [emoji["name"] for emoji in drawings.sprite_table()["emoji"]]
    for origin, sprite in zip(data.origin, composed[0], strict=True):
        name, family, _ = origin.split(", ")
        assert np.array_equal(sprite, drawings.sprite_pixels()[FAMILIES.index(family), names.index(name)])


# --- damaged assets ----------------------------------------------------------------------------------------------

@pytest.fixture
def assets(tmp_path, monkeypatch):
    """A copy of the assets that a test may damage."""
    for path in drawings.ASSETS.glob("*.png"):
        shutil.copy(path, tmp_path)
    shutil.copy(drawings.ASSETS / "sprites.json", tmp_path)
    monkeypatch.setattr(drawings, "ASSETS", tmp_path)
    drawings.sprite_pixels.cache_clear()
    yield tmp_path
    drawings.sprite_pixels.cache_clear()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path):
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(data)


def crop(path):
    Image.open(path).crop((0, 0, 1024, 128)).save(path)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("name, damage", [
    ("noto.png", cut), ("twemoji.png", scramble), ("fluent.png", crop), ("fluent.png", remove),
    ("sprites.json", cut), ("sprites.json", remove), ("sprites.json", lambda path: path.write_text("{}")),
], ids=["cut sheet", "scrambled sheet", "small sheet", "no sheet", "cut table", "no table", "empty table"])
def test_a_damaged_asset_gets_one_sentence(assets, name, damage):
    damage(assets / name)
    with pytest.raises(RuntimeError, match=f"^The asset {name} is missing or damaged; get a fresh copy of the course"):
        drawings._compose_split.__wrapped__("val", 0)


# --- digits, STL-10, folders -------------------------------------------------------------------------------------

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
def photographs(tmp_path):
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
    assert (data.classes, data.origin) == (("left", "right"), ("turned.png", "grey.png"))
    turned = data.images[0, 0].float()
    assert turned[:8].mean() > 190 and turned[12:].mean() < 10
    assert torch.equal(data.images[1], torch.full((3, 20, 20), 77, dtype=torch.uint8))


@pytest.mark.parametrize("damage, told", [
    (cut, "This picture is damaged or incomplete. Copy it again"),
    (scramble, "This is not a picture"), (lambda path: path.write_text("not an image"), "This is not a picture"),
    (lambda path: (path.unlink(), path.symlink_to("nowhere")), "No such file or directory")])
def test_folder_names_the_file_that_cannot_be_read(photographs, damage, told):
    damage(photographs / "right" / "grey.png")
    with pytest.raises(ValueError, match=f"^right/grey.png can't be used. {told}.*[.]$"):
        datasets.folder(photographs)


@pytest.mark.parametrize("place", ["nowhere", "left", "left/turned.png"])
def test_folder_without_classes(photographs, place):
    with pytest.raises(ValueError, match=f"^No images in .*{place}: put them into one folder per class below it.$"):
        datasets.folder(photographs / place)


def test_folder_with_an_empty_class(photographs):
    (photographs / "middle").mkdir()
    with pytest.raises(ValueError, match="^No images in .*middle: put some there, or move that folder elsewhere.$"):
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


@pytest.mark.parametrize("count", [0, -1, 1.0, 10_000])
def test_source_examples_of_a_number_that_there_is_not(count):
    with pytest.raises(ValueError, match="^count must be a whole number from 1 to 46, not "):
        drawings.source_examples(count)


def test_source_examples_show_every_family_and_none_of_the_target_classes(monkeypatch):
    asked = []
    pixels = drawings.sprite_pixels()

    class Watched:
        shape = pixels.shape

        def __getitem__(self, key):
            asked.append(key[1])
            return pixels[key]

    monkeypatch.setattr(drawings, "sprite_pixels", Watched)
    examples = drawings.source_examples(count=5)
    assert examples.shape == (15, 3, *pixels.shape[2:4]) and examples.dtype == torch.uint8
    emoji = drawings.sprite_table()["emoji"]
    assert [emoji[k]["label"] for k in asked[0]] == [None] * 5
    corners = examples[:, :, 0, 0].float().mean()
    assert corners > 200, "the drawings stand on white"
