"""A trainer that has imported PyTorch before its run is there."""

from collections.abc import Iterator

import psutil
import pytest

from tests.conftest import Shell, until
from tuitrain.catalog import new_spec
from tuitrain.trainer import supervisor, warm


@pytest.fixture
def waiting(monkeypatch) -> Iterator[psutil.Process]:
    """A trainer that waits for a run."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as all trainers of tests have
    warm.warm_up()
    yield psutil.Process(warm._warm[0].process.pid)
    warm.cool_down()


def test_a_run_in_a_warm_trainer_is_the_same_run(tuitrain: Shell, waiting: psutil.Process):
    tuitrain.trained("a")

    started = supervisor.start(tuitrain.home, new_spec("digits", seed=1, epochs=2), "b")

    assert started.process.pid == waiting.pid
    assert started.process.wait() == 0
    assert tuitrain.show("b")["weights_sha256"] == tuitrain.show("a")["weights_sha256"]


def test_in_place_of_a_warm_trainer_that_is_gone_one_starts_now(
    tuitrain: Shell, waiting: psutil.Process
):
    waiting.kill()
    until(lambda: waiting.status() == psutil.STATUS_ZOMBIE, "it is gone")

    started = supervisor.start(tuitrain.home, new_spec("digits", device="cuda:77"), "a")

    assert started.process.wait() == 3
    assert tuitrain.show("a")["state"] == "failed"


def test_it_ends_with_the_process_that_made_it_and_when_it_is_not_needed(
    waiting: psutil.Process,
):
    warm._warm[0].socket.close()  # as the system does for a process that ends
    until(lambda: waiting.status() == psutil.STATUS_ZOMBIE, "it has ended")
    warm.cool_down()
    assert not waiting.is_running()
    assert not warm._warm
