"""The one adapter for records of version 1: no series, no details, other names of events."""

from __future__ import annotations

import sqlite3

from tuitrain.core.events import Event, from_json
from tuitrain.store.schema import SERIES_TABLES

KINDS = {
    "wish_accepted": "command_accepted",
    "wish_refused": "command_refused",
    "wish_dropped": "command_dropped",
}
"""What an event of version 1 is called today. Rows are never rewritten: digests stand for them."""

COMMAND_ID = "coalesce(body ->> 'command', body ->> 'wish')"
"""SQL for the id of the command that a row answers, whatever its version."""


def event_of(kind: str, body: str) -> Event | None:
    """Return the event of a row of any version, as `tuitrain.core.events.from_json` does."""
    return from_json(KINDS.get(kind, kind), body.replace('"wish":', '"command":'))


def as_version_2(db: sqlite3.Connection, version: int) -> None:
    """Let an older record be read as one of today: in this connection it has no series but lr.

    The trainer that resumes such a run adds the tables to the record itself.
    """
    if version == 1:
        db.execute("pragma query_only = off")  # of temporary tables it would allow none, either
        db.executescript(SERIES_TABLES.replace("create table", "create temp table"))
        db.execute("pragma query_only = on")
