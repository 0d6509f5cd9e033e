"""What every panel is made of: controls above a figure that is drawn anew, and sentences that a screen reader says."""
from __future__ import annotations

import html

import ipywidgets


class Panel(ipywidgets.VBox):
    """A box that says what it is where no widgets run: on GitHub, on paper, in a web page without script."""

    def __repr__(self) -> str:
        return "(Here stands a panel with controls. Run the notebook to use it.)"


def fitted(content: str) -> str:
    """HTML that takes the width it is given: on a phone, a table or a line of code scrolls and widens nothing else."""
    return f"<div style='contain: inline-size; overflow-x: auto'>{content}</div>"


def beside(parts) -> str:
    """Pieces of HTML side by side, as many as there is room for: on a phone they stand below one another."""
    pieces = "".join(f"<div>{part}</div>" for part in parts)
    return f"<div style='display: flex; flex-wrap: wrap; gap: 6px 20px'>{pieces}</div>"


def panel(controls: dict, draw) -> Panel:
    """A row of controls above a figure that `draw(**values)` returns as HTML, drawn anew when a control changes."""
    figure = ipywidgets.HTML()

    def redraw(_=None) -> None:
        figure.value = fitted(draw(**{name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.observe(redraw, "value")
    redraw()
    row = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"})
    return Panel([row, figure])


def paragraph(words: str) -> str:
    """A sentence as HTML, large enough to be read from the back of a room; a screen reader says it when it changes."""
    return f"<p role='status' style='font-size: 15px; line-height: 1.4'>{html.escape(words)}</p>"
