"""The adapter for records of version 1: no series, no details, other names of events."""

from __future__ import annotations

import sqlite3

from tuitrain.core.events import Event, from_json
from tuitrain.store.schema import SERIES_TABLES

KINDS = {
    "wish_accepted": "command_accepted",
    "wish_refused": "command_refused",
    "wish_dropped": "command_dropped",
}
"""Today's kind for each kind of version 1. Rows are never rewritten: digests depend on them."""

COMMAND_ID = "coalesce(body ->> 'command', body ->> 'wish')"
"""SQL for the id of the command that a row answers, in either version."""


def event_of(kind: str, body: str) -> Event | None:
    """Return the event of a row of any version, as `tuitrain.core.events.from_json` does."""
    return from_json(KINDS.get(kind, kind), body.replace('"wish":', '"command":'))


def as_version_2(db: sqlite3.Connection, version: int) -> None:
    """Make an older record readable as version 2: this connection sees empty series tables.

    A trainer that resumes such a run adds the tables to the record itself.
    """
    if version == 1:
        db.execute("pragma query_only = off")  # it would forbid temporary tables as well
        db.executescript(SERIES_TABLES.replace("create table", "create temp table"))
        db.execute("pragma query_only = on")
