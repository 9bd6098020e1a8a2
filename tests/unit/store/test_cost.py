"""What a write costs in a long run: as much as at its beginning, counted in SQLite's instructions.

Times would prove nothing on a machine that is busy.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from tuitrain.core.events import Detail, EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.core.series import Series
from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import level_for
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import MeasuredRow, RunWriter, Stamped

ROWS = 60
"""Of a write: those of 100 ms at 600 batches a second."""
WRITES = 64
FEW, MANY = 200, 1000
"""Writes before those that are counted."""
STATEMENTS = 22
LONGEST_LOG = 8 << 20
"""Bytes of the write-ahead log."""
SERIES = Series("a")


class Counted(RunWriter):
    """Counts the statements that it runs, and the instructions that SQLite takes for them."""

    statements = instructions = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        def state(_statement: str) -> None:
            self.statements += 1

        def step() -> None:
            self.instructions += 10

        self._connection.set_trace_callback(state)
        self._connection.set_progress_handler(step, 10)
        yield
        self._connection.set_trace_callback(None)
        self._connection.set_progress_handler(None, 10)

    @property
    def details(self) -> int:
        return int(self._connection.execute("select count(*) from detail").fetchone()[0])


def train(writer: RunWriter, first: int, writes: int) -> None:
    """Write a run whose every epoch is a write, and an improvement."""
    for epoch in range(first, first + writes):
        keys = [key_of(1, epoch * ROWS + step) for step in range(1, ROWS + 1)]
        rows = [BatchRow(key, epoch + 1, 0.5, 0.1, 64, key, *(1,) * 6) for key in keys]
        ended = EpochEnded(1, keys[-1], epoch + 1, "mse", 0.5, 0.5, {}, improved=True)
        details = [Detail(1, keys[-1], "confusion", {"counts": [[1]]})]
        values = [MeasuredRow(keys[-1], SERIES, 0.5)]
        writer.write(rows, [Stamped(0.0, 0, ended)], values, details)


def test_of_very_many_epochs_few_rows_are_read_for_a_chart(tmp_path: Path):
    """Most of what a read takes is done for each of its columns."""
    took = []
    for epochs in (FEW, 16 * FEW):
        path = tmp_path / f"{epochs}.db"
        writer = RunWriter(path)
        events = [
            EpochEnded(
                1, ROWS * epoch, epoch, "mse", 0.5, 1 / epoch, {"a": epoch % 7}, improved=False
            )
            for epoch in range(1, epochs + 1)
        ]
        writer.write([], [Stamped(0.0, 0, event) for event in events])
        writer.close()
        segment = Segment(1, 1, ROWS * epochs, 0, epochs)
        took.append(
            [_decoded(path, segment, level_for(segment.steps, columns)) for columns in (1, 30)]
        )
    (few, few_a_column), (many, many_a_column) = took
    assert many <= 2 * few
    assert many_a_column <= 1.5 * few_a_column


def _decoded(path: Path, segment: Segment, level: int) -> int:
    """Return how many bodies a read decodes for the values of a segment."""
    with patch("tuitrain.core.decode.json.loads", wraps=json.loads) as loads:
        reader = RunReader(path)
        assert reader.epoch_values(segment, level)["metrics"]["a"]
        assert reader.best(segment, "metrics", {"a": 1}) == {"a": (6, 6)}
    return loads.call_count


def test_a_write_costs_no_more_after_very_many_epochs_and_keeps_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tuitrain.store.writer.IMPROVED_KEPT", 50)
    writer, at, counts = Counted(tmp_path / "run.db"), 0, []
    for before in (FEW, MANY):
        train(writer, at, before - at)
        at = before + WRITES
        writer.statements = writer.instructions = 0
        with writer.counting():
            train(writer, before, WRITES)
        counts.append((writer.statements, writer.instructions))
        assert writer.details <= 100 + 50 + 100
    log = (tmp_path / "run.db-wal").stat().st_size
    writer.close()

    (statements, instructions), (later_statements, later_instructions) = counts
    assert later_statements <= 1.05 * statements
    assert later_instructions <= 1.05 * instructions
    assert statements <= STATEMENTS * WRITES
    assert log < LONGEST_LOG


def test_the_log_that_grew_while_a_reader_was_stopped_gets_short_again(tmp_path: Path):
    path, at = tmp_path / "run.db", 0
    writer, log = Counted(path), path.with_name("run.db-wal")
    train(writer, at, 1)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("begin")
    assert reader.execute("select count(*) from batch").fetchone() == (ROWS,)
    while log.stat().st_size < 3 * LONGEST_LOG:
        at += WRITES
        train(writer, at, WRITES)
    reader.close()
    for again in (1, 2):
        train(writer, at + again * WRITES, WRITES)
    assert log.stat().st_size <= LONGEST_LOG
    writer.close()
