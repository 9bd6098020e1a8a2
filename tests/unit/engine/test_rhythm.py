"""When the ranks of a run meet, by a clock of the test's own."""

import pytest

from tuitrain.engine.ranks.rhythm import Rhythm


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def met_at(rhythm: Rhythm, clock: Clock, step_s: float, until_s: float) -> list[float]:
    """Return the times of their meetings while every step takes so long."""
    times, step = [], 0
    rhythm.go_on(step)
    while clock.now < until_s:
        step += rhythm.steps
        clock.now += step_s * rhythm.steps
        times.append(clock.now)
        rhythm.meet(step)
        rhythm.go_on(step)
    return times


@pytest.mark.parametrize("step_s", [0.0001, 0.001, 0.012, 0.1])
def test_they_meet_four_times_a_second_whatever_a_step_takes(step_s: float):
    clock = Clock()
    times = met_at(Rhythm(clock), clock, step_s, until_s=11)
    settled = [time for time in times if time > 1]
    assert len(settled) / 10 == pytest.approx(4, rel=0.3)


def test_after_each_step_where_one_takes_longer_than_that():
    clock = Clock()
    assert met_at(Rhythm(clock), clock, 2.0, until_s=6) == [2, 4, 6]


def test_they_begin_with_single_steps_and_come_to_know_what_one_takes():
    """A first guess cannot keep a command waiting for thousands of slow ones."""
    clock = Clock()
    rhythm = Rhythm(clock)
    steps = [rhythm.steps]
    rhythm.go_on(0)
    for step in range(1, 5):
        clock.now += 1e-6
        rhythm.meet(step)
        steps.append(rhythm.steps)
        rhythm.go_on(step)
    assert steps == [1, 4, 16, 64, 256]


def test_a_pause_is_no_part_of_what_a_step_takes():
    clock = Clock()
    rhythm = Rhythm(clock)
    rhythm.go_on(0)
    clock.now = 0.25
    rhythm.meet(5)
    clock.now += 1000  # in the meeting
    rhythm.go_on(5)
    assert rhythm.step_s(5) is None
    clock.now += 0.1
    assert rhythm.step_s(10) == pytest.approx(0.02)


def test_the_steps_before_a_resumption_did_not_take_the_time_since():
    clock = Clock()
    rhythm = Rhythm(clock)
    clock.now = 0.5
    rhythm.meet(5000)
    assert (rhythm.step_s(5000), rhythm.steps) == (None, 1)
