"""Entries of the catalogue: their common fields, and the import of their builders."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuitrain.catalog.entry_options import Option
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.safe import safe


@dataclass(frozen=True, slots=True)
class Entry:
    """A task, model, loss or optimizer."""

    name: str
    place: str
    """`module:name` of its builder; imported by `load`, and copied into exported programs."""
    summary: str
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    needs_images: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of its builder that are no options."""

    def load(self) -> Any:
        """Import and return the builder of this entry."""
        return load(self.place)


def load(place: str) -> Any:
    """Import and return the object at `module:name`."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def read_options(entry: Entry, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of every option of `entry`, from `texts` or its default.

    Raises WrongUse for an unknown option or an invalid value.
    """
    values: dict[str, Any] = {key: option.default for key, option in entry.options.items()}
    for key, text in texts.items():
        if key not in entry.options:
            raise UnknownName("option", key, entry.options, where=f"of {entry.name}")
        try:
            values[key] = entry.options[key].read(text)
        except ValueError:
            option = entry.options[key]
            raise WrongUse(
                f"{entry.name}:{key} takes {option.type.description} ({option.description}), "
                f"not {safe(text, limit=40)}"
            ) from None
    return values
