"""The charts of a recorded run: what they read, what they say at the cursor, and their x axes."""

import math
from contextlib import closing
from dataclasses import replace

import pytest
import torch

from tests.recorded import STEPS, RecordedRun, decay, started
from tuitrain.catalog import new_spec
from tuitrain.core.events import BatchDone, CommandAccepted, Paused, Resumed, SettingChanged
from tuitrain.record.recorder import Recorder
from tuitrain.store.delta import Cursor
from tuitrain.store.reader import RunReader
from tuitrain.store.writer import RunWriter
from tuitrain.view.chart import multiples
from tuitrain.view.chart.chart_view import ChartView, Window
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.run_charts import loss_chart
from tuitrain.view.chart.x_maps import map_of, units_of
from tuitrain.view.picture import plain
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Snapshot

SIZE = 100, 18


@pytest.fixture
def run(tmp_path):
    with closing(RecordedRun(tmp_path / "run.db")) as run:
        yield run


def charted(run, view, size=SIZE):
    return loss_chart(run.now(), Curves(run.reader), *size, view)


def test_the_cursor_reads_what_was_recorded_at_its_step(run):
    run.trains(20)
    readout = charted(run, ChartView(cursor=230)).readout
    step, epoch, loss, smoothed, time = readout.split(" · ")
    assert (step, epoch) == ("step 230", "epoch 10")
    assert loss == f"{decay(230):.6g}"
    assert float(smoothed.removeprefix("smoothed ")) == pytest.approx(decay(230), rel=0.1)
    assert time == "2.30 s"


def test_the_cursor_reads_the_take_that_the_chart_shows(run):
    run.trains(10)
    run.swaps("mse")
    run.trains(5, lambda step: 7.0)
    run.goes_back(10, "cross-entropy")
    run.trains(5, lambda step: 0.25)
    assert "epoch 12 · 0.25 ·" in charted(run, ChartView(cursor=12 * STEPS)).readout
    assert "not recorded" in charted(run, ChartView(cursor=900)).readout


def test_the_cursor_names_the_loss_of_a_step_before_a_swap(run):
    run.trains(4, lambda step: 0.5)
    run.swaps("mse")
    run.trains(4, lambda step: 0.25)
    assert "· cross-entropy 0.5 ·" in charted(run, ChartView(cursor=2 * STEPS)).readout
    assert "epoch 6 · 0.25 ·" in charted(run, ChartView(cursor=6 * STEPS)).readout


def test_a_loss_that_is_not_finite_is_read_as_such(run):
    run.trains(4, lambda step: math.nan if step == 50 else 1.0)
    assert "· NaN ·" in charted(run, ChartView(cursor=50)).readout


def test_one_spike_among_twenty_thousand_steps_is_a_mark_in_its_own_column(run):
    run.trains(870, lambda step: 400.0 if step == 12_345 else 1 + 0.1 * math.sin(step))
    fitted, whole = (charted(run, ChartView(full_range=full)) for full in (False, True))
    first, second = plain(fitted.picture).splitlines()[:2]
    assert first.endswith("▲ 1 above")
    assert abs(fitted.step_at(second.index("▲")) - 12_345) < 300, "a column of cells"
    top = plain(whole.picture).splitlines()[1]
    assert top.startswith(" 400")
    assert len(top) == second.index("▲") + 1, "with all outliers it is the highest"


def test_a_window_reads_every_step_of_a_long_run(run):
    run.trains(600, lambda step: 5.0 if step == 6001 else 1.0)
    window = Window(5980, 6020)
    now, curves = run.now(), Curves(run.reader)
    (segment,) = curves.losses(now, 180, ChartView(window=window))
    assert [bucket.first for bucket in segment.buckets] == list(range(5980, 6021))
    assert segment.history[-1].last == 5979
    assert all(5980 <= step <= 6020 for step, _ in segment.validations)
    assert max(bucket.high for bucket in segment.buckets) == 5.0


def test_the_smoothed_value_of_a_step_is_the_same_in_a_window_and_without_one(run):
    run.trains(80, lambda step: 1 + math.sin(step / 40))
    views = [ChartView(cursor=900, half_life=40), ChartView(cursor=900, half_life=40,
             window=Window(850, 1000))]  # fmt: skip
    whole, close = (charted(run, view).drawing.smoothed for view in views)
    assert close == pytest.approx(whole, abs=0.08)


def test_a_chart_that_is_pointed_at_says_which_step_is_there(run):
    run.trains(40)
    for view in (ChartView(), ChartView("time"), ChartView(window=Window(200, 300))):
        chart = charted(run, replace(view, cursor=250))
        line = plain(chart.picture).splitlines()[-2]
        at = line.index("┻")
        near = chart.step_at(at)
        cell = (view.window.steps if view.window else 920) / 90
        assert abs(near - 250) <= cell
    assert chart.step_at(0) is None


def test_on_an_axis_of_time_a_take_begins_when_it_was_trained(run):
    run.trains(10)
    run.goes_back(2, "cross-entropy")
    run.trains(2)
    now = run.now()
    x = Curves(run.reader).x_map(now, "time")
    assert x.x(2 * STEPS) == pytest.approx(0.01 * 2 * STEPS)
    assert x.x(4 * STEPS) == pytest.approx(0.01 * 4 * STEPS)
    numbers = plain(charted(run, ChartView("time")).picture).splitlines()[-1].split()
    assert numbers[0] == "0s"
    assert charted(run, ChartView("time")).notes == ("by time",)


def test_an_axis_of_time_leaves_out_an_hour_of_pause(tmp_path):
    now, spec = [0.0], new_spec("digits")
    path, hour = tmp_path / "run.db", 3600.0
    recorder = Recorder(RunWriter(path), clock=lambda: now[0])

    def trains(steps: range) -> None:
        for step in steps:
            now[0] += 0.1
            recorder.take(BatchDone(1, step, 1, torch.tensor(1 / step), 0.1, 64, (0,) * 7,
                                    torch.tensor(0.0)))  # fmt: skip

    recorder.take(started())
    trains(range(1, 101))
    recorder.take(Paused("p", 1, 100, 1))
    now[0] += hour
    recorder.take(Resumed("r", 1, 100, 1))
    trains(range(101, 201))
    recorder.close()

    reader = RunReader(path)
    begun = Snapshot.begin("a", tmp_path, spec, 0.0)
    run, curves = fold(begun, reader.since(Cursor()), alive=True), Curves(reader)
    seconds = [curves.x_map(run, "time").x(step) for step in (1, 100, 101, 200)]
    assert seconds == pytest.approx([0.1, 10, 10.1, 20])
    chart = loss_chart(run, curves, *SIZE, ChartView("time", cursor=200))
    assert chart.readout.endswith("· 20.00 s")
    assert plain(chart.picture).splitlines()[-1].split() == [
        "0:00", "0:05", "0:10", "0:15", "0:20"
    ]  # fmt: skip
    rows = plain(chart.picture).splitlines()[1:-2]
    drawn = {at for row in rows for at, sign in enumerate(row) if "\u2800" < sign <= "\u28ff"}
    assert drawn == set(range(min(drawn), max(drawn) + 1)), "no gap where it was paused"


def test_on_an_axis_of_time_no_line_leads_over_the_time_of_an_abandoned_take(run):
    run.trains(4)
    run.goes_back(2, "cross-entropy")
    run.trains(2)
    now, curves = run.now(), Curves(run.reader)
    by_step, by_time = (
        [segment.first for segment in curves.losses(now, 90, view) if not segment.is_abandoned]
        for view in (ChartView(), ChartView("time"))
    )
    assert by_step == [1]
    assert by_time == [1, 2 * STEPS + 1]
    assert "↶ take 2" in plain(charted(run, ChartView("time")).picture)


def test_epochs_and_samples_follow_a_change_of_the_batch_size_and_its_undo(run):
    run.trains(2)
    run.records(
        CommandAccepted("c", "batch-size", "32", "epoch", 0.0),
        SettingChanged("c", 1, 2 * STEPS, 2, "batch-size", 32, 64, 2 * STEPS),
    )
    run.trains(2)  # 46 steps, one epoch of the new size
    now = run.now()
    epochs = map_of(now, "epoch", 1)
    assert [epochs.x(step) for step in (0, STEPS, 2 * STEPS, 3 * STEPS, 4 * STEPS)] == [
        0, 1, 2, 2.5, 3
    ]  # fmt: skip
    samples = map_of(now, "samples", 1)
    assert samples.x(4 * STEPS) == 3 * now.started.train_samples
    run.goes_back(2, "cross-entropy")
    assert map_of(run.now(), "epoch", 2).x(3 * STEPS) == 3
    assert map_of(run.now(), "epoch", 1).x(3 * STEPS) == 2.5, "as it was trained"


def test_a_script_without_epochs_has_no_axis_of_epochs(run):
    run.trains(1)
    now = run.now()
    assert units_of(now) == ["step", "epoch", "samples", "time"]
    script = replace(now, spec=replace(now.spec, watched=("train.py",)), epochs=(),
                     started=replace(now.started, train_samples=0))  # fmt: skip
    assert isinstance(script, Snapshot)
    assert units_of(script) == ["step", "samples", "time"]


@pytest.mark.parametrize("unit", ["step", "epoch", "samples", "time"])
def test_small_charts_share_unit_window_and_cursor(run, unit):
    run.trains(30)
    now, curves = run.now(), Curves(run.reader)
    view = ChartView(unit, window=Window(230, 460), cursor=352)
    picture = multiples.of_run(now, curves, 120, 12, view)
    lines = plain(picture).splitlines()
    assert lines[0].count("@15") == lines[0].count("accuracy") + lines[0].count("entropy") + (
        lines[0].count("mse") + lines[0].count("with-logits"))  # fmt: skip
    assert "@15" in lines[0]
    assert sum("┻" in line for line in lines) >= 1
    of_losses = loss_chart(now, curves, 40, 12, view)
    assert plain(of_losses.picture).count("┻") == 1


@pytest.mark.parametrize(
    ("count", "size", "places"),
    [(6, (200, 43), (3, 2)), (7, (84, 10), (3, 2)), (3, (84, 10), (3, 1)), (1, (26, 60), (1, 1))],
)
def test_small_charts_are_wider_than_high_where_all_of_them_fit(count, size, places):
    assert multiples.places(count, *size) == places


def test_small_charts_say_where_their_axis_is_logarithmic(run):
    run.trains(60, lambda step: 3 * math.exp(-step / 120))
    picture = plain(multiples.of_run(run.now(), Curves(run.reader), 120, 8))
    assert "cross-entropy log" in picture
    assert "accuracy log" not in picture
    linear = multiples.of_run(run.now(), Curves(run.reader), 120, 8, ChartView(log_y=False))
    assert " log" not in plain(linear)


@pytest.mark.parametrize("view", [ChartView(), ChartView("time", window=Window(10, 40), cursor=20)])
@pytest.mark.parametrize("size", [(0, 0), (1, 1), (2, 2), (10, 3), (30, 5)])
def test_a_chart_of_any_size_is_exactly_as_large_as_asked(run, view, size):
    run.trains(4)
    picture = charted(run, view, size).picture
    assert len(picture) == size[1]
    assert all(sum(len(span.text) for span in line) == size[0] for line in picture)
