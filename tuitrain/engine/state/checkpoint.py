"""Checkpoints: written beside, read back, and only then given their name.

Whatever interrupts a save, the file of that name is either whole or not there. torch loads a
file with a flipped byte without a murmur, so a checkpoint is trusted by its sha256 alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tuitrain.core.errors import CannotSave, Damaged
from tuitrain.core.events import CheckpointGone, CheckpointSaved, Event, TakeOpened, Warned
from tuitrain.engine.state.moment import Moment
from tuitrain.engine.state.retention import Retention
from tuitrain.engine.state.weights import state_sha256, without_wrappers
from tuitrain.steering.apply import or_warned
from tuitrain.steering.steerable import Steerable

_SHARE = 0.01
"""Of the time: what checkpoints at the ends of epochs may take."""
_BEST_WITHIN_S = 1.0
"""How long the best epoch waits for its checkpoint, where saving one takes less than 1 % of it."""
_APART_S = 60.0
"""Between them at most, where they take less: a long run's record must not fill up with them."""


class Checkpoints:
    """The checkpoints of one run: saved, found again, and the old ones deleted (see `Retention`).

    The best epoch so far is saved at once or, where epochs are too short for that, copied and
    saved soon, and always before anything else is saved or changed. So the order of the record is
    the order of training, and once a run has paused or ended its best epoch has a checkpoint.
    """

    def __init__(
        self,
        folder: Path | None,
        past: Iterable[Event] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know what the events of the `past` say of the folder; without one, keep nothing."""
        self._folder = folder
        self._clock = clock
        self._retention = Retention()
        self._best: Moment | None = None
        """The best epoch, which is not saved yet."""
        self._warned = False
        self._present: tuple[object, ...] = ()
        """The place of the newest checkpoint."""
        self._due = self._best_due = self._began = clock()
        for event in past:
            self._retention.remember(event)

    @property
    def kept(self) -> tuple[CheckpointSaved, ...]:
        """Those that were not deleted, oldest first."""
        return self._retention.kept

    @property
    def best(self) -> CheckpointSaved | None:
        """The one of the best epoch of the lineage, as far as it was saved."""
        return self._retention.best

    @property
    def waiting(self) -> int | None:
        """The best epoch, while it is a copy that is still to be saved; else None."""
        return self._best and int(self._best.state["position"]["epoch"])

    def save(
        self, run: Steerable, why: str, *, command: str | None = None, is_needed: bool = False
    ) -> Iterator[Event]:
        """Save the run as it is between two batches, unless the last checkpoint has it just so.

        One that is needed comes before a change. Raises CannotSave, with the older ones left as
        they are.
        """
        if self._folder is None:
            return
        yield from self._make_up_for_lost()
        yield from self.save_best()
        present = Moment.of(run)
        if present.place != self._present or command:
            yield self._saved(present, why, command)
        if is_needed:
            self._retention.need_last()
        yield from self._prune()

    def save_if_due(self, run: Steerable, why: str) -> Iterator[Event]:
        """Save the run unless checkpoints would take more than 1 % of the time.

        If the best epoch waits to be saved, it is saved in the place of this one.
        """
        if self._clock() >= self._due:
            yield from self.save_best() if self.waiting else self.save(run, why)

    def keep_best(self, run: Steerable) -> Iterator[Event]:
        """Keep the epoch that ended just now, the best so far: at once if that is due, or a copy.

        Where there is no room for a copy it is saved at once all the same. A failure is said.
        """
        if self._folder is None:
            return
        self._best = Moment.of(run)
        yield from self.save_best_if_due()
        if self._best is None:
            return
        try:
            self._best = self._best.copied()
        except (MemoryError, RuntimeError):  # the latter is torch's
            yield from self._warn_once()
            yield from self.leave_best()

    def save_best(self) -> Iterator[Event]:
        """Save the copy of the best epoch, if there is one. Raises CannotSave, and keeps it."""
        if self._best is not None:
            yield from self._make_up_for_lost()
            saved, self._best = self._saved(self._best, "best"), None
            yield saved
            yield from self._prune()

    def save_best_if_due(self, *, idle_s: float = 0.0) -> Iterator[Event]:
        """Save the copy unless that would take more than 1 % of the time; a failure is said.

        What becomes due while the run has nothing to do is saved before that.
        """
        if self._best is not None and self._clock() + idle_s >= self._best_due:
            yield from or_warned(self.save_best())

    def leave_best(self) -> Iterator[Event]:
        """Save the copy; where that fails, say so and let go of it: the run changes now."""
        yield from or_warned(self.save_best())
        self._best = None

    def load(self, file: str) -> dict[str, Any]:
        """Return the state in a checkpoint; Damaged if it is not what was written.

        It is kept from now on, since training may go on from it.
        """
        assert self._folder is not None
        saved = self._retention.find(file)
        if saved is None:
            raise Damaged(f"checkpoint {file} is not kept any more")
        self._retention.origin = file
        return read_state(self._folder / file, saved.sha256)

    def loaded(self, saved: CheckpointSaved) -> Generator[Event, None, dict[str, Any]]:
        """Return the state in a checkpoint; one that is damaged is told of, then Damaged raised."""
        try:
            return self.load(saved.file)
        except Damaged:
            yield self.lose(saved.file)
            raise

    def lose(self, file: str) -> CheckpointGone:
        """Forget a damaged checkpoint; its file stays for who wants to look at it."""
        gone = CheckpointGone(file, "damaged")
        if [each.file for each in self.kept[-1:]] == [file]:
            self._present = ()  # to be saved again
        self._retention.remember(gone)
        return gone

    def go_back(self, opened: TakeOpened) -> None:
        """Let the best epoch be the one that was the best at the origin of the new take."""
        self._retention.remember(opened)

    def sweep(self) -> None:
        """Delete what interrupted saves left over."""
        if self._folder is not None:
            for path in self._folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def _make_up_for_lost(self) -> Iterator[Event]:
        """Make the folder again if it was removed while the run was trained, and say so."""
        assert self._folder is not None
        if self._folder.is_dir():
            return
        try:
            self._folder.mkdir(mode=0o700)
        except OSError as error:
            raise CannotSave(self._folder, error) from error
        yield Warned(f"{self._folder.name}/ was removed, and is made again for what comes")
        for saved in self.kept:
            yield self.lose(saved.file)

    def _saved(self, moment: Moment, why: str, command: str | None = None) -> CheckpointSaved:
        assert self._folder is not None
        began = self._clock()
        position = moment.state["position"]
        weights = without_wrappers(moment.state["model"])
        step = position["step"]
        name = f"{self._retention.count + 1:05d}-take{moment.take}-step{step}.pt"
        target = self._folder / name
        try:
            digest = _write(moment.state, target)
        except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a full disk
            self._due = self._best_due = self._clock() + _APART_S
            raise CannotSave(self._folder, error) from error
        saved = CheckpointSaved(
            moment.take, step, position["epoch"], why, name, target.stat().st_size, digest,
            state_sha256(weights), moment.is_between_epochs, moment.is_finite, command,
        )  # fmt: skip
        self._retention.remember(saved)
        self._present = moment.place
        now = self._clock()
        rest_s = (now - began) / _SHARE
        self._due = now + max(rest_s, min(_APART_S, (now - self._began) / 20))
        self._best_due = now + max(rest_s, _BEST_WITHIN_S)
        return saved

    def _warn_once(self) -> Iterator[Warned]:
        if not self._warned:
            self._warned = True
            yield Warned(
                "there is no memory for a copy of the best epoch: each is saved at once, "
                "even where that takes more than 1 % of the time"
            )

    def _prune(self) -> Iterator[Event]:
        assert self._folder is not None
        for event in self._retention.superfluous():
            yield event  # told first: a file that is gone and said to be there would be worse
            self._retention.remember(event)
            if isinstance(event, CheckpointGone):
                (self._folder / event.file).unlink(missing_ok=True)


def read_state(path: Path, sha256: str) -> dict[str, Any]:
    """Return the state in the file of a checkpoint; Damaged if that is not what was written."""
    try:
        with path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != sha256:
                raise Damaged(f"checkpoint {path.name} is damaged")
            opened.seek(0)
            state: dict[str, Any] = torch.load(opened, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Damaged(f"checkpoint {path.name} cannot be read: {error.strerror}") from None
    return state


def _write(state: Mapping[str, Any], target: Path) -> str:
    """Write `state` to `target` and return the sha256 of the file."""
    atomic_path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(atomic_path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        torch.load(atomic_path, map_location="cpu", weights_only=True)
        atomic_path.rename(target)
    except BaseException:
        atomic_path.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest
