"""STL-10 arrives whole or not at all, and nobody sees a traceback, whatever the server does.

The archive has the real layout on a scale of one to a thousand: 5 training, 8 test and 100 unlabelled images.
"""
import hashlib
import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import STL10

from helpers import datasets
from helpers.fetch import downloads, stl10
from tests.bad_server import BadServer

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "http://127.0.0.1:9/nothing"  # refuses every connection
FILES = {"test_X.bin": 8, "test_y.bin": 8, "train_X.bin": 5, "train_y.bin": 5, "unlabeled_X.bin": 100}


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """The archive's files by name, in its order."""
    draw = np.random.RandomState(0)
    files = {name: draw.bytes(count * (27648 if "_X" in name else 1)) for name, count in FILES.items()}
    for name in ("train_y.bin", "test_y.bin"):
        files[name] = bytes(draw.randint(1, 11, FILES[name]).tolist())
    folds = "\n".join(" ".join(map(str, draw.permutation(5)[:2])) for _ in range(10))
    return files | {"class_names.txt": b"airplane\n", "fold_indices.txt": folds.encode()}


def pack(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"stl10_binary/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture(scope="module")
def archive(members) -> bytes:
    return pack(members)


@pytest.fixture
def genuine(members, monkeypatch, tmp_path):
    """torchvision and we expect the small files; no source can be reached; time-outs are short. Gives a new cache."""
    md5 = lambda name: [name, hashlib.md5(members[name]).hexdigest()]
    monkeypatch.setattr(STL10, "train_list", [md5("train_X.bin"), md5("train_y.bin"), md5("unlabeled_X.bin")])
    monkeypatch.setattr(STL10, "test_list", [md5("test_X.bin"), md5("test_y.bin")])
    monkeypatch.setattr(stl10, "ARCHIVE", NOBODY)
    monkeypatch.delenv("TL_MIRROR", raising=False)
    for name, value in {"TIMEOUT": 0.3, "WINDOW": 0.3, "PAUSE": 0.01}.items():
        monkeypatch.setattr(downloads, name, value)
    return tmp_path / "cache"


def found(cache: Path, members: dict[str, bytes]) -> set[str]:
    """The files with a final name in the cache; every one of them must be whole."""
    files = {path.name for path in (cache / stl10.FOLDER).glob("*") if not path.name.endswith(".part")}
    for name in files:
        assert (cache / stl10.FOLDER / name).read_bytes() == members[name], f"{name} is not what it should be"
    assert not list(cache.rglob("unlabeled*"))
    return files


LABELLED = {"train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"}
damaged = lambda members, name: members | {name: bytes(1) + members[name][1:]}
backwards = lambda members: dict(reversed(members.items()))
without = lambda members, name: {other: data for other, data in members.items() if other != name}

MISBEHAVIOURS = {  # what the server does: its mode, the archive made from the members, and what the reader is told
    "nothing bad": ("fine", pack, None),
    "connection cut at random": ("cut", pack, None),
    "no ranges, connection cut": ("cut without ranges", pack, None),
    "Content-Length too long": ("too long", pack, None),
    "Content-Length too short": ("too short", lambda members: pack(members)[:600_000], "damaged or ends too early"),
    "404": ("404", pack, "HTTP status 404"),
    "503 twice, then fine": ("503 twice", pack, None),
    "503 for ever": ("503", pack, "HTTP status 503"),
    "redirect in circles": ("circle", pack, "it redirects in circles"),
    "slow drip": ("drip", pack, "it sends less than 20 kB a second"),
    "hangs now and then": ("hang", pack, None),
    "hangs for ever": ("hang at once", pack, "no answer within 0.3 s"),
    "the file changes in between": ("grows", pack, "the file has changed on the server"),
    "wrong bytes in a member": ("fine", lambda m: pack(damaged(m, "train_X.bin")), "train_X.bin has other contents"),
    "truncated gzip": ("fine", lambda members: pack(members)[:300_000], "damaged or ends too early"),
    "not an archive": ("fine", lambda members: b"<html>Sign in to the network</html>", "damaged or ends too early"),
    "a member is missing": ("fine", lambda members: pack(without(members, "test_y.bin")), "lacks test_y.bin"),
    "members in reverse order": ("fine", lambda members: pack(backwards(members)), None),
    "reverse order, connection cut": ("cut", lambda members: pack(backwards(members)), None),
}


@pytest.mark.parametrize("what", MISBEHAVIOURS)
def test_whatever_the_server_does(what, genuine, members, monkeypatch):
    mode, make, told = MISBEHAVIOURS[what]
    with BadServer({"/a.tar.gz": make(members)}, mode) as server:
        monkeypatch.setattr(stl10, "ARCHIVE", f"{server.address}/a.tar.gz")
        if told is None:
            stl10.fetch(genuine)
            assert found(genuine, members) >= LABELLED and not list(genuine.rglob("*.part"))
            return
        monkeypatch.setenv("TL_MIRROR", NOBODY)
        with pytest.raises(RuntimeError) as error:
            stl10.fetch(genuine)
    sentence = str(error.value)
    assert told in sentence and server.address in sentence  # every source is named
    assert f"{NOBODY}/stl10_binary: " in sentence and "connection refused" in sentence.lower()
    assert "set TL_MIRROR" in sentence and "\n" not in sentence
    assert error.value.__cause__ is None and (error.value.__suppress_context__ or error.value.__context__ is None)
    found(genuine, members)


def test_the_transfer_ends_behind_the_last_labelled_file(genuine, archive, members, monkeypatch):
    """Of 113 images 13 have labels; what is read beyond them is one block, and what the connection holds."""
    tapes = []

    class Counted(downloads.Download):
        def __init__(self, *args, **named):
            super().__init__(*args, **named)
            tapes.append(self)

    monkeypatch.setattr(stl10, "Download", Counted)
    with BadServer({"/a.tar.gz": archive}) as server:
        monkeypatch.setattr(stl10, "ARCHIVE", f"{server.address}/a.tar.gz")
        stl10.fetch(genuine)
    assert found(genuine, members) == LABELLED
    assert tapes[0].received <= len(archive) * 13 / 113 + 2 * downloads.BLOCK
    print(f"\n{tapes[0].received:,} of {len(archive):,} bytes: {tapes[0].received / len(archive):.3f}")


def test_torchvision_reads_the_same(genuine, archive, members, monkeypatch):
    with BadServer({"/a.tar.gz": archive}) as server:
        monkeypatch.setattr(stl10, "ARCHIVE", f"{server.address}/a.tar.gz")
        ours = datasets.stl10("test", root=genuine)
    monkeypatch.setattr(STL10, "train_list", STL10.train_list[:2])
    theirs = STL10(str(genuine), split="test")
    assert np.array_equal(ours.images.numpy(), theirs.data) and np.array_equal(ours.labels.numpy(), theirs.labels)
    picture, label = theirs[3]
    assert np.array_equal(np.asarray(picture), ours.images[3].permute(1, 2, 0)) and label == ours.labels[3]


def test_what_is_there_is_used_without_a_network(genuine, members, monkeypatch):
    (genuine / stl10.FOLDER).mkdir(parents=True)
    for name in LABELLED:
        (genuine / stl10.FOLDER / name).write_bytes(members[name])
    monkeypatch.setattr(socket.socket, "connect", None)
    stl10.fetch(genuine)
    assert {path.name for path in genuine.rglob("*")} == LABELLED | {stl10.FOLDER}  # no lock, nothing written


# --- this machine's troubles -------------------------------------------------------------------------------------

CHILD = """
import sys
from torchvision.datasets import STL10
from helpers.fetch import downloads, stl10
STL10.train_list, STL10.test_list, stl10.ARCHIVE, cache = eval(sys.argv[1])
downloads.PAUSE = 0.01
from pathlib import Path
stl10.fetch(Path(cache))
"""


def child(address: str, cache: Path) -> subprocess.Popen:
    argument = repr((STL10.train_list, STL10.test_list, address, str(cache)))
    return subprocess.Popen([sys.executable, "-c", CHILD, argument], cwd=ROOT, stderr=subprocess.PIPE)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_in_the_middle_it_goes_on_where_it_was(genuine, archive, members):
    """The server needs a second for the labelled part. Each process is killed once some of it has arrived."""
    kept = downloads.partial(genuine / Path(stl10.ARCHIVE).name)
    draw = random.Random(0)
    with BadServer({"/a.tar.gz": archive}, "slow") as server:
        for _ in range(2):
            process, before = child(f"{server.address}/a.tar.gz", genuine), server.requests
            while server.requests == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(draw.uniform(0.2, 0.4))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            found(genuine, members)
        kept = list(genuine.glob("*.part"))
        assert kept and kept[0].stat().st_size > 0
        process = child(f"{server.address}/a.tar.gz", genuine)
        assert process.wait() == 0, process.stderr.read()
    assert found(genuine, members) == LABELLED and not list(genuine.rglob("*.part"))
    assert server.ranges[-1] and server.ranges[-1] != "bytes=0-"


def test_a_damaged_beginning_is_fetched_again(genuine, archive, members, monkeypatch):
    genuine.mkdir()
    (genuine / "nothing.part").write_bytes(archive[:100_000] + b"damaged" * 1000)
    with BadServer({"/nothing": archive}) as server:
        monkeypatch.setattr(stl10, "ARCHIVE", f"{server.address}/nothing")
        stl10.fetch(genuine)
    assert found(genuine, members) == LABELLED and server.ranges == ["bytes=107000-", None]


def test_two_at_once(genuine, archive, members):
    with BadServer({"/a.tar.gz": archive}, "slow") as server:
        both = [child(f"{server.address}/a.tar.gz", genuine) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0]
    assert found(genuine, members) == LABELLED and server.requests == 1


@pytest.mark.parametrize("room", [0, 1000, 200_000])
def test_a_full_disk(room, genuine, archive, members, monkeypatch):
    """Files may not grow beyond `room` bytes in total: what a full disk is to those who write."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then write() fails with an OSError
    with BadServer({"/a.tar.gz": archive}) as server:
        monkeypatch.setattr(stl10, "ARCHIVE", f"{server.address}/a.tar.gz")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            with pytest.raises(RuntimeError, match="^STL-10 can't be written to .*: make room there, or set TL_CACHE"):
                stl10.fetch(genuine)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        found(genuine, members)
        stl10.fetch(genuine)  # there is room again
    assert found(genuine, members) == LABELLED


def test_a_cache_that_cannot_be_written(genuine, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="^STL-10 can't be written to .*Not a directory.*set TL_CACHE to another"):
        stl10.fetch(tmp_path / "file" / "cache")


# --- other sources -----------------------------------------------------------------------------------------------

@pytest.fixture
def teacher(members, tmp_path) -> Path:
    """A complete cache."""
    folder = tmp_path / "teacher" / stl10.FOLDER
    folder.mkdir(parents=True)
    for name in (*LABELLED, stl10.FOLDS):
        (folder / name).write_bytes(members[name])
    return folder.parent


def test_a_folder_as_mirror(teacher, genuine, members, monkeypatch):
    monkeypatch.setenv("TL_MIRROR", str(teacher))
    stl10.fetch(genuine)
    assert found(genuine, members) == LABELLED | {stl10.FOLDS}
    assert stl10.folds(genuine).shape == (10, 2)


def test_an_address_as_mirror_and_a_wrong_file_on_it(teacher, genuine, members, archive, monkeypatch):
    files = {f"/stl10_binary/{path.name}": path.read_bytes() for path in (teacher / stl10.FOLDER).iterdir()}
    with BadServer(files, "cut") as server:
        monkeypatch.setenv("TL_MIRROR", server.address)
        stl10.fetch(genuine)
    assert found(genuine, members) == LABELLED | {stl10.FOLDS}
    shutil.rmtree(genuine)
    with BadServer(files | {"/stl10_binary/train_X.bin": b"wrong", "/a.tar.gz": archive}) as server:
        monkeypatch.setenv("TL_MIRROR", server.address)
        with pytest.raises(RuntimeError, match="/stl10_binary: train_X.bin: the file has other contents"):
            stl10.fetch(genuine)
        assert "train_X.bin" not in found(genuine, members)
        monkeypatch.setattr(stl10, "ARCHIVE", f"{server.address}/a.tar.gz")
        stl10.fetch(genuine)  # the next source has it
    assert found(genuine, members) >= LABELLED


# --- the folds ---------------------------------------------------------------------------------------------------

def test_folds(tmp_path, monkeypatch):
    """120 images per class; a fold of 100 images. Every image says in its first pixel where it stands."""
    labels = np.random.RandomState(0).permutation(np.arange(10).repeat(120))
    pixels = np.zeros((1200, 3, 96, 96), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 1, 0, 0] = np.arange(1200) // 256, np.arange(1200) % 256
    folder = tmp_path / stl10.FOLDER
    folder.mkdir()
    pixels.tofile(folder / "train_X.bin"), (labels + 1).astype(np.uint8).tofile(folder / "train_y.bin")
    for name in ("test_X.bin", "test_y.bin"):
        (folder / name).touch()
    md5 = lambda name: [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]
    monkeypatch.setattr(STL10, "train_list", [md5("train_X.bin"), md5("train_y.bin")])
    monkeypatch.setattr(STL10, "test_list", [md5("test_X.bin"), md5("test_y.bin")])
    with pytest.raises(RuntimeError, match="^STL-10's folds need fold_indices.txt in .*: take it from the official"):
        datasets.stl10("train", fold=0, root=tmp_path)
    chosen = np.array([np.random.RandomState(k).permutation(1200)[:100] for k in range(10)])
    np.savetxt(folder / stl10.FOLDS, chosen, "%d")
    place = lambda split: (split.images[:, 0, 0, 0].int() * 256 + split.images[:, 1, 0, 0]).tolist()
    train, val = (datasets.stl10(split, fold=7, root=tmp_path) for split in ("train", "val"))
    assert place(train) == sorted(chosen[7]) and train.labels.tolist() == labels[sorted(chosen[7])].tolist()
    assert len(val) == 1000 and val.labels.bincount().tolist() == [100] * 10 and not set(place(val)) & set(chosen[7])
    with pytest.raises(ValueError, match="^fold must be a whole number from 0 to 9, not 10.$"):
        datasets.stl10("train", fold=10, root=tmp_path)
