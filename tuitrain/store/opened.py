"""A record is opened as what anybody may have sent: it is read, and nothing in it is obeyed."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import TakeOpened
from tuitrain.core.files import is_plain
from tuitrain.core.safe import safe
from tuitrain.store.version1 import event_of

_BUSY_S = 2.0
_READ_WITHIN_S = 60.0
"""What a read of a run of ten million batches takes, several times over."""
_LONGEST = 1 << 25
"""Bytes of a value."""
_INSTRUCTIONS = 100_000
"""Between two looks at the clock."""
_TABLES = {
    "batch", "rollup", "epoch", "glance", "event", "series", "measured", "bucket", "detail",
}  # fmt: skip
_BEFORE_ALL = -(1 << 63)


def opened(path: Path) -> sqlite3.Connection:
    """Open read-only; where not even SQLite's own side files can be made, as a file at rest.

    Raises DamagedRecord or OSError for what cannot be opened.
    """
    _check_files(path)
    plain = f"{path.absolute().as_uri()}?mode=ro"
    at_rest = [] if path.with_name(path.name + "-wal").exists() else [f"{plain}&immutable=1"]
    for uri in (plain, *at_rest):
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
    """Look at what SQLite would open.

    A FIFO would make it wait for good, and where a link leads, it would make side files.
    """
    sides = (path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))
    for file in (path, *sides):
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
    """Raise DamagedRecord unless what is read are tables whose columns keep their types.

    A view of that name may be without an end, and a column without a type may hold anything.
    """
    for _, name, kind, _, _, is_strict in db.execute("pragma main.table_list"):
        if name.lower() in _TABLES and not (kind == "table" and is_strict):
            raise DamagedRecord(
                f"its record is damaged: {safe(name, limit=40)} is no table of ours"
            )


class Takes(NamedTuple):
    """The takes of a record that were looked at: each goes on from one that came before it."""

    event: int = _BEFORE_ALL
    """The newest event that was looked at."""
    left_at: tuple[int, ...] = ()
    """The last step of each take but the newest."""

    def checked(self, db: sqlite3.Connection) -> Takes:
        """Return what is known with the newer events; DamagedRecord if takes do not fit."""
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
                    f"its record is damaged: take {opening.take} cannot go on at step "
                    f"{opening.step} of take {opening.origin_take}"
                )
        return Takes(newest, tuple(left_at))
