"""Opening a record read-only and without trusting it: it may come from anywhere."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import TakeOpened
from tuitrain.core.files import is_plain
from tuitrain.core.safe import safe
from tuitrain.store.older_versions import event_of
from tuitrain.store.schema import TABLES

_BUSY_S = 2.0
_READ_WITHIN_S = 60.0
"""Several times what reading a run of ten million batches takes."""
_LONGEST = 1 << 25
"""Largest size of a value, in bytes."""
_INSTRUCTIONS = 100_000
"""Instructions of SQLite between two checks of the time limit."""
_TABLES = {
    "batch", "rollup", "epoch", "latest_batch_losses", "event", "series", "measured", "bucket",
    "detail", "glance",
}  # fmt: skip
_BEFORE_ALL = -(1 << 63)
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,), "REAL": (float, int), "TEXT": (str,),
}  # fmt: skip


def open_read_only(path: Path) -> sqlite3.Connection:
    """Return a read-only connection; an immutable one where SQLite cannot create its side files.

    Raises DamagedRecord or OSError if the record cannot be opened.
    """
    _check_files(path)
    read_only = f"{path.absolute().as_uri()}?mode=ro"
    immutable = [] if path.with_name(path.name + "-wal").exists() else [f"{read_only}&immutable=1"]
    for uri in (read_only, *immutable):
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)
        try:
            _restrict(db)
            db.execute("pragma user_version").fetchone()
        except sqlite3.DatabaseError as error:
            db.close()
            reason = error
            continue
        return db
    raise DamagedRecord(f"its record: {safe(reason, limit=200)}")


def _check_files(path: Path) -> None:
    """Raise DamagedRecord unless all files that SQLite would open are plain files.

    SQLite would wait forever on a FIFO, and would create side files at the target of a link.
    """
    side_files = (path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))
    for file in (path, *side_files):
        if not is_plain(file):
            what = "a link" if file.is_symlink() else "not a plain file"
            raise DamagedRecord(f"its {file.name} is {what}")


def _restrict(db: sqlite3.Connection) -> None:
    give_up_at = time.monotonic() + _READ_WITHIN_S
    db.set_progress_handler(lambda: time.monotonic() > give_up_at, _INSTRUCTIONS)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    db.execute("pragma trusted_schema = off")
    db.execute("pragma query_only = on")


def check_tables(db: sqlite3.Connection) -> None:
    """Raise DamagedRecord unless our tables are real tables with strict column types.

    A view with the name of a table may never end, nor may a trigger, which the trainer would fire
    when it resumes the run. A column without a type may hold anything. A table may have been filled
    before its schema said strict: from now on, the connection checks each row that it returns.
    """
    if db.execute("select 1 from sqlite_schema where type = 'trigger'").fetchone():
        raise DamagedRecord("its record is damaged: it has a trigger")
    for _, name, kind, _, _, is_strict in db.execute("pragma main.table_list"):
        if name.lower() in _TABLES and not (kind == "table" and is_strict):
            raise DamagedRecord(
                f"its record is damaged: {safe(name, limit=40)} is not a strict table"
            )

    db.row_factory = _checked_row


@cache
def _column_types() -> dict[str, tuple[type, ...]]:
    """Return the Python types of each column; columns of one name have one type in all tables."""
    types: dict[str, tuple[type, ...]] = {}
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        for table in _TABLES:
            for _, name, kind, not_null, _, in_key in db.execute(f"pragma table_info({table})"):
                nullable = () if not_null or in_key else (type(None),)
                types[name] = (*_PYTHON_TYPES[kind], *nullable)
    return types


def _checked_row(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the row; DamagedRecord if a value is not of its column's type."""
    types = _column_types()
    for column, value in zip(cursor.description, row, strict=True):
        expected = types.get(column[0])
        if expected is not None and type(value) not in expected:
            raise DamagedRecord(f"its record is damaged: a {column[0]} is {value!r:.40}")
    return row


class Takes(NamedTuple):
    """The takes of a record that were checked: each must continue an earlier one."""

    event: int = _BEFORE_ALL
    """The id of the newest event that was checked."""
    left_at: tuple[int, ...] = ()
    """The last step of each take except the newest."""

    def checked(self, db: sqlite3.Connection) -> Takes:
        """Return these takes with the newer ones added.

        Raises DamagedRecord if a take does not continue an earlier one.
        """
        (newest,) = db.execute("select max(id) from event").fetchone()
        if newest is None or newest <= self.event:
            return self
        left_at = list(self.left_at)
        for (body,) in db.execute(
            "select body from event where id > ? and id <= ? and kind = ? order by id",
            (self.event, newest, TakeOpened.kind),
        ):
            opening = event_of(TakeOpened.kind, body)
            assert isinstance(opening, TakeOpened)
            left_at.append(opening.left_at)
            if opening.take != len(left_at) + 1 or opening.step > left_at[opening.origin_take - 1]:
                raise DamagedRecord(
                    f"its record is damaged: take {opening.take} cannot continue at step "
                    f"{opening.step} of take {opening.origin_take}"
                )
        return Takes(newest, tuple(left_at))
