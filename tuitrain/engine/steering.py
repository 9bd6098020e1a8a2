"""The loop's side of steering: it polls for commands and applies the directives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from tuitrain.core.commands import Request
from tuitrain.core.events import Event, Fact
from tuitrain.engine.nonfinite import NonfiniteBatches
from tuitrain.engine.rate_sweep import sweep
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.step_probe import Measure
from tuitrain.engine.training import Training
from tuitrain.steering.apply import apply
from tuitrain.steering.decisions import Decision, Decisions
from tuitrain.steering.directives import Directive, Hold, MakeChange, Restore, SweepRate
from tuitrain.steering.pace import Pace
from tuitrain.steering.steerable import Steerable

Commands = Callable[[float | None], Sequence[Request]]
"""Return new commands. Waits up to this many seconds for one; None waits without limit, 0 does
not wait."""


def no_commands(_wait_s: float | None) -> Sequence[Request]:
    """Return no commands."""
    return ()


class Loop(Steerable, Protocol):
    """A loop whose steps this process takes: our own, or one that is watched."""

    on_nonfinite: str
    way_on: str
    """How to go on with the run after a nonfinite value has ended it, as the end of a sentence."""
    is_synchronous: bool
    """Whether the flags of nonfinite numbers are read at once."""

    @property
    def has_seen_epoch(self) -> bool:
        """Whether the validation of the epoch follows."""

    @property
    def has_reached_until(self) -> bool:
        """Whether the step is trained at which it should end."""


class Steering:
    """Applies users' commands to a run and holds its loop while it is paused."""

    measures: Measure | None = None
    """What is measured of the next step, where several ranks agree on it; None: they do not."""

    def __init__(
        self,
        run: Loop,
        commands: Commands = no_commands,
        *,
        checkpoints: Checkpoints | None = None,
        earlier: Sequence[Event] = (),
        paused: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checkpoints = checkpoints or Checkpoints(None)
        self.nonfinite = NonfiniteBatches(is_synchronous=run.is_synchronous)
        self.decisions = Decisions(
            run, self.checkpoints, earlier,
            on_nonfinite=run.on_nonfinite, way_on=run.way_on, paused=paused,
        )  # fmt: skip
        self._run = run
        self._commands = commands
        self._arrived: list[Request] = []
        """Commands that were not decided on yet."""
        self._pace = Pace(clock)

    @property
    def has_to_do(self) -> bool:
        """Whether `after_batch` has to do something even without a new command."""
        return bool(
            self._run.pace
            or self.nonfinite.known
            or self.decisions.has_to_do
            or self.checkpoints.has_to_do
        )

    def after_batch(self) -> Iterator[Fact | Event]:
        """Apply commands after a batch, count the batch, and keep the pace."""
        requests, run = self._commands(0.0), self._run
        if self.nonfinite.unread and (run.has_seen_epoch or run.has_reached_until):
            self.nonfinite.read_all()
        if not (requests or self.has_to_do):
            return
        yield from self._report_nonfinite()
        yield from self._carry_out(self.decisions.after_batch())
        self._pace.count(run.pace)
        yield from self.checkpoints.save_best_if_due(idle_s=self._pace.wait_s(run.pace))
        yield from self._apply_requests(requests)

    def between(self) -> Iterator[Fact | Event]:
        """Apply commands where no batch was just trained: at the start and between epochs."""
        requests = self._commands(0.0)
        yield from self._carry_out(self.decisions.between())
        yield from self._apply_requests(requests)

    def close(self) -> Iterator[Event]:
        """Answer the commands that can no longer be applied."""
        yield from self.decisions.close(self._commands(0.0))

    def _apply_requests(self, requests: Sequence[Request]) -> Iterator[Fact | Event]:
        """Take commands while the run is paused or ahead of its pace."""
        self._arrived += requests
        while self._arrived or (wait_s := self._wait_s()) != 0:
            if self._arrived:
                yield from self._carry_out(self.decisions.receive([self._arrived.pop(0)]))
            else:
                self._arrived += self._commands(wait_s)

    def _wait_s(self) -> float | None:
        if self.decisions.stopped:
            return 0
        return None if self.decisions.paused else self._pace.wait_s(self._run.pace)

    def _carry_out(self, decisions: Iterator[Decision]) -> Iterator[Fact | Event]:
        """Apply each directive, after reading and reporting the nonfinite batches before it."""
        for decision in decisions:
            if isinstance(decision, SweepRate):
                assert isinstance(self._run, Training)  # a watched loop refuses the command
                yield from sweep(self._run, decision.command, self._is_interrupted)
                continue
            if not isinstance(decision, Directive):
                yield decision
                continue
            self.nonfinite.read_all()
            yield from self._report_nonfinite()
            for event in apply(decision, self._run, self.checkpoints):
                self.decisions.learn(event)
                yield event
            if isinstance(decision, MakeChange | Restore):
                self._pace.restart()
            elif isinstance(decision, Hold):
                self.nonfinite.start_anew()

    def _is_interrupted(self) -> bool:
        """Return whether another command waits, which ends a sweep."""
        if not self._arrived:
            self._arrived += self._commands(0.0)
        return bool(self._arrived)

    def _report_nonfinite(self) -> Iterator[Event]:
        for event in self.nonfinite.report():
            self.decisions.learn(event)
            yield event
