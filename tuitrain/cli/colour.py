"""Print pictures to stdout, in the terminal's own colours if it has any."""

from __future__ import annotations

import os
import sys

import click

from tuitrain.cli.common import is_capable
from tuitrain.core.safe import safe
from tuitrain.view.picture import Picture, Role, Span, plain

_SGR: dict[Role, int] = {
    "muted": 90, "strong": 1, "accent": 33, "good": 32, "warn": 33, "bad": 31,
    "axis": 90, "envelope": 34, "smooth": 36, "validation": 33, "swap": 35, "past": 90,
    "bar": 36, "trough": 90,
    "series1": 36, "series2": 33, "series3": 32, "series4": 35, "series5": 34, "series6": 31,
}  # fmt: skip
"""SGR codes within the sixteen colours of every terminal, which follow the user's scheme."""

_LONGEST = 1_000
"""Characters of a span."""


def has_colour() -> bool:
    """Return whether stdout shows colours: not in a pipe, a plain terminal or under NO_COLOR."""
    return sys.stdout.isatty() and is_capable() and not os.environ.get("NO_COLOR")


def say(picture: Picture) -> None:
    """Print the picture, with escapes only if stdout shows colours."""
    picture = tuple(
        tuple(Span(safe(text, limit=_LONGEST), role) for text, role in line) for line in picture
    )
    click.echo(_coloured(picture) if has_colour() else plain(picture))


def _coloured(picture: Picture) -> str:
    return "\n".join(
        "".join(
            f"\x1b[{_SGR[role]}m{text}\x1b[0m" if role in _SGR and text.strip() else text
            for text, role in line
        )
        for line in picture
    )
