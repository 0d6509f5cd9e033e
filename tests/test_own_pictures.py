"""Folders of photographs as people have them: what each odd file and each odd folder gives."""
import io
import os
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from helpers import album, datasets, photographs, pictures

pytestmark = pytest.mark.filterwarnings("error")
RED, BLUE = (200, 30, 20), (20, 40, 210)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("TL_CACHE", str(tmp_path_factory.mktemp("cache")))


def plain(colour=RED, size=(60, 50), mode="RGB") -> Image.Image:
    return Image.new("RGB", size, colour).convert(mode)


def file(image, kind="JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}) | options)
    return buffer.getvalue()


def grey(value, dtype, high, kind="TIFF") -> bytes:
    """A grey picture of one value; one pixel in its corner has the value `high`, by which white is told."""
    values = np.full((50, 60), value, dtype)
    values[0, 0] = high
    return file(Image.fromarray(values), kind)


def tiff_of_twelve_bits(value: int) -> bytes:
    """60 x 50 grey pixels, two in every three bytes, as microscopes write them."""
    rows = bytes([value >> 4, (value & 15) << 4 | value >> 8, value & 255]) * (30 * 50)
    tags = ((256, 60), (257, 50), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 50), (279, len(rows)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(rows)) + rows + struct.pack("<H", len(tags)) + entries + bytes(4)


def jpeg_of_twelve_bits() -> bytes:
    data = file(plain())
    frame = data.index(b"\xff\xc0")
    return data[:frame] + b"\xff\xc1" + data[frame + 2:frame + 4] + b"\x0c" + data[frame + 5:]


def turned() -> bytes:
    """Stored red on the left and blue on the right; to be turned, so that red is above."""
    image = plain(BLUE)
    image.paste(RED, (0, 0, 30, 50))
    exif = Image.Exif()
    exif[0x0112] = 6
    return file(image, exif=exif)


def clear() -> bytes:
    return file(Image.new("RGBA", (60, 50), (0, 0, 0, 0)), "PNG")


def animated() -> bytes:
    return file(plain(), "GIF", save_all=True, append_images=[plain(BLUE)], duration=100)


def huge() -> bytes:
    data = bytearray(file(plain()))
    frame = data.index(b"\xff\xc0")
    data[frame + 5:frame + 9] = (65_000).to_bytes(2, "big") * 2
    return bytes(data)


HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(100)
MOVIE = b"\0\0\0\x18ftypmp42" + bytes(1000)
HIDDEN, OTHER = photographs.HIDDEN, photographs.NO_PICTURE

# The name, what is in the file, and what comes of it: a colour is what is read; words are the reason for leaving it
# out, which is said; a tuple holds a sentence of the error, which names the file.
FILES = [
    ("rose.jpg", file(plain()), RED), ("ROSE.JPG", file(plain()), RED), ("rose.jfif", file(plain()), RED),
    ("rose", file(plain()), RED), ("rose.1", file(plain(), "PNG"), RED), ("rose.gif", file(plain(), "GIF"), RED),
    ("rose.png", file(plain()), RED),  # a JPEG in truth
    ("rose.txt", file(plain(), "PNG"), RED), ("rose.webp", file(plain(), "WEBP", lossless=True), RED),
    ("rose.bmp", file(plain(), "BMP"), RED), ("rose.tif", file(plain(), "TIFF"), RED),
    ("rose.ppm", file(plain(), "PPM"), RED), ("two.jpg", file(plain(), "MPO", quality=95), RED),
    ("print.jpg", file(plain(mode="CMYK")), RED), ("moving.gif", animated(), RED), ("clear.png", clear(), (255,) * 3),
    ("dot.png", file(plain(size=(1, 1)), "PNG"), RED), ("strip.png", file(plain(size=(300, 2)), "PNG"), RED),
    ("16.png", grey(0x8080, np.uint16, 65535, "PNG"), (128,) * 3),
    ("16.tif", grey(0x8080, np.uint16, 65535), (128,) * 3),
    ("12 in 16.png", grey(2056, np.uint16, 4095, "PNG"), (128,) * 3),
    ("12 in 16.tif", grey(2056, np.uint16, 4095), (128,) * 3),
    ("8 in 16.png", grey(128, np.uint16, 255, "PNG"), (128,) * 3),
    ("12.tif", tiff_of_twelve_bits(2056), (128,) * 3), ("dark 12.tif", tiff_of_twelve_bits(161), (10,) * 3),
    ("12.pgm", b"P5 60 50 4095\n" + b"\x08\x08" * 3000, (128,) * 3),
    ("fraction.tif", grey(0.5, np.float32, 1), (128,) * 3), ("float.tif", grey(128, np.float32, 255), (128,) * 3),
    ("hole.tif", grey(0.5, np.float32, np.nan), (128,) * 3),
    ("measured.tif", grey(3000, np.int32, -1000), (255,) * 3), ("32.tif", grey(100_000, np.int32, 200_000), (0,) * 3),
    ("玫瑰 🌹.jpg", file(plain()), RED), ("$a_b$ *x* ;1.jpg", file(plain()), RED),
    ("phone.heic", HEIC, ("pip install pillow-heif",)), ("phone.jpg", HEIC, ("pip install pillow-heif",)),
    ("empty.jpg", b"", ("This file is empty. Copy it again",)),
    ("page.jpg", b"<html>404", ("not a picture, whatever its name says",)),
    ("movie.jpg", MOVIE, ("not a picture, whatever its name says",)),
    ("half.jpg", file(plain(size=(300, 300)))[:-900], ("damaged or incomplete. Copy it again",)),
    ("half.png", file(plain(size=(300, 300)), "PNG")[:-90], ("damaged or incomplete. Copy it again",)),
    ("huge.jpg", huge(), ("65000 x 65000 pixels, too many to read here",)),
    ("12.jpg", jpeg_of_twelve_bits(), ("a JPEG of 12 bits). Save it as a PNG first",)),
    ("._rose.jpg", b"\0\5\26\7" + bytes(100), HIDDEN), (".rose.jpg", file(plain()), HIDDEN), (".DS_Store", b"", HIDDEN),
    ("Thumbs.db", bytes(99), HIDDEN), ("desktop.ini", b"[]", HIDDEN), ("notes.txt", b"a rose", OTHER),
    ("labels.csv", b"1,2", OTHER), ("movie.mp4", MOVIE, OTHER), ("scan.pdf", b"%PDF-1.7", OTHER),
    ("drawing.svg", b"<svg/>", OTHER), ("nothing", b"", OTHER)]


@pytest.fixture
def garden(tmp_path):
    """Two classes, each with one blue picture."""
    for name in ("rose", "tulip"):
        (tmp_path / "garden" / name).mkdir(parents=True)
        plain(BLUE).save(tmp_path / "garden" / name / "good.png")
    return tmp_path / "garden"


@pytest.mark.parametrize("name, data, outcome", FILES, ids=[name for name, *_ in FILES])
def test_odd_files(garden, capsys, monkeypatch, name, data, outcome):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as where it is not installed
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (garden / "rose" / name).write_bytes(data)
    if isinstance(outcome, tuple) and isinstance(outcome[0], str):
        with pytest.raises(ValueError) as caught:
            datasets.folder(garden, 20)
        assert str(caught.value).startswith(f"rose/{name} can't be used. ") and outcome[0] in str(caught.value)
        assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
        assert ("move it" in str(caught.value)) <= ("not a picture" in outcome[0])  # nothing good is to go
        return
    found = datasets.folder(garden, 20)
    said = capsys.readouterr().out
    if isinstance(outcome, str):
        assert said == f"Left out of {garden}: 1 {outcome} (rose/{name}).\n" and len(found) == 2
        return
    assert said == "" and len(found) == 3 and found.labels.tolist() == [0, 0, 1]
    colour = found.images[found.origin.index(f"rose/{name}"), :, 2:, 2:].float().mean((1, 2))
    assert (colour - torch.tensor(outcome)).abs().max() < 4, colour


def test_the_table_is_long_enough():
    assert len(FILES) >= 30 and len(FOLDERS) >= 15


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_and_pipes(garden, tmp_path, capsys):
    plain().save(tmp_path / "elsewhere.png")
    (garden / "rose" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    os.mkfifo(garden / "rose" / "pipe")  # to read from it would wait for ever
    assert len(datasets.folder(garden, 20)) == 3
    assert f"1 {OTHER} (rose/pipe)" in capsys.readouterr().out
    (tmp_path / "elsewhere.png").unlink()
    with pytest.raises(ValueError, match="^rose/link.png can't be used. It is a link to a file that is not there."):
        datasets.folder(garden, 20)


def test_all_that_can_not_be_read_is_named_at_once(garden):
    (garden / "tulip" / "a.jpg").write_bytes(b"")
    (garden / "rose" / "b.jpg").write_bytes(b"")
    (garden / "rose" / "c.jpg").write_bytes(file(plain(size=(300, 300)))[:-900])
    with pytest.raises(ValueError) as caught:
        datasets.folder(garden, 20)
    assert str(caught.value).splitlines() == [
        "rose/b.jpg, tulip/a.jpg can't be used. This file is empty. Copy it again from where it came from.",
        "rose/c.jpg can't be used. This picture is damaged or incomplete. Copy it again from where it came from."]


@pytest.mark.parametrize("error, told", [
    (OSError(5, "Input/output error"), r"could not be read just now \(Input/output error\). See whether its drive"),
    (PermissionError(13, "Permission denied"), r"may not be opened \(Permission denied\). Ask for"),
    (FileNotFoundError(2, "No such file or directory"), "has been moved or renamed since")])
def test_what_passes_is_no_fault_of_the_picture(garden, monkeypatch, error, told):
    opened = open

    def failing(path, *rest, **options):
        if Path(path).name == "good.png" and "rose" in str(path):
            raise error
        return opened(path, *rest, **options)

    monkeypatch.setattr(album, "open", failing, raising=False)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"^rose/good.png can't be used. It {told}") as caught:
            datasets.folder(garden, 20)
        assert "damaged" not in str(caught.value) and "move it" not in str(caught.value)
    monkeypatch.undo()
    assert len(datasets.folder(garden, 20)) == 2, "and it is not remembered"


@pytest.mark.parametrize("place", ["load", "exif_transpose"])
def test_no_memory_is_no_fault_of_the_picture(garden, monkeypatch, place):
    def failing(*_, **__):
        raise MemoryError

    monkeypatch.setattr({"load": JpegImageFile, "exif_transpose": pictures.ImageOps}[place], place, failing)
    (garden / "rose" / "rose.jpg").write_bytes(file(plain()))
    for read in (lambda: datasets.folder(garden, 20), lambda: pictures.read(file(plain()))):
        with pytest.raises(MemoryError, match="^There is not enough memory for this picture. Close other programs"):
            read()


# --- folders -----------------------------------------------------------------------------------------------------

def put(*names):
    """Builds a folder of pictures with these paths; a path that ends in / is an empty folder."""
    def build(root):
        for name in names:
            path = root / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if path.suffix == ".txt":
                path.write_text("a note")
            elif not name.endswith("/"):
                plain().save(path)
    return build


def pack(name):
    def build(root):
        put("a/1.png", "b/1.png")(root)
        with zipfile.ZipFile(root / "all.zip", "w") as whole:
            whole.write(root / "a/1.png", "a/1.png")
        with tarfile.open(root / "all.tar.gz", "w:gz") as whole:
            whole.add(root / "a/1.png", "a/1.png")
        return root / name
    return build


def loop(root):
    put("a/1.png", "b/1.png")(root)
    (root / "a" / "again").symlink_to(root, target_is_directory=True)


def linked(root):
    put("a/1.png", "b/1.png")(root)
    (root / "c").symlink_to(root / "a", target_is_directory=True)


# What is in the folder, and what it gives: the classes, or a sentence; and what is said of what is left out.
FOLDERS = {
    "nowhere": (lambda root: root / "nowhere", "^There is no folder .*nowhere: check how its path is written.$", ""),
    "a file": (lambda root: put("1.png")(root) or root / "1.png", "1.png is a file: give the folder that holds", ""),
    "a zip": (pack("all.zip"), "^.*all.zip is an archive: unpack it, and give the folder that comes out of it.$", ""),
    "a tar": (pack("all.tar.gz"), "all.tar.gz is an archive: unpack it", ""),
    "empty": (put(), "^No class folders in .*: put its pictures into one folder per class below it.$", ""),
    "loose pictures": (put("1.png", "2.png"), "^No class folders in ", ""),
    "too high": (put("train/a/1.png", "train/b/1.png", "val/a/1.png", "test/a/1.png"),
                 r"holds 'train', 'val', 'test', which are splits .* datasets.folder\('.*train'\).$", ""),
    "too high, other words": (put("Validation/a/1.png", "Training/a/1.png", "docs/1.png"),
                              "holds 'Training', 'Validation', which are splits", ""),
    "too high, train alone": (put("train/a/1.png", "train/b/1.png"), "holds 'train', which are splits", ""),
    "one class": (put("a/1.png", "a/2.png"), "one class only, 'a', and a network needs two to tell apart: add", ""),
    "a folder in a folder": (put("all/a/1.png", "all/b/1.png"),
                             "one class only, 'all', .*: its folders 'a', 'b' look like classes: .* read .*all.$", ""),
    "an empty class": (put("a/1.png", "b/1.png", "c/"), "^No pictures in .*c: put some there, or move that folder", ""),
    "a class of notes": (put("a/1.png", "b/1.png", "c/1.txt"),
                         r"^No pictures in .*c \(what is in it is left out: c/1.txt\): put some there", ""),
    "hidden folders": (put("a/1.png", "b/1.png", ".ipynb_checkpoints/1.png", "__MACOSX/a/._1.png", ".git/1.png"),
                       ("a", "b"), "3 hidden, or made by a program (.git, .ipynb_checkpoints, __MACOSX)"),
    "hidden in a class": (put("a/1.png", "a/.ipynb_checkpoints/2.png", "b/1.png", "b/@eaDir/2.png"), ("a", "b"),
                          "2 hidden, or made by a program (a/.ipynb_checkpoints, b/@eaDir)"),
    "folders in classes": (put("a/2020/1.png", "a/2021/1.png", "b/1.png"), ("a", "b"), ""),
    "loose beside": (put("a/1.png", "b/1.png", "2.png", "README.txt"), ("a", "b"),
                     "1 beside the class folders instead of in one (2.png); 1 no picture (README.txt)"),
    "many left out": (put("a/1.png", "b/1.png", *(f"a/{k}.txt" for k in range(9))), ("a", "b"),
                      "9 no picture (a/0.txt, a/1.txt, a/2.txt and 6 more)"),
    "classes called as splits": (put("plane/1.png", "train/1.png"), ("plane", "train"), ""),
    "a train and a test": (put("test/1.png", "train/1.png"), ("test", "train"), ""),
    "a loop": (loop, ("a", "b"), "1 a link to a folder above it (a/again)"),
    "a class that is a link": (linked, ("a", "b", "c"), ""),
    "any script": (put("猫/1.png", "собака/1.png", "كلب/1.png", "🦊/1.png"), ("собака", "كلب", "猫", "🦊"), ""),
    "marks": (put("$x_1$/1.png", "*a*_b_/1.png", "<b>&amp;/1.png", "a;b/1.png"),
              ("$x_1$", "*a*_b_", "<b>&amp;", "a;b"), ""),
    "decomposed": (put("cafe\u0301/1.png", "tea/1.png"), ("caf\u00e9", "tea"), "")}


@pytest.mark.parametrize("name", FOLDERS)
def test_odd_folders(tmp_path, capsys, name):
    build, outcome, left_out = FOLDERS[name]
    if sys.platform == "win32" and ("marks" in name or "link" in name or "loop" in name):
        pytest.skip("such names and links are not on Windows")
    root = tmp_path / "photos"
    root.mkdir()
    given = build(root) or root
    if isinstance(outcome, str):
        with pytest.raises(ValueError, match=outcome) as caught:
            datasets.folder(given, 20)
        assert "\n" not in str(caught.value)
    else:
        found = datasets.folder(given, 20)
        assert found.classes == outcome and sorted(set(found.labels.tolist())) == list(range(len(outcome)))
    assert capsys.readouterr().out == (f"Left out of {root}: {left_out}.\n" if left_out else "")


def test_a_folder_that_may_not_be_opened(garden, monkeypatch):
    scan = os.scandir

    def failing(path):
        if Path(path).name == "tulip":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(ValueError, match=r"tulip can't be opened \(Permission denied\): see whether the drive is"):
        datasets.folder(garden, 20)


# --- classes by name ---------------------------------------------------------------------------------------------

def test_labels_are_the_same_names_even_where_a_class_is_missing(tmp_path, capsys):
    put("a/1.png", "b/1.png", "c/1.png")(tmp_path / "train")
    put("c/1.png", "b/1.png", "b/2.png")(tmp_path / "val")
    train = datasets.folder(tmp_path / "train", 20)
    val = datasets.folder(tmp_path / "val", 20, classes=train.classes)
    assert val.classes == train.classes == ("a", "b", "c") and val.labels.tolist() == [1, 1, 2]
    assert capsys.readouterr().out == f"{tmp_path / 'val'} has no pictures of 'a'.\n"
    assert datasets.folder(tmp_path / "val", 20, classes=["c", "a", "b"]).labels.tolist() == [2, 2, 0]


def test_a_mac_writes_accents_in_another_way(tmp_path):
    put("cafe\u0301/1.png", "tea/1.png")(tmp_path)
    assert datasets.folder(tmp_path, 20, classes=("tea", "caf\u00e9")).labels.tolist() == [1, 0]


@pytest.mark.parametrize("folders, told", [
    (("Cat", "dog"), "val has 'Cat', which is not among the classes; 'Cat' should be 'cat'. Give its folders the"),
    (("cat", "fox"), "val has 'fox', which is not among the classes; it has none of 'dog'. Give its folders the"),
    (("cat", "dog", "fox", "gnu"), "val has 'fox', 'gnu', which are not among the classes. Give its folders the")])
def test_other_classes_are_named(tmp_path, folders, told):
    put(*(f"{name}/1.png" for name in folders))(tmp_path / "val")
    with pytest.raises(ValueError, match=f"{told} names of the training folder's.$"):
        datasets.folder(tmp_path / "val", 20, classes=("cat", "dog"))


def test_a_folder_to_test_on_may_have_one_class_but_not_none(tmp_path):
    put("cat/1.png", "dog/")(tmp_path)
    assert datasets.folder(tmp_path, 20, classes=("cat", "dog")).labels.tolist() == [0]
    shutil.rmtree(tmp_path / "cat")
    with pytest.raises(ValueError, match="^No pictures in "):
        datasets.folder(tmp_path, 20, classes=("cat", "dog"))


@pytest.mark.parametrize("classes", ["cat", ["cat"], [], ["cat", "cat"], [1, 2], 3])
def test_classes_that_are_none(garden, classes):
    with pytest.raises(ValueError, match="^classes must be two or more names, each once, such as train.classes, not "):
        datasets.folder(garden, 20, classes=classes)
