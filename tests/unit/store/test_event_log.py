"""The event log: events and ends of epochs in one order."""

from contextlib import closing

import pytest

from tuitrain.core.events import EpochEnded, Paused, StartupReached, TakeOpened, Warned
from tuitrain.store.delta import Cursor
from tuitrain.store.event_log import EventLog
from tuitrain.store.writer import RunWriter, Stamped


def epoch(number, *, take=1):
    return EpochEnded(take, number * 10, number, "mse", 0.5, 0.5, {}, improved=False)


def paused(step, epochs, *, take=1):
    return Paused(None, take, step, epochs)


def opened(take, step, epochs):
    return TakeOpened("w", take, step, epochs, "undo", "", 1, {"loss": "mse"}, 10, 30)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def written(path, *timed):
    with closing(RunWriter(path)) as writer:
        for elapsed_ms, event in timed:
            writer.write([], [Stamped(1.0, elapsed_ms, event)])


def test_a_missing_record_has_no_events(path):
    assert EventLog(path).after(Cursor()) == ([], Cursor())


def test_epochs_stand_where_they_ended(path):
    events = [
        (0, StartupReached("loading")), (0, paused(0, 0)), (5, epoch(1)), (5, paused(10, 1)),
        (6, Warned("hot")), (8, epoch(2)), (9, paused(30, 2)), (9, epoch(3)), (9, paused(30, 3)),
        (9, opened(2, 10, 1)), (12, epoch(2, take=2)), (13, Warned("cold")), (20, epoch(3, take=2)),
    ]  # fmt: skip
    written(path, *events)

    logged, _ = EventLog(path).after(Cursor())

    assert logged == [event for _, event in events]


def test_a_log_continues_after_its_cursor(path):
    written(path, (1, StartupReached("a")), (2, epoch(1)))
    _, cursor = EventLog(path).after(Cursor())
    assert EventLog(path).after(cursor) == ([], cursor)
    written(path, (3, Warned("b")), (4, epoch(2)))
    assert EventLog(path).after(cursor)[0] == [Warned("b"), epoch(2)]


def test_no_epoch_is_left_out_however_many_there_are(path):
    many = [epoch(number) for number in range(1, 1201)]
    with closing(RunWriter(path)) as writer:
        writer.write([], [Stamped(1.0, event.epoch, event) for event in many])
    assert EventLog(path).after(Cursor())[0] == many
