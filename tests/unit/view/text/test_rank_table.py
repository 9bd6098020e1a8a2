"""The table of a run's ranks, and which of them the others wait for."""

import math

from tuitrain.core.detail import Rank, Ranks
from tuitrain.view.text.rank_table import lines_of, slowest_of


def ranks(*waited: float) -> Ranks:
    return Ranks(tuple(Rank("ash", "cpu", 10.0, share, 700.0) for share in waited), 25)


def test_each_rank_has_a_row_and_the_slowest_is_named():
    assert lines_of(ranks(0.31, 0.0)) == [
        "10 ms a batch · commands within 25 steps; the others wait for rank 1",
        "rank  device  memory  waits  host",
        "   0     cpu  700 MB    31%  ash",
        "   1     cpu  700 MB     0%  ash",
    ]


def test_sharded_weights_are_said():
    assert lines_of(ranks(0.0), is_sharded=True)[0].endswith("25 steps · sharded weights")


def test_none_is_slow_while_the_others_hardly_wait():
    assert slowest_of(ranks(0.0, 0.04).ranks) is None
    assert slowest_of(ranks(0.0, 0.3, 0.04).ranks) is None
    assert slowest_of(ranks(0.2, 0.3, 0.0).ranks) == 2


def test_of_gpus_it_is_not_known():
    assert slowest_of(ranks(math.nan, math.nan).ranks) is None
    assert lines_of(ranks(math.nan, math.nan))[2].split()[4] == "–"


def test_a_name_of_a_host_cannot_act_on_the_terminal():
    named = Ranks((Rank("\x1b[2J", "cpu", 10.0, 0.0, 1.0),), 1)
    assert "\x1b" not in "".join(lines_of(named))
    assert lines_of(named)[0] == "10 ms a batch · commands within a step"
