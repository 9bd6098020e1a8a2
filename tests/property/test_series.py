"""A series is read as it was written, in bites of any size, by buckets or value by value."""

import itertools
import math
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuitrain.core.segment import FAR, Segment
from tuitrain.core.series import LR, Series
from tuitrain.store.delta import Cursor
from tuitrain.store.reader import RunReader
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.track import LR as LR_TRACK
from tuitrain.store.track import MANY
from tuitrain.store.writer import MeasuredRow, RunWriter

NORM = Series("norm")
numbers = st.floats(width=32) | st.floats(0, 3)
dense, sparse = st.just(1), st.integers(1, 90)
courses = st.sampled_from([dense, sparse, dense | sparse, st.integers(1, 3)]).flatmap(
    lambda gaps: st.lists(st.lists(st.tuples(gaps, numbers), max_size=60), max_size=6)
)
"""Bites of a series, each of (steps since the value before, value)."""


@contextmanager
def record():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        with closing(RunWriter(path)) as writer:
            yield writer, RunReader(path)


def written(writer, bites, take=1, series=NORM):
    step, found = 0, {}
    for bite in bites:
        rows = []
        for gap, value in bite:
            step += gap
            rows.append(MeasuredRow(key_of(take, step), series, value))
            found[step] = value
        writer.write([], [], rows)
    return found


def finite(values):
    return [value for value in values if math.isfinite(value)]


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def assert_is_all_of(bucket, values):
    kept = finite(values)
    assert bucket.finite == len(kept)
    assert same(bucket.low, min(kept, default=math.nan))
    assert same(bucket.high, max(kept, default=math.nan))
    assert bucket.total == pytest.approx(math.fsum(kept), rel=1e-9, abs=1e27)


@settings(deadline=None)
@given(courses, st.integers(1, 4_000), st.integers(0, 8_000), st.integers(0, 13))
def test_a_window_of_any_width_shows_what_the_single_values_would(bites, first, width, level):
    with record() as (writer, reader):
        values = written(writer, bites)
        buckets = reader.values("norm", 1, (first, first + width), level)
    wanted = [step for step in values if first <= step <= first + width]
    at = 0
    for bucket in buckets:
        own = [step for step in wanted if bucket.first <= step <= bucket.last]
        assert own == wanted[at : at + len(own)]
        assert_is_all_of(bucket, [values[step] for step in own])
        at += len(own)
    assert at == len(wanted), "each value is in one bucket"


@settings(deadline=None)
@given(courses)
def test_a_bucket_is_kept_once_it_is_complete_if_it_has_many_values(bites):
    with record() as (writer, reader):
        values = written(writer, bites)
        with closing(sqlite3.connect(reader._path)) as db:
            kept = {
                (level, first)
                for level, first in db.execute("select level, key from bucket where series > 0")
            }
    last = max(values, default=0)
    expected = {
        (level, first)
        for level in range(4, 14)
        for first in range(1, last + 1, 1 << level)
        if first + (1 << level) - 1 <= last
        and sum(first <= step < first + (1 << level) for step in values) >= MANY
    }
    assert {item for item in kept if item[0] < 14} == expected


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(0, 11), st.data())
def test_the_learning_rate_is_read_by_its_buckets_as_by_its_batches(bites, level, data):
    course = [step**0.5 for step in range(1, sum(bites) + 1)]
    with record() as (writer, reader):
        at = 0
        for bite in bites:
            steps = range(at + 1, at + bite + 1)
            writer.write([BatchRow(step, 1, 0.5, course[step - 1], *[1] * 8) for step in steps], [])
            at += bite
        first = data.draw(st.integers(1, at))
        buckets = reader.values(LR.name, 1, (first, FAR), level)
        with closing(sqlite3.connect(reader._path)) as db:
            (kept,) = db.execute("select count(*) from bucket where series = 0").fetchone()
    for bucket in buckets:
        assert_is_all_of(bucket, course[bucket.first - 1 : bucket.last])
    assert [bucket.first for bucket in buckets[:1]] == [first]
    assert all(a.last + 1 == b.first for a, b in itertools.pairwise(buckets))
    assert buckets[-1].last == at
    size = 1 << LR_TRACK.base
    assert kept == sum(at // (size << more) for more in range(20))


@settings(deadline=None)
@given(courses, courses, st.integers(0, 8))
def test_takes_and_series_do_not_mix(one, other, level):
    with record() as (writer, reader):
        first = written(writer, one)
        second = written(writer, other, take=2)
        written(writer, other, take=3, series=Series("else"))
        for take, values in ((1, first), (2, second), (3, {})):
            buckets = reader.values("norm", take, (1, FAR), level)
            assert sum(bucket.finite for bucket in buckets) == len(finite(values.values()))


@settings(deadline=None)
@given(courses)
def test_followed_in_bites_of_any_size_a_series_has_the_extremes_that_it_has_at_once(bites):
    whole = [Segment(1, 1, FAR, 0, FAR, "mse")]
    with record() as (writer, reader):
        cursor, found, step = Cursor(), None, 0
        for bite in bites:
            rows = []
            for gap, value in bite:
                step += gap
                rows.append(MeasuredRow(step, NORM, value))
            batches = [BatchRow(step, 1, 0.5, 0.1, *[1] * 8)] if bite else []
            writer.write(batches, [], rows)
            delta = reader.since(cursor, lambda _: whole)
            cursor = delta.cursor._replace(epoch=1)  # an epoch was read: the rest is new
            for one in delta.series:
                if one.series == NORM:
                    found = one.after(found)
        at_once = reader.since(Cursor(), lambda _: whole).series[1:]
    values = [value for bite in bites for _, value in bite]
    assert (found is None) == (not values) == (not at_once)
    if found:
        kept = finite(values)
        for summary in (found, *at_once):
            assert same(summary.last, values[-1])
            assert same(summary.low, min(kept, default=math.nan))
            assert same(summary.high, max(kept, default=math.nan))
