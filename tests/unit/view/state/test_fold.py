"""What a run's record makes of a snapshot where it goes back and on."""

from dataclasses import replace
from pathlib import Path

from tests.recorded import started
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Request
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    EpochEnded,
    Event,
    SettingChanged,
    StartupReached,
    Stopped,
    TakeOpened,
)
from tuitrain.core.segment import Segment
from tuitrain.store.delta import Cursor, Delta, Recorded
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.view.state.fold import fold
from tuitrain.view.state.progress import epochs_words, planned_steps
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Snapshot

SETTINGS = {"loss": "cross-entropy", "lr": 0.001, "batch-size": 64, "epochs": 40, "pace": None}
STARTED = replace(started(), settings=SETTINGS)


def begun() -> Snapshot:
    return Snapshot.begin("a", Path("a"), new_spec("digits"), 0.0)


def after(
    now: Snapshot, *events: Event, latest: BatchRow | None = None, alive=True, is_anew=False
) -> Snapshot:
    epochs = tuple(event for event in events if isinstance(event, EpochEnded))
    others = [event for event in events if not isinstance(event, EpochEnded)]
    recorded = tuple(Recorded(at, float(at), float(at), item) for at, item in enumerate(others))
    return fold(now, Delta(recorded, epochs, latest, Cursor(), is_anew=is_anew), alive=alive)


def batch(take: int, step: int, loss: float) -> BatchRow:
    return BatchRow(
        key_of(take, step), (step - 1) // 23 + 1, loss, 0.001, 64, 10 * step, 1, 1, 1, 1, 1, 1
    )


def epoch(take: int, number: int, *, improved: bool = False) -> EpochEnded:
    return EpochEnded(take, 23 * number, number, "mse", 1.0, 1.0, {"accuracy": 0.5}, improved)


def opened(take: int, step: int, origin_take: int, left_at: int, **more) -> TakeOpened:
    return TakeOpened(
        more.pop("command", None), take, step, step // 23, more.pop("why", "undo"), "file",
        origin_take, SETTINGS, 23, left_at, **more,
    )  # fmt: skip


def test_what_is_left_behind_is_no_part_of_the_line():
    now = after(begun(), STARTED, epoch(1, 1), epoch(1, 2, improved=True), latest=batch(1, 50, 9.0))
    back = after(now, opened(2, 23, 1, 50), latest=batch(1, 50, 9.0))

    assert (back.take, back.step, back.epoch) == (2, 23, 1)
    assert back.latest is None, "the left batch's loss is not shown"
    assert [item.epoch for item in back.epochs] == [1]
    assert back.best is None
    assert back.segments == (Segment(1, 1, 23, 0, 1, "cross-entropy"),)
    assert [item[:3] for item in back.lineage.abandoned] == [(1, 24, 50)]
    on = after(back, epoch(2, 2), latest=batch(2, 60, 1.0))
    assert [item.take for item in on.epochs] == [1, 2]
    assert on.segments[-1] == Segment(2, 24, 60, 1, 2, "cross-entropy")
    assert planned_steps(on) == 40 * 23


def test_an_undo_of_an_undo_brings_back_what_was_left():
    now = after(begun(), STARTED, epoch(1, 1), epoch(1, 2), latest=batch(1, 50, 9.0))
    for request, command in (
        (Request.new(Change("lr", 0.1)), "x"),
        (Request.new(Change("lr", 1)), "u"),
    ):
        kind = "lr" if command == "x" else "undo"
        now = after(now, CommandAccepted(command, kind, "", request.at, 0.0))
    now = after(now, SettingChanged("x", 1, 50, 2, "lr", 0.1, 0.001, 23))
    now = after(now, opened(2, 23, 1, 50, command="u", undone="x"))
    assert {intervention.id: intervention.state for intervention in now.interventions} == {
        "x": "undone",
        "u": "applied",
    }
    opening = opened(3, 50, 1, 30, command="v", undone="u")
    again = after(now, opening, epoch(1, 1), epoch(1, 2), is_anew=True)

    assert {intervention.id: intervention.state for intervention in again.interventions} == {
        "x": "applied",
        "u": "undone",
    }
    assert [item.epoch for item in again.epochs] == [1, 2]
    assert again.step == 50


def test_a_resumed_run_is_starting_and_then_running_again():
    stopped = after(begun(), STARTED, Stopped(None, 1, 5, 0, "SIGTERM"), alive=False)
    assert (stopped.state, stopped.why) == ("stopped", "SIGTERM")
    starting = after(stopped, StartupReached("loading PyTorch"))
    assert (starting.state, starting.why) == ("starting", "")
    assert after(starting, STARTED).state == "running"


def test_a_batch_size_changes_what_is_planned():
    now = after(begun(), STARTED, epoch(1, 1))
    changed = after(now, SettingChanged("w", 1, 23, 1, "batch-size", 128, 64, 12))

    assert planned_steps(changed) == 23 + 39 * 12
    assert changed.settings["batch-size"] == 128


def test_what_comes_often_does_not_push_the_rest_out_of_the_log():
    saved = [CheckpointSaved(1, 1, 1, "epoch", f"{file}", 1, "", "") for file in range(500)]
    now = after(begun(), STARTED, *saved, *[StartupReached("downloading", 1, 2)] * 500)

    assert [item.event for item in now.log] == [STARTED]
    assert len(now.checkpoints) == 500


def test_the_best_epoch_stays_however_long_ago_it_was():
    now = after(begun(), STARTED, epoch(1, 1, improved=True))
    now = after(now, *(epoch(1, number) for number in range(2, 700)))
    assert now.best is not None
    assert now.best.epoch == 1
    later = after(now, epoch(1, 700, improved=True), epoch(1, 701))
    assert later.best is not None
    assert later.best.epoch == 700
    assert len(later.epochs) <= 500


def test_the_trend_of_a_loss_is_that_of_the_line_and_none_before_its_second_validation():
    ends = [replace(epoch(1, number), val_losses={"mse": 9.0 / number}) for number in (1, 2, 3)]
    now = after(begun(), STARTED, *ends, latest=batch(1, 69, 9.0))
    assert now.evaluated.trend("mse") == (9.0, 3.0)
    assert now.evaluated.trend("l1") is None
    back = after(now, opened(2, 46, 1, 69))
    assert back.evaluated.trend("mse") == (9.0, 4.5)
    assert after(back, opened(3, 23, 1, 46)).evaluated.trend("mse") is None


def watched() -> Snapshot:
    spec = replace(
        new_spec("digits"), task="a.py", model="", optimizer="", loss="", lr=0.0, batch_size=0,
        epochs=0, seed=0, watched=("a.py",),
    )  # fmt: skip
    return Snapshot.begin("a", Path("a"), spec, 0.0)


def test_the_epochs_of_a_script_tell_how_long_they_are():
    has_begun = after(watched(), replace(STARTED, steps_per_epoch=0, settings={"lr": 0.0}))
    assert has_begun.steps_per_epoch is None
    assert epochs_words(has_begun) == "–"
    ends = [EpochEnded(1, 7 * number, number, "mse", 1.0, None, {}, False) for number in (1, 2)]
    later = after(has_begun, *ends)
    assert later.steps_per_epoch == 7
    assert epochs_words(later) == "2"
    assert planned_steps(later) is None


def test_the_rate_of_a_script_is_that_of_its_newest_step_until_a_command_changes_it():
    settings = {"loss": "mse", "lr": 0.5}
    run = after(watched(), replace(STARTED, settings=settings, optimizer="SGD"))
    assert lr_of(run) == 0.5
    trained = after(run, latest=batch(1, 3, 1.0))
    assert lr_of(trained) == 0.001, "its scheduler has changed it"
    request = Request.new(Change("lr", 0.2))
    asked = CommandAccepted(request.id, "lr", "0.2", "batch", 0.0)
    changed = after(trained, asked, SettingChanged(request.id, 1, 3, 0, "lr", 0.2, 0.001, 7))
    assert lr_of(changed) == 0.2
    assert lr_of(after(changed, latest=batch(1, 4, 1.0))) == 0.001
