"""Which takes and changes led to the present."""

from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.events import (
    CheckpointSaved,
    LossSwapped,
    RunStarted,
    SettingChanged,
    TakeOpened,
)
from tuitrain.history.changes import last_change
from tuitrain.history.checkpoints import at_epoch
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of

BEGIN = {"loss": "cross-entropy", "lr": 0.001, "pace": None}


def started() -> RunStarted:
    return RunStarted("cpu", 10, 1, 1, 1, {}, BEGIN)


def saved(file: str, take: int, step: int) -> CheckpointSaved:
    epoch, in_epoch = divmod(step, 10)
    return CheckpointSaved(
        take, step, epoch, "epoch", file, 1, "00", "00", is_between_epochs=not in_epoch
    )


def opened(why: str, take: int, origin: CheckpointSaved, command: str | None = None, **settings):
    return TakeOpened(
        command, take, origin.step, origin.epoch, why, origin.file, origin.take,
        BEGIN | settings, 10, 99,
    )  # fmt: skip


def swapped(command: str, take: int, step: int, loss: str) -> LossSwapped:
    return LossSwapped(command, take, step, step // 10, loss, "?")


START, TEN, TWENTY = saved("start", 1, 0), saved("ten", 1, 10), saved("twenty", 1, 20)


def test_what_an_undo_took_back_is_not_on_the_line():
    first, second = swapped("w1", 1, 10, "mse"), swapped("w2", 1, 20, "l1")
    undo = opened("undo", 2, TWENTY, "w3", loss="mse")
    later = SettingChanged("w4", 2, 25, 2, "lr", 0.01, 0.001, 10)
    past = [started(), START, TEN, first, TWENTY, second, undo, later]

    lineage = Lineage().after(past)
    assert lineage.kept_events == (START, TEN, first, TWENTY, undo, later)
    assert [item.id for item in plan_of(lineage)] == ["w1", "w4"]
    assert last_change(past) == (later, TWENTY)
    assert lineage.settings == {"loss": "mse", "lr": 0.01, "pace": None}
    assert lineage.up_to(TEN).settings["loss"] == "cross-entropy"


def test_a_rollback_brings_its_settings_along():
    swap = swapped("w1", 1, 10, "mse")
    past = [started(), START, TEN, swap, TWENTY, opened("rollback", 2, START, "w2", loss="mse")]

    (change,) = plan_of(Lineage().after(past))
    assert (change.place, change.id, change.command) == ((0, 0), "w2", SwapLoss("mse"))


def test_a_pace_is_no_change_of_the_training():
    past = [started(), START, SettingChanged("w", 1, 5, 0, "pace", 9.0, None, 10)]

    assert plan_of(Lineage().after(past)) == []
    assert Change("pace", 9.0).kind == "pace"


def test_a_setting_that_stays_as_it_is_is_not_what_an_undo_reverts():
    same = SettingChanged("w2", 1, 10, 0, "epochs", 40, 40, 10)
    swap = swapped("w1", 1, 0, "mse")

    assert last_change([started(), START, swap, TEN, same]) == (swap, START)
    assert last_change([started(), START, TEN, same]) is None


def test_a_change_made_again_after_a_crash_is_as_old_as_the_first_time():
    swap, undo = swapped("w1", 1, 10, "mse"), opened("undo", 2, START, "w2")
    resumed = opened("resume", 3, START)
    again = swapped("w1", 3, 10, "mse")
    past = [started(), START, TEN, swap, TWENTY, undo, resumed, again]

    assert last_change(past) == (undo, TWENTY)


def test_the_lines_own_checkpoint_of_an_epoch_comes_before_a_later_one_of_another_take():
    other = saved("other", 2, 20)
    line = Lineage().after(
        [START, TEN, TWENTY, opened("undo", 2, TEN, "w"), other, opened("undo", 3, TWENTY, "v")]
    )

    assert at_epoch([START, TEN, TWENTY, other], line, 2) == TWENTY
    assert at_epoch([START, other], line, 2) == other
    assert at_epoch([START], line, 2) is None


def test_a_checkpoint_from_just_before_an_undo_has_what_was_undone_and_is_not_the_lineages():
    swap, before = swapped("w1", 1, 10, "mse"), saved("before undo", 1, 10)
    lineage = Lineage().after([started(), START, TEN, swap, before, opened("undo", 2, TEN, "w2")])

    assert at_epoch([START, TEN, before], lineage, 1) == TEN
    assert lineage.up_to(TEN).settings["loss"] == "cross-entropy"
    assert not lineage.has_checkpoint(before)
