"""The steps at which epochs begin, in a run whose batch size may change between epochs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from tuitrain.core.events import SettingChanged, TakeOpened

StatesLength = TakeOpened | SettingChanged
"""The events that state the length of the epochs from their place on."""


class EqualEpochs(NamedTuple):
    """Epochs with the same number of steps, from a step and a number of completed epochs on."""

    step: int
    epoch: int
    steps_per_epoch: int
    """0 while it is unknown."""

    def begin(self, epoch: int) -> int:
        """Return the last step before the epoch that follows so many completed ones."""
        return self.step + (epoch - self.epoch) * self.steps_per_epoch

    def completed(self, step: int) -> tuple[int, int]:
        """Return the epochs completed at a step, and the steps since the last of them ended."""
        epochs, rest = divmod(step - self.step, self.steps_per_epoch or 1)
        return self.epoch + epochs, rest


class EpochBoundaries(NamedTuple):
    """The epoch boundaries of a take and of the takes that led to it."""

    spans: tuple[EqualEpochs, ...]
    """One or more, in order."""

    @classmethod
    def seen(cls, ends: Iterable[tuple[int, int]], steps_per_epoch: int) -> EpochBoundaries:
        """Return those of a loop of which only the ends of epochs are known, as (step, epoch).

        The epoch after the last of them has `steps_per_epoch`, 0 if that is unknown.
        """
        places = [(0, 0), *ends]
        lengths = [
            (following[0] - place[0]) // max(1, following[1] - place[1])
            for place, following in pairwise(places)
        ]
        spans = zip(places, [*lengths, steps_per_epoch], strict=True)
        return cls(tuple(EqualEpochs(*place, length) for place, length in spans))

    def after(self, event: StatesLength) -> EpochBoundaries:
        """Return the boundaries after an event of their take, or of one that continues it."""
        spans, last = self.spans, self.spans[-1]
        if isinstance(event, TakeOpened):  # a change at its step was made after its checkpoint
            spans = tuple(span for span in spans if span.step < event.step)
        if spans and event.steps_per_epoch in (0, spans[-1].steps_per_epoch):
            return EpochBoundaries(spans)
        length = event.steps_per_epoch or last.steps_per_epoch
        return EpochBoundaries((*spans, EqualEpochs(event.step, event.epoch, length)))

    @property
    def steps_per_epoch(self) -> int:
        """The length of the newest epoch; 0 while it is unknown."""
        return self.spans[-1].steps_per_epoch

    def begin(self, epoch: int) -> int:
        """Return the last step before the epoch that follows so many completed ones."""
        return self._span_of_epoch(epoch).begin(epoch)

    def is_between_epochs(self, place: tuple[int, int]) -> bool:
        """Return whether `place`, steps and completed epochs, is at the boundary of two epochs."""
        step, epoch = place
        return step == self.begin(epoch)

    def epochs_begun(self, step: int) -> int:
        """Return the number of epochs begun once that step is trained."""
        epochs, rest = self._span_of_step(step).completed(step)
        return epochs + (rest > 0)

    def ends_epoch(self, step: int) -> bool:
        """Return whether that step is the last one of an epoch."""
        return self._span_of_step(step).completed(step)[1] == 0

    def _span_of_epoch(self, epoch: int) -> EqualEpochs:
        return [self.spans[0], *(span for span in self.spans if span.epoch <= epoch)][-1]

    def _span_of_step(self, step: int) -> EqualEpochs:
        return [self.spans[0], *(span for span in self.spans if span.step < step)][-1]
