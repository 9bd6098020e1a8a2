"""The write side of a run: append-only, one transaction per flush, opened by its trainer only."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tuitrain.core.events import Detail, EpochEnded, Event, TakeOpened, to_json
from tuitrain.core.numbers import to_strict
from tuitrain.core.series import Series
from tuitrain.store import track
from tuitrain.store.answered import ANSWER_KINDS, Answered
from tuitrain.store.epoch_values import store_extremes
from tuitrain.store.older_versions import COMMAND_ID, event_of
from tuitrain.store.rollup import BASE, Bucket, Rollup
from tuitrain.store.schema import (
    STEP_BITS,
    TABLES,
    VERSION,
    BatchRow,
    from_column,
    key_of,
    split,
)


class Stamped(NamedTuple):
    """An event, and the time at which it happened."""

    at: float
    """Unix time; for display only, since that clock can jump."""
    elapsed_ms: int
    """Training time of the run until then, without pauses."""
    event: Event


class MeasuredRow(NamedTuple):
    """A value of a series at the step with that key."""

    key: int
    series: Series
    value: float


DETAILS_KEPT = 100
"""Number of newest details that are kept of each name, besides those of improved epochs.

After every so many details written, older ones are deleted.
"""
IMPROVED_KEPT = 1000
"""Number of newest improved epochs whose details are kept: a run may improve a million times."""
_LONGEST_LOG = 8 << 20
"""Bytes that the write-ahead log keeps once it has been copied: while a reader is stopped in the
middle of a read, it grows without limit."""

_ROW = f"({', '.join('?' for _ in BatchRow._fields)})"
_INSERT = f"insert into batch ({', '.join(BatchRow._fields)}) values {_ROW}"  # noqa: S608 - constants
_TOGETHER = 25
"""Rows that one statement inserts in half the time; there may be 999 values, at least."""


class RunWriter:
    """Append batches and events to the record of a run."""

    def __init__(
        self, path: Path, *, answered: Path | None = None, journal: Literal["wal", "delete"] = "wal"
    ) -> None:
        """Open or create the record at `path`; keep count and digest of answers in `answered`.

        `journal` is SQLite's journal mode: "wal" needs a local file system.
        """
        # a watched loop may be in a thread; only one thread at a time writes
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._connection.execute(f"pragma journal_mode = {journal}")
        self._connection.execute("pragma synchronous = normal")
        self._connection.execute(f"pragma journal_size_limit = {_LONGEST_LOG}")
        self._connection.executescript(TABLES)
        self._connection.execute(f"pragma user_version = {VERSION}")
        self._rollups: dict[int, Rollup] = {}
        self._details = 0
        """Details written since the record was opened."""
        self._answered_file = answered
        rows = self._connection.execute("select kind, body from event order by id").fetchall()
        self._answered = Answered().plus(rows)
        self.missing_answers = Answered.read(answered).why_not(rows) if answered else None
        """How the record differs from the answers that were given; None if it holds them."""

    @property
    def has_started(self) -> bool:
        """Whether a trainer has started training: the run can be resumed."""
        return bool(
            self._connection.execute(
                "select exists (select 1 from event where kind = 'run_started')"
            ).fetchone()[0]
        )

    @property
    def elapsed_ms(self) -> int:
        """Training time of the run so far, without pauses."""
        return int(
            self._connection.execute(
                "select max(coalesce((select max(elapsed_ms) from event), 0),"
                " coalesce((select elapsed_ms from batch order by key desc limit 1), 0))"
            ).fetchone()[0]
        )

    def events(self) -> list[Event]:
        """Return all events except the ends of epochs, in order."""
        rows = self._connection.execute("select kind, body from event order by id")
        return [event for kind, body in rows if (event := event_of(kind, body)) is not None]

    def position(self, step: int = 0, epoch: int = 0) -> tuple[int, int, int]:
        """Return the take, step and completed epochs at the end of the record.

        Before the first batch, these are take 1, `step` and `epoch`.
        """
        openings = [event for event in self.events() if isinstance(event, TakeOpened)]
        take = 1
        if openings:
            take, step, epoch = openings[-1].take, openings[-1].step, openings[-1].epoch
        bounds = key_of(take, 0), key_of(take + 1, 0) - 1
        newest, completed = self._connection.execute(
            "select (select max(key) from batch where key between ?1 and ?2),"
            " (select max(epoch) from epoch where key between ?1 and ?2)",
            bounds,
        ).fetchone()
        return (
            take,
            step if newest is None else split(newest)[1],
            epoch if completed is None else completed,
        )

    def latest_batch_losses(self, take: int, step: int, losses: Mapping[str, float]) -> None:
        """Store the loss of the newest batch by every loss function, replacing earlier ones."""
        body = json.dumps({"take": take, "step": step, "losses": to_strict(dict(losses))})
        self._connection.execute(
            "insert or replace into latest_batch_losses values (1, ?)", (body,)
        )

    def write(
        self,
        batches: Sequence[BatchRow],
        events: Sequence[Stamped],
        measured: Sequence[MeasuredRow] = (),
        details: Sequence[Detail] = (),
    ) -> None:
        """Append everything in one transaction; the values of a series must be in key order."""
        rollups = {take: rollup.copy() for take, rollup in self._rollups.items()}
        self._connection.execute("begin immediate")
        try:
            self._write_batches(batches)
            self._write_measured(measured)
            for detail in details:
                self._write_detail(detail)
            for stamped in events:
                self._write_event(stamped)
            self._write_extremes([event for _, _, event in events if isinstance(event, EpochEnded)])
            self._connection.execute("commit")
        except BaseException:
            self._rollups = rollups
            if self._connection.in_transaction:  # a full disk may have rolled it back already
                self._connection.execute("rollback")
            raise
        self._count_answers(events)

    def accept_missing(self) -> None:
        """Count the answers that the record holds, once it warns of the missing ones."""
        if self._answered_file is not None:
            self._answered.write(self._answered_file)

    def _count_answers(self, events: Sequence[Stamped]) -> None:
        """Count the answers among these events, which are already in the record."""
        rows = [
            (event.kind, to_json(event)) for _, _, event in events if event.kind in ANSWER_KINDS
        ]
        if rows:
            self._answered = self._answered.plus(rows)
            with suppress(OSError):  # a full disk: the next answer counts these as well
                self.accept_missing()

    def known_commands(self) -> set[str]:
        """Return the ids of all commands that were answered."""
        rows = self._connection.execute(
            f"select {COMMAND_ID} from event"  # noqa: S608 - a constant
            " where kind like '%_accepted' or kind like '%_refused'"
        )
        return {command for (command,) in rows}

    def close(self) -> None:
        """Close the record as a single file, so that it is readable on a read-only file system."""
        with suppress(sqlite3.OperationalError):  # a reader is active: the WAL stays
            self._connection.execute("pragma journal_mode = delete")
        self._connection.close()

    def _write_batches(self, batches: Sequence[BatchRow]) -> None:
        for at in range(0, len(batches), _TOGETHER):
            rows = batches[at : at + _TOGETHER]
            together = _INSERT + f", {_ROW}" * (len(rows) - 1)
            self._connection.execute(together, tuple(chain.from_iterable(rows)))
        for rows in _by_take(batches):
            take, first = split(rows[0].key)
            if take not in self._rollups:
                self._rollups[take] = self._rollup_so_far(take, first)
            complete = self._rollups[take].add(first, [row.loss for row in rows])
            self._connection.executemany(
                "insert into rollup values (?, ?, ?, ?, ?, ?)",
                [
                    (key_of(take, bucket.first), level,
                     bucket.low, bucket.high, bucket.total, bucket.finite)
                    for level, bucket in complete
                ],
            )  # fmt: skip
            self._write_buckets(track.LR, take, [row.key & STEP_BITS for row in rows])

    def _write_measured(self, rows: Sequence[MeasuredRow]) -> None:
        by_series: dict[Series, dict[int, float]] = defaultdict(dict)
        for key, series, value in rows:
            by_series[series][key] = value
        for series, values in by_series.items():
            number = self._number_of(series)
            self._connection.executemany(
                "insert or replace into measured (series, key, value) values (?, ?, ?)",
                [(number, *pair) for pair in values.items()],
            )
            for take, keys in groupby(values, key=lambda key: split(key)[0]):
                steps = [split(key)[1] for key in keys]
                self._write_buckets(track.track_of(number), take, steps)

    def _number_of(self, series: Series) -> int:
        """Return the id of a series; insert the series if it is new."""
        find, key = "select id from series where name = ?", (series.name,)
        row = self._connection.execute(find, key).fetchone()
        if row is None:
            add = "insert into series (name, unit, per) values (?, ?, ?)"
            self._connection.execute(add, (series.name, series.unit, series.per))
            row = self._connection.execute(find, key).fetchone()
        return int(row[0])

    def _write_buckets(self, of: track.Track, take: int, steps: list[int]) -> None:
        for level, bucket in track.completed(self._connection, of, take, steps):
            self._connection.execute(
                "insert or replace into bucket (series, level, key, low, high, total, finite)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (of.series, level, key_of(take, bucket.first),
                 bucket.low, bucket.high, bucket.total, bucket.finite),
            )  # fmt: skip

    def _write_detail(self, detail: Detail) -> None:
        self._connection.execute(
            "insert or replace into detail (key, name, body) values (?, ?, ?)",
            (key_of(detail.take, detail.step), detail.name, _strict_json(detail.body)),
        )
        self._details += 1
        if self._details % DETAILS_KEPT == 0:
            self._thin_details()

    def _thin_details(self) -> None:
        self._connection.execute(
            "delete from detail where key < (select key from detail as newer"
            " where newer.name = detail.name order by key desc limit 1 offset ?)"
            " and key not in (select key from epoch where improved order by key desc limit ?)",
            (DETAILS_KEPT - 1, IMPROVED_KEPT),
        )

    def _rollup_so_far(self, take: int, step: int) -> Rollup:
        """Return the incomplete buckets before `step`, as left by an earlier trainer."""
        complete = step - 1 >> BASE  # buckets of the finest level before `step`
        halves = [
            Bucket(split(key)[1], split(key)[1] + (1 << level) - 1,
                   from_column(low), from_column(high), from_column(total), finite)
            for level in range(BASE, BASE + complete.bit_length())
            if (index := complete >> level - BASE) & 1
            for key, low, high, total, finite in self._connection.execute(
                "select key, low, high, total, finite from rollup where level = ? and key = ?",
                (level, key_of(take, (index - 1 << level) + 1)),
            )
        ]  # fmt: skip
        first = (complete << BASE) + 1
        raw = self._connection.execute(
            "select loss from batch where key >= ? and key < ? order by key",
            (key_of(take, first), key_of(take, step)),
        ).fetchall()
        return Rollup.resumed(step, [from_column(loss) for (loss,) in raw], halves)

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

    def _write_extremes(self, ended: Sequence[EpochEnded]) -> None:
        for take, of_take in groupby(ended, key=lambda epoch: epoch.take):
            store_extremes(self._connection, take, [epoch.step for epoch in of_take])


def _by_take(rows: Sequence[BatchRow]) -> Iterable[Sequence[BatchRow]]:
    """Return the rows of each take; they are in the order of their keys."""
    if rows and rows[0].take == rows[-1].take:  # as nearly always
        return [rows]
    return [list(of_take) for _, of_take in groupby(rows, key=lambda row: row.take)]


def _strict_json(body: Mapping[str, Any]) -> str:
    try:
        return json.dumps(body, allow_nan=False)
    except ValueError:  # a search for nonfinite numbers takes several times as long
        return json.dumps(to_strict(body))
