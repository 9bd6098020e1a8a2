"""The rows of batches in a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from tuitrain.store.schema import BatchRow, from_column

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
