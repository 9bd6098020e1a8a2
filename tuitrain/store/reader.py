"""The read side of a run: each read opens a connection of its own and closes it.

A reader that stayed in a transaction would make the trainer's write-ahead log grow without bound.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tuitrain.core.decode import parsed, value_of
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import EpochEnded, Event
from tuitrain.core.safe import safe
from tuitrain.core.segment import Segment
from tuitrain.core.series import Series
from tuitrain.store import epoch_values, epochs, series, track
from tuitrain.store.batches import BATCHES, batch_of, elapsed
from tuitrain.store.delta import Cursor, Delta, SegmentsAfter, since
from tuitrain.store.epoch_values import Best, EpochPart, EpochValue, EpochValues
from tuitrain.store.epochs import RecordedEpoch
from tuitrain.store.older_versions import DecodeEvents, as_present_version
from tuitrain.store.opened import Takes, check_tables, open_read_only
from tuitrain.store.rollup import Bucket
from tuitrain.store.schema import STEP_BITS, VERSION, BatchRow, key_of, split
from tuitrain.store.series import Value


class RunReader:
    """Read the record of a run; the record may not exist yet."""

    def __init__(self, path: Path, *, with_series: bool = True) -> None:
        """`with_series` lets `since` read values of series: as much as all else."""
        self._path = path
        self._with_series = with_series
        self._takes = Takes()
        self._event_of = DecodeEvents(path)

    def since(self, cursor: Cursor, segments_after: SegmentsAfter | None = None) -> Delta:
        """Return what was recorded after `cursor`, as of one moment.

        With `segments_after`, epochs and series are limited to these segments. They are read anew
        on the first call, after EPOCHS_KEPT or more new epochs, and when a take was opened.
        """
        with self._moment() as db:
            if db is None:
                return Delta((), (), None, cursor)
            return since(db, cursor, self._event_of, segments_after, with_series=self._with_series)

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
            return [
                event for kind, body in rows if (event := self._event_of(kind, body)) is not None
            ]

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
            return self._event_of(*row) if row else None

    def latest_batch_losses(self, take: int) -> tuple[int, dict[str, float]]:
        """Return the step of a recent batch of a take, and its loss by every fitting loss function.

        Return (0, {}) while the newest one is of another take.
        """
        with self._connection() as db:
            if db is None:
                return 0, {}
            row = db.execute("select body from latest_batch_losses").fetchone()
            return _latest_batch_losses(row[0], take) if row else (0, {})

    def batches(self, after: int, every: int) -> list[BatchRow]:
        """Return the batches with a key above `after` whose step is a multiple of `every`."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"{BATCHES} where key > ? and (key & ?) % ? = 0 order by key",
                (after, STEP_BITS, every),
            ).fetchall()
        return list(map(batch_of, rows))

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
        return [(number, batch_of(row)) for *row, number in rows]

    def batches_in(self, take: int, first: int, last: int, most: int) -> list[BatchRow]:
        """Return the first `most` batches of the steps first..last of a take."""
        with self._connection() as db:
            if db is None:
                return []
            rows = db.execute(
                f"{BATCHES} where key between ? and ? order by key limit ?",
                (key_of(take, first), key_of(take, last), most),
            ).fetchall()
        return list(map(batch_of, rows))

    def elapsed(self, take: int, steps: Iterable[int]) -> list[tuple[int, int]]:
        """Return (step, training time in ms) of these steps; unrecorded ones are left out."""
        with self._connection() as db:
            return [] if db is None else elapsed(db, take, steps)

    def epochs_in(self, segment: Segment, most: int) -> list[RecordedEpoch]:
        """Return the first `most` epochs that ended in a segment."""
        with self._connection() as db:
            if db is None:
                return []
            return epochs.first(db, segment, most)

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

    def newest_detail(self, take: int, step: int, name: str) -> tuple[int, dict[str, Any]] | None:
        """Return the newest detail of that name in a take up to a step, after its own step.

        Return None if there is none.
        """
        with self._connection() as db:
            row = (
                db
                and db.execute(
                    "select key, body from detail where name = ? and key between ? and ?"
                    " order by key desc limit 1",
                    (name, key_of(take, 0), key_of(take, step)),
                ).fetchone()
            )
            return (split(row[0])[1], parsed(row[1])) if row else None

    def validations(self, segment: Segment, level: int) -> list[EpochValue]:
        """Return the validation losses of the epochs that ended in a segment, thinned.

        Of each 2^level steps the lowest and the highest are kept, and the first that is not finite.
        """
        with self._connection() as db:
            return [] if db is None else epoch_values.validations(db, segment, level)

    def epoch_values(self, segment: Segment, level: int) -> EpochValues:
        """Return the metrics and losses of the epochs, each thinned as `validations` are."""
        with self._connection() as db:
            return {} if db is None else epoch_values.values(db, segment, level)

    def last_epoch(self, segment: Segment) -> EpochEnded | None:
        """Return the last epoch that ended in a segment."""
        with self._connection() as db:
            return None if db is None else epochs.last(db, segment)

    def best(self, segment: Segment, part: EpochPart, signs: Mapping[str, int]) -> dict[str, Best]:
        """Return the best finite value of each name, and its epoch, among the epochs of a segment.

        `signs` maps each name to 1 if higher is better and to -1 if lower is.
        """
        with self._connection() as db:
            return {} if db is None else epoch_values.best(db, segment, part, signs)

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
                    as_present_version(db, version)
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


_EPOCH_BEGAN = """(
    select ended.key & ? from epoch as ended
    where ended.key < batch.key and ended.epoch = batch.epoch - 1 order by ended.key desc limit 1
)"""
_OF_EPOCHS = f"""
select {", ".join(BatchRow._fields)}, (key & ?) - 1 - coalesce({_EPOCH_BEGAN}, ?) as number
from batch where key > ? and key <= ? and number % ? = 0 order by key
"""  # noqa: S608 - names of our own


def _latest_batch_losses(body: str, take: int) -> tuple[int, dict[str, float]]:
    stored = parsed(body)
    if value_of(int, "take", stored.get("take", take)) != take:  # older records do not say it
        return 0, {}
    step: int = value_of(int, "step", stored.get("step"))
    losses: dict[str, float] = value_of(Mapping[str, float], "losses", stored.get("losses"))
    return step, losses
