"""The panel of the ranks, drawn from a record."""

from dataclasses import replace
from typing import Any

import pytest

from tests.recorded import RecordedRun
from tests.unit.view.panel.test_view_panels import drawn, reads, recorded  # noqa: F401 - a fixture
from tuitrain.core.detail import RANKS
from tuitrain.view.panel.ranks import ranks

BODY = {
    "ranks": [
        {"host": host, "device": "cpu", "batch_ms": 9.5, "waited": waited, "memory_mb": 712.0}
        for host, waited in (("ash", 0.62), ("elm", 0.0))
    ],
    "every": 26,
}


@pytest.fixture
def of_two(recorded: RecordedRun) -> RecordedRun:  # noqa: F811 - the fixture
    """A run of two ranks, on two hosts, which has trained an epoch."""
    begun: Any = recorded.now().started
    recorded.records(replace(begun, environment={"ranks": "2"}))
    recorded.trains(1)
    return recorded


@pytest.mark.parametrize("width", [38, 78, 138])
def test_each_rank_has_a_line_and_the_one_that_the_others_wait_for_is_named(of_two, width: int):
    assert "nothing of the ranks is in the record yet" in drawn(ranks, of_two)
    of_two.details(RANKS, BODY)
    said = " ".join(drawn(ranks, of_two, (width, 10)).split())
    assert "9.5 ms a batch · commands within 26 steps; the others wait for rank 1" in said
    assert "0 cpu 712 MB 62% ash 1 cpu 712 MB 0% elm" in said
    picture = ranks(of_two.now(), reads(of_two), width, 10)
    warned = ["".join(span.text for span in line) for line in picture if line[0].role == "warn"]
    assert [line.split()[0] for line in warned] == ["1"]


def test_where_not_all_ranks_have_room_the_slow_ones_have_it_and_the_rest_is_counted(of_two):
    one = BODY["ranks"][0]
    waits = (0.5, 0.62, 0.0, 0.4, 0.3)
    of_two.details(RANKS, {**BODY, "ranks": [{**one, "waited": waited} for waited in waits]})
    lines = drawn(ranks, of_two, (138, 5)).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["2", "4", "3"]
    assert lines[-1].strip() == "3 more: enter shows a panel alone"


def test_of_a_process_alone_it_says_how_several_are_started(recorded):  # noqa: F811 - the fixture
    recorded.trains(1)
    assert "one process trains it: nproc" in drawn(ranks, recorded)
