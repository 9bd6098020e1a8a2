"""The list of runs: its rows, columns and orders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.safe import safe
from tuitrain.view.picture import Role, Span
from tuitrain.view.state.snapshot import Snapshot, State
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

STATE_ROLES: dict[State, Role] = {
    "starting": "accent", "running": "good", "pausing": "warn", "paused": "warn",
    "finished": "accent", "stopped": "muted", "failed": "bad", "crashed": "bad",
}  # fmt: skip
_COLUMNS = ("mark", "name", "state", "task", "loss", "epoch", "val loss", "best", "started")
_NARROW = ("mark", "name", "state", "epoch", "val loss", "best")
_WIDE = 110
"""Least width, in cells, for all columns."""
_PADDING = 2
"""Cells beside the text of a column."""
ORDERS = ("newest", "name", "state", "task")
_STATES: tuple[State, ...] = (
    "running", "pausing", "paused", "starting", "crashed", "failed", "stopped", "finished"
)  # fmt: skip


class Row(NamedTuple):
    """A run in the list, or the reason why it cannot be read."""

    directory: Path
    run: Snapshot | None
    reason: str = ""
    is_marked: bool = False

    @property
    def name(self) -> str:
        return safe(self.directory.name, limit=64)

    def allows(self, action: str) -> bool:
        """Return whether the run can be `open`ed, `stop`ped, `resume`d or `delete`d now."""
        has_ended = self.run is not None and self.run.has_ended
        match action:
            case "open":
                return self.run is not None
            case "stop":
                return self.run is not None and not has_ended
            case "resume":
                return has_ended and not (self.run and self.run.is_watched)
            case "delete":
                return self.run is None or has_ended
            case _:
                raise KeyError(action)

    def cell(self, column: str) -> Span:
        """Return the text and role of a cell."""
        if column == "mark":
            return Span("✓" if self.is_marked else "", "accent")
        if column == "name":
            return Span(self.name, "strong")
        if self.run is None:
            text = {"state": "✗ unreadable", "best": self.reason}.get(column, "")
            return Span(text, "bad")
        return _cell(self.run, column)


def columns(rows: Sequence[Row], width: int) -> tuple[str, ...]:
    """Return the columns whose numbers all fit in so many cells: the last ones are left out."""
    wide = (_COLUMNS, _COLUMNS[:-1]) if width >= _WIDE else ()
    narrow = (_NARROW[:last] for last in range(len(_NARROW), 3, -1))
    fitting = (names for names in (*wide, *narrow) if _cells(rows, names) <= width)
    return next(fitting, _NARROW[:3])


def _cells(rows: Sequence[Row], names: Sequence[str]) -> int:
    """Return the cells that columns fill; the reason why a run is unreadable may be cut."""
    readable = [row for row in rows if row.run is not None]
    texts = [
        ["✓" if name == "mark" else name, *(row.cell(name).text for row in readable)]
        for name in names
    ]
    return sum(max(map(width_of, column)) + _PADDING for column in texts)


def ordered(rows: Iterable[Row], order: str, name_part: str = "") -> list[Row]:
    """Return the rows whose name contains `name_part`; equal rows are newest first."""
    shown = [row for row in rows if name_part.lower() in row.name.lower()]
    shown.sort(key=lambda row: row.run.created_at if row.run else -math.inf, reverse=True)
    if order == "name":
        shown.sort(key=lambda row: row.name)
    elif order == "state":
        shown.sort(key=lambda row: _STATES.index(row.run.state) if row.run else len(_STATES))
    elif order == "task":
        shown.sort(key=lambda row: row.run.task if row.run else "~")
    return shown


def heading(rows: Sequence[Row], *, shown: int, order: str, name_part: str) -> str:
    """Return the line above the list: the numbers of runs, the order, and the keys."""
    if not rows:
        return " no runs yet: n begins one"
    live = sum(1 for row in rows if row.allows("stop"))
    marked = sum(1 for row in rows if row.is_marked)
    parts = [
        f" {shown} run{'' if shown == 1 else 's'}",
        f"{live} live",
        f"by {order}",
        "enter opens one",
        f"{marked} marked, C compares" if marked else "m marks, C compares",
    ]
    if name_part:
        parts.append(f"with {safe(name_part, limit=30)!r} in the name")
    return " · ".join(parts)


def to_compare(rows: Iterable[Row], highlighted: Row | None, marked: Sequence[Path]) -> list[Row]:
    """Return the rows of the marked runs.

    If fewer than two are marked, return the marked or highlighted run and the newest other run of
    its task.
    """
    readable = {row.directory: row for row in rows if row.run is not None}
    chosen = [readable[directory] for directory in marked if directory in readable]
    if len(chosen) > 1:
        return chosen
    one = chosen[0] if chosen else highlighted
    if one is None or one.run is None:
        return []
    others = [
        row
        for row in readable.values()
        if row.directory != one.directory and _task(row) == _task(one)
    ]
    return [one, *ordered(others, ORDERS[0])[:1]]


def _task(row: Row) -> str:
    return row.run.task if row.run else ""


def _cell(run: Snapshot, column: str) -> Span:
    last, best = run.last_epoch, run.monitored(run.best)
    match column:
        case "state":
            return Span(f"● {run.state}", STATE_ROLES[run.state])
        case "task":
            return Span(run.task)
        case "loss":
            return Span(run.loss or "–")
        case "epoch":
            return Span(run.epochs_words)
        case "val loss":
            return Span(words.value(last.val_loss if last else None), "validation")
        case "best":
            if best is None:
                return Span("–", "muted")
            return Span(f"{words.loss(run.monitor)} {words.value(best)}", "good")
        case _:
            return Span(words.day(run.created_at), "muted")
