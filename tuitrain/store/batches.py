"""The rows of batches in a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from tuitrain.store.schema import STEP_BITS, BatchRow, from_column, key_of

BATCHES = f"select {', '.join(BatchRow._fields)} from batch"  # noqa: S608 - our own words
"""A query for batches that still needs its conditions."""


def batch_of(row: Sequence[float]) -> BatchRow:
    """Return the batch of a row of `BATCHES`."""
    batch = BatchRow._make(row)
    return batch._replace(loss=from_column(batch.loss))


def newest_batch(db: sqlite3.Connection) -> BatchRow | None:
    """Return the batch with the highest key."""
    row = db.execute(f"{BATCHES} order by key desc limit 1").fetchone()
    return batch_of(row) if row else None


def elapsed(db: sqlite3.Connection, take: int, steps: Iterable[int]) -> list[tuple[int, int]]:
    """Return (step, training time in ms) of these steps of a take; unrecorded ones are left out."""
    query = "select key, elapsed_ms from batch where key = ?"
    rows = (db.execute(query, (key_of(take, step),)).fetchone() for step in steps)
    return [(row[0] & STEP_BITS, row[1]) for row in rows if row]
