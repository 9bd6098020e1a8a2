"""A watched loop on the rank that leads: it records and decides, and tells the others.

The ranks meet after a step of an optimizer, about four times a second. Until the one that leads
says at which step they meet again, the others wait, and change their loop as it changes its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer

from tuitrain.core.commands import Request
from tuitrain.core.detail import RANKS
from tuitrain.core.events import Detail, Event, Fact, Resumed, Warned
from tuitrain.core.every import Every
from tuitrain.core.safe import safe
from tuitrain.engine import steering
from tuitrain.engine.ranks.messages import Call
from tuitrain.engine.ranks.numbers import Numbers, body_of
from tuitrain.engine.ranks.rhythm import Rhythm
from tuitrain.engine.steering import Commands
from tuitrain.watcher import objects, watch, watched
from tuitrain.watcher.link import Entry, GoOn, Link, Measure, Order, Unreachable, Wait
from tuitrain.watcher.objects import digest_of
from tuitrain.watcher.session import say
from tuitrain.watcher.times import BACKWARD

MEASURE_EVERY_S = 1.0
_ALONE = "the other ranks would not follow"
_REACTS = (
    "each rank has a part of the gradients, so none knows alone whether all are finite: the "
    "reaction to nonfinite values is alert"
)


class Watched(watched.Watched):
    """The loop of the rank that leads: what changes it changes that of the others."""

    link: Link | None = None
    """The way to the others; None: there is none yet, or none any more."""
    why_alone: str | None = None
    """Why the others cannot be told of a command."""
    _is_changing = False

    @property
    def why_not_steered(self) -> str | None:
        return self.why_alone

    @property
    def is_between_epochs(self) -> bool:
        """Whether an epoch has just begun: the others only meet this rank after a step."""
        return self.batch == 1 or not self.has_boundaries

    def change(self, setting: str, value: Any) -> None:
        with self._also("change", setting, value):
            super().change(setting, value)

    def use(self, settings: Mapping[str, Any]) -> None:
        with self._also("use", dict(settings)):
            super().use(settings)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore it, but for the random numbers: the ranks may draw the same ones, or others."""
        common = {name: value for name, value in state.items() if name != "rng"}
        with self._also("restore", common):
            super().restore(common)

    @contextmanager
    def _also(self, method: str, *arguments: Any) -> Iterator[None]:
        """After the block, let the others call the method as well; not if it calls another."""
        if self.link is None or self._is_changing:
            yield
            return
        self._is_changing = True
        try:
            yield
        finally:
            self._is_changing = False
        self.tell(Call(method, arguments))

    def tell(self, order: Order) -> None:
        """Send an order to the others, if they can be reached."""
        if self.link is not None:
            with self.parting():
                self.link.send(order)

    @contextmanager
    def parting(self) -> Iterator[None]:
        """Part from the others if they turn out to be unreachable."""
        try:
            yield
        except Unreachable as error:
            self.part(str(error))

    def part(self, why: str, *, keeps_settings: bool = True) -> None:
        """Go on without the others."""
        link, self.link = self.link, None
        self.why_alone = f"{_ALONE}: {why}"
        if link is not None:
            link.leave(keeps_settings=keeps_settings)


class Steering(steering.Steering):
    """At each meeting it does what a process alone would do."""

    def __init__(self, run: Watched, commands: Commands, **named: Any) -> None:
        super().__init__(run, self._heard, **named)
        self._loop, self._read = run, commands
        self._measures, self._rhythm = Every(MEASURE_EVERY_S), Rhythm()
        self.numbers: Numbers | None = None
        self._has_lost_pause = False
        """Whether the others were lost in a pause, which ends it."""
        self.meet_at = 0
        """The step after which they meet."""

    def after_batch(self, *, ends: bool = False) -> Iterator[Fact | Event]:
        """Meet the other ranks if that is agreed for this step."""
        yield from self._met(super().after_batch(ends=ends))

    def between(self) -> Iterator[Fact | Event]:
        yield from self._met(super().between())

    def close(self) -> Iterator[Event]:
        """Report what they have not met for any more."""
        yield from self._report_nonfinite()
        yield from super().close()

    def _heard(self, wait_s: float | None) -> Sequence[Request]:
        requests = self._read(wait_s)
        if requests:
            self._loop.tell(Wait())
            self._has_lost_pause = self.decisions.paused and self._loop.link is None
            self.decisions.paused &= not self._has_lost_pause
        return requests

    def _met(self, events: Iterator[Fact | Event]) -> Iterator[Fact | Event]:
        run, rhythm = self._loop, self._rhythm
        if run.link is None:
            refused = self.decisions.receive(self._read(0.0))
            yield from self._carry_out(refused)
        if run.link is None or run.step < self.meet_at:
            return
        step_s = rhythm.step_s(run.step)
        rhythm.meet(run.step)
        self._stay_together()
        if self.has_to_do:
            run.tell(Wait())
        if step_s is not None and self._measures.is_due():
            yield from self._measured(max(step_s, 1 / run.pace if run.pace else 0))
        if run.link is not None:
            yield from events
        self._stay_together()
        self.meet_at = run.step + rhythm.steps
        run.tell(GoOn(rhythm.steps, run.take, self.decisions.stopped))
        rhythm.go_on(run.step)
        if run.link is None:
            yield from self._parted()

    def _stay_together(self) -> None:
        """Let the ranks meet after each step while there is something to do after each."""
        if self._loop.pace or self.decisions.has_to_do:
            self._rhythm.steps = 1

    def _parted(self) -> Iterator[Event]:
        reason = str(self._loop.why_alone)
        text = f"from step {self._loop.step:,} on, no command is carried out: {reason}"
        say(text)
        yield Warned(safe(text))
        if self._has_lost_pause:
            yield Resumed(None, *self._loop.position)
        yield from self.decisions.give_up(reason)

    def _measured(self, step_s: float) -> Iterator[Detail]:
        """Yield what each rank measured of itself since this was last asked for."""
        run = self._loop
        run.tell(Measure())
        if run.link is None or self.numbers is None:
            return
        with run.parting():
            ranks = run.link.gathered(self.numbers.taken())
        if run.link is not None:
            body = body_of(ranks, step_s, self._rhythm.steps)
            yield Detail(run.take, run.step, RANKS, body)


class Watch(watch.Watch):
    """Watches the loop of the rank that leads."""

    loop: Watched
    steering: Steering
    _entry: Entry

    def meet(self, optimizer: Optimizer) -> None:
        loop = self.loop
        if not loop.is_sharded and objects.is_sharded(optimizer):
            self._save_nothing()
        super().meet(optimizer)

    def _save_nothing(self) -> None:
        self.loop.is_sharded = True
        self.steering.checkpoints.save_nothing()
        if self.loop.on_nonfinite != "alert":
            self.loop.on_nonfinite = "alert"
            self.notes.append(_REACTS)

    def is_finite(self, optimizer: Optimizer) -> bool:
        """Judge by the gradients, which are those of all ranks; each has a loss of its own."""
        return watched.is_finite(0.0, optimizer)

    def _start(self, optimizer: Optimizer | None, passes: int) -> None:
        self._join(optimizer)
        super()._start(optimizer, passes)

    def _join(self, optimizer: Optimizer | None) -> None:
        loop = self.loop
        if optimizer is None:
            self._lead_nobody("the script has no optimizer of PyTorch")
            return
        try:
            loop.link = self._entry.join(digest_of(optimizer))
        except Unreachable as error:
            self._lead_nobody(str(error))
            return
        self.steering.numbers = Numbers(loop.parts.device)
        if not (loop.is_sharded or loop.link.have_same_weights):
            self._save_nothing()

    def _lead_nobody(self, why: str) -> None:
        self.loop.part(why)
        text = f"its commands are refused: {self.loop.why_alone}"
        self.notes.append(text)
        say(f"{self.title}: {text}")

    def after_step(self, optimizer: Optimizer | None) -> None:
        """Record a step; after that at which they meet, look around."""
        if self.steering.numbers is not None:
            self.steering.numbers.add(self._spent[BACKWARD] / 1e9)
        if self.loop.link is not None and self.loop.step + 1 >= self.steering.meet_at:
            self._attend()
        super().after_step(optimizer)

    def _steer_between_epochs(self) -> None:
        """Do nothing: the commands that wait for it are applied after the step that follows."""

    def expect_others(self, comes_within_s: float) -> None:
        self._entry = Entry(leads=True, comes_within_s=comes_within_s)

    def announce(self) -> None:
        self._entry.announce()

    def leave(self) -> None:
        """Let the others go on without being watched."""
        self.loop.part("the loop is not watched any more", keeps_settings=False)
