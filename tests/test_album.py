"""Pictures read by several threads, and kept: nothing is read twice, nothing that changed is missed."""
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers import album, datasets, photographs, pictures

RED, BLUE = (200, 30, 20), (20, 40, 210)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "folders"


@pytest.fixture
def root(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (30 + k, 20), RED).save(tmp_path / "photos" / name / f"{k}.png")
    return tmp_path / "photos"


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that are read from now on, with their folders."""
    names, look = [], album._look
    monkeypatch.setattr(album, "_look", lambda path, pixels: (
        names.append(f"{path.parent.name}/{path.name}"), look(path, pixels))[1])
    return names


def read(root, size=20):
    return album.read(photographs.listing(root), size)


def same(one, other) -> bool:
    return torch.equal(one.pixels, other.pixels) and one.photos == other.photos


def test_what_is_told_of_a_file(root):
    found = read(root)
    assert found.names() == ["a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png"]
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1] and found.pixels.shape == (6, 3, 20, 20)
    photo = found.photos[1]
    assert (photo.format, photo.width, photo.height, photo.problem) == ("PNG", 31, 20, "")
    assert photo.bytes == (root / "a/1.png").stat().st_size
    assert photo.digest == found.photos[4].digest != found.photos[0].digest


def test_nothing_is_read_twice(root, opened):
    first = read(root)
    assert sorted(opened) == sorted(first.names())
    opened.clear()
    assert same(read(root), first) and opened == []
    part = album.read(photographs.Listing(root, {"b": sorted((root / "b").iterdir())}), 20)
    assert torch.equal(part.pixels, first.pixels[3:]) and opened == []


@pytest.mark.parametrize("change, again", [
    (lambda root: Image.new("RGB", (31, 20), BLUE).save(root / "a/1.png"), ["a/1.png"]),
    (lambda root: os.utime(root / "a/1.png", ns=(5, 5)), ["a/1.png"]),
    (lambda root: Image.new("RGB", (9, 9), BLUE).save(root / "a/new.png"), ["a/new.png"]),
    (lambda root: (root / "b/0.png").unlink(), []),
    (lambda root: (root / "b/0.png").rename(root / "b/9.png"), ["b/9.png"]),
    (lambda root: shutil.move(root / "b/0.png", root / "a/9.png"), ["a/9.png"])],
    ids=["other contents", "other time", "new", "deleted", "renamed", "other class"])
def test_changes_are_noticed(root, opened, cache, change, again):
    read(root)
    opened.clear()
    change(root)
    found = read(root)
    assert opened == again
    shutil.rmtree(cache)
    assert same(read(root), found), "as if it were read for the first time"


def test_a_file_of_the_same_size_that_was_replaced(root, opened):
    path = root / "a/1.png"
    read(root)
    data = path.read_bytes()
    swapped = bytes(reversed(data))
    path.write_bytes(swapped)
    os.utime(path, ns=(10, 10))
    assert read(root).photos[1].problem.startswith("This is not a picture")
    path.write_bytes(data)
    assert read(root).photos[1].problem == ""


def test_other_sizes_and_folders_and_pillows_are_kept_apart(root, opened, tmp_path, monkeypatch):
    read(root)
    shutil.copytree(root, tmp_path / "copy")
    for again in (lambda: read(root, 24), lambda: read(tmp_path / "copy")):
        opened.clear()
        again()
        assert len(opened) == 6
    monkeypatch.setattr(album.PIL, "__version__", "99.0")
    opened.clear()
    read(root)
    assert len(opened) == 6


def test_a_damaged_file_is_remembered_and_what_passes_is_not(root, opened, monkeypatch):
    (root / "a/0.png").write_bytes((root / "a/0.png").read_bytes()[:-30])
    (root / "a/1.heic").write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(100))
    (root / "a/dead.png").symlink_to("nowhere")
    first = read(root)
    opened.clear()
    assert same(read(root), first)
    assert opened == ["a/1.heic", "a/dead.png"], "a package may be installed, a drive connected"
    assert list(first.problems()) == [pictures.DAMAGED, pictures.HEIC, album.DEAD]
    assert (first.pixels[0] == 255).all()


@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(path.read_bytes()[:-100]), lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\xff" * 500), lambda path: (path.unlink(), path.mkdir())],
    ids=["half", "empty", "noise", "a folder"])
def test_a_damaged_cache_is_made_again(root, opened, cache, damage):
    first = read(root)
    for path in cache.iterdir():
        damage(path)
    opened.clear()
    assert same(read(root), first) and len(opened) == 6
    assert not list(cache.glob("*.part"))


@pytest.mark.parametrize("name", ["save_file", "os.replace"])
def test_what_can_not_be_kept_is_read_all_the_same(root, cache, monkeypatch, name):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    owner, attribute = (album, name) if name == "save_file" else (os, "replace")
    monkeypatch.setattr(owner, attribute, full)
    assert len(read(root).photos) == 6
    assert list(cache.iterdir()) == [], "neither half a file nor the trace of one"


def test_a_stop_in_the_midst_leaves_nothing_half(root, cache, monkeypatch):
    look = album._look

    def stopped(path, pixels):
        if path.parent.name == "b":
            raise KeyboardInterrupt
        return look(path, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(album, "_look", stopped)
        with pytest.raises(KeyboardInterrupt):
            read(root)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"], "the first class is kept, whole"
    assert len(read(root).photos) == 6


def test_two_at_once(root):
    results, start = [], threading.Barrier(4)

    def work():
        start.wait()
        results.append(read(root))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert len(results) == 4 and all(same(results[0], one) for one in results)


def test_a_class_of_several_folders_and_names_that_are_no_text(root, opened):
    (root / "a" / "more").mkdir()
    Image.new("RGB", (9, 9), BLUE).save(root / "a" / "more" / "0.png")
    try:
        odd = Path(os.fsdecode(bytes(root / "a") + b"/\xff.png"))
        Image.new("RGB", (8, 8), BLUE).save(odd)
    except OSError:
        pytest.skip("this file system has names of text alone")
    first = read(root)
    assert "a/more/0.png" in first.names() and "a/?.png" in first.names() and not first.problems()
    opened.clear()
    assert same(read(root), first) and opened == []
    assert len(datasets.folder(root, 20)) == 8


def test_memory_is_announced_and_refused(root, monkeypatch, capsys):
    read(root)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(album, "MUCH", 1)
    read(root)
    assert capsys.readouterr().out == "6 pictures of 20 x 20 pixels take 0 MB of memory.\n"
    with pytest.raises(MemoryError, match=r"^1,000,000,000 pictures of 96 x 96 pixels take 27,648,000 MB of memory, "
                                          "which this computer doesn't have: choose a smaller size, or fewer"):
        album._room(10**9, 96)


def test_a_long_reading_shows_a_bar(root, monkeypatch):
    labels, make = [], album.Progress
    monkeypatch.setattr(album, "Progress", lambda total, label: labels.append((total, label)) or make(total, None))
    read(root)
    monkeypatch.setattr(album, "MANY", 6)
    read(root)
    assert labels == [(6, None), (6, "Reading pictures")]


def test_files_larger_than_photographs_are_not_read(root, monkeypatch):
    monkeypatch.setattr(album, "LARGEST_FILE", 10)
    assert list(read(root).problems()) == [album.HUGE]


def test_a_film_that_is_called_a_picture_is_not_read_to_its_end(root, monkeypatch):
    path = root / "a/film.jpg"
    with open(path, "wb") as film:
        film.write(b"\0\0\0\x18ftypmp42")
        film.truncate(900_000_000)  # a hole: it takes no room on the disk
    monkeypatch.setattr(album.hashlib, "sha256", lambda data=b"": pytest.fail("read") if len(data) > 1e6 else
                        __import__("hashlib").new("sha256", data))
    assert list(read(root).problems()) == [album.NOT_ONE]
