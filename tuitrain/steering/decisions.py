"""Decisions: turn commands for a run into directives that its loop applies.

All decisions are made here and depend only on commands and position; nothing here trains, saves or
waits. So a run on many devices decides once, and every device does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias, assert_never

from tuitrain.core.commands import (
    Change,
    FindRate,
    Pause,
    Request,
    Resume,
    Rollback,
    SaveCheckpoint,
    Step,
    Stop,
    SwapLoss,
    Undo,
)
from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import (
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    Event,
    NotFinite,
    Paused,
    StepsTaken,
)
from tuitrain.core.safe import safe
from tuitrain.steering.changes import Changes, is_change
from tuitrain.steering.directives import Continue, Directive, End, Hold, Save, SweepRate
from tuitrain.steering.schedule import Schedule
from tuitrain.steering.steerable import Keeper, Position, Steerable
from tuitrain.steering.waiting import Waiting

Decision: TypeAlias = Event | Directive | SweepRate


class WentBack(NamedTuple):
    """A run went back to its newest finite checkpoint."""

    bad: NotFinite
    repeats: bool
    """Whether it would take the same steps again, to the same end."""


class Decisions:
    """Answers each command on arrival, and decides on it at its boundary.

    Methods yield answers to record and directives. Apply a directive before taking the next
    decision, and pass the resulting events to `learn`. A command for a batch boundary is applied
    at either kind, since an epoch ends between two batches.
    """

    def __init__(
        self,
        run: Steerable,
        checkpoints: Keeper,
        earlier: Sequence[Event] = (),
        *,
        on_nonfinite: str = "skip",
        way_on: str = "",
        paused: bool = False,
    ) -> None:
        """`way_on` says how to go on with the run after a nonfinite value has ended it."""
        self.stopped = False
        self.paused = False
        self.schedule = Schedule()
        self.changes = Changes(run, checkpoints, earlier)
        self._run = run
        self._on_nonfinite = on_nonfinite
        self._way_on = way_on
        self._starts_paused = paused
        self._waiting = Waiting(run)
        self._stepping: Request | None = None
        self._steps_left = 0
        self._nonfinite: NotFinite | None = None
        """The nonfinite value that awaits a decision."""

    @property
    def has_to_do(self) -> bool:
        """True if `after_batch` may decide anything. Cheap, for a check after each batch."""
        return bool(
            self._waiting.commands or self._stepping or self._nonfinite or self.schedule.entries
        )

    @property
    def pauses_next(self) -> bool:
        """Whether the next batch is the last of those to be trained one by one."""
        return self._stepping is not None and self._steps_left == 1

    def learn(self, event: Event) -> None:
        """Update from an event of a directive, or a nonfinite value."""
        match event:
            case NotFinite():
                self._nonfinite = self._nonfinite or event
            case Paused() if self._on_nonfinite == "pause":
                self._nonfinite = None
            case _:
                self.changes.learn(event)

    def between(self) -> Iterator[Decision]:
        """Decide at the start and between two epochs, when no batch has just been trained."""
        if self._starts_paused:
            self._starts_paused = False
            yield from self._hold(None)
        yield from self._due()

    def after_batch(self) -> Iterator[Decision]:
        """Decide after a batch, which may be the last of those to be trained one by one."""
        yield from self._after_nonfinite()
        yield from self._due()
        yield from self._count_step()

    def after_going_back(self, went_back: WentBack) -> Iterator[Decision]:
        """Decide after the run went back from what is not finite."""
        self._nonfinite, bad = None, went_back.bad
        if self.stopped:
            return
        if self._on_nonfinite == "stop":
            yield from self._fail(
                f"{safe(bad.subject)} was not finite after step {bad.step:,}, and the run went "
                f"back to step {bad.back_at:,}"
            )
        elif not self.paused and (self._on_nonfinite == "pause" or went_back.repeats):
            yield from self._hold(None)

    def receive(self, commands: Iterable[Request]) -> Iterator[Decision]:
        """Accept or refuse commands, and decide on those whose boundary is here."""
        for asked in commands:
            try:
                command = self.changes.named(asked)
            except TuitrainError as error:
                yield _refusal(asked, str(error), error.exit_code)
                continue
            moved = self._waiting.elsewhere(command)
            reason = self._why_not(command, moved)
            if reason is not None:
                yield _refusal(command, reason)
                continue
            if not self._run.has_boundaries:
                command = replace(command, at="batch")
            for replaced in moved:
                self._waiting.commands.remove(replaced)
                yield CommandDropped(replaced.id, f"asked for again, at the {command.at} boundary")
            yield _acceptance(command, self._run.position)
            self._waiting.commands.append(command)
            yield from self._due()

    def close(self, commands: Iterable[Request]) -> Iterator[Event]:
        """Answer what can no longer be carried out. Changes wait for a resumption."""
        for request in commands:
            yield _refusal(request, "the run has ended")
        for request in self._waiting.commands:
            if not is_change(request.command):
                yield CommandDropped(request.id, "the run ended first")
        yield from self._end_stepping("the run ended first")

    def give_up(self, reason: str) -> Iterator[Event]:
        """Drop all that waits, since nothing can be carried out any more."""
        waiting, self._waiting.commands = self._waiting.commands, []
        for request in waiting:
            yield CommandDropped(request.id, reason)
        yield from self._end_stepping(reason)

    def _why_not(self, request: Request, moved: Sequence[Request]) -> str | None:
        match request.command:
            case _ if self.stopped or self._run.why_not_steered:
                return self._run.why_not_steered or "the run has ended"
            case Pause() if self.paused:
                return f"it is paused already, at step {self._run.position.step:,}"
            case Resume() if not (self.paused or self._stepping or self._waiting.pauses):
                return "it is not paused"
            case SwapLoss() | Change() | Undo() | Rollback():
                staying = [other for other in self._waiting.commands if other not in moved]
                return self.changes.why_not(request, staying)
            case FindRate(kind=kind) | SaveCheckpoint(kind=kind):
                return self._run.why_not(kind, None)
            case Pause() | Resume() | Step() | Stop():
                return None
            case other:
                assert_never(other)

    def _due(self) -> Iterator[Decision]:
        """Decide on the schedule entries that are due, then on the commands that are due."""
        yield from self._scheduled()
        for command in self._waiting.due(self.schedule):
            yield from self._carry_out(command)

    def _scheduled(self) -> Iterator[Decision]:
        for entry in self.schedule.due(self._run):
            request = entry.request
            if entry.how == "waiting":
                self._waiting.commands.append(request)
                continue
            assert isinstance(request.command, SwapLoss | Change)
            if entry.how == "planned":
                yield _acceptance(request, self._run.position)
            yield from self.changes.make(request.id, request.command, again=entry.how == "again")

    def _carry_out(self, command: Request) -> Iterator[Decision]:
        match command.command:
            case Pause():
                yield from self._hold(command.id)
            case Resume():
                yield from self._go_on(command.id)
            case Step(count=count):
                yield from self._step(command, count)
            case (SwapLoss() | Change() | Undo() | Rollback()) as change:
                yield from self.changes.make(command.id, change)
            case SaveCheckpoint(why=why):
                yield Save(command.id, why or "asked for")
            case FindRate():
                yield SweepRate(command.id)
            case Stop(why=why):
                self.stopped = True
                yield End(command.id, why)
            case other:
                assert_never(other)

    def _step(self, command: Request, count: int) -> Iterator[Decision]:
        if self.paused or self._stepping:
            yield from self._go_on(None)
        self._stepping, self._steps_left = command, count

    def _hold(self, command: str | None) -> Iterator[Decision]:
        yield from self._end_stepping("a pause came first")
        self.paused = True
        yield Hold(command)

    def _go_on(self, command: str | None) -> Iterator[Decision]:
        for pause in self._waiting.pauses:
            self._waiting.commands.remove(pause)
            yield CommandDropped(pause.id, "resumed before its boundary came")
        yield from self._end_stepping("resumed")
        self.paused = False
        yield Continue(command)

    def _after_nonfinite(self) -> Iterator[Decision]:
        bad, self._nonfinite = self._nonfinite, None
        if bad is not None and self._on_nonfinite == "pause":
            yield from self._hold(None)
        elif bad is not None and self._on_nonfinite == "stop":
            yield from self._fail(
                f"the {bad.what} was not finite at step {bad.step:,}, which left the weights as "
                "they were"
            )

    def _fail(self, why: str) -> Iterator[Decision]:
        self.stopped = True
        yield End(None, "; ".join(filter(None, [why, self._way_on])), is_failure=True)

    def _count_step(self) -> Iterator[Decision]:
        if self._stepping is None:
            return
        self._steps_left -= 1
        if not self._steps_left:
            command, count = self._stepping.id, int(self._stepping.command.detail)
            self._stepping = None
            yield StepsTaken(command, *self._run.position, count)
            yield from self._hold(None)

    def _end_stepping(self, reason: str) -> Iterator[CommandDropped]:
        if self._stepping is not None:
            yield CommandDropped(self._stepping.id, reason)
            self._stepping = None


def _acceptance(request: Request, where: Position) -> CommandAccepted:
    command = request.command
    return CommandAccepted(
        request.id,
        command.kind,
        command.detail,
        request.at,
        request.asked_at,
        where.step,
        where.epoch,
    )


def _refusal(request: Request, reason: str, exit_code: int = 3) -> CommandRefused:
    command = request.command
    return CommandRefused(
        request.id, command.kind, command.detail, reason, request.asked_at, exit_code
    )
