"""The files of the themes that come with tuitrain. Importing this imports nothing else."""

from __future__ import annotations

from pathlib import Path

DEFAULT, DEFAULT_LIGHT = "tuitrain-dark", "tuitrain-light"

_IN_WHEEL = Path(__file__).parents[1] / "themes"
_IN_CHECKOUT = Path(__file__).parents[2] / "themes"


def shipped() -> Path:
    """Return the folder of our themes, in the installed package or in a checkout."""
    return _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
