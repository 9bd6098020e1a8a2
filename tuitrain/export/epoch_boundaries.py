"""At which steps the epochs of a run begin, whose batch size may change between two of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tuitrain.core.commands import Change
from tuitrain.core.plan import Planned


class _UniformEpochs(NamedTuple):
    """From a step and an epoch on, every epoch has so many steps."""

    step: int
    epoch: int
    steps_per_epoch: int


class EpochBoundaries:
    """The epochs of one line of training."""

    def __init__(
        self, begin: tuple[int, int], samples: int, batch_size: int, plan: Iterable[Planned]
    ) -> None:
        """Let the first epoch begin at `begin`: after so many steps and completed epochs."""
        self._spans = [_UniformEpochs(*begin, -(-samples // batch_size))]
        for step, epoch, _, command in plan:
            if isinstance(command, Change) and command.setting == "batch-size":
                assert command.value
                self._spans.append(_UniformEpochs(step, epoch, -(-samples // int(command.value))))

    def is_between_epochs(self, place: tuple[int, int]) -> bool:
        """Return whether no batch of the epoch that comes after `place` is trained there."""
        step, epoch = place
        era = [self._spans[0], *(each for each in self._spans if each.epoch <= epoch)][-1]
        return step == era.step + (epoch - era.epoch) * era.steps_per_epoch

    def epochs_begun(self, step: int) -> int:
        """Return how many epochs are begun once that step is trained."""
        era = self._epochs_at(step)
        return era.epoch + -(-(step - era.step) // era.steps_per_epoch)

    def ends_epoch(self, step: int) -> bool:
        """Return whether that step is the last one of an epoch."""
        era = self._epochs_at(step)
        return (step - era.step) % era.steps_per_epoch == 0

    def _epochs_at(self, step: int) -> _UniformEpochs:
        return [self._spans[0], *(each for each in self._spans if each.step < step)][-1]
