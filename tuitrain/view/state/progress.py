"""The progress of a run, within its epoch and in all."""

from __future__ import annotations

from tuitrain.view.state.snapshot import Snapshot

_EPOCHS_TO_KNOW = 2
"""A watched script has ended an epoch when it begins the next one."""


def has_begun(run: Snapshot) -> bool:
    """Return whether there is a batch to show, its own or one of a parent."""
    return run.step > 0 and (run.started is not None or run.latest is not None)


def epoch_began(run: Snapshot) -> int:
    """Return the last step before the present epoch."""
    return run.epoch_boundaries.begin(run.epoch)


def planned_epochs(run: Snapshot) -> int:
    """Return the number of epochs in all; 0 where the trainer has not said it."""
    return int(run.settings["epochs"])


def epochs_words(run: Snapshot) -> str:
    """Return the completed epochs of all: 3/40; a dash where the trainer has not said how many.

    Of a watched script only those completed: 3; a dash while it has shown no epochs.
    """
    if run.is_watched:
        return f"{run.epoch:,}" if run.epoch or run.steps_per_epoch else "–"
    planned = planned_epochs(run)
    return f"{run.epoch:,}/{f'{planned:,}' if planned else '–'}"


def planned_steps(run: Snapshot) -> int | None:
    """Return the last step of the last epoch; None while their number or length is unknown."""
    if not (run.steps_per_epoch and planned_epochs(run)):
        return None
    return epoch_began(run) + (planned_epochs(run) - run.epoch) * run.steps_per_epoch


def samples_seen(run: Snapshot, batches: int) -> tuple[int, int]:
    """Return the samples in so many batches of an epoch, and in all of them; 0 if unknown."""
    samples = run.started.train_samples if run.started else 0
    return min(batches * int(run.settings["batch-size"]), samples), samples


def has_no_boundary(run: Snapshot) -> bool:
    """Return whether changes at an epoch's end apply after a step: no end is known before two."""
    return run.is_watched and run.epoch < _EPOCHS_TO_KNOW


def waits_between_epochs(run: Snapshot) -> bool:
    """Return whether the run is paused at the end of an epoch: epoch changes then apply at once."""
    return run.state == "paused" and run.step == epoch_began(run)
