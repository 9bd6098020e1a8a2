"""The runs of a home as rows: what a list of them shows, and in which order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.safe import safe
from tuitrain.view import words
from tuitrain.view.model import Snapshot, State
from tuitrain.view.picture import Piece, Role

STATE_ROLES: dict[State, Role] = {
    "starting": "accent", "running": "good", "pausing": "warn", "paused": "warn",
    "finished": "accent", "stopped": "muted", "failed": "bad", "crashed": "bad",
}  # fmt: skip
COLUMNS = ("name", "state", "task", "loss", "epoch", "val loss", "best", "started")
NARROW = ("name", "state", "epoch", "val loss", "best")
ORDERS = ("newest", "name", "state", "task")
_STATES: tuple[State, ...] = (
    "running", "pausing", "paused", "starting", "crashed", "failed", "stopped", "finished"
)  # fmt: skip


class Row(NamedTuple):
    """A run in the list, or what keeps it from being read."""

    directory: Path
    run: Snapshot | None
    reason: str = ""

    @property
    def name(self) -> str:
        return safe(self.directory.name, limit=64)

    def cell(self, column: str) -> Piece:
        """Return what stands under that column."""
        if column == "name":
            return Piece(self.name, "strong")
        if self.run is None:
            text = {"state": "✗ unreadable", "best": self.reason}.get(column, "")
            return Piece(text, "bad")
        return _cell(self.run, column)


def ordered(rows: Iterable[Row], order: str, name_part: str = "") -> list[Row]:
    """Return the rows whose name has that part; newest first within what is otherwise equal."""
    shown = [row for row in rows if name_part.lower() in row.name.lower()]
    shown.sort(key=lambda row: row.run.created_at if row.run else -math.inf, reverse=True)
    if order == "name":
        shown.sort(key=lambda row: row.name)
    elif order == "state":
        shown.sort(key=lambda row: _STATES.index(row.run.state) if row.run else len(_STATES))
    elif order == "task":
        shown.sort(key=lambda row: row.run.spec.task if row.run else "~")
    return shown


def _cell(run: Snapshot, column: str) -> Piece:
    last, best = run.last_epoch, run.best
    match column:
        case "state":
            return Piece(f"● {run.state}", STATE_ROLES[run.state])
        case "task":
            return Piece(run.spec.task)
        case "loss":
            return Piece(run.loss)
        case "epoch":
            return Piece(f"{run.epoch}/{run.planned_epochs}")
        case "val loss":
            return Piece(words.value(last.val_loss if last else None), "validation")
        case "best":
            if best is None:
                return Piece("–", "muted")
            metric, number = next(iter(best.metrics.items()))
            return Piece(f"{metric} {words.value(number)}", "good")
        case _:
            return Piece(words.day(run.created_at), "muted")
