import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.view.chart import scale

finite = st.floats(allow_nan=False, allow_infinity=False)
anything = st.floats()


@pytest.mark.parametrize(
    ("newest", "planned", "end"),
    [
        (0, 1000, 20),
        (1, 5, 5),
        (20, 1000, 20),
        (21, 1000, 30),
        (101, 5000, 150),
        (150, 5000, 150),
        (1501, 5000, 2000),
        (6001, 9000, 7000),
        (8001, 90_000, 10_000),
        (900, 937, 937),
        (938, 937, 1000),
        (50, 0, 70),
        (10_000_001, 10**9, 15_000_000),
    ],
)
def test_the_step_axis_ends_at_a_round_number_or_at_the_plan(newest, planned, end):
    assert scale.nice_end(newest, planned) == end


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_the_step_axis_shows_the_newest_step_and_is_never_empty(newest, planned):
    end = scale.nice_end(newest, planned)
    assert end >= max(1, newest)
    assert end <= max(20, 2 * newest)


def test_the_step_axis_of_a_run_ten_million_long_moves_fewer_than_sixty_times():
    ends = {scale.nice_end(newest, 10**7) for newest in range(1, 10**7, 997)}
    assert len(ends) < 60


def decay(length: int) -> list[float]:
    return [0.05 + 2.35 * math.exp(-step / (length / 20)) for step in range(length)]


@pytest.mark.parametrize("length", [10, 100, 1000])
def test_a_decaying_loss_is_shown_whole(length):
    losses = decay(length)
    shown = scale.without_outliers(losses, losses)
    assert (shown.low, shown.high) == (min(losses), max(losses))
    assert (shown.above, shown.below) == (0, 0)


def test_a_start_that_has_become_one_bucket_among_many_is_shown_whole():
    lows, highs = [0.3] + [0.02] * 299, [2.4] + [0.06] * 299
    assert scale.without_outliers(lows, highs).high == 2.4


def test_one_spike_of_900_among_losses_below_1_is_left_outside_and_counted():
    highs = [*decay(100), 900.0, *[0.06] * 60]
    shown = scale.without_outliers([0.04] * len(highs), highs)
    assert shown.high == max(decay(100))
    assert (shown.above, shown.below) == (1, 0)


def test_a_plunge_is_left_outside_as_a_spike_is():
    lows = [0.5, 0.6, 0.4, -800.0, 0.5, 0.6, 0.5, 0.5]
    shown = scale.without_outliers(lows, [0.9] * 8)
    assert (shown.low, shown.above, shown.below) == (0.4, 0, 1)


def test_a_spike_at_the_very_first_step_is_left_outside_too():
    assert scale.without_outliers([0.4] * 50, [9000.0] + [0.9] * 49).above == 1


def test_the_full_range_holds_every_spike():
    assert scale.full([0.1, 0.2], [0.3, 900.0]) == (0.1, 900.0, 0, 0)


def test_among_a_handful_of_values_none_is_called_an_outlier():
    assert scale.without_outliers([1.0, 900.0], [1.0, 900.0]) == (1.0, 900.0, 0, 0)


def test_without_values_the_range_is_0_to_1():
    assert scale.without_outliers([], []) == (0, 1, 0, 0)
    assert scale.full([math.nan], [math.inf]) == (0, 1, 0, 0)


@given(
    st.lists(st.tuples(anything, anything)), st.sampled_from([scale.without_outliers, scale.full])
)
def test_a_range_is_finite_and_never_a_point(pairs, fit):
    pairs = [(min(pair), max(pair)) for pair in pairs]
    shown = fit([low for low, _ in pairs], [high for _, high in pairs])
    assert math.isfinite(shown.low)
    assert math.isfinite(shown.high)
    assert shown.low < shown.high


@given(finite, finite, st.integers(1, 20))
def test_a_rounded_range_holds_the_range_and_ends_at_ticks(one, other, count):
    shown = scale.full([min(one, other)], [max(one, other)])
    outer = scale.rounded(shown, count)
    slack = (shown.high / 2 - shown.low / 2) * 1e-6
    assert outer.low <= shown.low + slack
    assert outer.high >= shown.high - slack
    step = scale.tick_step(shown.low, shown.high, count)
    for end in (outer.low, outer.high):
        assert abs(end) == sys.float_info.max or math.isclose(end / step, round(end / step))


def test_the_widest_range_there_is_has_ticks_too():
    shown = scale.Range(-1e308, sys.float_info.max)
    assert scale.tick_step(shown.low, shown.high, 2) == 1e308
    assert scale.rounded(shown, 2) == (-1e308, sys.float_info.max, 0, 0)


@given(finite, finite, st.integers(1, 20))
def test_ticks_are_few_rising_and_within(one, other, count):
    shown = scale.full([min(one, other)], [max(one, other)])
    numbers = scale.ticks(shown.low, shown.high, count)
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= count + 2


@given(finite, finite, st.integers(2, 12), st.booleans())
def test_neighbouring_ticks_of_an_axis_have_different_labels(one, other, count, is_log):
    axis = scale.axis([(min(one, other), max(one, other))], is_full=False, is_log=is_log)
    _, numbers = axis.numbered(count)
    labels = [label for _, label in numbers]
    assert len(set(labels)) == len(labels)
    assert bool(labels) == (not is_log or max(one, other) > 0), "no logarithm, no number"


def test_ticks_are_nice_numbers():
    assert scale.ticks(0, 2.4, 5) == [0, 0.5, 1, 1.5, 2]
    assert scale.rounded(scale.Range(0.05, 2.4), 5) == (0, 2.5, 0, 0)


@pytest.mark.parametrize(
    ("value", "step", "label"),
    [
        (0.05, 0.05, "0.05"),
        (2.5, 0.5, "2.5"),
        (2.0, 0.5, "2.0"),
        (3.0, 1.0, "3"),
        (1e-5, 1e-5, "1e-5"),
        (1.2e38, 1e37, "1.2e38"),
        (-40.0, 20.0, "-40"),
        (1e-17, 0.1, "0"),
        (120_000.0, 20_000.0, "1.2e5"),
    ],
)
def test_a_tick_label_is_short_and_tells_neighbours_apart(value, step, label):
    assert scale.tick_label(value, step) == label


@pytest.mark.parametrize(
    ("step", "label"),
    [
        (0, "0"),
        (500, "500"),
        (1000, "1k"),
        (1500, "1.5k"),
        (20_000, "20k"),
        (999_999, "1M"),
        (3_000_000, "3M"),
        (2_500_000_000, "2.5G"),
        (10**13, "10T"),
    ],
)
def test_a_step_label_is_short(step, label):
    assert scale.step_label(step) == label


def test_a_logarithmic_axis_has_powers_of_ten_and_nothing_at_or_below_zero():
    axis = scale.axis([(0.0, 0.02), (-1.0, 3.0)], is_full=True, is_log=True)
    axis, numbers = axis.numbered(6)
    assert [label for _, label in numbers] == ["0.1", "1"]
    assert axis.value(axis.shown.low) == pytest.approx(0.02)
    assert axis.value(axis.shown.high) == pytest.approx(5)
    assert axis.side(0.0) == -1


@pytest.mark.parametrize("high", [0.11, 0.7, 1.6, 2.1, 2.4, 3.2, 4.1, 10.5, 64])
@pytest.mark.parametrize("rows", [2, 3, 8])
def test_an_axis_ends_close_to_its_values_and_has_two_numbers_at_least(high, rows):
    axis, numbers = scale.axis([(0.01, high)] * 9, is_full=False, is_log=False).numbered(rows)
    assert axis.place(high) > 0.85
    assert axis.place(0.01) < 0.15
    assert len(numbers) >= 2


@given(st.floats(1e-6, 1e6), st.floats(1.05, 1e9), st.integers(2, 12))
def test_so_does_a_logarithmic_one(low, times, rows):
    axis = scale.axis([(low, low * times)], is_full=True, is_log=True)
    ends = axis.shown
    axis, numbers = axis.numbered(rows)
    assert len(numbers) >= 2
    waste = (axis.shown.high - axis.shown.low) - (ends.high - ends.low)
    assert waste <= 2 * math.log10(2.5) + 1e-9
    assert all(len(label) <= 4 for value, label in numbers)


def falling(decades, count=200):
    return [10 ** (-decades * at / count) for at in range(count)]


@pytest.mark.parametrize(("decades", "is_log"), [(1.0, False), (1.9, False), (2.5, True)])
def test_an_axis_is_logarithmic_once_its_values_span_two_decades(decades, is_log):
    pairs = [(value, value) for value in falling(decades)]
    assert scale.axis(pairs, is_full=False, is_log=None).is_log == is_log
    assert not scale.axis(pairs, is_full=False, is_log=False).is_log, "the user decides"


@pytest.mark.parametrize(("decades", "is_log"), [(1.5, False), (1.9, True)])
def test_an_axis_that_was_logarithmic_stays_so_just_below_two_decades(decades, is_log):
    pairs = [(value, value) for value in falling(decades)]
    assert scale.axis(pairs, is_full=False, is_log=None, was_log=True).is_log == is_log


@pytest.mark.parametrize("odd", [900.0, 1e-9])
def test_an_outlier_alone_makes_no_axis_logarithmic(odd):
    pairs = [(0.3, 1.2)] * 60
    pairs[30] = (min(odd, 0.3), max(odd, 1.2))
    assert not scale.axis(pairs, is_full=False, is_log=None).is_log


@pytest.mark.parametrize("odd", [-1.0, 0.0])
def test_values_that_no_logarithm_can_show_keep_an_axis_linear(odd):
    pairs = [(value, value) for value in falling(4)]
    pairs[50:170] = [(odd, odd)] * 120
    assert not scale.axis(pairs, is_full=False, is_log=None).is_log


def test_validations_far_above_the_losses_are_no_outliers():
    losses = [(value / 2, value) for value in falling(6, 300)]
    validations = [(0.5, 0.5)] * 12
    axis = scale.axis(losses, validations, is_full=False, is_log=None)
    assert axis.is_log
    assert axis.shown.above == 0
    assert all(not axis.side(value) for pair in (*losses, *validations) for value in pair)
    linear = scale.axis([(1e-6, 2e-6)] * 300, validations, is_full=False, is_log=False)
    assert linear.side(0.5) == 0
