"""The series of a record: their names, values and summaries."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.series import LR, Series
from tuitrain.store import track
from tuitrain.store.rollup import joined
from tuitrain.store.schema import STEP_BITS, from_column, key_of, split
from tuitrain.store.track import Track

_MOST = 1_000
"""Series that are read from a record."""

Part = tuple[int, tuple[int, int]]
"""A take, and the (first, last) steps in it."""


class RecordedSeries(NamedTuple):
    """A series and its track in the record."""

    series: Series
    track: Track


class Summary(NamedTuple):
    """The last, lowest and highest value of a series; low and high are NaN if none was finite."""

    series: Series
    last: float
    low: float
    high: float

    def after(self, earlier: Summary | None) -> Summary:
        """Return this summary merged with an earlier one of the same series."""
        if earlier is None:
            return self
        lows = [low for low in (earlier.low, self.low) if low == low]
        highs = [high for high in (earlier.high, self.high) if high == high]
        return self._replace(low=min(lows, default=math.nan), high=max(highs, default=math.nan))


class Value(NamedTuple):
    """A recorded value of a series."""

    step: int
    value: float
    elapsed_ms: int
    """Training time of the run when that step was trained; 0 if there is no batch of that step."""


def tracks(db: sqlite3.Connection) -> dict[str, RecordedSeries]:
    """Return all series by name, the learning rate first.

    Raises DamagedRecord for a series that no trainer could have written.
    """
    rows = db.execute("select id, name, unit, per from series order by id limit ?", (_MOST,))
    by_name = {LR.name: RecordedSeries(LR, track.LR)}
    for number, *fields in rows:
        series = _series(*fields)
        by_name.setdefault(series.name, RecordedSeries(series, track.track_of(number)))
    return by_name


def summaries(db: sqlite3.Connection, parts: Sequence[Part]) -> tuple[Summary, ...]:
    """Return a summary of each series that has values in these parts, given oldest first."""
    all_series = (_summary(db, recorded, parts) for recorded in tracks(db).values())
    return tuple(summary for summary in all_series if summary is not None)


def part_after(key: int, take: int) -> Part:
    """Return the part of the present take since the batch with that key."""
    key_take, step = split(key)
    return take, (step if key_take == take else 0, STEP_BITS)


def values(
    db: sqlite3.Connection, series: Series, take: int, steps: tuple[int, int], most: int
) -> list[Value]:
    """Return the first `most` values of the steps (first, last), in order."""
    rows = db.execute(
        "select measured.key, value, coalesce(elapsed_ms, 0) from measured"
        " left join batch on batch.key = measured.key"
        " where series = (select id from series where name = ?) and measured.key between ? and ?"
        " order by measured.key limit ?",
        (series.name, key_of(take, steps[0]), key_of(take, min(steps[1], STEP_BITS)), most),
    )
    return [
        Value(key & STEP_BITS, from_column(value), elapsed_ms) for key, value, elapsed_ms in rows
    ]


def _summary(
    db: sqlite3.Connection, recorded: RecordedSeries, parts: Iterable[Part]
) -> Summary | None:
    last, buckets = None, []
    for take, steps in parts:
        newest = track.newest(db, recorded.track, take, steps)
        if newest is not None:  # mostly there is none since the last look
            last = newest
            buckets += track.read(db, recorded.track, take, steps, track.HIGHEST)
    if last is None:
        return None
    whole = joined(buckets)
    return Summary(recorded.series, last[1], whole.low, whole.high)


def _series(name: str, unit: str, per: str) -> Series:
    try:
        return decoded(Series, {"name": name, "unit": unit, "per": per})
    except DamagedRecord as error:
        raise DamagedRecord(f"its record is damaged: in a series, {error}") from None
