"""Interactive panels. Each is a set of controls on top of a plot function and holds no logic of its own."""
from __future__ import annotations
