"""The letters: what ships, how it is split and composed, and the script that collected it."""
import hashlib
import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from matplotlib.font_manager import findfont
from PIL import ImageFont

from helpers import composition, letters
from helpers.images import SPLITS
from helpers.intervals import things_of
from helpers.make import letters as make
from tests.damage import crop, cut

# The bytes of the validation split. After a wanted change to how pictures are composed, or to the letters, take the
# new value from the message of the failing test.
VAL_SHA256 = "908250e7bdf3607ed3efb25ea34ef7ecbb80ffcdb55c373c6772cc0fc415329a"
CLASSES = tuple("ABDEGHNQRT")


def document() -> dict:
    return json.loads((letters.ASSETS / "letters.json").read_text(encoding="utf-8"))


def shipped() -> list[make.Family]:
    """The families as the script had them."""
    masks, found = iter(letters.pixels(range(len(letters.table())))[..., 3]), []
    for row in document()["families"]:
        own = {character: next(masks) for character in row["characters"]}
        found.append(make.Family(row["package"].removeprefix("@fontsource/"), row["family"], row["kind"],
                                 row["version"], row["licence"], row["copyright"], own))
    return found


# --- what ships --------------------------------------------------------------------------------------------------

def test_there_are_as_many_as_promised_and_they_are_small_enough():
    rows = letters.table()
    assert len({row.family for row in rows}) >= 250 and {row.label for row in rows} == set(CLASSES)
    for label in CLASSES:
        own = [row for row in rows if row.label == label]
        assert len(own) >= 500 and 0.45 < sum(row.character.islower() for row in own) / len(own) < 0.55
    assert sum(path.stat().st_size for path in letters.ASSETS.iterdir()) <= 1_000_000


def test_every_letter_fills_its_tile_and_is_there_once():
    masks = letters.pixels(range(len(letters.table())))[..., 3]
    assert len({mask.tobytes() for mask in masks}) == len(masks)
    assert len({(row.family, row.character) for row in letters.table()}) == len(masks)
    inked = [(masks > 0).any(axis) for axis in (1, 2)]
    reach = np.maximum(*(64 - side.argmax(1) - side[:, ::-1].argmax(1) for side in inked))
    assert reach.min() >= 60 and (masks > 100).mean((1, 2)).min() > 0.03
    assert len(np.unique(masks)) == make.LEVELS


def test_a_letter_that_shows_a_typeface_is_traced_to_an_open_licence():
    rows = document()["families"]
    assert {row["package"].split("/")[1]: row["version"] for row in rows} == make.families()
    for row in rows:
        assert row["licence"] in make.LICENCES and row["kind"] and len(row["copyright"]) > 10, row["family"]
    text = (letters.ASSETS / "LICENCES.md").read_text(encoding="utf-8")
    assert text == make.licences(document())
    for row in rows:
        told, = [line for line in text.splitlines() if line.startswith(f"| {row['family']} |")]
        assert told.endswith(f"| {row['licence']} | `{row['package']}` {row['version']} | {len(row['characters'])} |")
    assert "Apache-2.0.html" in text and "SIL OPEN FONT LICENSE" in text.upper()


def test_nothing_that_was_weeded_out_is_back():
    families = {family.name: family for family in shipped()}
    for key, reason in make.weeded().items():
        name, characters = key.split(":")
        assert reason and not set(characters) & set(families[name].letters), key


def test_no_typeface_looks_nearly_like_that_of_another_thing_and_no_small_letter_is_a_capital():
    found = shipped()
    assert make.things(found) == [row["thing"] for row in document()["families"]]
    assert [family.name for family in found if list(make.same_forms(family))] == []


# --- splits ------------------------------------------------------------------------------------------------------

def test_splits_share_no_thing_and_leave_none_out():
    parts = letters.split_things()
    assert tuple(parts) == SPLITS
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == len({r.thing for r in letters.table()})
    numbers = [k for split in SPLITS for k in letters.numbers_of(split)]
    assert sorted(numbers) == list(range(len(letters.table())))
    with pytest.raises(ValueError, match="^Unknown split 'final'; choose one of train, val, test.$"):
        letters.numbers_of("final")


def test_each_split_has_its_share_of_each_kind_of_typeface_and_of_each_class():
    kind_of = {row.thing: row.kind for row in letters.table()}
    kinds = {split: Counter(kind_of[thing] for thing in own) for split, own in letters.split_things().items()}
    for kind in set(kind_of.values()):
        assert abs(kinds["val"][kind] - kinds["test"][kind]) <= 1
        assert abs(kinds["train"][kind] - kinds["val"][kind] - kinds["test"][kind]) <= 2
    for split in SPLITS:
        counts = Counter(letters.table()[k].label for k in letters.numbers_of(split))
        assert set(counts) == set(CLASSES) and min(counts.values()) > 0.95 * max(counts.values())


# --- pictures ----------------------------------------------------------------------------------------------------

def test_each_letter_appears_once_under_its_thing():
    for split in SPLITS:
        data, own = letters.letters(split), [letters.table()[k] for k in letters.numbers_of(split)]
        assert data.images.shape == (len(own), 3, 96, 96) and data.classes == CLASSES
        assert sorted(data.origin) == sorted(row.origin for row in own)
        assert set(things_of(data)) == set(letters.split_things()[split])
        label_of = {row.origin: row.label for row in own}
        assert [CLASSES[k] for k in data.labels.tolist()] == [label_of[origin] for origin in data.origin]


def test_the_letter_named_is_the_letter_shown_and_more_renderings_are_others(monkeypatch):
    numbers, shown = letters.numbers_of("val")[::50], []
    once, twice = letters.rendered(numbers, 1, 3), letters.rendered(numbers, 2, 3)
    assert torch.equal(twice.images[:len(numbers)], once.images) and twice.origin[:len(numbers)] == once.origin
    assert len({image.numpy().tobytes() for image in twice.images}) == 2 * len(numbers)
    for other in (letters.rendered(numbers, stream=4), letters.rendered(numbers, stream=3, seed=1),
                  letters.rendered(numbers, stream=3, difficulty=0.6)):
        assert not torch.equal(other.images, once.images)
    monkeypatch.setattr(composition, "compose", lambda tiles, *_: shown.append(tiles) or np.zeros(
        (len(tiles), 3, 96, 96), np.uint8))
    data = letters.rendered(numbers, 2)
    number_of = {letters.table()[k].origin: k for k in numbers}
    assert np.array_equal(np.concatenate(shown), letters.pixels([number_of[origin] for origin in data.origin]))
    assert data.origin[:len(numbers)] != tuple(number_of), "shuffled"


def test_letters_are_never_mirrored(monkeypatch):
    """The stem of an E stands on the left."""
    fronts, layers = [], composition.layers

    def seen(*arguments):
        front, ground = layers(*arguments)
        fronts.append(front[:, 3].astype(float))
        return front, ground

    monkeypatch.setattr(composition, "layers", seen)
    stems = [k for k, row in enumerate(letters.table()) if row.character == "E" and row.kind == "sans-serif"]
    letters.rendered(stems, difficulty=0)
    alpha = np.concatenate(fronts)
    columns = np.linspace(-1, 1, 96)
    inked = (alpha > 127).any(1)
    middle = (columns[inked.argmax(1)] - columns[inked[:, ::-1].argmax(1)]) / 2
    weight = (alpha.sum(1) * columns).sum(1) / alpha.sum((1, 2))
    assert len(alpha) == len(stems) > 80 and (weight < middle).all()


def test_the_letters_are_the_same_on_every_machine():
    data = letters.letters("val")
    found = hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().astype("<i8").tobytes()).hexdigest()
    assert found == VAL_SHA256


@pytest.mark.parametrize("wrong, told", [({"seed": True}, "seed"), ({"seed": 2**32}, "seed"),
                                         ({"renderings": 0}, "renderings"), ({"renderings": 1.0}, "renderings")])
def test_numbers_that_are_none(wrong, told):
    letters.letters("val")  # kept, and 1.0 == 1
    with pytest.raises(ValueError, match=f"^{told} must be a whole number from "):
        letters.letters("val", **wrong)


def test_positions_that_there_are_not():
    assert letters.pixels([]).shape == (0, 64, 64, 4)
    for beyond in (-1, len(letters.table())):
        with pytest.raises(IndexError, match=f"^There are {len(letters.table())} letters; positions go from 0 to "):
            letters.rendered([beyond])


def test_the_command_counts_per_class_and_split(capsys):
    letters.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 4 * 11
    small = sum(row.character.islower() for row in letters.table())
    assert lines[1].split()[:3] == ["all", str(len(letters.table())), str(small)]


@pytest.fixture
def fresh():
    """Nothing is kept from other assets, before or after."""
    caches = (letters.table, letters._document, letters._masks)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("name, damage", [
    ("letters.webp", cut), ("letters.webp", crop), ("letters.webp", lambda path: path.unlink()), ("letters.json", cut),
    ("letters.json", lambda path: path.write_text("{}")), ("letters.json", lambda path: path.write_text("[]")),
    ("letters.json", lambda path: path.write_text('{"families": []}')),
    ("letters.json", lambda path: path.write_text('{"families": [{"family": "A"}]}')),
], ids=["cut sheet", "small sheet", "no sheet", "cut table", "no table", "another table", "empty table", "poor table"])
def test_a_damaged_asset_gets_one_sentence(tmp_path, monkeypatch, fresh, name, damage):
    shutil.copytree(letters.ASSETS, tmp_path / "letters")
    monkeypatch.setattr(letters, "ASSETS", tmp_path / "letters")
    damage(tmp_path / "letters" / name)
    with pytest.raises(RuntimeError, match=f"^The asset {name} is missing or damaged; get a fresh copy of the course"):
        letters.pixels([0])


# --- the script --------------------------------------------------------------------------------------------------

def bars(*edges: int) -> np.ndarray:
    """A mask of bars from top to bottom, by their left edges."""
    mask = np.zeros((64, 64), np.uint8)
    for left in edges:
        mask[1:63, left:left + 8] = 255
    return mask


def family(name: str, **masks) -> make.Family:
    return make.Family(name, name.title(), "serif", "1.0.0", "OFL-1.1", f"Copyright {name}", masks)


def test_a_letter_is_drawn_to_the_edges_of_its_tile_in_few_greys():
    font = ImageFont.truetype(findfont("DejaVu Sans"), 200, layout_engine=ImageFont.Layout.BASIC)
    for character in "AbgjnQ":
        mask = make.draw(font, character)
        assert mask.shape == (64, 64) and mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 85, 170, 255}
        ends = [np.flatnonzero((mask > 0).any(axis))[[0, -1]] for axis in (0, 1)]  # columns, rows
        assert max(np.ptp(end) for end in ends) == 61 and all(abs(end.sum() - 63) <= 1 for end in ends), character


def test_small_letters_that_are_capitals_over_again_are_found():
    found = family("one", A=bars(5, 40), a=bars(5, 40), B=bars(5), b=bars(5, 50), D=bars(9), e=bars(9))
    assert list(make.same_forms(found)) == ["A"]


def test_typefaces_that_look_nearly_the_same_are_one_thing():
    one, like, other = bars(5, 40), bars(5, 40), bars(20)
    alike = [family("a", A=one, B=other, D=one), family("b", A=other, B=one, D=other),
             family("c", A=like, B=other, D=one)]
    assert make.things(alike) == ["A", "B", "A"]
    half = [family("a", A=one, B=other), family("b", A=one, B=one), family("c", D=one)]
    assert make.things(half) == ["A", "B", "C"], "half of the letters alike, or none in common"


def test_a_copyright_is_told_by_the_font_or_by_the_licence_beside_it():
    assert make.copyright_of(["©  2019 Ann ", "Copyright Bob"]) == "© 2019 Ann"
    assert make.copyright_of(["OFL", "", "Copyright (c) 2020 Bob", "copyright holders"]) == "Copyright (c) 2020 Bob"


def test_licences_name_each_typeface_and_give_the_text():
    rows = [{"family": "Ann", "copyright": "Copyright Ann <ann@example.org> | Co", "licence": "OFL-1.1",
             "package": "@fontsource/ann", "version": "1.2.3", "characters": "AaB"}]
    text = make.licences({"families": rows})
    assert text.startswith("# Licences and attributions of the letters\n\n3 letters of 1 typefaces")
    assert "| Ann | Copyright Ann &lt;ann@example.org> \\| Co | OFL-1.1 | `@fontsource/ann` 1.2.3 | 3 |" in text
    assert "\n## OFL-1.1\n" in text and "\n## Apache-2.0\n" not in text


def test_the_font_nearest_to_regular_is_taken(tmp_path):
    (tmp_path / "files").mkdir()
    for name in ("x-latin-300-normal", "x-latin-500-normal", "x-latin-400-italic", "x-latin-ext-400-normal",
                 "x-latin-700-normal"):
        (tmp_path / "files" / f"{name}.woff").touch()
    assert make.font_of(tmp_path).stem == "x-latin-300-normal"
    (tmp_path / "files" / "x-latin-400-normal.woff").touch()
    assert make.font_of(tmp_path).stem == "x-latin-400-normal"
