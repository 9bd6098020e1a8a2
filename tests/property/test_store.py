"""What was written is what is read: in bites of any size, through windows of any width."""

import itertools
import math
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuitrain.core.events import EpochEnded, StartupReached
from tuitrain.store.delta import Cursor
from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import BASE, summed
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import RunWriter, Stamped

losses = st.floats(width=32) | st.floats(0, 3)
"""What a loss computed in single precision can be, and what it mostly is."""
counts = st.integers(0, 1 << 40)
runs = st.lists(st.lists(losses, max_size=90), max_size=6)
"""The losses of a run, flush by flush."""


@contextmanager
def record():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        with closing(RunWriter(path)) as writer:
            yield writer, RunReader(path)


def rows(values, first, take=1):
    return [
        BatchRow(key_of(take, step), 1, value, 0.001, 64, step, 1, 2, 3, 4, 5, 6)
        for step, value in enumerate(values, first)
    ]


def written(writer, bites, take=1):
    at = 1
    for bite in bites:
        writer.write(rows(bite, at, take), [])
        at += len(bite)
    return [value for bite in bites for value in bite]


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


batches = st.builds(
    lambda loss, lr, count: BatchRow(0, 1, loss, lr, count, *[count + part for part in range(7)]),
    losses, st.floats(0, 10), counts,
)  # fmt: skip
epochs = st.builds(
    lambda loss, metrics: EpochEnded(1, 0, 1, "mse", loss, loss, metrics, improved=False),
    st.floats(allow_nan=False), st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=2),
)  # fmt: skip
happenings = st.builds(StartupReached, st.text())
a_read = st.none()
a_flush = st.tuples(
    st.lists(batches, max_size=4), st.lists(epochs, max_size=2), st.lists(happenings, max_size=2)
)


def numbered(plan):
    """Give the batches and epochs of a plan the steps that a run would."""
    steps = itertools.count(1)
    for flush in plan:
        if flush is not None:
            rows = [row._replace(key=key_of(1, next(steps))) for row in flush[0]]
            ends = [replace(event, step=next(steps)) for event in flush[1]]
            flush = rows, ends, flush[2]
        yield flush


def comparable(row):
    return tuple("nan" if value != value else value for value in row)


@settings(deadline=None)
@given(st.lists(a_read | a_flush, max_size=12))
def test_followed_in_bites_of_any_size_a_run_is_what_was_written(plan):
    put, got = ([], [], []), ([], [], [])
    with record() as (writer, reader):
        cursor, newest = Cursor(), 0
        for flush in [*numbered(plan), None]:
            if flush is not None:
                writer.write(flush[0], [Stamped(1.5, 10, event) for event in flush[1] + flush[2]])
                for whole, part in zip(put, flush, strict=True):
                    whole.extend(part)
                continue
            delta = reader.since(cursor)
            cursor = delta.cursor
            assert cursor == reader.end()
            bite = reader.batches(newest, 1)
            newest = bite[-1].key if bite else newest
            assert newest == (delta.latest.key if delta.latest else 0)
            for whole, part in zip(
                got, (bite, delta.epochs, [item.event for item in delta.events]), strict=True
            ):
                whole.extend(part)
    assert list(map(comparable, got[0])) == list(map(comparable, put[0]))
    assert got[1:] == put[1:]


@settings(deadline=None)
@given(runs, st.integers(1, 500), st.integers(0, 500), st.integers(0, 10))
def test_a_window_of_any_width_shows_what_the_single_losses_would(bites, first, width, level):
    with record() as (writer, reader):
        values = written(writer, bites)
        last = first + width
        buckets = reader.losses(1, first, last, level)
    there = min(last, len(values))
    at = first
    for bucket in buckets:
        assert bucket.first == at <= bucket.last
        assert bucket.steps <= max(1 << level, 2 << BASE)
        single = summed(values[bucket.first - 1 : bucket.last], bucket.first)
        assert bucket.finite == single.finite
        assert same(bucket.low, single.low)
        assert same(bucket.high, single.high)
        assert bucket.total == pytest.approx(single.total, rel=1e-9, abs=1e27)
        at = bucket.last + 1
    assert at == max(first, there + 1)


@settings(deadline=None)
@given(runs, st.integers(0, 8))
def test_a_spike_one_batch_wide_survives_at_every_level(bites, level):
    with record() as (writer, reader):
        values = [value for value in written(writer, bites) if math.isfinite(value)]
        buckets = reader.losses(1, 1, 1 << 39, level)
    found = [bucket for bucket in buckets if bucket.finite]
    assert max((bucket.high for bucket in found), default=None) == max(values, default=None)
    assert min((bucket.low for bucket in found), default=None) == min(values, default=None)


@settings(deadline=None)
@given(st.lists(runs, max_size=3), st.integers(0, 6))
def test_several_takes_do_not_mix(takes, level):
    with record() as (writer, reader):
        values = [written(writer, bites, take) for take, bites in enumerate(takes, 1)]
        for take, own in enumerate(values, 1):
            buckets = reader.losses(take, 1, 1 << 39, level)
            assert sum(bucket.steps for bucket in buckets) == len(own)
            assert sum(bucket.finite for bucket in buckets) == sum(map(math.isfinite, own))
            raw = [bucket.low for bucket in reader.losses(take, 1, 1 << 39, 0)]
            assert len(raw) == len(own)
            assert all(
                same(low, value) if math.isfinite(value) else math.isnan(low)
                for low, value in zip(raw, own, strict=True)
            )
        assert reader.losses(len(takes) + 1, 1, 1 << 39, level) == []


@settings(deadline=None)
@given(runs, st.integers(1, 40), st.integers(0, 500))
def test_every_so_many_batches_are_those_whose_step_is_a_multiple(bites, every, after):
    with record() as (writer, reader):
        values = written(writer, bites)
        found = [row.step for row in reader.batches(after, every)]
    assert found == [step for step in range(after + 1, len(values) + 1) if step % every == 0]
