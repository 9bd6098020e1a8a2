"""Themes from TOML files with the colours of screen and charts: ours, and the user's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from textual.color import Color, ColorParseError
from textual.theme import Theme

from tuitrain.core.errors import DamagedRecord, WrongUse
from tuitrain.core.files import read_text
from tuitrain.core.safe import safe
from tuitrain.tui.theme_files import DEFAULT, DEFAULT_LIGHT, shipped

FOLDER = "themes"
"""The folder of the user's own themes, in the home folder."""

_LARGEST = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A name in a style sheet."""

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change in ns and size of each file."""


class Own(NamedTuple):
    """The user's themes, and the complaints about the files that are none."""

    themes: list[Theme]
    complaints: list[str]


def load() -> list[Theme]:
    """Return the themes that come with tuitrain."""
    return [Theme(**tomllib.loads(path.read_text())) for path in sorted(shipped().glob("*.toml"))]


def own(folder: Path, ours: list[Theme]) -> Own:
    """Return the themes of a folder, each named as its file.

    A colour that a file leaves out is that of our dark theme, or of our light one if it says
    `dark = false`.
    """
    loaded = Own([], [])
    for path in _files(folder):
        try:
            loaded.themes.append(_theme(path, {theme.name: theme for theme in ours}))
        except WrongUse as error:
            loaded.complaints.append(f"{FOLDER}/{safe(path.name)}: {safe(error)}")
    return loaded


def stamp(folder: Path) -> Stamp:
    """Return what changes when a theme of the folder is written, added or removed."""
    stamps = []
    for path in _files(folder):
        try:
            status = path.stat()
        except OSError:  # removed just now, or a link to nothing
            continue
        stamps.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(stamps)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))


def _theme(path: Path, ours: Mapping[str, Theme]) -> Theme:
    if not _NAME.fullmatch(path.stem):
        raise WrongUse("a theme's name has letters, digits, - and _ only")
    table = _read(path)
    is_dark = table.pop("dark", True)
    if not isinstance(is_dark, bool):
        raise WrongUse("dark must be true or false")
    table.pop("name", None)
    variables = table.pop("variables", {})
    like = ours[DEFAULT if is_dark else DEFAULT_LIGHT]
    default = {name: str(getattr(like, name)) for name in _COLOURS}
    colours = _checked(table, default) | {
        "variables": _checked(variables if isinstance(variables, dict) else {}, like.variables)
    }
    return Theme(name=path.stem, dark=is_dark, **colours)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, most=_LARGEST))
    except (OSError, ValueError, RecursionError, DamagedRecord) as error:
        raise WrongUse(f"cannot be read: {error}") from None


def _checked(given: Mapping[str, Any], default: Mapping[str, str]) -> dict[str, Any]:
    """Return the default colours with those that are given in their places."""
    for name, colour in given.items():
        if name not in default:
            raise WrongUse(f"there is no colour {name!r:.40}; there are {', '.join(default)}")
        try:
            Color.parse(colour)
        except (ColorParseError, TypeError, AttributeError):
            raise WrongUse(f"{name} = {colour!r:.40} is no colour; '#6ec6ff' is one") from None
    return {**default, **given}


_COLOURS = (
    "primary", "secondary", "accent", "foreground", "background", "surface", "panel", "success",
    "warning", "error",
)  # fmt: skip
"""The colours of a theme above its variables."""
