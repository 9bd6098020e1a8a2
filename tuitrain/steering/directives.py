"""Directives: what a loop is to do between two batches. Decided once, and applied wherever it runs.

They hold plain values alone, so that they can be sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.events import CheckpointSaved


@dataclass(frozen=True, slots=True)
class Hold:
    """Save the present and train no further batch until told to go on."""

    command: str | None
    """The id of the command that it carries out; None if nobody asked for it."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """Train again."""

    command: str | None


@dataclass(frozen=True, slots=True)
class Use:
    """Use another loss, or another value of a setting, from the next batch on."""

    command: str
    change: SwapLoss | Change
    saves_before: bool = True
    """Whether the present is saved first, so that the change can be undone."""


@dataclass(frozen=True, slots=True)
class GoBack:
    """Save the present, restore a checkpoint, and go on from it in a new take.

    A rollback keeps the settings of the present; an undo restores those of the checkpoint, too.
    """

    command: str
    why: Literal["undo", "rollback"]
    origin: CheckpointSaved
    take: int
    undone: str | None = None
    """Of an undo: the id of the command that it takes back."""


@dataclass(frozen=True, slots=True)
class Save:
    """Save a checkpoint, even if the last one is of the same place."""

    command: str
    why: str


@dataclass(frozen=True, slots=True)
class SaveBest:
    """Save the best epoch, if it is still a copy in memory."""

    command: str


@dataclass(frozen=True, slots=True)
class End:
    """Save the present and train no more."""

    command: str | None
    why: str


Directive = Hold | GoOn | Use | GoBack | Save | SaveBest | End
