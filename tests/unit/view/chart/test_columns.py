import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.store.rollup import Bucket, summed
from tuitrain.view.chart import columns


def buckets(losses, size, first=1):
    return [summed(losses[at : at + size], first + at) for at in range(0, len(losses), size)]


def test_a_smoothed_line_begins_at_the_first_loss_and_not_at_zero():
    assert columns.smoothed(buckets([5.0], 1), half_life=100)[0] == pytest.approx(5.0)


def test_after_a_half_life_the_past_weighs_half():
    line = columns.smoothed(buckets([0.0] * 1000 + [1.0] * 50, 1), half_life=50)
    assert line[-1] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("size", [2, 4, 8])
def test_a_smoothed_line_is_the_same_however_far_one_has_zoomed_in(size):
    losses = [2 * math.exp(-step / 400) + 0.1 * (step % 2) for step in range(1024)]
    fine = columns.smoothed(buckets(losses, 1), half_life=80)
    coarse = columns.smoothed(buckets(losses, size), half_life=80)
    for at in range(5, len(coarse)):
        assert coarse[at] == pytest.approx(fine[(at + 1) * size - 1], abs=0.05)


def test_a_bucket_without_finite_losses_is_a_gap_and_spoils_nothing_after_it():
    line = columns.smoothed(buckets([1.0, 1.0, math.nan, math.inf, 1.0], 1), half_life=3)
    assert [math.isnan(value) for value in line] == [False, False, True, True, False]
    assert line[-1] == pytest.approx(1.0)


def test_time_passes_in_a_gap():
    near = columns.smoothed(buckets([0.0, math.nan, 1.0], 1), half_life=2)
    far = columns.smoothed(buckets([0.0, *[math.nan] * 50, 1.0], 1), half_life=2)
    assert near[-1] < far[-1]
    assert far[-1] == pytest.approx(1.0, abs=1e-6)


def test_without_a_half_life_nothing_is_smoothed():
    assert columns.smoothed(buckets([3.0, 1.0, 2.0], 1), half_life=0) == [3, 1, 2]


@given(st.lists(st.floats(), min_size=1), st.integers(1, 7), st.floats(0, 1e300))
def test_a_smoothed_line_stays_between_the_lowest_and_the_highest_loss(losses, size, half_life):
    given_buckets = buckets(losses, size)
    line = columns.smoothed(given_buckets, half_life)
    finite = [loss for loss in losses if math.isfinite(loss)]
    for value, bucket in zip(line, given_buckets, strict=True):
        assert math.isnan(value) == (not bucket.finite)
        if bucket.finite:
            slack = 1e-6 * max(map(abs, finite))
            assert min(finite) - slack <= value <= max(finite) + slack


def test_the_mean_of_losses_whose_sum_overflows_is_still_a_number():
    assert columns.mean(Bucket(1, 2, 1e308, 1.2e308, math.inf, 2)) == pytest.approx(1.1e308)
    assert columns.mean(Bucket(1, 4, -1e308, 1e308, math.nan, 4)) == 0


def gathered(buckets, first, last, count):
    """Return the columns of an axis of the steps first..last."""
    return columns.columns(buckets, lambda step: columns.column_of(step, first, last, count), count)


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=300),
    st.integers(1, 9),
    st.integers(1, 60),
    st.data(),
)
def test_a_spike_one_step_wide_survives_in_the_column_of_its_step(losses, size, count, data):
    at = data.draw(st.integers(0, len(losses) - 1))
    losses[at] = 900.0
    row = gathered(buckets(losses, size), 0, len(losses), count)
    spiked = [column for column in row if column and column.high == 900]
    assert len(spiked) == 1
    assert spiked[0].first <= at + 1 <= spiked[0].last


@given(st.lists(st.floats(), max_size=300), st.integers(1, 9), st.integers(1, 60))
def test_columns_hold_every_step_once_and_in_order(losses, size, count):
    row = gathered(buckets(losses, size), 0, max(1, len(losses)), count)
    assert len(row) == count
    held = [bucket for bucket in row if bucket]
    assert sum(bucket.steps for bucket in held) == len(losses)
    assert all(a.last + 1 == b.first for a, b in pairwise(held))


def test_what_lies_outside_the_axis_is_left_out():
    row = gathered(buckets([1.0] * 100, 1), 40, 60, 21)
    assert sum(bucket.steps for bucket in row if bucket) == 21


def test_a_line_breaks_where_nothing_is_finite_and_where_steps_are_missing():
    row = [*buckets([1.0, 2.0, math.nan, 3.0], 1), None, *buckets([4.0], 1, first=9)]
    pieces = [[column for column, _ in piece] for piece in columns.unbroken(row)]
    assert pieces == [[0, 1], [3], [5]]


def test_a_band_is_blended_between_its_points():
    assert list(columns.band([(0, 0, 4), (2, 2, 8)])) == [(0, 0, 4), (1, 1, 6), (2, 2, 8)]
    assert list(columns.band([(7, 1, 2)])) == [(7, 1, 2)]


def test_on_a_logarithmic_axis_the_smoothed_line_follows_losses_that_fall_by_decades():
    losses = [10 ** (-step / 100) for step in range(1000)]
    line = columns.smoothed(buckets(losses, 1), 50, is_log=True)
    assert all(loss <= value < 10 * loss for loss, value in zip(losses, line, strict=True))
    assert columns.smoothed(buckets(losses, 1), 50)[-1] > 1000 * losses[-1], "which a mean does not"


def test_a_loss_of_zero_is_a_gap_in_a_line_of_logarithms():
    line = columns.smoothed(buckets([1.0, 0.0, 1.0], 1), 50, is_log=True)
    assert (line[0], line[2]) == (1.0, 1.0)
    assert math.isnan(line[1])
