"""The steps at which epochs begin, in a run whose batch size may change between epochs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tuitrain.core.commands import Change
from tuitrain.core.plan import Planned


class _UniformEpochs(NamedTuple):
    """Epochs with the same number of steps, from a step and a number of completed epochs on."""

    step: int
    epoch: int
    steps_per_epoch: int


class EpochBoundaries:
    """The epoch boundaries of a lineage."""

    def __init__(
        self, begin: tuple[int, int], samples: int, batch_size: int, plan: Iterable[Planned]
    ) -> None:
        """`begin` is the number of steps and completed epochs before the first epoch."""
        self._spans = [_UniformEpochs(*begin, -(-samples // batch_size))]
        for step, epoch, _, command in plan:
            if isinstance(command, Change) and command.setting == "batch-size":
                assert command.value
                self._spans.append(_UniformEpochs(step, epoch, -(-samples // int(command.value))))

    def is_between_epochs(self, place: tuple[int, int]) -> bool:
        """Return whether `place`, steps and completed epochs, is at the boundary of two epochs."""
        step, epoch = place
        span = [self._spans[0], *(span for span in self._spans if span.epoch <= epoch)][-1]
        return step == span.step + (epoch - span.epoch) * span.steps_per_epoch

    def epochs_begun(self, step: int) -> int:
        """Return the number of epochs begun once that step is trained."""
        span = self._span_of(step)
        return span.epoch + -(-(step - span.step) // span.steps_per_epoch)

    def ends_epoch(self, step: int) -> bool:
        """Return whether that step is the last one of an epoch."""
        span = self._span_of(step)
        return (step - span.step) % span.steps_per_epoch == 0

    def _span_of(self, step: int) -> _UniformEpochs:
        return [self._spans[0], *(span for span in self._spans if span.step < step)][-1]
