"""Roll-ups lose no step, count none twice, and never say what single losses would not."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuitrain.store.rollup import BASE, Rollup, cover, joined, level_for, summed

losses = st.floats(width=32)
steps = st.integers(1, 1 << 40)
levels = st.integers(0, 40)
kept_levels = st.integers(BASE, 40)


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def steps_of(span):
    size = 1 << span.level if span.level else 1
    first = span.first * size + 1 if span.level else span.first
    return first, (span.last + 1) * size if span.level else span.last


@given(steps, steps, levels)
def test_spans_follow_each_other_from_the_first_step_to_the_last(first, last, level):
    at = first
    for span in cover(first, last, level):
        begin, end = steps_of(span)
        assert begin == at <= end
        at = end + 1
    assert at == (last + 1 if first <= last else first)


@given(steps, steps, levels)
def test_only_levels_that_are_kept_are_asked_for(first, last, level):
    kept = {0, *range(BASE, level + 1)}
    assert {span.level for span in cover(first, last, level)} <= kept


@given(steps, steps, kept_levels)
@example(1, 1 << 30, 25)
def test_few_rows_are_read_however_long_a_run_is(first, last, level):
    spans = list(cover(first, last, level))
    assert len(spans) <= 2 * level + 1
    ragged = [span for span in spans if span.level != level]
    assert sum(span.last - span.first + 1 for span in ragged) <= 2 * (level + (1 << BASE))


@given(st.integers(1, 1 << 50), st.integers(1, 10_000))
def test_the_level_is_the_finest_at_which_all_fits(steps, buckets):
    level = level_for(steps, buckets)
    assert steps <= buckets << level
    assert level == 0 or steps > buckets << (level - 1)


@pytest.mark.parametrize(("steps", "buckets"), [(0, 10), (10, 0), (0, 0)])
def test_nothing_and_no_room_have_a_level_too(steps, buckets):
    assert level_for(steps, buckets) >= 0


@given(st.lists(losses, min_size=1, max_size=50), steps)
def test_a_bucket_knows_its_steps_and_its_finite_losses(values, first):
    bucket, finite = summed(values, first), [value for value in values if math.isfinite(value)]
    assert (bucket.first, bucket.steps) == (first, len(values))
    assert bucket.finite == len(finite)
    assert same(bucket.low, min(finite, default=math.nan))
    assert same(bucket.high, max(finite, default=math.nan))
    assert bucket.total == sum(finite)
    assert not finite or bucket.mean == sum(finite) / len(finite)


@given(st.lists(losses, min_size=1, max_size=60), st.data(), steps)
def test_neighbours_joined_are_the_bucket_of_all_their_losses(values, data, first):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(values)), max_size=4)) | {len(values)})
    parts = [
        summed(values[begin:end], first + begin)
        for begin, end in zip([0, *cuts[:-1]], cuts, strict=True)
    ]
    one, whole = joined(parts), summed(values, first)
    assert (one.first, one.last, one.finite) == (whole.first, whole.last, whole.finite)
    assert same(one.low, whole.low)
    assert same(one.high, whole.high)
    bound = sum(abs(value) for value in values if math.isfinite(value))
    assert one.total == pytest.approx(whole.total, abs=1e-12 * bound)


@given(
    st.integers(1, 200),
    st.lists(st.lists(losses, max_size=70), max_size=8),
)
def test_only_complete_buckets_are_kept_each_once_and_none_is_forgotten(first, bites):
    rollup, at = Rollup(), first
    kept = []
    for bite in bites:
        kept += [(level, bucket) for level, bucket in rollup.add(at, bite)]
        at += len(bite)
    values = [value for bite in bites for value in bite]
    last = first + len(values) - 1
    expected = {
        (level, begin)
        for level in range(BASE, 12)
        for begin in range(1, last + 1, 1 << level)
        if begin >= first and begin + (1 << level) - 1 <= last
    }
    assert len(kept) == len(expected)
    assert {(level, bucket.first) for level, bucket in kept} == expected
    for level, bucket in kept:
        assert bucket.steps == 1 << level
        single = summed(values[bucket.first - first : bucket.last - first + 1], bucket.first)
        assert bucket.finite == single.finite
        assert same(bucket.low, single.low)
        assert same(bucket.high, single.high)
