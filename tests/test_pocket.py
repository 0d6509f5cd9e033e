"""The pocket data: which drawings each split holds, and the same bytes everywhere."""
import hashlib
import json

import numpy as np
import pytest
import torch

from helpers import datasets, drawings, source
from helpers.lab import setup
from helpers.pocket import CLASSES, pocket, rendered
from tests.test_project import ROOT

# The bytes of the validation split. After a wanted change to how pictures are composed, or to the drawings, take the
# new value from the message of the failing test.
POCKET_VAL_SHA256 = "a504809f75ad6191fb7a60c25ddfc85ea2a0e8f25e93201ccb77fbcc9d7845f8"


def test_each_drawing_appears_once_under_its_thing():
    data = {part: pocket(part) for part in drawings.PARTS}
    for part, split in data.items():
        own = [drawings.table()[k] for k in drawings.numbers_of(part)]
        assert sorted(split.origin) == sorted(d.origin for d in own)
        assert split.images.shape == (len(own), 3, 96, 96) and split.classes == CLASSES
        label_of = {d.origin: d.label for d in own}
        assert [split.classes[k] for k in split.labels.tolist()] == [label_of[origin] for origin in split.origin]
    things = [{origin.split(";")[0] for origin in split.origin} for split in data.values()]
    assert sum(map(len, things)) == len(set.union(*things)), "no thing is in two splits"


def test_the_lessons_ask_for_no_more_labels_than_the_scarcest_class_has():
    most = torch.bincount(pocket("train").labels).min().item()
    assert setup(backbone="pocket_vgg", data="pocket").per_class == most


def test_kinds_divide_a_split():
    both, coloured, plain = (set(pocket("test", kind).origin) for kind in ("both", "coloured", "one-coloured"))
    assert coloured | plain == both and not coloured & plain and coloured
    assert {d.origin for d in drawings.table() if d.coloured} & both == coloured
    with pytest.raises(ValueError, match="Unknown kind 'grey'; choose one of both, coloured, one-coloured."):
        pocket("test", "grey")
    with pytest.raises(ValueError, match="'exam' of the pocket data; choose one of train, val, test, final."):
        pocket("exam")


def test_more_renderings_come_behind_and_are_others():
    once, thrice = pocket("val", "coloured"), pocket("val", "coloured", renderings=3)
    count = len(once)
    assert len(thrice) == 3 * count and torch.equal(thrice.images[:count], once.images)
    assert thrice.origin[:count] == once.origin and sorted(thrice.origin[count:2 * count]) == sorted(once.origin)
    assert len({image.numpy().tobytes() for image in thrice.images}) == 3 * count
    assert not torch.equal(pocket("val", "coloured", seed=1).images, once.images)
    for count in (0, 1.5):
        with pytest.raises(ValueError, match="renderings must be a whole number from 1 to 1000"):
            pocket("val", renderings=count)


def test_the_drawing_named_is_the_drawing_shown(monkeypatch):
    numbers = drawings.numbers_of("val")[::9]
    shown = []
    monkeypatch.setattr("helpers.composition.compose", lambda tiles, *_: shown.append(tiles) or np.zeros(
        (len(tiles), 3, 96, 96), np.uint8))
    data = rendered(numbers, renderings=2)
    number_of = {drawings.table()[k].origin: k for k in numbers}
    assert np.array_equal(np.concatenate(shown), drawings.pixels([number_of[origin] for origin in data.origin]))
    assert data.origin[:len(numbers)] != tuple(number_of), "shuffled"


def test_the_pocket_data_is_the_same_on_every_machine():
    data = datasets.load("pocket", "val")
    found = hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().astype("<i8").tobytes()).hexdigest()
    assert found == POCKET_VAL_SHA256


def test_pocket_is_composed_only_once(monkeypatch):
    first = datasets.load("pocket", "val")
    monkeypatch.setattr("helpers.composition.compose", None)
    again = datasets.load("pocket", "val")
    assert torch.equal(again.images, first.images) and torch.equal(pocket("val", seed=0).images, first.images)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True])
def test_pocket_with_a_seed_that_is_none(seed):
    with pytest.raises(ValueError, match="^seed must be a whole number from 0 to 4294967295, not "):
        pocket("val", seed=seed)


# --- a look at the source task -----------------------------------------------------------------------------------

def test_source_examples_show_the_same_emoji_by_every_family_on_white():
    table = json.loads((source.ASSETS / "examples.json").read_text(encoding="utf-8"))
    shown = source.examples(5)
    assert list(shown) == [family["title"] for family in table["families"].values()] and len(shown) == 8
    for pictures in shown.values():
        assert pictures.shape == (5, 3, 64, 64) and pictures.dtype == torch.uint8
        assert pictures[:, :, 0, 0].float().mean() > 200, "the drawings stand on white"
    assert len({emoji["category"] for emoji in table["emoji"][:12]}) > 8, "the first dozen show many categories"
    everyone = torch.cat(list(shown.values()))
    assert len({image.numpy().tobytes() for image in everyone}) == 40, "no drawing twice"
    everyone.zero_()
    assert source.examples(5)[next(iter(shown))].any(), "a change does not reach later looks"


@pytest.mark.parametrize("count", [0, -1, 1.0, 10_000])
def test_source_examples_of_a_number_that_there_is_not(count):
    with pytest.raises(ValueError, match="^count must be a whole number from 1 to 24, not "):
        source.examples(count)


@pytest.mark.parametrize("name", ["examples.json", "examples.webp"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:99]),
                                    lambda path: path.write_text("{}")], ids=["gone", "cut", "other"])
def test_damaged_source_examples_get_one_sentence(tmp_path, monkeypatch, name, damage):
    for path in source.ASSETS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(source, "ASSETS", tmp_path)
    damage(tmp_path / name)
    with pytest.raises(RuntimeError, match=f"^The asset {name} is missing or damaged; get a fresh copy of the course"):
        source.examples()


def test_every_family_of_the_source_examples_has_its_licence_told():
    told = (ROOT / "helpers/assets/LICENCES.md").read_text(encoding="utf-8")
    table = json.loads((source.ASSETS / "examples.json").read_text(encoding="utf-8"))
    for family in table["families"].values():
        assert (f"| [{family['title']}]({family['address']}) | {family['author']} | "
                f"[{family['licence']}]({family['licence_address']}) |") in told
