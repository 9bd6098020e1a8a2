"""Which checkpoints go when others come."""

from tuitrain.core.events import CheckpointGone, CheckpointSaved, TakeOpened
from tuitrain.engine.state.retention import Retention


def saved(step: int, why: str) -> CheckpointSaved:
    return CheckpointSaved(1, step, step, why, f"{step:05d}-take1-step{step}.pt", 9, "f", "w")


def after(*events) -> Retention:
    retention = Retention()
    for event in events:
        retention.remember(event)
        for gone in retention.to_delete():
            assert isinstance(gone, CheckpointGone)
            retention.remember(gone)
    return retention


def steps(retention: Retention) -> list[int]:
    return [item.step for item in retention.kept]


EPOCHS = [
    saved(0, "start"),
    saved(1, "best"),
    saved(2, "epoch"),
    saved(3, "best"),
    saved(4, "best"),
]


def test_the_best_of_its_time_stays_for_as_long_as_an_epoch_that_can_be_gone_back_to():
    assert steps(after(*EPOCHS)) == [0, 1, 2, 3, 4]
    assert steps(after(*EPOCHS, saved(5, "epoch"))) == [0, 3, 4, 5]


def test_who_goes_back_has_the_best_of_that_time_and_what_it_goes_on_from_stays():
    retention = after(*EPOCHS)
    retention.origin = EPOCHS[2].file
    for event in (
        saved(5, "before rollback"),
        TakeOpened("w", 2, 2, 2, "rollback", EPOCHS[2].file, 1, {}, 3, 5),
    ):
        retention.remember(event)
    assert retention.best == EPOCHS[1]
    assert not {epoch.file for epoch in EPOCHS[1:3]} & {item.file for item in retention.to_delete()}


def test_a_damaged_best_is_not_the_best_any_more():
    retention = after(*EPOCHS)
    retention.remember(CheckpointGone(EPOCHS[-1].file, "damaged"))
    assert retention.best is None
