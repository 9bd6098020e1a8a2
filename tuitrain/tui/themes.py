"""Read themes from files: a TOML file has the screen and chart colours of a theme."""

from __future__ import annotations

import tomllib
from pathlib import Path

from textual.theme import Theme

DEFAULT = "tuitrain-dark"

_IN_WHEEL = Path(__file__).parents[1] / "themes"
_IN_CHECKOUT = Path(__file__).parents[2] / "themes"


def load() -> list[Theme]:
    """Return the themes that come with tuitrain, from the installed package or a checkout."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
    return [Theme(**tomllib.loads(path.read_text())) for path in sorted(folder.glob("*.toml"))]
