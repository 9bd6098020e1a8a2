"""The parent of a run, and the kept epochs from which the run can be forked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tuitrain.core.events import CheckpointSaved, EpochEnded
from tuitrain.core.safe import safe
from tuitrain.history.checkpoints import at_epoch
from tuitrain.view.state.metrics import monitor_of
from tuitrain.view.state.progress import epoch_began
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import first_fitting


def made_from(run: Snapshot) -> str:
    """Return the run that this one is a fork or a replay of; "" for neither."""
    parent = run.spec.parent
    if parent is None:
        return ""
    name = safe(Path(parent.directory).name)
    return (
        f"replay of {name}"
        if run.spec.until is not None
        else f"fork of {name} @{words.count(parent.epoch)}"
    )


class KeptEpoch(NamedTuple):
    """An epoch whose checkpoint is kept, and its validation, if that is in the snapshot."""

    saved: CheckpointSaved
    ended: EpochEnded | None
    is_best: bool = False
    is_left: bool = False
    """Of a take that was left behind: with other weights than the epoch of that number now."""
    monitor: str = ""
    """What decides the best epoch; if no metric, the first metric is told."""

    @property
    def epoch(self) -> int:
        return self.saved.epoch

    def line(self, cells: int) -> str:
        """Return what is known of the epoch; without its loss where both have no room."""
        number = f"{words.count(self.epoch):>6}  "
        if self.ended is None:
            step = self.saved.step
            what = f"at step {words.count(step)}" if step else "before the first batch"
            left = f" of take {self.saved.take}, left behind" if self.is_left else ""
            return f"{number}{what}{left}"
        values = self.ended.metrics
        names = [self.monitor] if self.monitor in values else [*values][:1]
        metrics = [f"{safe(name)} {words.value(values[name])}" for name in names]
        val_loss, best = f"val loss {words.value(self.ended.val_loss):<8}", "  best" * self.is_best
        told = ([val_loss, *metrics], metrics or [val_loss])
        return first_fitting([f"{number}{' '.join(parts)}{best}" for parts in told], cells)


def kept_epochs(run: Snapshot) -> list[KeptEpoch]:
    """Return the kept epochs, newest first; checkpoints of the lineage take precedence."""
    known = [*run.epochs, *([run.best] if run.best else [])]  # a long run has the newest only
    ended = {(epoch.take, epoch.step, epoch.epoch): epoch for epoch in known}
    epochs = {saved.epoch for saved in run.checkpoints if saved.is_between_epochs}
    checkpoints = (
        at_epoch(run.checkpoints, run.lineage, epoch) for epoch in sorted(epochs, reverse=True)
    )
    kept = (
        (saved, ended.get((saved.take, saved.step, saved.epoch)))
        for saved in checkpoints
        if saved is not None
    )
    return [
        KeptEpoch(
            saved,
            epoch,
            is_best=epoch is not None and epoch == run.best,
            is_left=saved.step > 0 and not run.lineage.has_checkpoint(saved),
            monitor=monitor_of(run),
        )
        for saved, epoch in kept
    ]


def not_offered(run: Snapshot) -> str:
    """Return why the present of a run that waits is no epoch to fork; "" where it is one."""
    is_still = run.state == "paused" or run.has_ended
    if not is_still or run.step == epoch_began(run):
        return ""
    way = "R goes on from there" if run.has_ended else "space, then p goes on to its end"
    step, epoch = words.count(run.step), words.count(run.epoch + 1)
    return f"The present, step {step}, is within epoch {epoch}: {way}."


def none_kept(run: Snapshot) -> str:
    """Return why there is no kept epoch to go back to, or to fork."""
    if run.is_watched and not run.epoch:
        return "The script has not ended an epoch: u goes back to before the last change."
    return "No epoch of it is kept yet: c saves a checkpoint."
