"""The checkpoints that a run can go back to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuitrain.core.commands import Epoch
from tuitrain.core.events import CheckpointGone, CheckpointSaved, Event
from tuitrain.history.lineage import Lineage


def kept(events: Iterable[Event]) -> list[CheckpointSaved]:
    """Return the checkpoints that were neither deleted nor found damaged, oldest first."""
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
    """Return the checkpoint at the end of that epoch, the lineage's own before any other's."""
    found = [each for each in checkpoints if each.is_between_epochs and each.epoch == epoch]
    own = [each for each in found if lineage.has_checkpoint(each)]
    return next(reversed(own or found), None)


def to_roll_back_to(
    checkpoints: Sequence[CheckpointSaved], lineage: Lineage, epoch: int | None, step: int
) -> CheckpointSaved | None:
    """Return the checkpoint at the end of that epoch; no epoch: the newest sound one before `step`.

    Sound is one of the lineage whose weights and validation are finite; where there is none, it is
    the one of step 0.
    """
    if epoch is not None:
        return at_epoch(checkpoints, lineage, epoch)
    whole = [saved for saved in checkpoints if saved.is_between_epochs]
    first = [saved for saved in whole if saved.step == 0]
    sound = [
        saved
        for saved in whole
        if saved.is_finite and saved.step < step and lineage.has_checkpoint(saved)
    ]
    return next(reversed(first + sound), None)


def best_kept(lineage: Lineage) -> CheckpointSaved | None:
    """Return the checkpoint of the lineage's best epoch that has one; None: none has.

    While a run trains, and after a crash, a later epoch may have been better: one that is the best
    is saved a little later.
    """
    found = [each for each in lineage.checkpoints if each.why == "best"]
    return next(reversed(found), None)


def epochs_kept(checkpoints: Iterable[CheckpointSaved], epoch: Epoch | None) -> str:
    """Return a sentence on the epochs that one can go back to, for who asked for another."""
    there = {each.epoch for each in checkpoints if each.is_between_epochs}
    if not there:
        return "no checkpoint is kept"
    missing = "the best epoch" if epoch == "best" else f"epoch {epoch}"
    return f"{missing} is not kept; kept are the epochs {', '.join(map(str, sorted(there)))}"
