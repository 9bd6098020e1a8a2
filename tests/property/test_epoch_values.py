"""However many epochs a chart has in a column, their extremes are drawn."""

import math
import tempfile
from contextlib import closing
from itertools import count, groupby
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recorded import STEPS, RecordedRun, problem
from tuitrain.core.events import EpochEnded
from tuitrain.store.epochs import EpochValue, extremes
from tuitrain.store.rollup import level_for
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
