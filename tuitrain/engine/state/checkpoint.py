"""The checkpoints of a run: when they are saved, from what, and which are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, NamedTuple

from tuitrain.core.errors import CannotSave, Damaged
from tuitrain.core.events import CheckpointGone, CheckpointSaved, Event, TakeOpened, Warned
from tuitrain.engine.state.checkpoint_file import AtOnce, Written, read_state, write
from tuitrain.engine.state.moment import Moment
from tuitrain.engine.state.retention import Retention
from tuitrain.steering.apply import or_warned
from tuitrain.steering.steerable import Steerable

_SHARE = 0.01
"""Share of the time that checkpoints at the ends of epochs may take."""
_BEST_INTERVAL_S = 1.0
"""Time from a save to that of a best epoch; longer if a save takes more than 1 % of it."""
_INTERVAL_S = 60.0
"""Time from a save to the next at the end of an epoch: a twentieth of the run so far, but at most
this, so that fast saves do not fill up a record; longer if a save takes more than 1 % of it."""


class _Saving(NamedTuple):
    """A save that may still be going on in another thread."""

    moment: Moment
    why: str
    command: str | None
    name: str
    is_finite: bool
    writing: Future[Written]


class Checkpoints:
    """Saves, loads and deletes the checkpoints of one run; `Retention` decides which are deleted.

    The best epoch so far is saved at once or, if epochs are too short for that, copied and saved
    soon, and always before anything else is saved or changed. So the order of the record is the
    order of training, and once a run has paused or ended, its best epoch has a checkpoint.

    Saves that nothing waits for, those of the best epoch and at the ends of epochs, can be written
    by another thread, from a copy. At most one is; every other save waits for it.
    """

    def __init__(
        self,
        folder: Path | None,
        earlier: Iterable[Event] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        executor: Executor | None = None,
    ) -> None:
        """Take over the checkpoints in `earlier` events; without a folder, save nothing.

        `executor` writes the files that nothing waits for; by default, at once.
        """
        self._folder = folder
        self._clock = clock
        self._executor = executor or AtOnce()
        self._saving: _Saving | None = None
        self._retention = Retention()
        self._best: Moment | None = None
        """The best epoch while it is not saved yet."""
        self._has_warned = False
        self._saved_place: tuple[object, ...] = ()
        """The place of the newest checkpoint; empty if it must be saved again."""
        self._due = self._best_due = self._began = clock()
        for event in earlier:
            self._retention.remember(event)

    def save_nothing(self) -> None:
        """Save nothing from now on: the weights cannot be read by this process alone."""
        self._folder = None

    @property
    def kept(self) -> tuple[CheckpointSaved, ...]:
        """The checkpoints that were not deleted, oldest first."""
        return self._retention.kept

    @property
    def best(self) -> CheckpointSaved | None:
        """The checkpoint of the best epoch of the lineage that was saved; None if there is none."""
        return self._retention.best

    @property
    def waiting(self) -> int | None:
        """The number of the best epoch while its copy is not saved yet; else None."""
        return self._best and self._best.epoch

    @property
    def has_to_do(self) -> bool:
        """Whether `save_best_if_due` has to do something now."""
        if self._saving is not None:
            return self._saving.writing.done()
        return self._best is not None and self._clock() >= self._best_due

    def save(
        self, run: Steerable, why: str, *, command: str | None = None, is_needed: bool = False
    ) -> Iterator[Event]:
        """Save the run between two batches, unless the newest checkpoint is of the same moment.

        A checkpoint for a `command` is always saved. `is_needed` protects the newest checkpoint as
        one before a change. Raises CannotSave; the older checkpoints stay untouched.
        """
        if self._folder is None:
            return
        yield from self._restore_folder()
        yield from self.save_best()
        moment = Moment.of(run)
        if moment.place != self._saved_place or command:
            yield from self._saved(moment, why, command)
        if is_needed:
            self._retention.need_last()
        yield from self._prune()

    def save_moment(self, moment: Moment, why: str) -> Iterator[Event]:
        """Save a copy of an earlier moment, protected as one before a change.

        Raises CannotSave.
        """
        if self._folder is None:
            return
        yield from self._restore_folder()
        yield from or_warned(self._end_saving())
        yield from self._saved(moment, why)
        self._retention.need_last()
        yield from self._prune()

    def save_if_due(self, run: Steerable, why: str) -> Iterator[Event]:
        """Save the run unless checkpoints would take more than 1 % of the time.

        If a copy of the best epoch is not saved yet, save that instead.
        """
        if self._folder is None or self._saving or self._clock() < self._due:
            return
        if self._best is not None:
            yield from self._begin_saving(self._best, "best")
        elif (moment := Moment.of(run)).place != self._saved_place:
            try:
                moment = moment.copied()
            except (MemoryError, RuntimeError):  # the latter is torch's
                yield from self.save(run, why)
            else:
                yield from self._begin_saving(moment, why)

    def keep_best(self, run: Steerable) -> Iterator[Event]:
        """Copy the epoch that just ended, the best so far, and save the copy if a save is due.

        If there is no memory for a copy, save it at once. A failure yields a warning.
        """
        if self._folder is None:
            return
        self._best = Moment.of(run)
        try:
            self._best = self._best.copied()
        except (MemoryError, RuntimeError):  # the latter is torch's
            yield from self._warn_once()
            yield from self.leave_best()
        else:
            yield from self.save_best_if_due()

    def save_best(self) -> Iterator[Event]:
        """Save the copy of the best epoch, if any. Raises CannotSave, and keeps the copy.

        Waits for a save that is going on; should that one fail, it says so.
        """
        yield from or_warned(self._end_saving())
        if self._best is not None:
            yield from self._restore_folder()
            yield from self._saved(self._best, "best")
            yield from self._prune()

    def save_best_if_due(self, *, idle_s: float = 0.0) -> Iterator[Event]:
        """Save the copy unless that would take more than 1 % of the time.

        A save that becomes due within `idle_s` seconds is done now. A failure yields a warning.
        """
        if self._saving is not None and self._saving.writing.done():
            yield from or_warned(self._end_saving())
        is_due = self._clock() + idle_s >= self._best_due
        if self._best is not None and self._saving is None and is_due:
            yield from or_warned(self._begin_saving(self._best, "best"))

    def leave_best(self) -> Iterator[Event]:
        """Save the copy, or discard it with a warning if that fails, since the run changes now."""
        yield from or_warned(self.save_best())
        self._best = None

    def load(self, file: str) -> dict[str, Any]:
        """Return the state in a checkpoint; Damaged if it is deleted or not what was written.

        The checkpoint is kept from now on, since training may continue from it.
        """
        assert self._folder is not None
        saved = self._retention.find(file)
        if saved is None:
            raise Damaged(f"checkpoint {file} was deleted")
        self._retention.origin = file
        return read_state(self._folder / file, saved.sha256)

    def loaded(self, saved: CheckpointSaved) -> Generator[Event, None, dict[str, Any]]:
        """Return the state in a checkpoint; yield an event and raise Damaged for a damaged one."""
        try:
            return self.load(saved.file)
        except Damaged:
            yield self.lose(saved.file)
            raise

    def lose(self, file: str) -> CheckpointGone:
        """Forget a damaged checkpoint and return the event; its file stays for inspection."""
        gone = CheckpointGone(file, "damaged")
        if [saved.file for saved in self.kept[-1:]] == [file]:
            self._saved_place = ()  # to be saved again
        self._retention.remember(gone)
        return gone

    def go_back(self, opened: TakeOpened) -> None:
        """Reset the best epoch to the one that was the best at the origin of the new take."""
        self._retention.remember(opened)

    def sweep(self) -> None:
        """Delete temporary files of interrupted saves."""
        if self._folder is not None:
            for path in self._folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def _restore_folder(self) -> Iterator[Event]:
        """Create the folder again, with a warning, if it was removed during training."""
        assert self._folder is not None
        if self._folder.is_dir():
            return
        try:
            self._folder.mkdir(mode=0o700)
        except OSError as error:
            raise CannotSave(self._folder, error) from error
        yield Warned(f"{self._folder.name}/ was removed; it is created again for new checkpoints")
        for saved in self.kept:
            yield self.lose(saved.file)

    def _saved(self, moment: Moment, why: str, command: str | None = None) -> Iterator[Event]:
        """Write a checkpoint in this thread, and yield its event."""
        self._saving = self._submitted(AtOnce(), moment, why, command)
        yield from self._end_saving(prunes=False)

    def _begin_saving(self, moment: Moment, why: str) -> Iterator[Event]:
        """Let the executor write a copied moment; yield its event if it is written already."""
        yield from self._restore_folder()
        self._saving = self._submitted(self._executor, moment, why)
        if self._saving.writing.done():
            yield from self._end_saving()

    def _submitted(
        self, executor: Executor, moment: Moment, why: str, command: str | None = None
    ) -> _Saving:
        assert self._folder is not None
        name = f"{self._retention.count + 1:05d}-take{moment.take}-step{moment.step}.pt"
        writing = executor.submit(write, moment, self._folder / name, self._clock)
        return _Saving(moment, why, command, name, moment.is_finite, writing)

    def _end_saving(self, *, prunes: bool = True) -> Iterator[Event]:
        """Wait for the save that is going on, if any; yield its event, and set when others are due.

        Raises CannotSave.
        """
        if self._saving is None:
            return
        assert self._folder is not None
        (moment, why, command, name, is_finite, writing), self._saving = self._saving, None
        try:
            written = writing.result()
        except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a full disk
            self._due = self._best_due = self._clock() + _INTERVAL_S
            raise CannotSave(self._folder, error) from error
        saved = CheckpointSaved(
            moment.take, moment.step, moment.epoch, why, name, written.bytes, written.sha256,
            written.weights_sha256, moment.is_between_epochs, is_finite, command,
        )  # fmt: skip
        self._retention.remember(saved)
        self._saved_place = moment.place
        if self._best is moment:
            self._best = None
        now, rest_s = self._clock(), written.took_s / _SHARE
        self._due = now + max(rest_s, min(_INTERVAL_S, (now - self._began) / 20))
        self._best_due = now + max(rest_s, _BEST_INTERVAL_S)
        yield saved
        if prunes:
            yield from self._prune()

    def _warn_once(self) -> Iterator[Warned]:
        if not self._has_warned:
            self._has_warned = True
            yield Warned(
                "there is no memory for a copy of the best epoch: each is saved at once, "
                "even where that takes more than 1 % of the time"
            )

    def _prune(self) -> Iterator[Event]:
        assert self._folder is not None
        for event in self._retention.to_delete():
            yield event  # recorded first: a record must not list a file that is already deleted
            self._retention.remember(event)
            if isinstance(event, CheckpointGone):
                (self._folder / event.file).unlink(missing_ok=True)
