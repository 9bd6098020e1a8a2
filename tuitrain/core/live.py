"""Changes of an option while the run trains: boundary, command of `ctl`, dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Stride(NamedTuple):
    """The change that a key makes to a number."""

    key: str
    sign: str
    description: str
    made: Callable[[float], float]


TWICE = (
    Stride("up", "↑", "×2", lambda number: number * 2),
    Stride("down", "↓", "÷2", lambda number: number / 2),
)
TENFOLD = (
    *TWICE,
    Stride("pageup", "PgUp", "×10", lambda number: number * 10),
    Stride("pagedown", "PgDn", "÷10", lambda number: number / 10),
)
BY_ONE = (
    Stride("up", "↑", "+1", lambda number: number + 1),
    Stride("down", "↓", "−1", lambda number: number - 1),
    Stride("pageup", "PgUp", "+10", lambda number: number + 10),
    Stride("pagedown", "PgDn", "−10", lambda number: number - 10),
)


class Dialog(NamedTuple):
    """The dialog of the app that asks for a number."""

    title: str
    question: str
    strides: tuple[Stride, ...]
    begin: float = 1.0
    """The number that a stride starts from if the setting is off or 0."""


@dataclass(frozen=True, slots=True)
class Live:
    """The change of an option in a live run: by `tuitrain ctl`, and by a dialog of the app."""

    help: str
    """What the command of `ctl` does."""
    example: str
    """A value for its help."""
    dialog: Dialog | None = None
    boundary: Literal["batch", "epoch"] = "batch"
    """Where it takes effect, unless the command says otherwise."""
