"""The loop's side of steering: it polls for commands and applies the directives."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from tuitrain.core.commands import Request
from tuitrain.core.events import BatchDone, Event, Fact
from tuitrain.engine.finite_state import Name
from tuitrain.engine.kept_finite import KeptFinite
from tuitrain.engine.nonfinite import NonfiniteBatches
from tuitrain.engine.rate_sweep import sweep
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.step_probe import Measure
from tuitrain.engine.training import Training
from tuitrain.steering.apply import apply
from tuitrain.steering.decisions import Decision, Decisions, WentBack
from tuitrain.steering.directives import Directive, End, Hold, MakeChange, Restore, SweepRate
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

    def nonfinite(self) -> Name | None:
        """Return the first of what it keeps from step to step that is not finite, if any."""


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
        self._kept = KeptFinite(run, self.checkpoints, self.decisions.changes, clock)

    @property
    def has_to_do(self) -> bool:
        """Whether `after_batch` has to do something even without a new command."""
        return bool(
            self._run.pace
            or self.nonfinite.known
            or self.decisions.has_to_do
            or self.checkpoints.has_to_do
            or self._kept.is_look_due
        )

    def has_read(self, until: BatchDone, nonfinite: Iterable[BatchDone]) -> None:
        """Take the nonfinite batches among those up to `until`, which the caller has read."""
        self.nonfinite.has_read(until, nonfinite)
        self._kept.look_if_due()

    def after_batch(self, *, ends: bool = False) -> Iterator[Fact | Event]:
        """Apply commands after a batch, count the batch, and keep the pace.

        It `ends` the epoch, whose validation follows, or the run.
        """
        requests, run = self._commands(0.0), self._run
        if not (requests or ends or self.has_to_do):
            return
        if ends or self._kept.is_look_due:
            self.nonfinite.read_all()
        has_reported = yield from self._report_nonfinite()
        if ends or has_reported or self._kept.is_look_due:
            yield from self.keep_finite()
        if not self.decisions.stopped:
            yield from self._carry_out(self.decisions.after_batch())
        self._pace.count(run.pace)
        yield from self.checkpoints.save_best_if_due(idle_s=self._pace.wait_s(run.pace))
        yield from self._apply_requests(requests)

    def after_failing(self) -> Iterator[Fact | Event]:
        """Let a run go back that is not finite, of which its own code may have made an error."""
        take = self._run.take
        yield from self.keep_finite()
        if self._run.take != take:
            yield from self._apply_requests(())

    def between(self) -> Iterator[Fact | Event]:
        """Apply commands where no batch was just trained: at the start and between epochs."""
        requests = self._commands(0.0)
        yield from self._carry_out(self.decisions.between())
        yield from self._apply_requests(requests)

    def keep_finite(self) -> Iterator[Fact | Event]:
        """If what the run keeps is not finite, let it go back, and react as the user asked."""
        went_back = yield from self._go_back()
        if went_back is not None:
            yield from self._carry_out(self.decisions.after_going_back(went_back))

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
        """Apply each directive."""
        for decision in decisions:
            if isinstance(decision, SweepRate):
                assert isinstance(self._run, Training)  # a watched loop refuses the command
                yield from sweep(self._run, decision.command, self._is_interrupted)
            elif isinstance(decision, Directive):
                yield from self._apply(decision)
                if self.decisions.stopped and not isinstance(decision, End):
                    return  # it went back first, and that ended it
            else:
                yield decision

    def _apply(self, directive: Directive) -> Iterator[Fact | Event]:
        """Apply a directive to a run that is finite, after reporting nonfinite batches."""
        self.nonfinite.read_all()
        yield from self._report_nonfinite()
        went_back = yield from self._go_back()
        if isinstance(directive, Restore):
            directive = replace(directive, take=self.decisions.changes.next_take)
        for event in apply(directive, self._run, self.checkpoints):
            self.decisions.learn(event)
            yield event
        if isinstance(directive, MakeChange | Restore):
            self._pace.restart()
        elif isinstance(directive, Hold):
            self.nonfinite.start_anew()
        if isinstance(directive, Restore):
            yield from self.keep_finite()
        elif went_back is not None:
            yield from self._carry_out(self.decisions.after_going_back(went_back))

    def _go_back(self) -> Generator[Event, None, WentBack | None]:
        """Go back if what the run keeps is not finite; return what was found."""
        went_back = yield from self._kept.go_back()
        if went_back is not None:
            self._pace.restart()
            self.nonfinite.start_anew()
        return went_back

    def _is_interrupted(self) -> bool:
        """Return whether another command waits, which ends a sweep."""
        if not self._arrived:
            self._arrived += self._commands(0.0)
        return bool(self._arrived)

    def _report_nonfinite(self) -> Generator[Event, None, bool]:
        """Report the nonfinite batches that are known; return whether there was one."""
        events = list(self.nonfinite.report())
        for event in events:
            self.decisions.learn(event)
            yield event
        return bool(events)
