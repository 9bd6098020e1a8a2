"""Changes of a run: whether a change is possible, and the directives that apply it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias, assert_never

from tuitrain.core.commands import Change, Command, Epoch, Request, Rollback, SwapLoss, Undo
from tuitrain.core.events import CheckpointSaved, CommandDropped, Event
from tuitrain.history import changes as history
from tuitrain.history.checkpoints import epochs_kept, finite_ones, to_roll_back_to
from tuitrain.history.lineage import Lineage
from tuitrain.steering.directives import Directive, MakeChange, Restore, SaveBest
from tuitrain.steering.steerable import Keeper, Steerable

ChangeCommand: TypeAlias = SwapLoss | Change | Undo | Rollback
"""The commands that change the run; they also wait for a resume."""


class Changes:
    """Checks requested changes and plans them; knows the checkpoints that can be restored."""

    def __init__(self, run: Steerable, checkpoints: Keeper, earlier: Sequence[Event] = ()) -> None:
        self._run = run
        self._checkpoints = checkpoints
        self._lineage = Lineage().after(earlier)

    @property
    def next_take(self) -> int:
        """The number of the take that would be opened next."""
        return self._lineage.take + 1

    def learn(self, event: Event) -> None:
        """Update the lineage with an event of a directive."""
        if isinstance(event, history.Change):
            self._lineage = self._known_lineage().after([event])

    def named(self, request: Request) -> Request:
        """Return the request with its loss under the one name that the run has for it.

        Raises WrongUse for a loss that the run does not have.
        """
        if not isinstance(request.command, SwapLoss):
            return request
        return replace(request, command=SwapLoss(self._run.loss_named(request.command.loss)))

    def why_not(self, request: Request, waiting: Sequence[Request]) -> str | None:
        """Return why the change is impossible after the waiting ones; None if it is possible."""
        match request.command:
            case SwapLoss(loss=loss):
                return self._why_not_loss(loss, waiting)
            case Change(setting="batch-size") if request.at == "batch":
                return "a batch size can change between epochs only"
            case Change(setting=setting, value=value):
                return self._run.why_not(setting, value)
            case Undo(kind=kind):
                return self._run.why_not(kind, None) or self._why_not_undo()
            case Rollback(kind=kind, epoch=epoch):
                return self._run.why_not(kind, epoch) or self._why_not_epoch(epoch)
            case _:
                return None

    def make(
        self, command: str, change: ChangeCommand, *, again: bool = False
    ) -> Iterator[Event | Directive]:
        """Yield the directives of the change. One made `again` was saved before the first time.

        A pace changes no weights, so nothing is saved before it.
        """
        match change:
            case SwapLoss() | Change():
                yield MakeChange(command, change, saves_before=not again and change.kind != "pace")
            case Undo():
                last = history.last_change(self._lineage.events)
                assert last is not None
                undone, origin = last
                yield Restore(command, "undo", origin, self.next_take, undone.command)
            case Rollback(epoch=epoch):
                yield from self._roll_back(command, epoch)
            case other:
                assert_never(other)

    def finite_ones(self) -> Iterator[CheckpointSaved]:
        """Yield the checkpoints to go back to, newest first; the last is that of the start."""
        yield from finite_ones(self._checkpoints.kept, self._known_lineage())

    def _roll_back(self, command: str, epoch: Epoch | None) -> Iterator[Event | Directive]:
        if self._checkpoints.waiting:
            yield SaveBest(command)
            if self._checkpoints.waiting:
                return  # it could not be saved, and the command is dropped
        origin = self._of_epoch(epoch)
        if origin is None:  # deleted since it was asked for
            yield CommandDropped(command, epochs_kept(self._checkpoints.kept, epoch))
        else:
            yield Restore(command, "rollback", origin, self.next_take)

    def _of_epoch(self, epoch: Epoch | None) -> CheckpointSaved | None:
        if epoch == "best":
            return self._checkpoints.best
        lineage = self._known_lineage()
        return to_roll_back_to(self._checkpoints.kept, lineage, epoch, self._run.position.step)

    def _known_lineage(self) -> Lineage:
        """Return the lineage with the checkpoints that were saved since the last take opened."""
        known = {event.file for event in self._lineage.events if isinstance(event, CheckpointSaved)}
        return self._lineage.after(
            saved for saved in self._checkpoints.kept if saved.file not in known
        )

    def _why_not_undo(self) -> str | None:
        last = history.last_change(self._lineage.events)
        if last is None:
            return "nothing was changed yet"
        if last[1] not in self._checkpoints.kept:
            return "the checkpoint before the last change is gone; rollback goes back to an epoch"
        return None

    def _why_not_epoch(self, epoch: Epoch | None) -> str | None:
        waiting = self._checkpoints.waiting
        if self._of_epoch(epoch) or (waiting and epoch in ("best", waiting)):
            return None
        return epochs_kept(self._checkpoints.kept, epoch)

    def _why_not_loss(self, loss: str, waiting: Sequence[Request]) -> str | None:
        asked = [
            request.command.loss for request in waiting if isinstance(request.command, SwapLoss)
        ]
        if loss == (asked or [self._run.settings["loss"]])[-1]:
            return f"{loss} is " + ("asked for already" if asked else "in use already")
        return self._run.why_not("loss", loss)


def is_change(command: Command) -> bool:
    """Return whether the command changes the run."""
    return isinstance(command, ChangeCommand)
