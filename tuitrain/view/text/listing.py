"""The rows of a list of runs, their columns and orders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.safe import safe
from tuitrain.view.picture import Span, ThemeRole
from tuitrain.view.state.made_of import tags_of
from tuitrain.view.state.metrics import comparable_metrics, monitor_of, monitored
from tuitrain.view.state.progress import epochs_words
from tuitrain.view.state.snapshot import Snapshot, State
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, width_of

STATE_ROLES: dict[State, ThemeRole] = {
    "starting": "accent", "running": "good", "pausing": "warn", "paused": "warn",
    "finished": "accent", "stopped": "muted", "failed": "bad", "crashed": "bad",
}  # fmt: skip
_COLUMNS = (
    "mark", "name", "state", "task", "loss", "trend", "epoch", "val loss", "best", "tags", "started"
)  # fmt: skip
_LEFT_OUT = ("started", "loss", "task", "trend", "tags", "best", "val loss", "epoch")
"""The columns that are left out where there is no room, the first ones first."""
TREND_CELLS = 10
_TAG_CELLS = 24
_METRIC_CELLS = 18
"""Cells for the name of the metric that decides the best epoch: a user's own may be long."""
_NAMED = 5
"""Names in a question about several runs."""
_LEAST = {"name": 12, "tags": 8}
"""Cells down to which a text is cut before a column is left out."""
_PADDING = 2
"""Cells beside the text of a column."""
ORDERS = ("newest", "name", "state", "task", "best")
_STATES: tuple[State, ...] = (
    "running", "pausing", "paused", "starting", "crashed", "failed", "stopped", "finished"
)  # fmt: skip


class Row(NamedTuple):
    """A run in the list, or the reason why it cannot be read."""

    directory: Path
    run: Snapshot | None
    reason: str = ""
    is_marked: bool = False
    trend: str = ""
    """Its training losses as a line of blocks."""

    @property
    def name(self) -> str:
        return safe(self.directory.name, limit=64)

    @property
    def tags(self) -> tuple[str, ...]:
        return tags_of(self.run) if self.run else ()

    @property
    def words(self) -> str:
        """The text that a filter searches: its name, task and tags, in small letters."""
        task = self.run.task if self.run else ""
        return " ".join([self.name, task, *(f"#{tag}" for tag in self.tags)]).lower()

    def allows(self, action: str) -> bool:
        """Return whether the run can be `open`ed, `stop`ped, `resume`d or `delete`d now."""
        has_ended = self.run is not None and self.run.has_ended
        match action:
            case "open" | "tag":
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
        if column == "trend":
            return Span(self.trend, "smooth")
        if self.run is None:
            text = {"state": "✗ unreadable", "best": self.reason}.get(column, "")
            return Span(text, "bad")
        return _cell(self.run, column)


class Columns(NamedTuple):
    """The columns that a list shows, and the cells for the names of runs and for their tags."""

    names: tuple[str, ...]
    name_cells: int
    tag_cells: int


def columns(rows: Sequence[Row], width: int) -> Columns:
    """Return the columns that fit in so many cells.

    Tags are cut before a column is left out, and names before tags.
    """
    cells = {name: _cells(rows, name) for name in _COLUMNS}
    least = {name: min(_LEAST.get(name, cells[name]), cells[name]) for name in _COLUMNS}
    shown = [name for name in _COLUMNS if name != "tags" or any(row.tags for row in rows)]
    for left_out in _LEFT_OUT:
        if sum(least[name] + _PADDING for name in shown) <= width:
            break
        shown = [name for name in shown if name != left_out]
    room = width - sum(least[name] + _PADDING for name in shown)
    fitted = dict(least)
    for name in ("tags", "name"):
        if name in shown:
            fitted[name] += max(0, min(room, cells[name] - least[name]))
            room -= fitted[name] - least[name]
    return Columns(tuple(shown), fitted["name"], fitted["tags"])


def _cells(rows: Sequence[Row], name: str) -> int:
    """Return the cells that a column fills; the reason why a run is unreadable may be cut."""
    if name == "mark":
        return 1
    if name == "trend":  # a fixed width: a run that begins moves nothing
        return TREND_CELLS
    shown = (row for row in rows if row.run is not None or name == "name")
    texts = [name, *(row.cell(name).text for row in shown)]
    return max(map(width_of, texts))


def ordered(rows: Iterable[Row], order: str, wanted: str = "") -> list[Row]:
    """Return the rows that have each wanted word in their name, task or a tag.

    Equal rows are newest first; by `best`, runs are beside those that they compare with.
    """
    shown = [row for row in rows if all(word in row.words for word in wanted.lower().split())]
    shown.sort(key=lambda row: row.run.created_at if row.run else -math.inf, reverse=True)
    if order == "name":
        shown.sort(key=lambda row: row.name)
    elif order == "state":
        shown.sort(key=lambda row: _STATES.index(row.run.state) if row.run else len(_STATES))
    elif order == "task":
        shown.sort(key=lambda row: row.run.task if row.run else "~")
    elif order == "best":
        shown.sort(key=_by_best)
    return shown


def _by_best(row: Row) -> tuple[str, str, bool, float]:
    """Return the key that sorts by task, monitor, and its best value, the better ones first."""
    run = row.run
    if run is None:
        return "~", "", True, 0.0
    best = monitored(run, run.best)
    signs = {metric.name: metric.sign for metric in comparable_metrics(run.problem)}
    value = math.nan if best is None else -signs.get(monitor_of(run), -1) * best
    return run.task, monitor_of(run), math.isnan(value), 0.0 if math.isnan(value) else value


def to_be_deleted(rows: Sequence[Row]) -> str:
    """Return the question before these runs are deleted."""
    if len(rows) == 1:
        return f"Delete {rows[0].name} for good, with its record and checkpoints?"
    named = ", ".join(row.name for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f"Delete {len(rows)} runs for good, with records and checkpoints: {named}{more}?"


def _cell(run: Snapshot, column: str) -> Span:
    last = run.last_epoch
    match column:
        case "state":
            return Span(f"● {run.state}", STATE_ROLES[run.state])
        case "task":
            return Span(run.task)
        case "loss":
            return Span(run.loss or "–")
        case "epoch":
            return Span(epochs_words(run))
        case "val loss":
            return Span(words.value(last.val_loss if last else None), "validation")
        case "best":
            return _best(run)
        case "tags":
            return Span(cut(" ".join(tags_of(run)), _TAG_CELLS), "accent")
        case _:
            return Span(words.day(run.created_at), "muted")


def _best(run: Snapshot) -> Span:
    best = monitored(run, run.best)
    if best is None:
        return Span("–", "muted")
    name = cut(words.loss(monitor_of(run)), _METRIC_CELLS)
    return Span(f"{name} {words.value(best)}", "good")
