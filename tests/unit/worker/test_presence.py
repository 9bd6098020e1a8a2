"""How the first host sees that another one is lost, by what each tells in the store of all."""

import pytest
from torch.distributed import HashStore

from tuitrain.worker import presence
from tuitrain.worker.presence import Presence

LOOKS = presence._LOOKS


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[Presence]:
    """Three hosts that have come, whose every call is due."""
    monkeypatch.setattr(presence, "_EVERY_S", 0)
    store = HashStore()
    hosts = [Presence(store, number, 3) for number in range(3)]
    for host in hosts:
        host.begin()
    return hosts


def test_a_host_that_tells_nothing_for_many_looks_is_lost_and_no_other(hosts: list[Presence]):
    said = []
    for _ in range(LOOKS + 1):
        hosts[1].tell()
        said.append(hosts[0].lost())
    assert said[:-1] == [None] * LOOKS
    assert said[-1].startswith("host ")
    assert " was lost: it told nothing for " in said[-1]


def test_a_host_that_tells_something_now_and_then_is_there(hosts: list[Presence]):
    for _ in range(5):
        for host in hosts[1:]:
            host.tell()
        assert [hosts[0].lost() for _ in range(LOOKS)] == [None] * LOOKS


def test_a_host_whose_ranks_have_ended_is_not_lost(hosts: list[Presence]):
    for host in hosts[1:]:
        host.end()
    assert [hosts[0].lost() for _ in range(3 * LOOKS)] == [None] * 3 * LOOKS


def test_a_host_that_never_came_is_lost_without_a_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(presence, "_EVERY_S", 0)
    first = Presence(HashStore(), 0, 2)
    said = [first.lost() for _ in range(LOOKS + 1)]
    assert said[-2:] == [None, "another host was lost: it told nothing for 0 s"]
