"""The adapter for records of older versions.

Version 1 had no series, no details, no problem, and other event names. Up to version 2 the table of
the latest batch losses was called `glance`. Up to version 3 no extremes of many epochs were stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from tuitrain.catalog import problem_of_task
from tuitrain.core.events import Event, RunStarted, from_json
from tuitrain.core.problem import Problem
from tuitrain.store.paths import RunPaths
from tuitrain.store.schema import EPOCH_TABLES, SERIES_TABLES, VERSION

RENAMED_KINDS = {
    "wish_accepted": "command_accepted",
    "wish_refused": "command_refused",
    "wish_dropped": "command_dropped",
}
"""Today's kind for each kind of version 1. Rows are never rewritten: digests depend on them."""

COMMAND_ID = "coalesce(body ->> 'command', body ->> 'wish')"
"""SQL for the id of the command that a row answers, in either version."""


def event_of(kind: str, body: str) -> Event | None:
    """Return the event of a row of any version, as `tuitrain.core.events.from_json` does."""
    return from_json(RENAMED_KINDS.get(kind, kind), body.replace('"wish":', '"command":'))


Decode = Callable[[str, str], Event | None]
"""From the kind and the body of a row to its event."""


class DecodeEvents:
    """Decodes the rows of one record, a run that states no problem with that of its task."""

    def __init__(self, record: Path) -> None:
        self._directory = record.parent

    def __call__(self, kind: str, body: str) -> Event | None:
        """Return the event of a row; None for a kind that only a newer version knows."""
        event = event_of(kind, body)
        if isinstance(event, RunStarted) and event.problem == Problem():
            return replace(event, problem=self._problem)
        return event

    @cached_property
    def _problem(self) -> Problem:
        """Version 1 ran built-in tasks only, and recorded their names."""
        return problem_of_task(RunPaths(self._directory).read_spec().task)


def as_present_version(db: sqlite3.Connection, version: int) -> None:
    """Make an older record readable as one of today: this connection sees the tables of today.

    A trainer that resumes such a run adds the tables to the record itself.
    """
    if version == VERSION:
        return
    db.execute("pragma query_only = off")  # it would forbid temporary tables as well
    added = SERIES_TABLES + EPOCH_TABLES if version == 1 else EPOCH_TABLES
    db.executescript(added.replace("create table", "create temp table"))
    if version <= 2:
        db.execute("create temp view latest_batch_losses as select key, body from main.glance")
    db.execute("pragma query_only = on")
