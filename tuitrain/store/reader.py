"""The read side of a run: short reads over a connection of their own, never a transaction kept.

A reader that stays in a transaction would make the trainer's write-ahead log grow without bound.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tuitrain.core.decode import parsed, value_of
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import EpochEnded, Event, TakeOpened
from tuitrain.core.safe import safe
from tuitrain.core.segment import Segment
from tuitrain.core.series import Series
from tuitrain.store import series, track
from tuitrain.store.opened import Takes, check_tables
from tuitrain.store.opened import opened as _open
from tuitrain.store.rollup import Bucket
from tuitrain.store.schema import STEP_BITS, VERSION, BatchRow, from_column, key_of, split
from tuitrain.store.series import Summary, Value
from tuitrain.store.version1 import as_version_2, event_of

EPOCHS_KEPT = 500
"""Of the newest epochs, so many are read for a screen."""


class Cursor(NamedTuple):
    """How far a reader has read."""

    event: int = 0
    epoch: int = 0
    batch: int = 0


class Recorded(NamedTuple):
    """An event as the record has it."""

    id: int
    at: float
    elapsed_s: float
    event: Event


class RecordedEpoch(NamedTuple):
    """An epoch as the record has it."""

    elapsed_s: float
    ended: EpochEnded


class Delta(NamedTuple):
    """What was appended since a cursor, and the cursor to ask with next."""

    events: tuple[Recorded, ...]
    epochs: tuple[EpochEnded, ...]
    """Oldest first; the last few hundred at most."""
    latest: BatchRow | None
    cursor: Cursor
    best: EpochEnded | None = None
    """The last epoch before these that was better than all before it, where it was looked for."""
    is_anew: bool = False
    """Epochs and series are all that a screen needs, in place of what was read before."""
    series: tuple[Summary, ...] = ()
    """What each series has had since then, where segments are asked for."""


SegmentsAfter = Callable[[Sequence[Recorded]], Sequence[Segment]]
"""From the events that are new to the segments whose epochs are wanted."""


EpochPart = Literal["metrics", "val_losses"]
"""Where an epoch has its numbers by name."""


class Best(NamedTuple):
    """The best value of a number so far, and the epoch that had it."""

    value: float
    epoch: int


class RunReader:
    """Read one run's record, which may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._takes = Takes()

    def since(self, cursor: Cursor, segments_after: SegmentsAfter | None = None) -> Delta:
        """Return what is new after `cursor`, all of it as it was at one moment.

        With `segments_after`, epochs and series are those of these segments. They are read anew
        where the new ones do not do: at first, after a long sleep, and where another take was
        opened.
        """
        with self._moment() as db:
            if db is None:
                return Delta((), (), None, cursor)
            events = db.execute(
                "select id, at, elapsed_ms, kind, body from event where id > ? order by id",
                (cursor.event,),
            ).fetchall()
            recorded = tuple(
                Recorded(number, at, elapsed_ms / 1000, event)
                for number, at, elapsed_ms, kind, body in events
                if (event := event_of(kind, body)) is not None
            )
            rows = _newest_epochs(db, cursor.epoch)
            latest = db.execute(f"{_BATCH} order by key desc limit 1").fetchone()
            delta = Delta(
                recorded,
                tuple(_epoch(body) for _, body in rows),
                _batch(latest) if latest else None,
                Cursor(
                    events[-1][0] if events else cursor.event,
                    rows[-1][0] if rows else cursor.epoch,
                    latest[0] if latest else cursor.batch,
                ),
            )
            if segments_after is not None:
                return _of_segments(db, delta, cursor, segments_after(recorded))
            if cursor.epoch == 0 and rows:
                return delta._replace(best=_best_before(db, rows[0][0]))
        return delta

    def end(self) -> Cursor:
        """Return the cursor after which only what is not written yet comes."""
        with self._connection() as db:
            if db is None:
                return Cursor()
            found = db.execute(
                "select (select max(id) from event), (select max(key) from epoch),"
                " (select max(key) from batch)"
            ).fetchone()
        return Cursor(*(number or 0 for number in found))

    def events(self) -> list[Event]:
        """Return all events but the ends of epochs, in order."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute("select kind, body from event order by id").fetchall()
            return [event for kind, body in rows if (event := event_of(kind, body)) is not None]

    def rows(self) -> list[tuple[str, str]]:
        """Return kind and body of all events but the ends of epochs, in order, as written."""
        with self._connection() as db:
            if db is None:
                return []
            return db.execute("select kind, body from event order by id").fetchall()

    def last_word(self) -> Event | None:
        """Return how the run ended: its newest Stopped, Finished or Failed; None before one."""
        with self._connection() as db:
            if db is None:
                return None
            row = db.execute(
                "select kind, body from event where kind in ('stopped', 'finished', 'failed')"
                " and id > coalesce((select max(id) from event where kind = 'startup_reached'), 0)"
                " order by id desc limit 1"
            ).fetchone()
            return event_of(*row) if row else None

    def latest_batch_losses(self) -> tuple[int, dict[str, float]]:
        """Return what every fitting loss makes of a recent batch, and that batch's step."""
        with self._connection() as db:
            row = db.execute("select body from glance").fetchone() if db is not None else None
            return _latest_batch_losses(row[0]) if row else (0, {})

    def batches(self, after: int, every: int) -> list[BatchRow]:
        """Return the batches whose key is above `after` and whose step is a multiple of `every`."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"{_BATCH} where key > ? and (key & ?) % ? = 0 order by key",
                (after, STEP_BITS, every),
            ).fetchall()
        return list(map(_batch, rows))

    def batches_of_epochs(
        self, keys: tuple[int, int], every: int, *, begin: int
    ) -> list[tuple[int, BatchRow]]:
        """Return each `every`th batch of an epoch whose key is above the first and up to the last.

        Each has its number in the epoch, from 1; the run's own first epoch came after step `begin`.
        """
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(_OF_EPOCHS, (STEP_BITS, STEP_BITS, begin, *keys, every)).fetchall()
        return [(number, _batch(row)) for *row, number in rows]

    def batches_in(self, take: int, first: int, last: int, most: int) -> list[BatchRow]:
        """Return the batches of the steps first..last of a take, the first `most` of them."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"{_BATCH} where key between ? and ? order by key limit ?",
                (key_of(take, first), key_of(take, last), most),
            ).fetchall()
        return list(map(_batch, rows))

    def epochs_in(self, segment: Segment, most: int) -> list[RecordedEpoch]:
        """Return the epochs that ended in a segment, the first `most` of them."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"select elapsed_ms, body from epoch where {_OF_SEGMENT} order by key limit ?",  # noqa: S608 - names of our own
                (*_bounds(segment), most),
            ).fetchall()
        return [RecordedEpoch(elapsed_ms / 1000, _epoch(body)) for elapsed_ms, body in rows]

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last in buckets of 2^level, oldest first.

        Buckets at both ends may be smaller. Steps that the record lacks are left out.
        """
        with self._connection() as db:
            if db is None:
                return []
            return track.read(db, track.LOSS, take, (first, last), level)

    def values(self, name: str, take: int, steps: tuple[int, int], level: int) -> list[Bucket]:
        """Return the values that a series has in the steps (first, last), as `losses` does.

        Of a series of that name nobody knows, there are none.
        """
        with self._connection() as db:
            found = series.tracks(db).get(name) if db is not None else None
            if db is None or found is None:
                return []
            return track.read(db, found.track, take, steps, level)

    def series(self) -> list[Series]:
        """Return all series that were recorded; lr is a column of the batches."""
        with self._connection() as db:
            return [] if db is None else [each.series for each in series.tracks(db).values()][1:]

    def measured(self, of: Series, take: int, steps: tuple[int, int], most: int) -> list[Value]:
        """Return a series's values in the steps (first, last), the first `most` of them."""
        with self._connection() as db:
            return [] if db is None else series.values(db, of, take, steps, most)

    def detail(self, key: int, name: str) -> dict[str, Any] | None:
        """Return the detail of that name of a step (`schema.key_of`); None where there is none."""
        with self._connection() as db:
            row = (
                db
                and db.execute(
                    "select body from detail where key = ? and name = ?", (key, name)
                ).fetchone()
            )
            return parsed(row[0]) if row else None

    def validations(self, segment: Segment, level: int) -> list[tuple[int, float]]:
        """Return (step, validation loss) of the epochs that ended in a segment, thinned.

        Of several in 2^level steps it is the first: the choice stays the same while the run grows.
        """
        rows = self._thinned("val_loss", segment, level)
        return [(split(key)[1], from_column(value)) for key, value in rows]

    def epochs(self, segment: Segment, level: int) -> list[EpochEnded]:
        """Return the epochs that ended in a segment, thinned as `validations` are."""
        return [_epoch(body) for _, body in self._thinned("body", segment, level)]

    def best(self, segment: Segment, part: EpochPart, signs: Mapping[str, int]) -> dict[str, Best]:
        """Return the best finite value of each name, and its epoch, among a segment's epochs.

        `part` is where an epoch has those names; `signs` gives 1 to a name of which more is
        better, -1 to one of which less is. Every epoch is looked at: ask once for a segment.
        """
        names = ", ".join("(?, ?)" for _ in signs)
        with self._connection() as db:
            if db is None or not signs:
                return {}
            rows = db.execute(
                f"with wanted(name, sign) as (values {names})"  # noqa: S608 - question marks only
                " select name, max(found.value * sign) * sign, epoch.epoch"
                " from epoch, json_each(body, ?) as found join wanted on name = found.key"
                f" where {_OF_SEGMENT} and found.type in ('real', 'integer')"
                " group by name",
                (*chain(*signs.items()), f"$.{part}", *_bounds(segment)),
            ).fetchall()
        return {name: Best(value, epoch) for name, value, epoch in rows}

    def _thinned(self, column: str, segment: Segment, level: int) -> Iterator[tuple[int, Any]]:
        """Yield (key, column) of the first epoch in each 2^level steps."""
        query = f"select key, {column} from epoch where {_OF_SEGMENT} order by key limit 1"  # noqa: S608 - names of our own
        with self._connection() as db:
            while db is not None:
                row = db.execute(query, _bounds(segment)).fetchone()
                if row is None:
                    return
                yield row
                end = (split(row[0])[1] - 1 >> level) + 1 << level
                segment = segment._replace(first=end + 2)  # after the step at which that one ends

    @contextmanager
    def _moment(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection on which several statements see the record as it is at one moment."""
        with self._connection() as db:
            if db is not None:
                db.execute("begin")  # ended when the connection is closed
            yield db

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """Give a connection for a read; None where there is no record yet.

        Raises DamagedRecord, which names the run, for what is no record or not a whole one.
        """
        if not os.path.lexists(self._path):
            yield None
            return
        try:
            with closing(_open(self._path)) as db:
                version = db.execute("pragma user_version").fetchone()[0]
                _check_version(version)
                if version:
                    check_tables(db)
                    as_version_2(db, version)
                    self._takes = self._takes.checked(db)
                yield db if version else None  # 0: its tables are being made just now
        except DamagedRecord as error:
            raise DamagedRecord(error.reason, safe(self._path.parent.name, limit=64)) from None
        except OSError as error:
            raise DamagedRecord(
                f"its record: {error.strerror}", safe(self._path.parent.name, limit=64)
            ) from None
        except sqlite3.Error as error:
            raise DamagedRecord(
                f"its record: {safe(error, limit=200)}", safe(self._path.parent.name, limit=64)
            ) from None


def _check_version(version: int) -> None:
    if version > VERSION:
        raise DamagedRecord(
            f"its record was written by a newer tuitrain (record {version}, this one "
            f"reads {VERSION}): upgrade tuitrain"
        )


_OF_SEGMENT = "epoch.key between ? and ? and epoch.epoch > ? and epoch.epoch <= ?"
"""The epochs of a segment, by its `_bounds`."""


def _bounds(segment: Segment) -> tuple[int, int, int, int]:
    """Return the bounds of a segment's epochs: keys, and completed epochs.

    One that a take begins with is validated at the step before its first: its batches are another
    take's.
    """
    take, last = segment.take, min(segment.last, STEP_BITS)
    return (
        key_of(take, segment.first - 1), key_of(take, last), segment.after_epoch,
        segment.last_epoch,
    )  # fmt: skip


def _newest_epochs(db: sqlite3.Connection, key: int) -> list[tuple[int, str]]:
    """Return (key, body) of the newest epochs after `key`, the last few hundred at most."""
    return db.execute(
        "select key, body from epoch where key > ? order by key desc limit ?", (key, EPOCHS_KEPT)
    ).fetchall()[::-1]


def _best_before(db: sqlite3.Connection, key: int) -> EpochEnded | None:
    """Return the last epoch before `key` that was better than all before it."""
    row = db.execute(
        "select body from epoch where improved and key < ? order by key desc limit 1", (key,)
    ).fetchone()
    return _epoch(row[0]) if row else None


def _of_segments(
    db: sqlite3.Connection, delta: Delta, before: Cursor, segments: Sequence[Segment]
) -> Delta:
    """Return `delta` with what epochs and series have in these segments, anew if need be."""
    if not _wants_anew(delta, before):
        return delta._replace(series=series.newer(db, before.batch, segments[-1].take))
    parts = [(each.take, (each.first, each.last)) for each in segments]
    return _with_epochs_of(db, delta, segments)._replace(series=series.summaries(db, parts))


def _wants_anew(delta: Delta, before: Cursor) -> bool:
    """Return whether the epochs after a cursor are not all that a screen needs to know."""
    return (
        before.epoch == 0
        or len(delta.epochs) == EPOCHS_KEPT
        or any(isinstance(recorded.event, TakeOpened) for recorded in delta.events)
    )


def _with_epochs_of(db: sqlite3.Connection, delta: Delta, segments: Sequence[Segment]) -> Delta:
    """Return `delta` with the newest epochs of these segments, and the best one before them."""
    bodies: list[str] = []
    best: EpochEnded | None = None
    for segment in reversed(segments):
        of_segment = f"select body from epoch where {_OF_SEGMENT} order by key desc limit ?"  # noqa: S608 - names of our own
        left = EPOCHS_KEPT - len(bodies)
        if left:
            rows = db.execute(of_segment, (*_bounds(segment), left)).fetchall()
            bodies += (body for (body,) in rows)
        if best is None:
            row = db.execute(
                of_segment.replace(" order", " and improved order"), (*_bounds(segment), 1)
            ).fetchone()
            best = _epoch(row[0]) if row else None
    return delta._replace(epochs=tuple(map(_epoch, reversed(bodies))), best=best, is_anew=True)


_BATCH = f"select {', '.join(BatchRow._fields)} from batch"  # noqa: S608 - our own words

_EPOCH_BEGAN = """(
    select ended.key & ? from epoch as ended
    where ended.key < batch.key and ended.epoch = batch.epoch - 1 order by ended.key desc limit 1
)"""
_OF_EPOCHS = f"""
select {", ".join(BatchRow._fields)}, (key & ?) - coalesce({_EPOCH_BEGAN}, ?) as number
from batch where key > ? and key <= ? and number % ? = 0 order by key
"""  # noqa: S608 - names of our own


def _batch(row: Sequence[float]) -> BatchRow:
    batch = BatchRow._make(row)
    return batch._replace(loss=from_column(batch.loss))


def _latest_batch_losses(body: str) -> tuple[int, dict[str, float]]:
    found = parsed(body)
    step: int = value_of(int, "step", found.get("step"))
    losses: dict[str, float] = value_of(Mapping[str, float], "losses", found.get("losses"))
    return step, losses


def _epoch(body: str) -> EpochEnded:
    event = event_of(EpochEnded.kind, body)
    assert isinstance(event, EpochEnded)
    return event
