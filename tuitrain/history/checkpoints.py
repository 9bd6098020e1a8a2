"""The checkpoints that a run can restore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tuitrain.core.commands import Epoch
from tuitrain.core.events import CheckpointGone, CheckpointSaved, Event
from tuitrain.history.lineage import Lineage


def kept(events: Iterable[Event]) -> list[CheckpointSaved]:
    """Return the checkpoints that were neither deleted nor damaged, oldest first."""
    saved: dict[str, CheckpointSaved] = {}
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved[event.file] = event
        elif isinstance(event, CheckpointGone):
            saved.pop(event.file, None)
    return list(saved.values())


def at_epoch(
    checkpoints: Iterable[CheckpointSaved], lineage: Lineage, epoch: int
) -> CheckpointSaved | None:
    """Return the checkpoint at the end of that epoch, preferring one of the lineage."""
    matching = [
        checkpoint
        for checkpoint in checkpoints
        if checkpoint.is_between_epochs and checkpoint.epoch == epoch
    ]
    own = [checkpoint for checkpoint in matching if lineage.has_checkpoint(checkpoint)]
    return next(reversed(own or matching), None)


def to_roll_back_to(
    checkpoints: Sequence[CheckpointSaved], lineage: Lineage, epoch: int | None, step: int
) -> CheckpointSaved | None:
    """Return the checkpoint of that epoch's end; None: the newest finite one before `step`.

    It is of the lineage, with finite weights and validation. If there is none, return the one of
    step 0.
    """
    if epoch is not None:
        return at_epoch(checkpoints, lineage, epoch)
    between_epochs = [saved for saved in checkpoints if saved.is_between_epochs]
    first = [saved for saved in between_epochs if saved.step == 0]
    finite = [
        saved
        for saved in between_epochs
        if saved.is_finite and saved.step < step and lineage.has_checkpoint(saved)
    ]
    return next(reversed(first + finite), None)


def finite_ones(
    checkpoints: Sequence[CheckpointSaved], lineage: Lineage
) -> Iterator[CheckpointSaved]:
    """Yield those of the lineage with finite weights and validation, newest first.

    Then those whose validation was not, which the weights need not be the reason for. The last one
    is the first that was saved.
    """
    later = [saved for saved in reversed(checkpoints[1:]) if lineage.has_checkpoint(saved)]
    yield from sorted(later, key=lambda saved: not saved.is_finite)
    yield from checkpoints[:1]


def best_kept(lineage: Lineage) -> CheckpointSaved | None:
    """Return the checkpoint of the lineage's best epoch that has one; None if there is none.

    During training and after a crash, a later epoch may be better: the best epoch is saved with a
    delay.
    """
    best = [checkpoint for checkpoint in lineage.checkpoints if checkpoint.why == "best"]
    return next(reversed(best), None)


def epochs_kept(checkpoints: Iterable[CheckpointSaved], epoch: Epoch | None) -> str:
    """Return a sentence that lists the kept epochs, for a user who asked for another."""
    epochs = {checkpoint.epoch for checkpoint in checkpoints if checkpoint.is_between_epochs}
    if not epochs:
        return "no checkpoint is kept"
    missing = "the best epoch is not" if epoch == "best" else f"epoch {epoch} is not"
    if epoch is None:
        missing = "no earlier checkpoint with finite weights is"
    listed = f"{missing} kept; kept are the epochs {', '.join(map(str, sorted(epochs)))}"
    if not isinstance(epoch, int) or len(epochs) == 1:
        return listed
    return f"{listed}; the nearest is {min(epochs, key=lambda one: (abs(one - epoch), one))}"
