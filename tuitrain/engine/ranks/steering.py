"""Steering of a run with several ranks: the first one decides, and the others do as it does.

They meet between two batches, about four times a second, and at the end of each epoch. Until the
first one says at which step they meet again, the others wait, and call the methods of their run
that it calls of its own. So whatever changes a run changes it on all ranks at the same step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tuitrain.core.detail import RANKS
from tuitrain.core.events import BatchDone, Detail, Event, Fact
from tuitrain.core.every import Every
from tuitrain.engine.nonfinite import NonfiniteBatches
from tuitrain.engine.ranks.messages import GoOn, Tell
from tuitrain.engine.ranks.numbers import body_of
from tuitrain.engine.ranks.ranks import Ranks
from tuitrain.engine.ranks.rhythm import Rhythm
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import Measure
from tuitrain.engine.training import Training

MEASURE_EVERY_S = 1.0


class Leading(Steering):
    """The first rank's steering: at each meeting it does what a process alone would do."""

    def __init__(self, run: Training, ranks: Ranks, *arguments: Any, **named: Any) -> None:
        super().__init__(run, *arguments, **named)
        self._ranks = ranks
        self._training = run
        self._meet_at = 0
        self._rhythm = Rhythm()
        self._numbers = Every(MEASURE_EVERY_S)
        self._measurements = Every(MEASURE_EVERY_S)
        self.measures = Measure.NOTHING

    def after_batch(self, *, ends: bool = False) -> Iterator[Fact | Event]:
        """Meet the other ranks if that is agreed for this step, or it ends an epoch.

        Without the latter, where an epoch has fewer steps than they agree on, no number that is not
        finite would ever pause the run.
        """
        self.measures = Measure.NOTHING
        if ends or self._training.step >= self._meet_at:
            yield from self._met(super().after_batch(ends=ends))

    def between(self) -> Iterator[Fact | Event]:
        """Meet the other ranks."""
        yield from self._met(super().between())

    def close(self) -> Iterator[Event]:
        """Answer the commands that can no longer be applied, and let the other ranks end."""
        yield from super().close()
        self._send(has_stopped=True)

    def _met(self, events: Iterator[Fact | Event]) -> Iterator[Fact | Event]:
        run, rhythm = self._training, self._rhythm
        batch_s = rhythm.step_s(run.step)
        rhythm.meet(run.step)
        self._stay_together()
        if batch_s is not None and self._numbers.is_due():
            yield self._measured(max(batch_s, 1 / run.pace if run.pace else 0))
        yield from events
        self._stay_together()
        self._meet_at = run.step + rhythm.steps
        self.measures = max(self.measures or Measure.NOTHING, self._to_measure())
        self._send(has_stopped=self.decisions.stopped)
        rhythm.go_on(run.step)

    def _stay_together(self) -> None:
        """Let the ranks meet after each batch while there is something to do after each."""
        if self._run.pace or self.decisions.has_to_do:
            self._rhythm.steps = 1

    def _to_measure(self) -> Measure:
        if self.decisions.pauses_next:
            return Measure.LINE
        return Measure.STEP if self._measurements.is_due() else Measure.NOTHING

    def _measured(self, batch_s: float) -> Detail:
        """Return what each rank measured of itself since this was last asked for."""
        self._ranks.channel.send(Tell())
        ranks, run = self._ranks.told(), self._training
        return Detail(run.take, run.step, RANKS, body_of(ranks, batch_s, self._rhythm.steps))

    def _send(self, *, has_stopped: bool) -> None:
        run = self._training
        self._ranks.channel.send(
            GoOn(
                self._rhythm.steps, run.take, run.until, run.monitor.waited, has_stopped,
                self.measures or Measure.NOTHING,
            )
        )  # fmt: skip


class _Unnoted(NonfiniteBatches):
    """Notes no batch: the first rank does."""

    def note(self, _done: BatchDone) -> None:
        pass


class Following(Steering):
    """Another rank's steering: it decides nothing, and keeps nothing."""

    def __init__(self, run: Training, ranks: Ranks) -> None:
        super().__init__(run, checkpoints=Checkpoints(None))
        self.nonfinite = _Unnoted(is_synchronous=True)
        self._ranks = ranks
        self._training = run
        self._meet_at = 0

    def after_batch(self, *, ends: bool = False) -> Iterator[Fact | Event]:
        """Meet the first rank if that is agreed for this step, or it ends an epoch."""
        self.measures = Measure.NOTHING
        if ends or self._training.step >= self._meet_at:
            yield from self.between()

    def between(self) -> Iterator[Fact | Event]:
        """Do what the first rank does, until it goes on."""
        self._meet()
        yield from ()

    def _meet(self) -> None:
        run = self._training
        while not isinstance(message := self._ranks.channel.receive(), GoOn):
            if isinstance(message, Tell):
                self._ranks.told()
            else:
                getattr(run, message.method)(*message.arguments, **message.named)
        run.take, run.until = message.take, message.until
        run.monitor.waited = message.waited
        self.decisions.stopped = message.has_stopped
        self.measures = Measure(message.measures)
        self._meet_at = run.step + message.steps

    def close(self) -> Iterator[Event]:
        """Do what the first rank does, until it ends."""
        self._meet()
        yield from ()
