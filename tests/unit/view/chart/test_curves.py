"""What the charts of a run are drawn from, read of a real record."""

import math
from contextlib import closing

import pytest

from tests.recorded import STEPS, RecordedRun, decay, problem
from tuitrain.catalog import new_spec
from tuitrain.core.events import EpochEnded
from tuitrain.core.spec import Parent
from tuitrain.view.chart import multiples
from tuitrain.view.chart.curves import Curves, ReferenceRun
from tuitrain.view.chart.run_charts import loss_chart, metric_chart
from tuitrain.view.picture import plain
from tuitrain.view.state.metrics import comparable_metrics, named

EVERY = comparable_metrics(problem("multiclass"))
ACCURACY = named("accuracy", EVERY)


def epochs_of(validations):
    return [epoch for epoch, _ in ACCURACY.points(validations, "epoch")]


@pytest.fixture
def run(tmp_path):
    with closing(RecordedRun(tmp_path / "run.db")) as run:
        yield run


def undone(run):
    """A swap after 10 epochs, taken back 5 epochs later; 4 more since."""
    run.trains(10)
    run.swaps("mse")
    run.trains(5, lambda step: decay(step) / 30)
    run.goes_back(10, "cross-entropy")
    run.trains(4)
    return run.now()


def test_losses_are_those_of_the_line_and_what_was_left_of_others(run):
    now = undone(run)
    segments = Curves(run.reader).losses(now, 150)
    where = [
        (segment.loss_name, segment.first, segment.last, segment.is_abandoned)
        for segment in segments
    ]
    assert where == [
        ("mse", 10 * STEPS + 1, 15 * STEPS, True),
        ("cross-entropy", 1, 14 * STEPS, False),
    ]
    assert segments[-1].takes == ((1, 1), (10 * STEPS + 1, 2))
    assert max(bucket.high for bucket in segments[0].buckets) < 0.1
    assert segments[-1].buckets[-1].last == 14 * STEPS


def test_validations_are_those_of_the_lineage_and_of_abandoned_segments(run):
    validations = Curves(run.reader).validations(undone(run), 1000)
    assert epochs_of(validations.lineage) == list(range(1, 15))
    values = [value for _, value in ACCURACY.points(validations.lineage)]
    assert values[10:] == [1 - decay(STEPS * number) / 3 for number in range(11, 15)]
    assert list(map(epochs_of, validations.abandoned)) == [list(range(11, 16))]


def test_a_fork_has_its_parent_behind_it_as_far_as_its_axis_goes(run, tmp_path):
    run.trains(4)
    run.swaps("mse")
    run.trains(4)
    spec = new_spec("digits", loss="l1", epochs=6, parent=Parent("a", 1, 4 * STEPS, 4, "00"))
    with closing(RecordedRun(tmp_path / "child.db", spec)) as child:
        behind = ReferenceRun(run.now(), Curves(run.reader))
        curves = Curves(child.reader, lambda: behind)
        begun = child.now()
        assert (begun.step, begun.epoch) == (4 * STEPS, 4)
        segments = curves.losses(begun, 150)
        assert [
            (segment.loss_name, segment.first, segment.last, segment.is_abandoned)
            for segment in segments
        ] == [
            ("cross-entropy", 1, 4 * STEPS, True),
            ("mse", 4 * STEPS + 1, 6 * STEPS, True),
        ]
        validations = curves.validations(begun, 1000)
        assert list(map(epochs_of, validations.abandoned)) == [[1, 2, 3, 4], [5, 6]]
        assert Curves(child.reader).losses(begun, 150) == []


def test_validations_are_thinned_to_what_a_chart_can_show(run):
    run.trains(200)
    validations = Curves(run.reader).validations(run.now(), 50)
    assert 25 <= len(epochs_of(validations.lineage)) <= 100


def test_the_best_is_that_of_the_current_line(run):
    run.trains(10)
    run.goes_back(5, "cross-entropy")
    run.trains(2, lambda step: 9.0)
    best = Curves(run.reader).best(run.now())
    assert set(best) == {item.name for item in EVERY}
    assert best["accuracy"].epoch == best["mse"].epoch == 5
    assert best["cross-entropy"].value == pytest.approx(decay(5 * STEPS))


def test_the_best_is_followed_as_the_run_goes_on_and_back(run):
    curves = Curves(run.reader)
    assert curves.best(run.now()) == {}
    run.trains(3)
    assert curves.best(run.now())["mse"].epoch == 3
    run.trains(2, lambda step: math.nan)
    assert curves.best(run.now())["mse"].epoch == 3
    run.trains(1, lambda step: 0.0)
    assert curves.best(run.now())["mse"] == (0.0, 6)
    run.goes_back(2, "cross-entropy")
    assert curves.best(run.now())["mse"].epoch == 2
    assert curves.best(run.now()) == Curves(run.reader).best(run.now())


def test_what_was_read_of_an_ended_segment_is_what_would_be_read_again(run):
    now = undone(run)
    curves = Curves(run.reader)
    assert curves.losses(now, 150) == curves.losses(now, 150) == Curves(run.reader).losses(now, 150)
    run.trains(3)
    later = run.now()
    assert curves.losses(later, 150) == Curves(run.reader).losses(later, 150)
    assert curves.validations(later, 90) == Curves(run.reader).validations(later, 90)


def test_a_validation_that_comes_after_its_epochs_last_batch_is_not_missed(run):
    run.trains(1)
    curves, now = Curves(run.reader), run.now()
    ended = now.last_epoch
    assert isinstance(ended, EpochEnded)
    before = curves.validations(now, 1000)
    run.trains(1)
    assert epochs_of(before.lineage) == [1]
    assert epochs_of(curves.validations(run.now(), 1000).lineage) == [1, 2]


def test_before_the_first_epoch_charts_are_empty_and_whole(run):
    picture = multiples.of_run(run.now(), Curves(run.reader), 90, 8)
    assert "accuracy" in plain(picture)
    assert "cross-entropy" in plain(picture)
    assert len(picture) == 8


def test_a_metric_has_a_chart_with_the_steps_of_the_loss_chart(run):
    now, curves = undone(run), Curves(run.reader)
    of_losses = plain(loss_chart(now, curves, 90, 16).picture).splitlines()
    of_metric = plain(metric_chart(now, curves, named("mse", EVERY), 90, 16).picture).splitlines()
    assert of_metric[-1] == of_losses[-1]
    assert of_metric[-2] == of_losses[-2], "and the same rulers"


def title_of(picture, name):
    """Return the part of a picture's line that begins with the name, up to the next chart."""
    line = next(line for line in plain(picture).splitlines() if name in line)
    return line[line.index(name) - 1 :]


def test_small_charts_begin_with_the_leading_metric_and_mark_the_loss_in_use(run):
    run.trains(10)
    run.swaps("mse")
    run.trains(5)
    now, curves = run.now(), Curves(run.reader)
    picture = multiples.of_run(now, curves, 93, 9)
    assert title_of(picture, "accuracy").startswith(" accuracy")
    assert title_of(picture, "mse").startswith("▸mse")
    assert title_of(picture, "cross-entropy").startswith(" cross-entropy")
    assert "★" in title_of(picture, "accuracy")
    assert "f1_macro" not in plain(picture), "there is no room"
    assert "4 more" in multiples.title(now, 93, 9)
    assert multiples.title(now, 38, 9) == "validations (6 more: v)"
    whole = multiples.of_run(now, curves, 93, 24)
    assert all(item.name in plain(whole) for item in EVERY)
    assert "more" not in multiples.title(now, 93, 24)


def test_a_swap_to_a_loss_that_is_shown_moves_no_chart(run):
    run.trains(3)
    before = multiples.chosen(run.now(), 93, 9)
    run.swaps(before[2].name)
    run.trains(3)
    assert multiples.chosen(run.now(), 93, 9) == before
    run.swaps("l1")
    assert "l1" in [item.name for item in multiples.chosen(run.now(), 93, 9)]


@pytest.mark.parametrize(
    "size", [(0, 0), (1, 1), (5, 3), (21, 4), (22, 5), (80, 2), (200, 50), (40, 3)]
)
def test_small_charts_are_exactly_as_large_as_asked(run, size):
    now = undone(run)
    picture = multiples.of_run(now, Curves(run.reader), *size)
    assert len(picture) == size[1]
    assert all(sum(len(piece.text) for piece in line) == size[0] for line in picture)
