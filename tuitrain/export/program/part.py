"""Pieces of a program: text, and what it needs to stand before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

TORCH = "import torch"
NN = "from torch import nn"
PARTIAL = "from functools import partial"
MATH = "import math"
FUNCTIONAL = "from torch.nn import functional"
WIDTH = 88
"""Of a line, as most formatters have it."""


class Part(NamedTuple):
    """A piece of a program; no text is no piece."""

    text: str
    imports: tuple[str, ...] = ()
    functions: tuple[Part, ...] = ()
    """Those that it calls."""


def joined(parts: Iterable[Part]) -> Part:
    """Return one piece of several that follow one another."""
    parts = list(parts)
    return Part(
        "".join(part.text for part in parts),
        tuple(line for part in parts for line in part.imports),
        tuple(function for part in parts for function in part.functions),
    )


def quoted(text: str) -> str:
    """Return `text` as a literal, in the quotes that most programs have."""
    literal = repr(text)
    return literal if '"' in text or "'" in text else f'"{literal[1:-1]}"'


def keywords(**options: Any) -> list[str]:
    """Return the options as arguments of a call."""
    return [
        f"{name}={quoted(value) if isinstance(value, str) else repr(value)}"
        for name, value in options.items()
    ]


def indented(lines: list[str], depth: int) -> str:
    """Return lines at that depth of a program, each ended."""
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


def fitted(call: str, *arguments: str) -> str:
    """Return the line of a call, which `call` opens, as formatters lay it out."""
    inside = ", ".join(arguments)
    line = f"{call}{inside})\n"
    return line if len(line) <= WIDTH + 1 else f"{call}\n    {inside}\n)\n"
