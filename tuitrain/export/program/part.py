"""Pieces of a program in PyTorch: text, and the imports that it needs."""

from __future__ import annotations

from typing import NamedTuple

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


def quoted(text: str) -> str:
    """Return `text` as a literal, in the quotes that most programs have."""
    literal = repr(text)
    return literal if '"' in text or "'" in text else f'"{literal[1:-1]}"'


def indented(lines: list[str], depth: int) -> str:
    """Return lines at that depth of a program, each ended."""
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


def fitted(call: str, arguments: str) -> str:
    """Return the line of a call, which `call` opens, as formatters lay it out."""
    line = f"{call}{arguments})\n"
    return line if len(line) <= WIDTH + 1 else f"{call}\n    {arguments}\n)\n"
