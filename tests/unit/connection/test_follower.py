"""A run is followed over the start of another trainer."""

import os
from collections.abc import Iterator

import pytest

from tests.recorded import RecordedRun, in_home
from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.events import StartupReached, Stopped
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths


@pytest.fixture
def stopped(home) -> Iterator[RecordedRun]:
    """A run that was stopped, whose lock another trainer has by now."""
    run = in_home(home, "a", epochs=2)
    run.trains(1)
    run.records(Stopped(None, 1, 23, 1, "SIGTERM"))
    held = lock.acquire(RunPaths(home / "runs" / "a").lock)
    yield run
    os.close(held)
    run.close()


def test_a_new_trainer_that_has_recorded_nothing_yet_is_starting(home, stopped: RecordedRun):
    found = Follower(Client(home / "runs" / "a")).look_at_a_restart(stopped.reader.end())
    assert (found.state, found.stage, found.why) == ("starting", "", "")


def test_what_it_has_recorded_before_the_first_look_is_seen(home, stopped: RecordedRun):
    since = stopped.reader.end()
    stopped.records(StartupReached("waiting for 2 hosts at ash:29400"))
    found = Follower(Client(home / "runs" / "a")).look_at_a_restart(since)
    assert (found.state, found.stage) == ("starting", "waiting for 2 hosts at ash:29400")
    assert (found.error, found.why) == (None, "")
