"""However many epochs a chart has in a column, their extremes are drawn."""

import math
import sqlite3
import tempfile
from contextlib import closing
from itertools import accumulate, count, groupby
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recorded import STEPS, RecordedRun, problem
from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import FAR, Segment
from tuitrain.store.epoch_values import EpochValue, extremes
from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import level_for
from tuitrain.store.writer import RunWriter, Stamped
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.live import live_window
from tuitrain.view.state.metrics import comparable_metrics

accuracies = st.one_of(st.floats(0, 1), st.just(math.nan))
ACCURACY = comparable_metrics(problem("multiclass"))[0]


@given(st.lists(st.floats(), min_size=1, max_size=40))
def test_of_a_bucket_the_lowest_and_the_highest_stay_and_the_first_that_is_not_finite(numbers):
    kept = extremes([EpochValue(step, step, number) for step, number in enumerate(numbers)])
    finite = [number for number in numbers if math.isfinite(number)]
    others = [number for number in numbers if not math.isfinite(number)]
    assert {repr(value.value) for value in kept} >= {repr(number) for number in others[:1]}
    of_kept = [value.value for value in kept if math.isfinite(value.value)]
    assert (min(of_kept, default=0), max(of_kept, default=0)) == (
        min(finite, default=0), max(finite, default=0)
    )  # fmt: skip
    assert len(kept) <= 3
    assert [value.step for value in kept] == sorted({value.step for value in kept})


def ended(number, accuracy):
    return EpochEnded(1, STEPS * number, number, "cross-entropy", 1.0, accuracy,
                      {"accuracy": accuracy}, improved=False)  # fmt: skip


def expected(epochs, level):
    """Return (step, value) of what a chart needs of these epochs."""
    values = [EpochValue(STEPS * number, number, value) for number, value in enumerate(epochs, 1)]
    buckets = groupby(values, key=lambda value: value.step - 1 >> level)
    return as_text(
        (value.step, value.value) for _, bucket in buckets for value in extremes(list(bucket))
    )


def as_text(points):
    """Return the points with numbers that can be compared, NaN too."""
    return [(step, repr(value)) for step, value in points]


@given(st.lists(st.lists(accuracies, min_size=1, max_size=30), max_size=3), st.integers(1, 6))
@settings(max_examples=8)
def test_charts_of_a_run_that_grows_have_the_extremes_of_each_column(grows, points):
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(RecordedRun(Path(folder) / "run.db")) as run,
    ):
        curves, epochs = Curves(run.reader), []
        for bite in grows:
            run.records(*map(ended, count(len(epochs) + 1), bite))
            epochs += bite
            now = run.now()
            steps = live_window(now).steps
            found = curves.validations(now, points).lineage
            level = level_for(steps, points)
            assert as_text(ACCURACY.points(found)) == expected(epochs, level)
            (segment,) = curves.losses(now, points)
            assert as_text(segment.validations) == expected(epochs, level + 2)


numbers = st.one_of(st.floats(0, 1), st.sampled_from([math.nan, math.inf, 0.25, 0.5]))
gaps = st.one_of(st.just(1), st.just(7), st.integers(1, 40))


def written(path, epochs, flush):
    """Write epochs, given as (step, value), in flushes of so many; return their reader."""
    with closing(RunWriter(path)) as writer:
        for at in range(0, len(epochs), flush):
            events = [
                EpochEnded(1, step, number, "mse", 1.0, None if value > 0.9 else value,
                           {"a": value}, improved=False)
                for number, (step, value) in enumerate(epochs[at : at + flush], at + 1)
            ]  # fmt: skip
            writer.write([], [Stamped(0.0, 0, event) for event in events])
    return RunReader(path)


def forget_extremes(path):
    """Make a record one of version 3, which had no extremes of many epochs."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript("drop table if exists epoch_bucket; pragma user_version = 3")


@given(
    st.lists(st.tuples(gaps, numbers), min_size=1, max_size=200), st.integers(1, 100),
    st.integers(0, 12), st.data(),
)  # fmt: skip
@settings(max_examples=25)
def test_stored_extremes_are_those_of_the_epochs_in_any_segment(taken, flush, level, data):
    epochs = list(
        zip(accumulate(gap for gap, _ in taken), (value for _, value in taken), strict=True)
    )
    first, last = sorted(data.draw(st.tuples(*[st.integers(1, epochs[-1][0])] * 2)))
    inside = [number for number, (step, _) in enumerate(epochs, 1) if first - 1 <= step <= last]
    after = data.draw(st.sampled_from([0, *inside[:1]]))
    until = data.draw(st.sampled_from([FAR, len(epochs), *[number - 1 for number in inside[-1:]]]))
    segment = Segment(1, first, last, after, until)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        reader = written(path, epochs, flush)
        each = reader.epoch_values(segment, 0)["metrics"].get("a", [])
        columns = [
            list(column) for _, column in groupby(each, lambda value: value.step - 1 >> level)
        ]
        expected = as_text(
            [(value.step, value.value) for column in columns for value in extremes(column)]
        )
        losses = as_text([(loss.step, loss.value) for loss in reader.validations(segment, level)])
        best = reader.best(segment, "metrics", {"a": 1})
        for _ in range(2):
            found = reader.epoch_values(segment, level)["metrics"].get("a", [])
            assert as_text([(value.step, value.value) for value in found]) == expected
            assert (
                as_text([(loss.step, loss.value) for loss in reader.validations(segment, level)])
                == losses
            )
            assert reader.best(segment, "metrics", {"a": 1}) == best
            forget_extremes(path)
        finite = [value.value for value in each if math.isfinite(value.value)]
        assert [found.value for found in best.values()] == ([max(finite)] if finite else [])
