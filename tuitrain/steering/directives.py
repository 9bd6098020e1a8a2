"""Directives: actions of a loop between two batches. Decided once, applied on every device.

They hold only plain values, so that they can be sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.events import CheckpointSaved


@dataclass(frozen=True, slots=True)
class Hold:
    """Save a checkpoint and train no further batch until `Continue`."""

    command: str | None
    """The id of its command; None if it does not come from a command."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Continue training."""

    command: str | None


@dataclass(frozen=True, slots=True)
class MakeChange:
    """Use another loss, or another value of a setting, from the next batch on."""

    command: str
    change: SwapLoss | Change
    saves_before: bool = True
    """Whether to save a checkpoint first, so that the change can be undone."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Save a checkpoint, restore an older one, and continue from it in a new take.

    A rollback keeps the current settings; an undo restores those of the checkpoint, too.
    """

    command: str
    why: Literal["undo", "rollback"]
    origin: CheckpointSaved
    take: int
    undone: str | None = None
    """Of an undo: the id of the command that it reverts."""


@dataclass(frozen=True, slots=True)
class Save:
    """Save a checkpoint, even if the last one has the same position."""

    command: str
    why: str


@dataclass(frozen=True, slots=True)
class SaveBest:
    """Save the best epoch, if it is still a copy in memory."""

    command: str


@dataclass(frozen=True, slots=True)
class End:
    """Save a checkpoint and stop training."""

    command: str | None
    why: str
    is_failure: bool = False
    """Whether `why` is an error."""


@dataclass(frozen=True, slots=True)
class SweepRate:
    """Train batches at rising learning rates, and undo them.

    It changes nothing, so the loop carries it out itself, and `apply` does not know it.
    """

    command: str


Directive = Hold | Continue | MakeChange | Restore | Save | SaveBest | End
