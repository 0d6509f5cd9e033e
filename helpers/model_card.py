"""A model card: one page that tells others what a network is for, how good it is, and what it must not be used for.

The headings follow M. Mitchell and others, Model Cards for Model Reporting, FAT* 2019, arXiv 1810.03993. Whoever
trained the network fills them in; a card with a hole in it is not written.
"""
from __future__ import annotations

import html
import re

HEADINGS = ("What it is for", "What it was trained on", "How good it is", "Where it fails", "How sure it is",
            "What it must not be used for")
FILE = "README.md"  # so that it is what people see first, beside the network


def card(title: str, sections: dict[str, str | list[str]]) -> str:
    """The card as Markdown. `sections[heading]`: a sentence, or several, which become a list; Markdown is kept in them.

    All of HEADINGS must be there, and others may follow. Raises `ValueError` that names what is missing.
    """
    told = {heading: [text] if isinstance(text, str) else list(text) for heading, text in sections.items()}
    lacking = [heading for heading in HEADINGS if not any(map(str.strip, told.get(heading, [])))]
    if lacking:
        raise ValueError(f"The card says nothing yet under {', '.join(map(repr, lacking))}: whoever gets the network "
                         "needs to know.")
    order = [*HEADINGS, *(heading for heading in told if heading not in HEADINGS)]
    parts = [f"# {title}"]
    for heading in order:
        texts = told[heading]
        parts += [f"## {heading}", texts[0] if len(texts) == 1 else "\n".join(f"- {text}" for text in texts)]
    return "\n\n".join(parts) + "\n"


def plain(name: str) -> str:
    """A name, such as a class's, as Markdown that shows it as it is: its stars, dollars and brackets are no mark-up."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", html.escape(name, quote=False))


def missing(text: str) -> list[str]:
    """The HEADINGS under which a card, as Markdown, says nothing."""
    said = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    return [heading for heading in HEADINGS if not said.get(heading, "").strip()]
