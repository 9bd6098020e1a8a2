"""Parts of a program: text, with the imports and functions that must precede it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

TORCH = "import torch"
NN = "from torch import nn"
PARTIAL = "from functools import partial"
MATH = "import math"
WIDTH = 88
"""Longest line, the default of most formatters."""


class Part(NamedTuple):
    """A part of a program; one with empty text adds nothing."""

    text: str
    imports: tuple[str, ...] = ()
    functions: tuple[Part, ...] = ()
    """The functions that the text calls."""


def joined(parts: Iterable[Part]) -> Part:
    """Return consecutive parts as one part."""
    parts = list(parts)
    return Part(
        "".join(part.text for part in parts),
        tuple(line for part in parts for line in part.imports),
        tuple(function for part in parts for function in part.functions),
    )


def quoted(text: str) -> str:
    """Return `text` as a literal, in double quotes if possible."""
    literal = repr(text)
    return literal if '"' in text or "'" in text else f'"{literal[1:-1]}"'


def keywords(**options: Any) -> list[str]:
    """Return the options as keyword arguments of a call."""
    return [
        f"{name}={quoted(value) if isinstance(value, str) else repr(value)}"
        for name, value in options.items()
    ]


def indented(lines: list[str], depth: int) -> str:
    """Return the lines indented to `depth`, each with a newline."""
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


def call_text(call: str, *arguments: str) -> str:
    """Return a call that begins with `call`, on one line if it fits, as a formatter would."""
    inside = ", ".join(arguments)
    line = f"{call}{inside})\n"
    return line if len(line) <= WIDTH + 1 else f"{call}\n    {inside}\n)\n"
