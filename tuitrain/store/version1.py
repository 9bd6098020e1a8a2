"""The one adapter for records of version 1, which have neither series nor details."""

from __future__ import annotations

import sqlite3

from tuitrain.store.schema import SERIES_TABLES


def as_version_2(db: sqlite3.Connection, version: int) -> None:
    """Let an older record be read as one of today: in this connection it has no series but lr.

    The trainer that resumes such a run adds the tables to the record itself.
    """
    if version == 1:
        db.execute("pragma query_only = off")  # of temporary tables it would allow none, either
        db.executescript(SERIES_TABLES.replace("create table", "create temp table"))
        db.execute("pragma query_only = on")
