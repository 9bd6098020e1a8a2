"""The write side of a run: append-only, one transaction a flush. Only its trainer opens it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.events import EpochEnded, Event, to_json
from tuitrain.store.rollup import Rollup
from tuitrain.store.schema import TABLES, VERSION, BatchRow, key_of, split


class Stamped(NamedTuple):
    """An event and when it was recorded."""

    at: float
    """Seconds since the epoch; for showing only, since that clock can jump."""
    elapsed_ms: int
    event: Event


class RunWriter:
    """Append batches and events to one run's record."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(TABLES)
        self._connection.execute(f"pragma user_version = {VERSION}")
        self._rollups: dict[int, Rollup] = {}

    def write(self, batches: Sequence[BatchRow], events: Sequence[Stamped]) -> None:
        """Append all of it, or nothing."""
        rollups = {take: rollup.copy() for take, rollup in self._rollups.items()}
        self._connection.execute("begin immediate")
        try:
            self._write_batches(batches)
            for stamped in events:
                self._write_event(stamped)
            self._connection.execute("commit")
        except BaseException:
            self._rollups = rollups
            if self._connection.in_transaction:  # a full disk may have ended it already
                self._connection.execute("rollback")
            raise

    def known_wishes(self) -> set[str]:
        """Return the ids of all wishes that were ever answered."""
        rows = self._connection.execute(
            "select body ->> 'wish' from event where kind in ('wish_accepted', 'wish_refused')"
        )
        return {wish for (wish,) in rows}

    def close(self) -> None:
        """Leave one plain file behind, readable even where nothing can be written."""
        with suppress(sqlite3.OperationalError):  # somebody reads just now: the WAL may stay
            self._connection.execute("pragma journal_mode = delete")
        self._connection.close()

    def _write_batches(self, batches: Sequence[BatchRow]) -> None:
        self._connection.executemany(
            "insert into batch values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batches
        )
        for take, rows in groupby(batches, key=lambda row: split(row.key)[0]):
            losses = [(row.key, row.loss) for row in rows]
            rollup = self._rollups.setdefault(take, Rollup())
            complete = rollup.add(split(losses[0][0])[1], [loss for _, loss in losses])
            self._connection.executemany(
                "insert into rollup values (?, ?, ?, ?, ?, ?)",
                [
                    (key_of(take, bucket.first), level,
                     bucket.low, bucket.high, bucket.total, bucket.finite)
                    for level, bucket in complete
                ],
            )  # fmt: skip

    def _write_event(self, stamped: Stamped) -> None:
        at, elapsed_ms, event = stamped
        if isinstance(event, EpochEnded):
            self._connection.execute(
                "insert into epoch values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key_of(event.take, event.step), elapsed_ms, event.epoch, event.loss_name,
                    event.train_loss, event.val_loss, event.improved, to_json(event),
                ),
            )  # fmt: skip
            return
        self._connection.execute(
            "insert into event (at, elapsed_ms, kind, body) values (?, ?, ?, ?)",
            (at, elapsed_ms, event.kind, to_json(event)),
        )
