"""Wishes on their way into the loop: each is answered when it comes and granted at its boundary."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, assert_never

from tuitrain.core.commands import (
    Change,
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
from tuitrain.core.events import (
    BatchDone,
    Event,
    NotFinite,
    Paused,
    Resumed,
    Stepped,
    Stopped,
    WishAccepted,
    WishDropped,
    WishRefused,
)
from tuitrain.engine.changes import Changes
from tuitrain.engine.checkpoint import CannotSave, Checkpoints, said
from tuitrain.engine.schedule import Schedule
from tuitrain.engine.training import Training

Wishes = Callable[[float | None], Sequence[Request]]
"""Return the wishes that came. Waits up to so many seconds for one; None: for as long as it takes;
0: not at all."""


def no_wishes(_wait_s: float | None) -> Sequence[Request]:
    """Nobody steers."""
    return ()


class Steering:
    """What users asked of a run, and the hold they have over its loop.

    A wish for a batch boundary is granted at either kind, since an epoch ends between two batches.
    """

    def __init__(
        self,
        run: Training,
        wishes: Wishes = no_wishes,
        *,
        checkpoints: Checkpoints | None = None,
        past: Sequence[Event] = (),
        paused: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stopped = False
        self.checkpoints = checkpoints or Checkpoints(None)
        self.changes = Changes(run, self.checkpoints, past)
        self.schedule = Schedule()
        self._run = run
        self._wishes = wishes
        self._clock = clock
        self._pending: list[Request] = []
        self._to_pause = paused
        self._paused = False
        self._stepping: Request | None = None
        self._steps_left = 0
        self._due = 0.0
        self._bad: BatchDone | None = None
        self._was_bad = False

    def after_batch(self) -> Iterator[Event]:
        """Obey after a batch: count it, too, and keep the pace."""
        requests = self._wishes(0.0)
        if not (requests or self._stepping or self._run.pace or self._has_to_do()):
            return
        yield from self._meet_bad()
        yield from self._grant()
        yield from self._count_step()
        self._keep_pace()
        idle_s = max(0.0, self._due - self._clock()) if self._run.pace else 0.0
        yield from self.checkpoints.save_best_if_due(idle_s=idle_s)
        yield from self._obey(requests)

    def between(self) -> Iterator[Event]:
        """Obey where no batch was trained just now: at the beginning and between two epochs."""
        requests = self._wishes(0.0)
        if self._to_pause:
            self._to_pause = False
            yield from self._hold(None)
        yield from self._grant()
        yield from self._obey(requests)

    def farewell(self) -> Iterator[Event]:
        """Answer what can no longer be granted. Changes of settings wait for a resumption."""
        for request in self._wishes(0.0):
            yield _refusal(request, "the run has ended")
        for request in self._pending:
            if not is_kept(request):
                yield WishDropped(request.id, "the run ended first")
        yield from self._end_stepping("the run ended first")

    def meet_bad(self, done: BatchDone) -> None:
        """Take note of a batch whose numbers were not finite; the next boundary deals with it."""
        self._bad = self._bad or done

    def _has_to_do(self) -> bool:
        waits = self._pending or self._to_pause or self._bad or self.schedule
        return bool(waits or self.checkpoints.waiting)

    def _meet_bad(self) -> Iterator[Event]:
        done, self._bad, run = self._bad, None, self._run
        if done is None:
            self._was_bad = False
            return
        what: Literal["loss", "gradient"] = (
            "gradient" if math.isfinite(float(done.loss)) else "loss"
        )
        if not (self._was_bad and run.on_nonfinite == "skip"):  # told once a stretch
            yield NotFinite(done.take, done.step, done.epoch - 1, what)
        self._was_bad = True
        if run.on_nonfinite == "pause":
            yield from self._end_stepping("a pause came first")
            yield from self._hold(None)
        elif run.on_nonfinite == "stop":
            wish = Stop(f"the {what} was not finite")
            yield from self._apply(Request.new(wish))

    def _obey(self, requests: Sequence[Request]) -> Iterator[Event]:
        """Take wishes for as long as the run is paused or ahead of its pace."""
        yield from self._receive(requests)
        while (wait_s := self._wait_s()) != 0:
            yield from self._receive(self._wishes(wait_s))

    def _receive(self, requests: Iterable[Request]) -> Iterator[Event]:
        for request in requests:
            reason = self._why_not(request)
            if reason is not None:
                yield _refusal(request, reason)
                continue
            yield self._accepted(request)
            self._pending.append(request)
            yield from self._grant()

    def _why_not(self, request: Request) -> str | None:
        match request.wish:
            case _ if self.stopped:
                return "the run has ended"
            case Pause() if self._paused:
                return f"it is paused already, at step {self._run.step}"
            case Resume() if not (self._paused or self._stepping or self._waits(Pause)):
                return "it is not paused"
            case SwapLoss() | Change() | Undo() | Rollback():
                return self.changes.why_not(request, self._pending)
            case Pause() | Resume() | Step() | SaveCheckpoint() | Stop():
                return None
            case other:
                assert_never(other)

    def _accepted(self, request: Request) -> WishAccepted:
        wish, run = request.wish, self._run
        return WishAccepted(
            request.id, wish.kind, wish.detail, request.at, request.asked_at, run.step, run.epoch
        )

    def _waits(self, kind: type) -> bool:
        return any(isinstance(each.wish, kind) for each in self._pending)

    def _grant(self) -> Iterator[Event]:
        """Do what was done here before, if these steps are trained again; then what is ripe."""
        for entry in self.schedule.due(self._run):
            match entry.how:
                case "again":
                    yield from self.changes.apply(entry.request, again=True)
                case "planned":
                    yield self._accepted(entry.request)
                    yield from self.changes.apply(entry.request)
                case "waiting":
                    self._pending.append(entry.request)
        if self._to_pause:
            self._to_pause = False
            yield from self._hold(None)
        # looked for anew each time: a wish granted just now may have dropped one, or gone back to
        # between two epochs
        while ripe := next(filter(self._is_ripe, self._pending), None):
            self._pending.remove(ripe)
            yield from self._apply(ripe)

    def _is_ripe(self, request: Request) -> bool:
        run = self._run
        if is_kept(request) and self.schedule.catches_up:
            return False  # it was asked after the changes that are still to be made again
        if isinstance(request.wish, Pause) and run.step == 0:
            return request.at == "batch"  # the end of an epoch is after it, not before the first
        return request.at == "batch" or run.is_between_epochs

    def _apply(self, request: Request) -> Iterator[Event]:
        match request.wish:
            case Pause():
                yield from self._end_stepping("a pause came first")
                yield from self._hold(request.id)
            case Resume():
                yield from self._go_on(request.id)
            case Step(count=count):
                if self._paused or self._stepping:
                    yield from self._go_on(None)
                self._stepping, self._steps_left = request, count
            case SwapLoss() | Change() | Undo() | Rollback():
                self._due = 0.0
                yield from self.changes.apply(request)
            case SaveCheckpoint():
                yield from self._save_for(request)
            case Stop(why=why):
                self.stopped = True
                yield from self.checkpoints.save(self._run, "stop")
                yield Stopped(request.id, self._run.take, self._run.step, self._run.epoch, why)
            case other:
                assert_never(other)

    def _save_for(self, request: Request) -> Iterator[Event]:
        try:
            yield from self.checkpoints.save(self._run, "asked for", wish=request.id)
        except CannotSave as error:
            yield WishDropped(request.id, str(error))

    def _hold(self, wish: str | None) -> Iterator[Event]:
        self._paused = True
        yield from said(self.checkpoints.save(self._run, "pause"))
        yield Paused(wish, self._run.take, self._run.step, self._run.epoch)

    def _go_on(self, wish: str | None) -> Iterator[Event]:
        for request in [each for each in self._pending if isinstance(each.wish, Pause)]:
            self._pending.remove(request)
            yield WishDropped(request.id, "told to go on before its boundary came")
        yield from self._end_stepping("told to go on")
        self._paused = False
        yield Resumed(wish, self._run.take, self._run.step, self._run.epoch)

    def _count_step(self) -> Iterator[Event]:
        if self._stepping is None:
            return
        self._steps_left -= 1
        if not self._steps_left:
            run, wish = self._run, self._stepping
            self._stepping = None
            yield Stepped(wish.id, run.take, run.step, run.epoch, int(wish.wish.detail))
            yield from self._hold(None)

    def _end_stepping(self, reason: str) -> Iterator[Event]:
        if self._stepping is not None:
            yield WishDropped(self._stepping.id, reason)
            self._stepping = None

    def _keep_pace(self) -> None:
        if self._run.pace:
            # not from the last due time alone: a slow batch must not be made up for by a burst
            self._due = max(self._due, self._clock() - 1 / self._run.pace) + 1 / self._run.pace

    def _wait_s(self) -> float | None:
        if self.stopped:
            return 0
        if self._paused:
            return None
        return max(0.0, self._due - self._clock()) if self._run.pace else 0


def is_kept(request: Request) -> bool:
    """Return whether the wish waits for a resumption when its run ends: a change does."""
    return isinstance(request.wish, SwapLoss | Change | Undo | Rollback)


def _refusal(request: Request, reason: str) -> WishRefused:
    wish = request.wish
    return WishRefused(request.id, wish.kind, wish.detail, reason, request.asked_at)
