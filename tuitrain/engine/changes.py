"""Changes of a run: before each the present is saved, so that there is a way back."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from tuitrain.core.choice import loss_text
from tuitrain.core.commands import Change, Epoch, Request, Rollback, SwapLoss, Undo
from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import (
    CheckpointSaved,
    Event,
    LossSwapped,
    SettingChanged,
    TakeOpened,
    WishDropped,
)
from tuitrain.engine.checkpoint import CannotSave, Checkpoints, Damaged
from tuitrain.engine.losses import criterion_for
from tuitrain.engine.training import Training
from tuitrain.history.changes import last_change
from tuitrain.history.checkpoints import at_epoch, epochs_kept
from tuitrain.history.lineage import Lineage


class Changes:
    """What was changed last, and how to change more."""

    def __init__(self, run: Training, checkpoints: Checkpoints, past: Sequence[Event] = ()) -> None:
        self._run = run
        self._checkpoints = checkpoints
        self._lineage = Lineage().after(past)
        last = last_change(past)
        self._undoable = last and (last[0].wish, last[1])

    def named(self, request: Request) -> Request:
        """Return the request with its loss under the one name that the run knows it by.

        Raises WrongUse for a loss that there is not.
        """
        wish = request.wish
        if not isinstance(wish, SwapLoss):
            return request
        return replace(request, wish=SwapLoss(loss_text(wish.loss)))

    def why_not(self, request: Request, planned: Sequence[Request]) -> str | None:
        """Return why the change cannot be made, once those that are planned are; else None."""
        match request.wish:
            case SwapLoss(loss=loss):
                return self._why_not_loss(loss, planned)
            case Change(setting="batch-size") if request.at == "batch":
                return "a batch size can change between epochs only"
            case Change(setting="batch-size", value=size):
                return self._run.why_not_batches_of(int(size or 0))
            case Change(setting="epochs", value=epochs):
                return self._why_not_epochs(int(epochs or 0))
            case Undo():
                return self._why_not_undo()
            case Rollback(epoch=epoch):
                return self._why_not_epoch(epoch)
            case _:
                return None

    def apply(self, request: Request, *, again: bool = False) -> Iterator[Event]:
        """Make the change between two batches. If the present cannot be saved, drop the wish.

        One that is made `again` has its checkpoint from the first time.
        """
        try:
            if isinstance(request.wish, SwapLoss | Change):
                needs_none = again or request.wish.kind == "pace"
                yield from (
                    self._checkpoints.leave_best() if needs_none else self._save_before(request)
                )
            yield from self._apply(request)
        except (CannotSave, Damaged) as error:
            yield WishDropped(request.id, str(error))

    def open_take(
        self,
        origin: CheckpointSaved | None,
        why: Literal["undo", "rollback", "resume"],
        *,
        left_at: int,
        wish: str | None = None,
        undone: str | None = None,
    ) -> TakeOpened:
        """Let what is trained from here on be a take of its own; no origin: from the beginning."""
        run = self._run
        run.take = self._lineage.take + 1
        opened = TakeOpened(
            wish, run.take, run.step, run.epoch, why,
            origin.file if origin else "", origin.take if origin else 1,
            run.settings, run.steps_per_epoch, left_at, undone,
        )  # fmt: skip
        self._lineage = self._known_lineage().after([opened])
        self._checkpoints.go_back(opened)
        return opened

    def _apply(self, request: Request) -> Iterator[Event]:
        run, wish = self._run, request.wish
        where = (request.id, run.take, run.step, run.epoch)
        match wish:
            case SwapLoss(loss=loss):
                previous = run.loss_name
                run.change("loss", loss)
                yield LossSwapped(*where, loss, previous)
            case Change(setting=setting, value=value):
                before = run.settings[setting]
                run.change(setting, value)
                yield SettingChanged(*where, setting, value, before, run.steps_per_epoch)
            case Undo():
                yield from self._undo(request)
            case Rollback(epoch=epoch):
                yield from self._roll_back(request, epoch)
            case _:
                raise AssertionError(f"{wish.kind} is no change")

    def _save_before(self, request: Request) -> Iterator[Event]:
        why = f"before {request.wish.kind}"
        yield from self._checkpoints.save(self._run, why, is_needed=True)
        if self._checkpoints.kept:
            self._undoable = (request.id, self._checkpoints.kept[-1])

    def _undo(self, request: Request) -> Iterator[Event]:
        assert self._undoable is not None
        undone, origin = self._undoable
        state = yield from self.loaded(origin)
        yield from self._save_before(request)
        pace, left_at = self._run.pace, self._run.step
        self._run.restore(state)
        self._run.pace = pace
        yield self.open_take(origin, "undo", left_at=left_at, wish=request.id, undone=undone)

    def _roll_back(self, request: Request, epoch: Epoch | None) -> Iterator[Event]:
        yield from self._checkpoints.save_best()
        origin = self._of_epoch(epoch)
        if origin is None:  # deleted since it was asked for
            yield WishDropped(request.id, epochs_kept(self._checkpoints.kept, epoch))
            return
        state = yield from self.loaded(origin)
        yield from self._save_before(request)
        settings, left_at = self._run.settings, self._run.step
        self._run.restore(state)
        self._run.use(settings)
        yield self.open_take(origin, "rollback", left_at=left_at, wish=request.id)

    def loaded(self, saved: CheckpointSaved) -> Generator[Event, None, dict[str, Any]]:
        """Return the state in a checkpoint; one that is damaged is told of, then Damaged raised."""
        try:
            return self._checkpoints.load(saved.file)
        except Damaged:
            yield self._checkpoints.lose(saved.file)
            raise

    def _of_epoch(self, epoch: Epoch | None) -> CheckpointSaved | None:
        """Return the checkpoint at the end of that epoch; None: the newest sound one before now."""
        several = self._checkpoints.kept
        if epoch == "best":
            return self._checkpoints.best
        if epoch is not None:
            return at_epoch(several, self._known_lineage(), epoch)
        lineage = self._known_lineage()
        whole = [each for each in several if each.is_between_epochs]
        first = [each for each in whole if each.step == 0]
        sound = [
            each
            for each in whole
            if each.is_finite and each.step < self._run.step and lineage.has_checkpoint(each)
        ]
        return next(reversed(first + sound), None)

    def _known_lineage(self) -> Lineage:
        """Return the lineage with the checkpoints that were saved since the last take opened."""
        known = {each.file for each in self._lineage.events if isinstance(each, CheckpointSaved)}
        return self._lineage.after(
            each for each in self._checkpoints.kept if each.file not in known
        )

    def _why_not_undo(self) -> str | None:
        if self._undoable is None:
            return "nothing was changed yet"
        if self._undoable[1] not in self._checkpoints.kept:
            return "the checkpoint before the last change is gone; rollback goes back to an epoch"
        return None

    def _why_not_epoch(self, epoch: Epoch | None) -> str | None:
        waiting = self._checkpoints.waiting
        if self._of_epoch(epoch) or (waiting and epoch in ("best", waiting)):
            return None
        return epochs_kept(self._checkpoints.kept, epoch)

    def _why_not_loss(self, loss: str, planned: Sequence[Request]) -> str | None:
        asked = [each.wish.loss for each in planned if isinstance(each.wish, SwapLoss)]
        if loss == (asked or [self._run.loss_name])[-1]:
            return f"{loss} is " + ("asked for already" if asked else "in use already")
        try:
            criterion_for(loss, self._run.data.kind)
        except TuitrainError as error:
            return str(error)
        return None

    def _why_not_epochs(self, epochs: int) -> str | None:
        run = self._run
        least = run.epoch if run.is_between_epochs else run.epoch + 1
        return None if epochs >= least else f"it is in epoch {least} already; stop ends it"
