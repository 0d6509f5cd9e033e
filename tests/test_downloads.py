"""Servers that ask to wait, proxies that come and go, mirrors of every spelling."""
import time
from types import SimpleNamespace

import pytest

from helpers.fetch import downloads
from tests.bad_server import BadServer

DATA = b"the whole file" * 50_000


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """The seconds that downloads wait for, which here take no time."""
    waits = []
    clock = SimpleNamespace(sleep=waits.append, monotonic=time.monotonic, time=time.time)
    monkeypatch.setattr(downloads, "time", clock)
    return waits


def busy(times: float, status: int = 429, **headers):
    """Sends the first `times` requests away; Retry_After="7" stands for the header Retry-After."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda number: (status, headers) if number <= times else None


def read(address: str) -> bytes:
    return b"".join(downloads.Download(address))


# --- "come back later" -------------------------------------------------------------------------------------------

TEN = "Mon, 01 Jan 2024 10:00:00 GMT"  # the server's clock may be years behind


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("headers, seconds", [
    ({"Retry_After": "7"}, 7), ({"Retry_After": "120"}, 120), ({"Retry_After": " 0 "}, 1),
    ({"Retry_After": "Mon, 01 Jan 2024 10:00:45 GMT", "Date": TEN}, 45),
    ({"Retry_After": "Mon, 01 Jan 2024 09:00:00 GMT", "Date": TEN}, 1),
    ({"Retry_After": TEN}, 1),  # long ago by our own clock
], ids=["seconds", "the longest", "at once", "date", "date that is over", "no clock"])
def test_it_waits_as_told_and_goes_on(status, headers, seconds, slept):
    with BadServer({"/a": DATA}, refuse=busy(1, status, **headers)) as server:
        assert read(f"{server.address}/a") == DATA
    assert slept == [seconds] and server.requests == 2


def test_a_class_behind_one_address_is_let_in_at_last(slept):
    """More refusals than a server that merely fails is forgiven."""
    with BadServer({"/a": DATA}, refuse=busy(6, Retry_After="40")) as server:
        assert read(f"{server.address}/a") == DATA
    assert slept == [40, 40, 40, 40, 40, 40]


def test_after_the_wait_it_goes_on_where_it_was(slept):
    second = lambda number: (429, {"Retry-After": "9"}) if number == 2 else None
    with BadServer({"/a": DATA}, "cut", refuse=second) as server:
        assert read(f"{server.address}/a") == DATA
    assert 9 in slept and server.ranges[1] == server.ranges[2] != "bytes=0-"


@pytest.mark.parametrize("asked, seconds", [("3", None), ("4", 4), ("120", 120)])
def test_the_reader_is_told_of_a_longer_wait(asked, seconds, slept, capsys):
    with BadServer({"/a": DATA}, refuse=busy(1, Retry_After=asked)) as server:
        read(f"{server.address}/a")
    line = f"127.0.0.1 is busy: going on in {seconds} s.\n" if seconds else ""
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("asked, waits, told", [
    ("121", [], "and it asks to wait for 121 s"), ("86400", [], "and it asks to wait for 86400 s"),
    ("9" * 400, [], "and it asks to wait for inf s"),
    ("100", [100, 100, 100], "even after 300 s of waiting as it asked"),
    ("0", [1, 2, 4, 8, 16, 32, 64, 120], "even after 247 s of waiting as it asked"),
    ("Mon, 01 Jan 2024 23:00:00 GMT", [], "and it asks to wait for 46800 s")],
    ids=["too long", "a day", "for ever", "too often", "at once, again and again", "tonight"])
def test_no_lesson_waits_for_ever(asked, waits, told, slept):
    with BadServer({"/a": DATA}, refuse=busy(1000, Retry_After=asked, Date=TEN)) as server:
        with pytest.raises(downloads.Unavailable, match=f"^HTTP status 429, {told}$"):
            read(f"{server.address}/a")
    assert slept == waits and server.requests == len(waits) + 1


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize("headers", [{}, {"Retry_After": "soon"}, {"Retry_After": "-5"}, {
    "Retry_After": "Mon, 01 Jan 99999999999 10:00:00 GMT"}], ids=["nothing", "word", "below 0", "no date"])
def test_not_told_how_long_it_tries_as_often_as_ever(status, headers, slept):
    with BadServer({"/a": DATA}, refuse=busy(2, status, **headers)) as server:
        assert read(f"{server.address}/a") == DATA
    assert slept == [1, 2]
    with BadServer({"/a": DATA}, refuse=busy(1000, status, **headers)) as server:
        with pytest.raises(downloads.Unavailable, match=f"^HTTP status {status}$"):
            read(f"{server.address}/a")
    assert slept == [1, 2, 1, 2, 4] and server.requests == downloads.ATTEMPTS


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_waiting_does_not_mend_is_not_tried_again(status, slept):
    with BadServer({"/a": DATA}, refuse=busy(1000, status, Retry_After="7")) as server:
        with pytest.raises(downloads.Unavailable, match=f"^HTTP status {status}$"):
            read(f"{server.address}/a")
    assert slept == [] and server.requests == 1


# --- proxies -----------------------------------------------------------------------------------------------------

def test_a_proxy_set_after_a_failure_is_used(monkeypatch, slept):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    address = "http://127.0.0.1:9/a"
    with pytest.raises(downloads.Unavailable):
        read(address)
    with BadServer({address: DATA}) as proxy:  # a proxy is asked for whole addresses
        monkeypatch.setenv("http_proxy", proxy.address)
        assert read(address) == DATA
    monkeypatch.delenv("http_proxy")
    with pytest.raises(downloads.Unavailable):
        read(address)


# --- mirrors -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("spelling", ["{home}/my files", "{home}/my files/", "~/my files", "~/my files/",
                                      "file://{home}/my%20files", "file://localhost{home}/my%20files/"])
def test_a_folder_as_mirror_in_every_spelling(spelling, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path)), monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("TL_MIRROR", spelling.format(home=tmp_path.as_posix()))
    (tmp_path / "my files").mkdir()
    (tmp_path / "my files" / "a").write_bytes(DATA)
    assert [read(address) for address in downloads.mirror("a")] == [DATA]


@pytest.mark.parametrize("place, addresses", [
    ("http://127.0.0.1:8000", ["http://127.0.0.1:8000/a"]), ("http://127.0.0.1:8000/~me/", ["http://127.0.0.1:8000/~me/a"]),
    ("", [])])
def test_an_address_as_mirror_stays_as_it_is(place, addresses, monkeypatch):
    monkeypatch.setenv("TL_MIRROR", place)
    assert downloads.mirror("a") == addresses


def test_the_cache_may_lie_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path)), monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("TL_CACHE", "~/data")
    assert downloads.cache_folder() == tmp_path / "data"
    monkeypatch.delenv("TL_CACHE")
    assert downloads.cache_folder() == tmp_path / ".cache" / "transfer-learning"
