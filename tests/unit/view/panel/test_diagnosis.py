"""Advice from the numbers of a run whose record is written by hand."""

import math
from dataclasses import replace

import pytest

from tests.recorded import STEPS, in_home
from tuitrain.core.events import CheckpointSaved, Finished, NotFinite, Paused, TakeOpened
from tuitrain.core.series import DEAD_UNITS, GRADIENT_NORM
from tuitrain.store.delta import Cursor
from tuitrain.view.panel.advice_lines import advice_lines
from tuitrain.view.panel.diagnosis import findings
from tuitrain.view.panel.panels import epochs
from tuitrain.view.state.fold import fold
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text.report import as_json


@pytest.fixture
def recorded(tmp_path):
    run = in_home(tmp_path, "a", epochs=40)
    yield run
    run.close()


def text(lines):
    return "\n".join("".join(span.text for span in line) for line in lines)


def test_an_epoch_without_a_batch_of_its_take_has_no_training_loss_and_no_advice(recorded):
    recorded.trains(3)
    origin, settings = f"00001-take1-step{3 * STEPS}.pt", {"loss": "mse", "lr": 0.001}
    opening = TakeOpened(None, 2, 3 * STEPS, 2, "undo", origin, 1, settings, STEPS, 3 * STEPS)
    recorded.records(opening)  # before the validation of epoch 3
    ended = replace(recorded._ended(3, 0.2), take=2, loss_name="mse", train_loss=math.nan)
    recorded.records(ended)
    run = recorded.now()
    assert run.last_epoch == ended
    assert trained_loss(run, ended) is None
    assert "NaN" not in text(epochs(run, 60, 10))
    assert as_json(run, full=False)["train_loss"] is None
    assert findings(run) == []


@pytest.mark.parametrize(
    ("dead", "norm", "said"),
    [
        (1.0, 0.5, "100% of the units of a layer (5 Health) are 0 for a whole batch"),
        (0.4, 1e-9, "their norm is 1e-09, so no weight moves"),
        (0.9, 0.5, None),
    ],
)
def test_gradients_are_dead_where_a_layer_is_or_where_they_vanish(recorded, dead, norm, said):
    recorded.trains(3)
    recorded.measures(DEAD_UNITS, lambda _step: dead)
    recorded.measures(GRADIENT_NORM, lambda _step: norm)
    run = recorded.now()
    run = fold(run, recorded.reader.since(Cursor(), lambda _events: run.segments), alive=True)
    found = [finding.text for finding in findings(run) if finding.kind == "dead gradients"]
    assert found == ([f"dead gradients: {said}"] if said else [])


def test_of_gradients_that_died_on_the_way_the_best_epoch_is_the_way_out(recorded):
    recorded.trains(12)
    recorded.changes("lr", 1.0, "w")
    recorded.trains(2, train_loss=2.3, improved=False)
    recorded.measures(DEAD_UNITS, lambda _step: 1.0)
    run = recorded.now()
    run = fold(run, recorded.reader.since(Cursor(), lambda _events: run.segments), alive=True)
    (line,) = (found.line(run, has_keys=True) for found in findings(run)
               if found.kind == "dead gradients")  # fmt: skip
    assert line.endswith("for a whole batch · r lowers the rate (1) · b goes back")


def dead_now(recorded, *, has_keys=True):
    recorded.measures(DEAD_UNITS, lambda _step: 1.0)
    run = recorded.now()
    run = fold(run, recorded.reader.since(Cursor(), lambda _events: run.segments), alive=True)
    return [found.line(run, has_keys=has_keys).partition(" batch · ")[2] for found in findings(run)
            if found.kind == "dead gradients"]  # fmt: skip


def test_of_dead_gradients_what_is_left_to_do_after_a_lower_rate_stays(recorded):
    start = CheckpointSaved(1, 0, 0, "start", "00001-take1-step0.pt", 1, "00", "00")
    recorded.records(start)
    recorded.trains(2, train_loss=2.3, improved=False)
    assert dead_now(recorded) == ["r lowers the rate (0.001) · then b goes back to the start"]
    recorded.changes("lr", 0.0001, "w")
    assert dead_now(recorded) == ["b goes back to the start"]
    assert dead_now(recorded, has_keys=False) == ["tuitrain ctl a rollback 0"]
    recorded.trains(1, train_loss=2.3, improved=False)
    again = "r lowers the rate (0.0001) · then b goes back to the start"
    assert dead_now(recorded) == [again], "it trained on, and they are still dead"
    recorded.goes_back(0, "cross-entropy", why="rollback")
    assert findings(recorded.now()) == []


def test_of_gradients_that_died_on_the_way_going_back_is_left_after_a_lower_rate(recorded):
    recorded.trains(12)
    recorded.changes("lr", 1.0, "w")
    recorded.trains(2, train_loss=2.3, improved=False)
    recorded.changes("lr", 0.01, "x")
    assert dead_now(recorded) == ["b goes back"]


def test_an_epoch_of_nan_is_diverging_and_says_what_to_press(recorded):
    recorded.trains(2)
    recorded.trains(1, train_loss=math.nan)
    line = text(advice_lines(recorded.now(), 100))
    assert line.startswith(" ▲ diverging: the training loss is NaN · r lowers the rate (0.001)")


@pytest.mark.parametrize(("val_loss", "kinds"), [(math.nan, ["not validated"]), (0.5, [])])
def test_a_validation_that_says_nothing_is_told_from_a_training_that_fails(
    recorded, val_loss, kinds
):
    recorded.trains(3, val_loss=val_loss)
    assert [found.kind for found in findings(recorded.now())] == kinds
    recorded.trains(1, train_loss=math.nan, val_loss=val_loss)
    assert [found.kind for found in findings(recorded.now())] == ["diverging"]


def test_of_weights_that_are_nan_no_rate_is_lowered(tmp_path):
    recorded = in_home(tmp_path, "a", on_nonfinite="alert")
    recorded.trains(2, improved=False)
    assert findings(recorded.now()) == []
    recorded.trains(1, train_loss=math.nan, improved=False)
    line = text(advice_lines(recorded.now(), 100)).rstrip()
    assert line == " ▲ diverging: the training loss is NaN · begin again with a lower rate"
    recorded.records(CheckpointSaved(1, 0, 0, "start", "00001-take1-step0.pt", 1, "00", "00"))
    (found,) = findings(recorded.now())
    assert found.line(recorded.now(), has_keys=True).endswith(
        "r lowers the rate (0.001) · then b goes back to the start"
    )
    assert found.line(recorded.now(), has_keys=False).endswith("tuitrain ctl a rollback 0")
    recorded.close()


def test_a_step_of_nan_that_was_taken_is_diverging_before_its_epoch_ends(tmp_path):
    for reaction, count in (("alert", 1), ("skip", 0)):
        recorded = in_home(tmp_path, reaction, on_nonfinite=reaction)
        recorded.trains(1)
        run = recorded.now()
        assert len(findings(replace(run, latest=run.latest._replace(loss=math.nan)))) == count
        recorded.close()


def test_the_course_begins_at_the_last_change_of_the_lineage(recorded):
    """A change that a rollback abandoned does not count; one of the schedule does."""
    recorded.trains(4)
    recorded.changes("lr", 0.1, "v")
    recorded.goes_back(2, "cross-entropy", why="rollback")
    recorded.trains(1, train_loss=0.1)
    recorded.trains(1, train_loss=0.1)
    recorded.trains(1, train_loss=3.0)
    (found,) = findings(recorded.now())
    assert found.text == "diverging: training loss 0.1000 in epoch 3, 3.000 now"
    recorded.changes("schedule", "cosine", "w")
    assert findings(recorded.now()) == []


@pytest.mark.parametrize(("loss", "is_worse"), [(2.4, True), (0.3, False)])
def test_a_rate_that_was_raised_too_far_is_diverging_from_the_first_epoch_on(
    recorded, loss, is_worse
):
    recorded.trains(1, train_loss=1.0)
    recorded.trains(3, train_loss=0.2)
    recorded.changes("lr", 3.0, "w")
    recorded.trains(1, train_loss=loss)
    found = [finding.line(recorded.now(), has_keys=True) for finding in findings(recorded.now())]
    assert found == [
        "diverging since the change: training loss 0.2000 in epoch 4, 2.400 now · u undoes it · "
        "r lowers the rate (3)"
    ] * is_worse  # fmt: skip


def test_more_epochs_are_a_new_course_only_for_a_schedule_that_ends_with_the_last(recorded):
    recorded.trains(2, train_loss=0.1)
    recorded.trains(1, train_loss=3.0)
    recorded.changes("epochs", 80, "v")
    (found,) = findings(recorded.now())
    assert found.kind == "diverging"

    recorded.changes("schedule", "cosine", "w")
    recorded.trains(2, train_loss=0.1)
    recorded.trains(1, train_loss=3.0)
    assert [found.kind for found in findings(recorded.now())] == ["diverging"]
    recorded.changes("epochs", 90, "x")
    assert findings(recorded.now()) == []


def test_a_loss_of_nearly_zero_that_rises_to_nearly_zero_is_not_diverging(recorded):
    """Of a long run the first epochs are not at hand: the validation is what it is held against."""
    recorded.trains(5, train_loss=1e-9, val_loss=0.1)
    recorded.trains(1, train_loss=4e-6, val_loss=0.1)
    assert findings(recorded.now()) == []
    recorded.trains(1, train_loss=0.5, val_loss=0.6)
    assert [found.kind for found in findings(recorded.now())] == ["diverging"]
    recorded.changes("lr", 3.0, "w")
    recorded.trains(1, train_loss=1e-9, val_loss=0.1)
    recorded.changes("lr", 2.0, "x")
    recorded.trains(1, train_loss=4e-6, val_loss=0.1)
    assert findings(recorded.now()) == []


def test_a_run_that_waits_for_a_decision_gets_no_further_advice(recorded):
    recorded.trains(2)
    recorded.trains(1, train_loss=math.nan)
    assert "diverging" in text(advice_lines(recorded.now(), 80))
    recorded.records(NotFinite(1, 3 * STEPS, 3, "loss"), Paused(None, 1, 3 * STEPS, 3))
    said = text(advice_lines(recorded.now(), 80))
    assert said.startswith(" ✗ loss not finite at step 69: that step is not taken")
    assert "diverging" not in said


def test_overfitting_of_a_long_run_is_seen_from_its_best_epoch_on(recorded):
    recorded.trains(1, val_loss=0.2, train_loss=0.5)
    recorded.trains(600, val_loss=0.9, train_loss=0.01, improved=False)
    (found,) = findings(recorded.now())
    assert found.kind == "overfitting"
    assert found.text.startswith("overfitting since epoch 1: val loss 0.2000 then, 0.9000 now")
    assert found.line(recorded.now(), has_keys=False).endswith("tuitrain ctl a rollback best")
    recorded.records(Finished(1, 601 * STEPS, 601))
    assert found.line(recorded.now(), has_keys=True).endswith("f forks from its best epoch")


def test_overfitting_whose_loss_goes_up_and_down_is_said_until_it_comes_back(recorded):
    recorded.trains(5, val_loss=0.2, train_loss=0.5)
    recorded.trains(3, val_loss=0.24, train_loss=0.1, improved=False)
    said = []
    for val_loss in (0.225, 0.24, 0.22, 0.23, 0.21):
        recorded.trains(1, val_loss=val_loss, train_loss=0.1, improved=False)
        said.append([finding.kind for finding in findings(recorded.now())])
    assert said == [["overfitting"]] * 4 + [[]]


def test_a_plateau_at_the_threshold_is_said_until_a_loss_falls_clearly(recorded):
    recorded.trains(1, train_loss=2.0, val_loss=1.0)
    recorded.trains(13, train_loss=1.0, val_loss=1.0)
    said = []
    for epoch in range(32):  # by 0.7 % or 1.4 % in 12 epochs, in turns
        recorded.trains(1, train_loss=0.993 ** (epoch // 8), val_loss=1.0)
        said.append([finding.kind for finding in findings(recorded.now())])
    assert said == [["plateau"]] * 32
    recorded.trains(1, train_loss=0.96, val_loss=1.0)
    assert findings(recorded.now()) == []


def test_a_loss_that_always_falls_by_more_than_little_is_no_plateau(recorded):
    recorded.trains(1, train_loss=2.0, val_loss=1.0)
    for epoch in range(60):
        recorded.trains(1, train_loss=0.9988**epoch, val_loss=1.0)  # by 1.4 % in 12 epochs
        assert findings(recorded.now()) == []


def test_a_first_epoch_far_above_guessing_is_put_down_to_the_rate_of_that_time(recorded):
    recorded.trains(1, train_loss=1e8)
    assert "is the rate (0.001) right?" in text(advice_lines(recorded.now(), 200))
    recorded.changes("lr", 0.5, "w")
    assert "was the rate (0.001) right?" in text(advice_lines(recorded.now(), 200))


def test_a_rollback_to_the_start_begins_with_the_rate_of_now(recorded):
    recorded.trains(1)
    opening = TakeOpened(None, 2, 0, 0, "rollback", "", 1, {"loss": "cross-entropy", "lr": 0.5},
                         STEPS, STEPS)  # fmt: skip
    recorded.records(opening)
    recorded.records(replace(recorded._ended(1, 1e8), take=2))
    run = recorded.now()
    assert "is the rate (0.5) right?" in text(advice_lines(run, 200))


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (140, "overfitting since epoch 1: val loss 0.2000 then, 0.9000 now; best accuracy 0.3376 @1"
              " · b goes back"),
        (60, "overfitting since epoch 1 · b goes back"),
        (40, "overfitting · b goes back"),
        (20, "overfitting"),
    ],
)  # fmt: skip
def test_the_only_line_for_advice_says_first_what_to_do_and_cuts_no_word(recorded, width, said):
    recorded.trains(1, val_loss=0.2, train_loss=0.5)
    recorded.trains(9, val_loss=0.9, train_loss=0.01, improved=False)
    (line,) = advice_lines(recorded.now(), width, 1)
    assert text([line]) == f" ▲ {said}".ljust(width)


def test_advice_in_several_lines_has_each_way_out_in_one(recorded):
    recorded.trains(20, train_loss=0.5, val_loss=0.5)
    for width in range(76, 120):
        lines = text(advice_lines(recorded.now(), width)).splitlines()
        for way in ("r raises the rate (0.001)", "targets belong together?"):
            assert sum(way in line for line in lines) == 1
