"""The read side of a run: each read opens a connection of its own and closes it.

A reader that stayed in a transaction would make the trainer's write-ahead log grow without bound.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain, starmap
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tuitrain.core.decode import parsed, value_of
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import EpochEnded, Event, TakeOpened
from tuitrain.core.safe import safe
from tuitrain.core.segment import Segment
from tuitrain.core.series import Series
from tuitrain.store import series, track
from tuitrain.store.opened import Takes, check_tables, open_read_only
from tuitrain.store.rollup import Bucket
from tuitrain.store.schema import STEP_BITS, VERSION, BatchRow, from_column, key_of, split
from tuitrain.store.series import Summary, Value
from tuitrain.store.version1 import as_version_2, event_of

EPOCHS_KEPT = 500
"""Number of newest epochs that are read for a screen."""


class Cursor(NamedTuple):
    """The position of a reader: the newest event, epoch and batch that it has read."""

    event: int = 0
    epoch: int = 0
    batch: int = 0


class Recorded(NamedTuple):
    """A recorded event."""

    id: int
    at: float
    elapsed_s: float
    event: Event


class RecordedEpoch(NamedTuple):
    """A recorded epoch."""

    elapsed_s: float
    ended: EpochEnded


class Delta(NamedTuple):
    """The additions to a record since a cursor, and the cursor for the next call."""

    events: tuple[Recorded, ...]
    epochs: tuple[EpochEnded, ...]
    """Oldest first; at most the newest EPOCHS_KEPT."""
    latest: BatchRow | None
    cursor: Cursor
    best: EpochEnded | None = None
    """The best epoch of the segments, or without them the best before `epochs`, if it was read."""
    is_anew: bool = False
    """True if epochs and series replace those of earlier deltas."""
    series: tuple[Summary, ...] = ()
    """Summaries of each series since the cursor, if segments were given."""


SegmentsAfter = Callable[[Sequence[Recorded]], Sequence[Segment]]
"""Maps the new events to the segments whose epochs and series are read."""


EpochPart = Literal["metrics", "val_losses"]
"""A field of an epoch that maps names to numbers."""


class Best(NamedTuple):
    """The best value of a metric or loss, and its epoch."""

    value: float
    epoch: int


class RunReader:
    """Read the record of a run; the record may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._takes = Takes()

    def since(self, cursor: Cursor, segments_after: SegmentsAfter | None = None) -> Delta:
        """Return what was recorded after `cursor`, as of one moment.

        With `segments_after`, epochs and series are limited to these segments. They are read anew
        on the first call, after EPOCHS_KEPT or more new epochs, and when a take was opened.
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
                tuple(starmap(epoch_of, rows)),
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
        """Return the cursor at the present end of the record."""
        with self._connection() as db:
            if db is None:
                return Cursor()
            newest = db.execute(
                "select (select max(id) from event), (select max(key) from epoch),"
                " (select max(key) from batch)"
            ).fetchone()
        return Cursor(*(number or 0 for number in newest))

    def events(self) -> list[Event]:
        """Return all events except the ends of epochs, in order."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute("select kind, body from event order by id").fetchall()
            return [event for kind, body in rows if (event := event_of(kind, body)) is not None]

    def rows(self) -> list[tuple[str, str]]:
        """Return the stored (kind, body) of all events except the ends of epochs, in order."""
        with self._connection() as db:
            if db is None:
                return []
            return db.execute("select kind, body from event order by id").fetchall()

    def last_word(self) -> Event | None:
        """Return the newest Stopped, Finished or Failed since the run last started, if any."""
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
        """Return the step of a recent batch and its loss by every fitting loss function."""
        with self._connection() as db:
            row = db.execute("select body from glance").fetchone() if db is not None else None
            return _latest_batch_losses(row[0]) if row else (0, {})

    def batches(self, after: int, every: int) -> list[BatchRow]:
        """Return the batches with a key above `after` whose step is a multiple of `every`."""
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
        """Return the batches whose key is above the first and up to the last.

        Of an epoch only the first one and each `every`th after it, with the number of batches
        before it in the epoch; the run's own first epoch came after step `begin`.
        """
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(_OF_EPOCHS, (STEP_BITS, STEP_BITS, begin, *keys, every)).fetchall()
        return [(number, _batch(row)) for *row, number in rows]

    def batches_in(self, take: int, first: int, last: int, most: int) -> list[BatchRow]:
        """Return the first `most` batches of the steps first..last of a take."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"{_BATCH} where key between ? and ? order by key limit ?",
                (key_of(take, first), key_of(take, last), most),
            ).fetchall()
        return list(map(_batch, rows))

    def epochs_in(self, segment: Segment, most: int) -> list[RecordedEpoch]:
        """Return the first `most` epochs that ended in a segment."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"select elapsed_ms, key, epoch, body from epoch where {_OF_SEGMENT}"  # noqa: S608 - names of our own
                " order by key limit ?",
                (*_bounds(segment), most),
            ).fetchall()
        return [RecordedEpoch(elapsed_ms / 1000, epoch_of(*row)) for elapsed_ms, *row in rows]

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last in buckets of 2^level, oldest first.

        Buckets at both ends may be smaller. Steps that are not recorded are left out.
        """
        with self._connection() as db:
            if db is None:
                return []
            return track.read(db, track.LOSS, take, (first, last), level)

    def values(self, name: str, take: int, steps: tuple[int, int], level: int) -> list[Bucket]:
        """Return the values of a series in the steps (first, last), as `losses` does.

        The list is empty if no series has that name.
        """
        with self._connection() as db:
            recorded = series.tracks(db).get(name) if db is not None else None
            if db is None or recorded is None:
                return []
            return track.read(db, recorded.track, take, steps, level)

    def series(self) -> list[Series]:
        """Return all recorded series except lr, which is a column of the batches."""
        with self._connection() as db:
            tracks = series.tracks(db) if db is not None else {}
        return [recorded.series for recorded in tracks.values()][1:]

    def measured(self, of: Series, take: int, steps: tuple[int, int], most: int) -> list[Value]:
        """Return the first `most` values of a series in the steps (first, last)."""
        with self._connection() as db:
            return [] if db is None else series.values(db, of, take, steps, most)

    def detail(self, key: int, name: str) -> dict[str, Any] | None:
        """Return the detail with that name of the step with that key; None if there is none."""
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

        The first one in each 2^level steps is kept: the choice stays the same while the run grows.
        """
        rows = self._thinned("val_loss", segment, level)
        return [(split(key)[1], from_column(value)) for key, _, value in rows]

    def epochs(self, segment: Segment, level: int) -> list[EpochEnded]:
        """Return the epochs that ended in a segment, thinned as `validations` are."""
        return list(starmap(epoch_of, self._thinned("body", segment, level)))

    def best(self, segment: Segment, part: EpochPart, signs: Mapping[str, int]) -> dict[str, Best]:
        """Return the best finite value of each name, and its epoch, among the epochs of a segment.

        `signs` maps each name to 1 if higher is better and to -1 if lower is. The query reads
        every epoch, so call it once per segment.
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

    def _thinned(self, column: str, segment: Segment, level: int) -> Iterator[tuple[int, int, Any]]:
        """Yield (key, epoch, column) of the first epoch in each 2^level steps."""
        query = f"select key, epoch, {column} from epoch where {_OF_SEGMENT} order by key limit 1"  # noqa: S608 - names of our own
        with self._connection() as db:
            while db is not None:
                row = db.execute(query, _bounds(segment)).fetchone()
                if row is None:
                    return
                yield row
                end = (split(row[0])[1] - 1 >> level) + 1 << level
                segment = segment._replace(first=end + 2)  # past the epoch that ends at that step

    @contextmanager
    def _moment(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection on which all statements see the record as of one moment."""
        with self._connection() as db:
            if db is not None:
                db.execute("begin")  # ended when the connection is closed
            yield db

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection for a read; None if there is no record yet.

        Raises DamagedRecord, which names the run, if the record is damaged or cannot be read.
        """
        if not os.path.lexists(self._path):
            yield None
            return
        try:
            with closing(open_read_only(self._path)) as db:
                version = db.execute("pragma user_version").fetchone()[0]
                _check_version(version)
                if version:
                    check_tables(db)
                    as_version_2(db, version)
                    self._takes = self._takes.checked(db)
                yield db if version else None  # 0: its tables are still being created
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
"""Condition for the epochs of a segment; its parameters are `_bounds`."""


def _bounds(segment: Segment) -> tuple[int, int, int, int]:
    """Return the bounds of the epochs of a segment: of their keys, and of completed epochs.

    An epoch that a take begins with is validated at the step before the first step of the take: its
    batches belong to another take.
    """
    take, last = segment.take, min(segment.last, STEP_BITS)
    return (
        key_of(take, segment.first - 1), key_of(take, last), segment.after_epoch,
        segment.last_epoch,
    )  # fmt: skip


def _newest_epochs(db: sqlite3.Connection, key: int) -> list[tuple[int, int, str]]:
    """Return (key, epoch, body) of the epochs after `key`, at most the newest EPOCHS_KEPT."""
    return db.execute(
        "select key, epoch, body from epoch where key > ? order by key desc limit ?",
        (key, EPOCHS_KEPT),
    ).fetchall()[::-1]


def _best_before(db: sqlite3.Connection, key: int) -> EpochEnded | None:
    """Return the best epoch before `key`."""
    row = db.execute(
        "select key, epoch, body from epoch where improved and key < ? order by key desc limit 1",
        (key,),
    ).fetchone()
    return epoch_of(*row) if row else None


def _of_segments(
    db: sqlite3.Connection, delta: Delta, before: Cursor, segments: Sequence[Segment]
) -> Delta:
    """Return `delta` with the series of these segments, and with their epochs if read anew."""
    if not _must_reread(delta, before):
        return delta._replace(series=series.newer(db, before.batch, segments[-1].take))
    parts = [(segment.take, (segment.first, segment.last)) for segment in segments]
    return _with_epochs_of(db, delta, segments)._replace(series=series.summaries(db, parts))


def _must_reread(delta: Delta, before: Cursor) -> bool:
    """Return whether the epochs after a cursor are not enough to update a screen."""
    return (
        before.epoch == 0
        or len(delta.epochs) == EPOCHS_KEPT
        or any(isinstance(recorded.event, TakeOpened) for recorded in delta.events)
    )


def _with_epochs_of(db: sqlite3.Connection, delta: Delta, segments: Sequence[Segment]) -> Delta:
    """Return `delta` with the newest epochs of these segments, and their best one."""
    newest: list[tuple[int, int, str]] = []
    best: EpochEnded | None = None
    for segment in reversed(segments):
        of_segment = (
            f"select key, epoch, body from epoch where {_OF_SEGMENT} order by key desc limit ?"  # noqa: S608 - names of our own
        )
        room = EPOCHS_KEPT - len(newest)
        if room:
            newest += db.execute(of_segment, (*_bounds(segment), room)).fetchall()
        if best is None:
            row = db.execute(
                of_segment.replace(" order", " and improved order"), (*_bounds(segment), 1)
            ).fetchone()
            best = epoch_of(*row) if row else None
    epochs = tuple(starmap(epoch_of, reversed(newest)))
    return delta._replace(epochs=epochs, best=best, is_anew=True)


_BATCH = f"select {', '.join(BatchRow._fields)} from batch"  # noqa: S608 - our own words

_EPOCH_BEGAN = """(
    select ended.key & ? from epoch as ended
    where ended.key < batch.key and ended.epoch = batch.epoch - 1 order by ended.key desc limit 1
)"""
_OF_EPOCHS = f"""
select {", ".join(BatchRow._fields)}, (key & ?) - 1 - coalesce({_EPOCH_BEGAN}, ?) as number
from batch where key > ? and key <= ? and number % ? = 0 order by key
"""  # noqa: S608 - names of our own


def _batch(row: Sequence[float]) -> BatchRow:
    batch = BatchRow._make(row)
    return batch._replace(loss=from_column(batch.loss))


def _latest_batch_losses(body: str) -> tuple[int, dict[str, float]]:
    stored = parsed(body)
    step: int = value_of(int, "step", stored.get("step"))
    losses: dict[str, float] = value_of(Mapping[str, float], "losses", stored.get("losses"))
    return step, losses


def epoch_of(key: int, epoch: int, body: str) -> EpochEnded:
    """Return the epoch of a row; DamagedRecord if the body contradicts the other columns."""
    event = event_of(EpochEnded.kind, body)
    assert isinstance(event, EpochEnded)
    if (key_of(event.take, event.step), event.epoch) != (key, epoch):
        raise DamagedRecord(
            f"its record is damaged: epoch {epoch} calls itself epoch {event.epoch} at step "
            f"{event.step} of take {event.take}"
        )
    return event
