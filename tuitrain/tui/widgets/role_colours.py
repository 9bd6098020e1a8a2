"""The colours of the roles of cells, which the theme in use gives them."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.color import Color

_VARIABLES = {
    "good": "success", "bad": "error", "warn": "warning", "strong": "foreground",
    "text": "foreground", "accent": "accent",
}  # fmt: skip


def variable_of(role: str) -> str:
    """Return the name of the variable that has the colour of a role in every theme."""
    return _VARIABLES.get(role, f"cell-{role}")


def colour_of(role: str, app: App[Any]) -> Color:
    """Return the colour of a role in the theme that the app shows now."""
    return Color.parse(app.theme_variables[variable_of(role)])
