"""A recorder writes everything at the end, however the run ended, and makes no batch wait."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tuitrain.core.events import BatchDone, Failed, Measured, Paused
from tuitrain.core.series import SHARES, Series
from tuitrain.record.recorder import Recorder
from tuitrain.store.delta import Cursor
from tuitrain.store.reader import RunReader
from tuitrain.store.writer import RunWriter


def test_a_device_that_fails_with_the_last_batches_does_not_prevent_recording_the_failure(
    tmp_path: Path,
):
    writer = RunWriter(tmp_path / "run.db")
    recorder = Recorder(writer)
    marks = (0, 1, 2, 3, 4, 5, 6)
    unreadable = torch.zeros((), device="meta")  # its value cannot be read, as on a lost device
    recorder.take(BatchDone(1, 1, 1, unreadable, 0.1, 64, marks, unreadable))

    recorder.fail(Failed("the device is gone"))
    recorder.close()

    writer.close()
    found = RunReader(tmp_path / "run.db").since(Cursor())
    assert [event.event for event in found.events] == [Failed("the device is gone")]
    assert found.latest is None


def batch(step: int, number: float = 1.0) -> BatchDone:
    """A step of 100 µs: data 10, zero_grad 0, forward 20, loss 5, backward 40, step 25."""
    marks = (0, 10, 10, 30, 35, 75, 100)
    return BatchDone(1, step, 1, torch.tensor(number), 0.1, 64, marks, torch.tensor(0.0))


def test_the_losses_of_the_newest_batch_are_known_no_sooner_than_the_batch(tmp_path: Path):
    writer, now = RunWriter(tmp_path / "run.db"), [0.0]
    recorder = Recorder(writer, clock=lambda: now[0])
    reader = RunReader(tmp_path / "run.db")
    recorder.latest_batch_losses(1, 1, {"mse": 0.5})
    recorder.take(batch(1))
    assert reader.latest_batch_losses(1) == (0, {})
    now[0] = 1.0
    recorder.take(batch(2))
    assert reader.latest_batch_losses(1) == (1, {"mse": 0.5})
    recorder.latest_batch_losses(1, 2, {"mse": 0.25})
    now[0] = 2.0
    recorder.flush_if_due()  # as in a pause, which comes right after
    assert reader.latest_batch_losses(1) == (2, {"mse": 0.25})
    writer.close()


def test_the_shares_of_the_steps_are_recorded_once_a_second_and_at_the_end(tmp_path: Path):
    writer, now = RunWriter(tmp_path / "run.db"), [0.0]
    recorder = Recorder(writer, clock=lambda: now[0])
    recorder.time_with(lambda marks: [after - before for before, after in pairwise(marks)])
    for step in range(1, 25):
        now[0] = step / 10
        recorder.take(batch(step))
    recorder.close()
    writer.close()

    reader = RunReader(tmp_path / "run.db")
    steps = {series.name: [value.step for value in reader.measured(series, 1, (1, 99), 99)]
             for series in reader.series()}  # fmt: skip
    assert set(steps) == {series.name for series in SHARES.values()}
    assert {len(item) for item in steps.values()} == {4}, "at 0, 1 and 2 seconds, and the end"
    assert {item[-1] for item in steps.values()} == {24}
    shares = [reader.values(series.name, 1, (1, 99), 7)[0].high for series in SHARES.values()]
    assert shares == pytest.approx([0.1, 0.0, 0.2, 0.05, 0.4, 0.25])


def test_values_that_come_without_a_batch_are_written_with_the_next_flush(tmp_path: Path):
    writer = RunWriter(tmp_path / "run.db")
    recorder = Recorder(writer)
    recorder.take(batch(1))
    recorder.flush()
    recorder.take(Measured(1, 1, {Series("a"): torch.tensor(0.5), Series("b", "MB"): 2.0}))
    recorder.flush()
    writer.close()

    reader = RunReader(tmp_path / "run.db")
    assert set(reader.series()) == {Series("a"), Series("b", "MB")}
    assert [item.value for item in reader.measured(Series("a"), 1, (1, 1), 9)] == [0.5]


def test_what_was_measured_on_a_lost_device_is_lost_with_its_batches(tmp_path: Path):
    writer = RunWriter(tmp_path / "run.db")
    recorder = Recorder(writer)
    recorder.take(Measured(1, 1, {Series("a"): torch.zeros((), device="meta")}))
    recorder.fail(Failed("the device is gone"))
    recorder.close()
    writer.close()
    assert RunReader(tmp_path / "run.db").last_word() == Failed("the device is gone")


def in_background(path: Path, executor: Executor) -> tuple[Recorder, Callable[[int], None]]:
    """Return a recorder, and a function that takes batches, each of which makes a write due."""
    now = [0.0]
    recorder = Recorder(RunWriter(path), clock=lambda: now[0], executor=executor)

    def take(count: int) -> None:
        for _ in range(count):
            now[0] += 1
            recorder.take(batch(int(now[0])))

    return recorder, take


def rows_in(path: Path) -> list[int]:
    return [row.step for row in RunReader(path).batches(0, 1)]


def test_batches_do_not_wait_for_the_disk_but_an_answer_waits_for_the_batches(tmp_path: Path):
    path = tmp_path / "run.db"
    recorder, take = in_background(path, ThreadPoolExecutor(1))
    take(1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")  # so that each write waits
    take(50)
    assert len(rows_in(path)) <= 1
    other.execute("rollback")

    recorder.take(Paused(None, 1, 51, 0))

    assert rows_in(path) == list(range(1, 52))
    assert [event.event for event in RunReader(path).since(Cursor()).events] == [
        Paused(None, 1, 51, 0)
    ]
    other.close()


def test_an_error_of_another_thread_is_raised_by_a_later_call_and_loses_nothing(tmp_path: Path):
    path = tmp_path / "run.db"
    recorder, take = in_background(path, ThreadPoolExecutor(1))
    with sqlite3.connect(path) as other:
        other.execute("alter table batch rename to batches")
    take(1)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        recorder.take(Paused(None, 1, 1, 0))
    with sqlite3.connect(path) as other:
        other.execute("alter table batches rename to batch")

    recorder.close()

    assert rows_in(path) == [1]
    assert RunReader(path).since(Cursor()).events


class NeverDone(Executor):
    """Runs what is submitted when its result is asked for."""

    def submit(self, function, /, *args):
        class Later(Future):
            def result(self, timeout=None):
                return function(*args)

        return Later()


def test_the_loop_waits_for_a_disk_that_is_too_slow_for_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tuitrain.record.recorder.MOST_WAITING", 10)
    recorder, take = in_background(tmp_path / "run.db", NeverDone())
    take(35)
    assert len(recorder.batches) < 10
    assert rows_in(tmp_path / "run.db") == list(range(1, 22))
