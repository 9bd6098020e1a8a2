"""What the ranks of a watched loop tell each other arrives, whenever it is told."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from torch._C._distributed_c10d import HashStore, ProcessGroupGloo

from tuitrain.watcher import link
from tuitrain.watcher.link import GoOn, Link, Measure, Unreachable

Linked = Callable[[int], list[Link]]


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> Linked:
    """Connect so many ranks, each with a thread of its own; the first one leads."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")

    def connect(count: int) -> list[Link]:
        store = HashStore()

        def join(rank: int) -> Link:
            group = ProcessGroupGloo(store, rank, count, timeout=timedelta(seconds=60))
            return Link(group, store, 0, have_same_weights=True)

        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(join, range(count)))

    return connect


def test_a_message_arrives_whenever_it_is_sent(linked: Linked, monkeypatch: pytest.MonkeyPatch):
    """Also just when a rank looks whether the others are still there, which it does very often."""
    monkeypatch.setattr(link, "_SLICE", timedelta(milliseconds=1))
    first, second = linked(2)
    sent = [GoOn(number, 0, has_stopped=False) for number in range(500)]

    def send() -> None:
        for message in sent:
            time.sleep(message.steps % 30 / 10_000)  # at any moment between two looks
            first.send(message)

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        try:
            assert [second.receive() for _ in sent] == sent
        finally:
            second.leave(keeps_settings=True)  # else the other one waits
    sending.result()


def test_a_rank_that_leaves_after_a_message_does_not_keep_it_from_another(linked: Linked):
    first, second, third = linked(3)
    with ThreadPoolExecutor(1) as thread:
        sending: Future[None] = thread.submit(first.send, Measure())
        assert second.receive() == Measure()
        second.leave(keeps_settings=True)
        with suppress(TimeoutError):
            sending.result(timeout=0.5)  # it looks whether the others are there
        assert third.receive() == Measure()
        sending.result()
    for one in (first, third):
        with pytest.raises(Unreachable, match="rank 1 has left"):
            one.gathered({})
