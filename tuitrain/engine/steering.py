"""Wishes on their way into the loop: each is answered when it comes and granted at its boundary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from tuitrain.core.commands import (
    Boundary,
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
    Event,
    LossSwapped,
    Paused,
    Resumed,
    SettingChanged,
    Stepped,
    Stopped,
    WishAccepted,
    WishDropped,
    WishRefused,
)
from tuitrain.engine.losses import criterion_for
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
        paused: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stopped = False
        self._run = run
        self._wishes = wishes
        self._clock = clock
        self._pending: list[Request] = []
        self._to_pause = paused
        self._paused = False
        self._stepping: Request | None = None
        self._steps_left = 0
        self._due = 0.0

    def at(self, boundary: Boundary) -> Iterator[Event]:
        """Obey at a boundary, and stay there for as long as the run is paused or ahead of its pace.

        Called once after every batch with "batch", and with "epoch" wherever no epoch is in hand.
        """
        requests = self._wishes(0.0)
        if not (requests or self._pending or self._stepping or self._run.pace or self._to_pause):
            return
        if self._to_pause:
            self._to_pause = False
            yield from self._hold(None)
        yield from self._grant(boundary)
        if boundary == "batch":
            yield from self._count_step()
            self._keep_pace()
        yield from self._receive(requests, boundary)
        while (wait_s := self._wait_s()) != 0:
            yield from self._receive(self._wishes(wait_s), boundary)

    def farewell(self) -> Iterator[Event]:
        """Answer what can no longer be granted. Changes of settings wait for a resumption."""
        for request in self._wishes(0.0):
            yield _refusal(request, "the run has ended")
        for request in self._pending:
            if not isinstance(request.wish, SwapLoss | Change):
                yield WishDropped(request.id, "the run ended first")
        yield from self._end_stepping("the run ended first")

    def _receive(self, requests: Sequence[Request], boundary: Boundary) -> Iterator[Event]:
        for request in requests:
            reason = self._why_not(request)
            if reason is not None:
                yield _refusal(request, reason)
                continue
            wish = request.wish
            yield WishAccepted(request.id, wish.kind, wish.detail, request.at, request.asked_at)
            self._pending.append(request)
            yield from self._grant(boundary)

    def _why_not(self, request: Request) -> str | None:
        match request.wish:
            case _ if self.stopped:
                return "the run has ended"
            case Pause() if self._paused:
                return f"it is paused already, at step {self._run.step}"
            case Resume() if not (self._paused or self._stepping or self._waits(Pause)):
                return "it is not paused"
            case SwapLoss(loss=loss):
                return self._why_not_loss(loss)
            case SaveCheckpoint() | Rollback() | Undo():
                return "not possible yet"
            case Pause() | Resume() | Step() | Change() | Stop():
                return None
            case other:
                assert_never(other)

    def _why_not_loss(self, loss: str) -> str | None:
        planned = [each.wish.loss for each in self._pending if isinstance(each.wish, SwapLoss)]
        if loss == (planned or [self._run.loss_name])[-1]:
            return f"{loss} is " + ("asked for already" if planned else "in use already")
        try:
            criterion_for(loss, self._run.data.kind)
        except TuitrainError as error:
            return str(error)
        return None

    def _waits(self, kind: type) -> bool:
        return any(isinstance(each.wish, kind) for each in self._pending)

    def _grant(self, boundary: Boundary) -> Iterator[Event]:
        if not self._pending:
            return
        ripe = [each for each in self._pending if self._is_ripe(each, boundary)]
        for request in ripe:
            if request in self._pending:  # a wish granted just now may have dropped it
                self._pending.remove(request)
                yield from self._apply(request)

    def _is_ripe(self, request: Request, boundary: Boundary) -> bool:
        if isinstance(request.wish, Pause) and self._run.step == 0:
            return request.at == "batch"  # the end of an epoch is after it, not before the first
        return request.at in ("batch", boundary)

    def _apply(self, request: Request) -> Iterator[Event]:
        run, wish = self._run, request.wish
        where = (request.id, run.take, run.step, run.epoch)
        match wish:
            case Pause():
                yield from self._end_stepping("a pause came first")
                yield from self._hold(request.id)
            case Resume():
                yield from self._go_on(request.id)
            case Step(count=count):
                if self._paused or self._stepping:
                    yield from self._go_on(None)
                self._stepping, self._steps_left = request, count
            case SwapLoss(loss=loss):
                previous = run.loss_name
                run.swap_loss(loss)
                yield LossSwapped(*where, loss, previous)
            case Change(setting=setting, value=value):
                previous_value, self._due = run.pace, 0.0
                run.pace = value
                yield SettingChanged(*where, setting, value, previous_value, run.steps_per_epoch)
            case SaveCheckpoint() | Rollback() | Undo():
                pass
            case Stop(why=why):
                self.stopped = True
                yield Stopped(*where, why)
            case other:
                assert_never(other)

    def _hold(self, wish: str | None) -> Iterator[Event]:
        self._paused = True
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


def _refusal(request: Request, reason: str) -> WishRefused:
    wish = request.wish
    return WishRefused(request.id, wish.kind, wish.detail, reason, request.asked_at)
