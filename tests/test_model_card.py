"""The card that travels with a network."""
import pytest

from helpers import model_card

FULL = {heading: f"About {heading.lower()}." for heading in model_card.HEADINGS}


def test_a_card_has_all_its_headings_in_order_and_others_behind_them():
    sections = {"Thanks": "To Ada.", **dict(reversed(FULL.items())), "Where it fails": ["one", "two"]}
    text = model_card.card("Cats", sections)
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == [*model_card.HEADINGS, "Thanks"] and text.startswith("# Cats\n\n## What it is for\n\nAbout ")
    assert "## Where it fails\n\n- one\n- two\n" in text and text.endswith("To Ada.\n")
    assert model_card.missing(text) == []


@pytest.mark.parametrize("empty", ["", "  ", [], [""]])
def test_a_card_with_a_hole_is_not_written(empty):
    with pytest.raises(ValueError, match="^The card says nothing yet under 'How sure it is', 'What it must not"):
        model_card.card("Cats", {**FULL, "How sure it is": empty, "What it must not be used for": empty})


def test_what_a_card_lacks_is_found():
    text = model_card.card("Cats", FULL)
    assert model_card.missing(text.replace("About where it fails.", " ")) == ["Where it fails"]
    assert model_card.missing("# Cats\n") == list(model_card.HEADINGS)


def test_a_name_is_shown_as_it_is():
    assert model_card.plain("$a_b$ *x* <b>&|猫") == r"\$a\_b\$ \*x\* &lt;b&gt;&amp;\|猫"
