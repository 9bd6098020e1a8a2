"""Where epochs begin, whatever became of the batch size."""

from dataclasses import replace

from tests.unit.history.test_lineage import START, TEN, TWENTY, opened, saved, started
from tuitrain.core.events import Event, SettingChanged
from tuitrain.history.epoch_boundaries import EpochBoundaries
from tuitrain.history.lineage import Lineage


def batch_size(take: int, step: int, epoch: int, steps_per_epoch: int) -> SettingChanged:
    return SettingChanged("w", take, step, epoch, "batch-size", 1, 2, steps_per_epoch)


def boundaries(*events: Event) -> EpochBoundaries:
    return Lineage().after([started(), START, *events]).epoch_boundaries


def begins(known: EpochBoundaries) -> list[int]:
    return [known.begin(epoch) for epoch in range(5)]


def test_another_batch_size_moves_the_later_boundaries():
    known = boundaries(batch_size(1, 20, 2, 5))

    assert begins(known) == [0, 10, 20, 25, 30]
    assert [step for step in range(1, 31) if known.ends_epoch(step)] == [10, 20, 25, 30]
    assert [known.epochs_begun(step) for step in (1, 10, 11, 20, 21, 25, 26)] == [
        1, 1, 2, 2, 3, 3, 4,
    ]  # fmt: skip
    assert known.is_between_epochs((25, 3))
    assert not known.is_between_epochs((20, 1)), "its last batch is trained, its validation is not"


def test_an_undo_takes_the_batch_size_back_and_a_rollback_brings_it_along():
    smaller = batch_size(1, 10, 1, 5)

    undone = opened("undo", 2, TEN)
    assert begins(boundaries(TEN, smaller, undone)) == [0, 10, 20, 30, 40]
    rolled_back = replace(opened("rollback", 2, START), steps_per_epoch=5)
    assert begins(boundaries(TEN, smaller, rolled_back)) == [0, 5, 10, 15, 20]
    assert begins(Lineage().after([started(), START, TEN, smaller, rolled_back])
                  .epoch_boundaries_of(1)) == [0, 10, 15, 20, 25]  # fmt: skip


def test_a_take_from_the_midst_of_an_epoch_goes_on_in_it():
    midst = saved("midst", 1, 14)

    assert begins(boundaries(TEN, midst, opened("resume", 2, midst))) == [0, 10, 20, 30, 40]
    assert len(boundaries(TEN, midst, opened("resume", 2, midst), TWENTY).spans) == 1


def test_only_the_ends_of_epochs_are_known_of_a_loop_that_is_watched():
    known = EpochBoundaries.seen([(7, 1), (15, 2)], 8)

    assert begins(known)[:4] == [0, 7, 15, 23]
    assert EpochBoundaries.seen([], 0).steps_per_epoch == 0
