"""The chart of a sweep of the learning rate, and what it says where there is none."""

from contextlib import closing

import pytest

from tests.recorded import STEPS, RecordedRun
from tuitrain.core.detail import RATE_SWEEP
from tuitrain.core.events import CommandAccepted, CommandDropped, RateSwept
from tuitrain.view.chart.rate_sweep import chart
from tuitrain.view.picture import plain
from tuitrain.view.text.cells import width_of

POINTS = {
    "rates": [10 ** (-6 + number / 10) for number in range(60)],
    "losses": [2.3 - (number % 3) / 10 for number in range(60)],
    "smoothed": [2.3 - number / 30 for number in range(60)],
}


@pytest.fixture
def run(tmp_path):
    with closing(RecordedRun(tmp_path / "run.db")) as run:
        run.trains(1)
        yield run


def requested(run, command="s"):
    run.records(CommandAccepted(command, "lr-find", "", "batch", 0.0, STEPS, 1))


def drawn(run, size=(80, 20)):
    lines = chart(run.now(), run.reader, *size)
    assert len(lines) == size[1]
    assert {sum(width_of(span.text) for span in line) for line in lines} == {size[0]}
    return plain(lines)


@pytest.mark.parametrize("size", [(80, 20), (140, 40), (40, 10), (20, 4)])
def test_a_sweep_has_its_suggestion_and_the_rate_in_use_marked(run, size):
    requested(run)
    run.details(RATE_SWEEP, {**POINTS, "suggestion": 0.004})
    run.records(RateSwept("s", 1, STEPS, 1, 60, 0.004))
    said = drawn(run, size)
    if size[0] < 60:
        in_use = "  │ in use 0.001" if size[0] == 40 else ""
        assert said.splitlines()[0].rstrip() == f" │ suggestion 0.004{in_use}"
    else:
        heading, *_, axis, numbers = said.splitlines()
        assert heading == (" │ suggestion 0.004  │ in use 0.001  60 batches, all undone")
        in_use, suggestion = axis.index("┻"), axis.index("┴")
        assert numbers.index("1e-3") <= in_use <= numbers.index("1e-3") + 4
        assert in_use < suggestion < numbers.index("0.01")


def test_a_sweep_that_goes_on_does_not_show_the_one_before(run):
    requested(run)
    run.details(RATE_SWEEP, {**POINTS, "suggestion": 0.01})
    run.records(RateSwept("s", 1, STEPS, 1, 60, 0.01))
    requested(run, "again")
    assert drawn(run).split("\n", 1)[1].strip() == ""
    run.details(RATE_SWEEP, POINTS)
    assert "1e-6" in drawn(run)


def test_a_sweep_that_found_nothing_or_was_ended_says_so(run):
    requested(run)
    run.details(RATE_SWEEP, POINTS)
    run.records(RateSwept("s", 1, STEPS, 1, 60))
    assert "the loss fell at no rate" in drawn(run)
    requested(run, "again")
    run.records(CommandDropped("again", "another command came before its end"))
    assert "no sweep: another command came before its end" in drawn(run)
