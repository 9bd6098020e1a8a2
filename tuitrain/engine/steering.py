"""Wishes on their way into the loop: each is answered when it comes and granted at its boundary."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeAlias, assert_never

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
from tuitrain.core.errors import TuitrainError
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
from tuitrain.engine.device import read
from tuitrain.engine.schedule import Schedule
from tuitrain.engine.training import Training

Wishes = Callable[[float | None], Sequence[Request]]
"""Return the wishes that came. Waits up to so many seconds for one; None: for as long as it takes;
0: not at all."""


What: TypeAlias = Literal["loss", "gradient"]


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
        self._unread: list[BatchDone] = []
        self._bad: list[BatchDone] = []
        self._last_bad: tuple[int, int] | None = None
        self._unmet: What | None = None

    def after_batch(self) -> Iterator[Event]:
        """Obey after a batch: count it, too, and keep the pace."""
        requests, run = self._wishes(0.0), self._run
        if self._unread and (run.has_seen_epoch or run.has_come_far_enough):
            self._read_all()
        if not (requests or self._stepping or run.pace or self._has_to_do()):
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

    def note(self, done: BatchDone) -> None:
        """Take a batch that was trained; the next boundary deals with it if it was bad.

        On an accelerator nobody knows yet: that is read by whoever reads its loss, and here at
        the end of an epoch and before a pause, a change or a checkpoint at the latest.
        """
        if not self._run.reads_at_once:
            self._unread.append(done)
        elif done.bad:
            self._bad.append(done)

    def has_read(self, until: BatchDone, bad: Iterable[BatchDone]) -> None:
        """Learn which batches were bad of those up to `until`, from who has read them."""
        known = [done for done in self._unread if _place(done) <= _place(until)]
        if known:
            del self._unread[: len(known)]
            were_bad = {_place(done) for done in bad}
            self._bad += [done for done in known if _place(done) in were_bad]

    def _has_to_do(self) -> bool:
        bad = self._bad or self._unmet
        return bool(
            self._pending or self._to_pause or bad or self.schedule or self.checkpoints.waiting
        )

    def _meet_bad(self) -> Iterator[Event]:
        """Tell of the bad batches, then do what the spec says of them."""
        yield from self._tell_bad()
        what, self._unmet = self._unmet, None
        if what is not None and self._run.on_nonfinite == "pause":
            yield from self._end_stepping("a pause came first")
            yield from self._hold(None)
        elif what is not None and self._run.on_nonfinite == "stop":
            yield from self._apply(Request.new(Stop(f"the {what} was not finite")))

    def _tell_bad(self) -> Iterator[Event]:
        """Tell of the bad batches that are known: once a stretch of them without a good one."""
        bad, self._bad = self._bad, []
        for done in bad:
            if self._last_bad != (done.take, done.step - 1):
                what: What = "gradient" if math.isfinite(float(done.loss)) else "loss"
                self._unmet = self._unmet or what
                yield NotFinite(done.take, done.step, done.epoch - 1, what)
            self._last_bad = _place(done)

    def _read_and_tell_bad(self) -> Iterator[Event]:
        """Let nothing be saved or changed before it is known which batches were bad."""
        self._read_all()
        yield from self._tell_bad()

    def _read_all(self) -> None:
        unread, self._unread = self._unread, []
        found = read([done.bad for done in unread])
        self._bad += [done for done, is_bad in zip(unread, found, strict=True) if is_bad]

    def _obey(self, requests: Sequence[Request]) -> Iterator[Event]:
        """Take wishes for as long as the run is paused or ahead of its pace."""
        yield from self._receive(requests)
        while (wait_s := self._wait_s()) != 0:
            yield from self._receive(self._wishes(wait_s))

    def _receive(self, requests: Iterable[Request]) -> Iterator[Event]:
        for asked in requests:
            try:
                request = self.changes.named(asked)
            except TuitrainError as error:
                yield _refusal(asked, str(error), error.exit_code)
                continue
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
            yield from self._read_and_tell_bad()
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
        yield from self._read_and_tell_bad()
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
            yield from self.checkpoints.save(
                self._run, request.wish.detail or "asked for", wish=request.id
            )
        except CannotSave as error:
            yield WishDropped(request.id, str(error))

    def _hold(self, wish: str | None) -> Iterator[Event]:
        yield from self._read_and_tell_bad()
        self._last_bad = None  # whoever goes on hears of the next one
        if self._run.on_nonfinite == "pause":
            self._unmet = None
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


def _place(done: BatchDone) -> tuple[int, int]:
    return done.take, done.step


def is_kept(request: Request) -> bool:
    """Return whether the wish waits for a resumption when its run ends: a change does."""
    return isinstance(request.wish, SwapLoss | Change | Undo | Rollback)


def _refusal(request: Request, reason: str, exit_code: int = 3) -> WishRefused:
    wish = request.wish
    return WishRefused(request.id, wish.kind, wish.detail, reason, request.asked_at, exit_code)
