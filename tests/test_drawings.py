"""The collected drawings: what ships, how it is split, and the script that collected it."""
import hashlib
import json
import shutil
from collections import Counter

import numpy as np
import pytest

from helpers import drawings
from helpers.make import drawings as make
from helpers.make import names, twins
from helpers.pocket import CLASSES
from tests.damage import crop, cut

SCARCE = {"deer": 15}  # things there are; the other classes have 40 and more


def document() -> dict:
    return json.loads((drawings.ASSETS / "drawings.json").read_text(encoding="utf-8"))


def things(rows, label: str | None = None) -> set[str]:
    return {row.thing for row in rows if label in (None, row.label)}


# --- what ships --------------------------------------------------------------------------------------------------

def test_there_are_as_many_as_promised():
    rows = drawings.table()
    assert len(rows) >= 2_000 and len(things(rows)) >= 900 and len({row.artist for row in rows}) >= 60
    assert {row.label for row in rows} == set(CLASSES)
    for label in CLASSES:
        assert len(things(rows, label)) >= SCARCE.get(label, 40), label
        assert any(row.coloured for row in rows if row.label == label), label


def test_they_are_small_enough():
    assert sum(path.stat().st_size for path in drawings.ASSETS.iterdir()) <= 4_000_000


def test_every_drawing_is_traced_to_an_open_licence():
    table = document()
    assert table["packages"] == make.PACKAGES
    assert {entry[2] for entry in table["drawings"]} == set(table["sets"])
    for prefix, entry in table["sets"].items():
        assert entry["licence"] in make.LICENCES, prefix
        assert entry["author"] and entry["title"] and all(
            entry[key].startswith(("https://", "http://")) for key in ("address", "licence_address")), prefix
    assert not [name for name in make.LICENCES if "SA" in name or "NC" in name or "GPL" in name]
    for row in drawings.table():
        assert row.origin == f"{row.thing}; {row.set}:{row.name}, {row.author}, {row.licence}"
        assert row.thing.count(";") == 0 and names.label_of(row.name) == row.label


def test_licences_are_told_for_what_ships():
    """The file is the one that the table gives; each set is in it with its number of drawings, and the notices are."""
    text = (drawings.ASSETS / "LICENCES.md").read_text(encoding="utf-8")
    assert text == make.licences(document())
    for prefix, count in Counter(row.set for row in drawings.table()).items():
        row, = [line for line in text.splitlines() if line.startswith(f"| `{prefix}` |")]
        assert row.endswith(f"| {count} |")
    for licence in {row.licence for row in drawings.table()} & {"MIT", "ISC", "BSD-3-Clause", "OFL-1.1"}:
        assert f"\n## {licence}\n\nCopyright (c) " in text
    assert "shall be included in all copies" in text


def test_no_drawing_is_there_twice():
    pixels = drawings.pixels(range(len(drawings.table())))
    rows = drawings.table()
    assert len({(row.set, row.name) for row in rows}) == len(rows)
    seen = {hashlib.sha256(tile.tobytes()).digest() for tile in pixels}
    assert len(seen) == len(rows)
    alpha = pixels[..., 3].astype(float) / 255
    assert alpha.mean((1, 2)).min() > 0.03, "a drawing is nearly empty"
    inked = [(alpha > 0.1).any(axis) for axis in (1, 2)]
    reach = np.maximum(*(64 - side.argmax(1) - side[:, ::-1].argmax(1) for side in inked))
    assert reach.min() >= 60, "every drawing fills its tile"


def test_nothing_that_was_weeded_out_is_back():
    shipped = {f"{row.set}:{row.name}" for row in drawings.table()}
    weeded = make.weeded()
    assert len(weeded) > 200 and all(weeded.values()) and not shipped & set(weeded)
    assert not [key for key in shipped if any(word in key for word in (
        "paper-plane", "wrench", "wheel", "roast", "sinking", "canoe"))]


def test_no_drawing_sits_in_a_disc_or_a_square_of_its_own():
    """A frame would be all that a small network sees, and it tells the artist, not the class."""
    alpha = drawings.pixels(range(len(drawings.table())))[..., 3] / np.float32(255)
    away = np.abs(np.arange(64) - 31.5)
    for name, frame in (("disc", away[:, None] ** 2 + away ** 2 < 31 ** 2), ("square", np.full((64, 64), True))):
        shared = np.minimum(alpha, frame).sum((1, 2)) / np.maximum(alpha, frame).sum((1, 2))
        framed = [drawings.table()[k].origin for k in np.flatnonzero(shared > 0.93)]
        assert framed == [], name


def test_things_have_one_class_and_near_duplicates_are_one_thing():
    rows = drawings.table()
    assert len({(row.thing, row.label) for row in rows}) == len(things(rows))
    for label in ("deer", "truck"):
        for coloured in (False, True):
            own = [k for k, row in enumerate(rows) if (row.label, row.coloured) == (label, coloured)]
            for one, other in twins.pairs(drawings.pixels(own), 4, 0.97):
                assert rows[own[one]].thing == rows[own[other]].thing


# --- splits ------------------------------------------------------------------------------------------------------

def test_no_thing_is_in_two_parts_and_none_is_left_out():
    parts = drawings.split_things()
    assert tuple(parts) == drawings.PARTS
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == len(things(drawings.table()))
    numbers = [k for part in drawings.PARTS for k in drawings.numbers_of(part)]
    assert sorted(numbers) == list(range(len(drawings.table())))
    for part in drawings.PARTS:
        assert {drawings.table()[k].thing for k in drawings.numbers_of(part)} == set(parts[part])


def test_every_class_keeps_enough_things_in_each_part():
    rows = {part: [drawings.table()[k] for k in drawings.numbers_of(part)] for part in drawings.PARTS}
    for label in CLASSES:
        held = {part: len(things(own, label)) for part, own in rows.items()}
        total = sum(held.values())
        assert held["train"] >= 0.4 * total and min(held["val"], held["test"]) >= 2 and held["final"] >= 3, label
    final = len(things(rows["final"])) / len(things(drawings.table()))
    assert 0.17 < final < 0.23, "a fifth of the things is set aside"


def test_validation_and_test_are_drawn_alike():
    """Each share differs by less than twice what chance alone would give, and the sizes are nearly the same."""
    def traits(row):
        yield "coloured" if row.coloured else "one-coloured"
        yield row.label
        yield row.artist if row.artist in common else "others"

    count = Counter(artist for artist, _ in {(row.artist, row.thing) for row in drawings.table()})
    common = {artist for artist, n in count.items() if n >= 40}
    assert len(common) >= 3
    shares = {}
    for part in ("val", "test"):
        rows = [drawings.table()[k] for k in drawings.numbers_of(part)]
        shares[part] = Counter(trait for _, trait in {(row.thing, t) for row in rows for t in traits(row)})
        shares[part]["drawings"] = len(rows)
    number = {part: len(drawings.split_things()[part]) for part in shares}
    assert abs(number["val"] - number["test"]) <= len(CLASSES)
    for trait in set(shares["val"]) | set(shares["test"]) - {"drawings"}:
        p, q = (shares[part][trait] / number[part] for part in ("val", "test"))
        mean = (p + q) / 2
        if trait != "drawings":
            assert abs(p - q) < 2 * np.sqrt(2 * mean * (1 - mean) / min(number.values())), (trait, p, q)
    assert 0.8 < shares["val"]["drawings"] / shares["test"]["drawings"] < 1.25


def test_the_splits_are_the_same_on_every_call_and_nobody_can_change_them():
    first = drawings.split_things()
    first["train"] = ()
    again = drawings.split_things()
    drawings._deal.cache_clear()
    assert again["train"] and again == drawings.split_things()
    with pytest.raises(ValueError, match="no part 'exam' of the drawings; choose one of train, val, test, final"):
        drawings.numbers_of("exam")


# --- reading -----------------------------------------------------------------------------------------------------

def test_pixels_are_premultiplied_and_the_callers_own():
    rows = drawings.table()
    plain, coloured = 3, len(rows) - 2
    found = drawings.pixels([coloured, plain, coloured])
    assert found.shape == (3, 64, 64, 4) and found.dtype == np.uint8
    assert not rows[plain].coloured and not found[1, ..., :3].any() and found[1, ..., 3].any()
    assert rows[coloured].coloured and found[0, ..., :3].any() and (found[0, ..., :3] <= found[0, ..., 3:]).all()
    assert np.array_equal(found[0], found[2])
    found[:] = 7
    assert not (drawings.pixels([plain]) == 7).all()
    assert drawings.pixels([]).shape == (0, 64, 64, 4)
    for beyond in (len(rows), -1):
        with pytest.raises(IndexError, match=f"There are {len(rows)} drawings"):
            drawings.pixels([beyond])


def test_the_command_counts_per_class_and_part(capsys):
    drawings.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 5 * 11
    assert lines[1].split()[1:3] == [str(len(drawings.table())), str(sum(d.coloured for d in drawings.table()))]


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """A copy of the assets that a test may damage."""
    shutil.copytree(drawings.ASSETS, tmp_path / "drawings")
    monkeypatch.setattr(drawings, "ASSETS", tmp_path / "drawings")
    caches = (drawings.table, drawings._tiles, drawings._deal)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path / "drawings"
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("name, damage", [
    ("masks.webp", cut), ("coloured.webp", crop), ("masks.webp", lambda path: path.unlink()), ("drawings.json", cut),
    ("drawings.json", lambda path: path.write_text("{}")), ("drawings.json", lambda path: path.write_text("[]")),
], ids=["cut sheet", "small sheet", "no sheet", "cut table", "empty table", "another table"])
def test_a_damaged_asset_gets_one_sentence(assets, name, damage):
    damage(assets / name)
    with pytest.raises(RuntimeError, match=f"^The asset {name} is missing or damaged; get a fresh copy of the course"):
        drawings.pixels([0])


# --- the script --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, label, subject", [
    ("directions-car-outline-rounded", "car", "car"), ("vehicle-truck-24-filled", "truck", "truck"),
    ("twotone-flight-takeoff", "airplane", "flight-takeoff"), ("airplane-take-off-16-filled", "airplane", None),
    ("grinning-cat-with-smiling-eyes", "cat", "cat-face"), ("cat-face", "cat", "cat-face"),
    ("paper-plane", None, None), ("monkey-wrench", None, None), ("steering-wheel", None, None), ("cartoon", None, None),
    ("roast-chicken", None, None), ("hot-dog", None, None), ("car-truck", None, None), ("horse-and-cat", None, None),
])
def test_names_are_read_by_the_word(name, label, subject):
    assert names.label_of(name) == label
    if subject:
        assert names.subject_of(name) == subject


def disc(x=32, y=32, radius=20, colour=(0, 0, 0)) -> np.ndarray:
    """A drawing of a disc."""
    rows, columns = np.mgrid[:64, :64]
    tile = np.zeros((64, 64, 4), np.uint8)
    tile[(rows - y) ** 2 + (columns - x) ** 2 <= radius ** 2] = (*colour, 255)
    return tile


def test_twins_are_found_in_the_mirror_as_well_and_by_shape():
    left, right = disc(22, 30), disc(41, 30)
    bar = np.zeros((64, 64, 4), np.uint8)
    bar[28:34, 4:60, 3] = 255
    assert list(twins.pairs(np.stack([left, bar, right]), *twins.NEAR)) == [(0, 2)]
    assert twins.groups(["a", "b", "c", "b", "d"], [(2, 3), (4, 4)]) == [0, 1, 1, 1, 4]
    assert twins.same_shade(disc(colour=(200, 0, 0)), disc(colour=(200, 0, 9)))
    assert not twins.same_shade(disc(colour=(200, 0, 0)), disc(colour=(0, 0, 200)))
