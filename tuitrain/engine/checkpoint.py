"""Checkpoints: written beside, read back, and only then given their name.

Whatever interrupts a save, the file of that name is either whole or not there. torch loads a
file with a flipped byte without a murmur, so a checkpoint is trusted by its sha256 alone.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import (
    CheckpointGone,
    CheckpointSaved,
    Event,
    LossSwapped,
    SettingChanged,
    TakeOpened,
    Warned,
)
from tuitrain.core.history import is_change
from tuitrain.core.safe import safe
from tuitrain.engine.training import Training
from tuitrain.engine.weights import weights_sha256

_LAST = 3
_SHARE = 0.01
"""Of the time: what checkpoints at the ends of epochs may take."""
_APART_S = 60.0
"""Between them at most, where they take less: a long run's record must not fill up with them."""


class CannotSave(TuitrainError):
    """A checkpoint could not be written; those before it are untouched."""

    def __init__(self, folder: Path, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else "is the disk full?"
        super().__init__(f"cannot save a checkpoint in {safe(folder)}: {safe(reason)}")


class Damaged(TuitrainError):
    """A checkpoint is not what was written."""


class Checkpoints:
    """The checkpoints of one run: saved, found again, and the old ones deleted.

    Kept are the last three, the one of the best epoch, the first, and those before changes.
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
        self._kept: list[CheckpointSaved] = []
        self._needed: set[str] = set()
        self._count = 0
        self._present: tuple[object, ...] | None = None
        self._due = self._began = clock()
        for event in past:
            self._remember(event)

    @property
    def kept(self) -> tuple[CheckpointSaved, ...]:
        """Those that were not deleted, oldest first."""
        return tuple(self._kept)

    def save(
        self, run: Training, why: str, *, wish: str | None = None, is_needed: bool = False
    ) -> Iterator[Event]:
        """Save the run as it is between two batches, unless the last checkpoint has it just so.

        A needed one is never deleted. Raises CannotSave, with the older ones left as they are.
        """
        if self._folder is None:
            return
        yield from self._make_up_for_lost()
        present = (run.take, run.step, run.epoch, run.batch, *run.settings.values())
        if present != self._present or wish:
            yield self._saved(run, why, wish)
            self._present = present
        if is_needed:
            self._needed.add(self._kept[-1].file)
        yield from self._prune()

    def save_if_due(self, run: Training, why: str) -> Iterator[Event]:
        """Save the run unless checkpoints would take more than 1 % of the time."""
        if self._clock() >= self._due:
            yield from self.save(run, why)

    def load(self, file: str) -> dict[str, Any]:
        """Return the state in a checkpoint; Damaged if it is not what was written."""
        assert self._folder is not None
        saved = next((each for each in self._kept if each.file == file), None)
        if saved is None:
            raise Damaged(f"checkpoint {file} is not kept any more")
        return read_state(self._folder / file, saved.sha256)

    def lose(self, file: str) -> CheckpointGone:
        """Forget a damaged checkpoint; its file stays for who wants to look at it."""
        gone = CheckpointGone(file, "damaged")
        self._remember(gone)
        return gone

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

    def _saved(self, run: Training, why: str, wish: str | None) -> CheckpointSaved:
        assert self._folder is not None
        began = self._clock()
        name = f"{self._count + 1:05d}-take{run.take}-step{run.step}.pt"
        target = self._folder / name
        try:
            digest = _write(run.state(), target)
        except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a full disk
            raise CannotSave(self._folder, error) from error
        saved = CheckpointSaved(
            run.take, run.step, run.epoch, why, name, target.stat().st_size, digest,
            weights_sha256(run.model), run.is_between_epochs, _is_finite(run), wish,
        )  # fmt: skip
        self._remember(saved)
        now = self._clock()
        spacing_s = min(_APART_S, (now - self._began) / 20)
        self._due = now + max((now - began) / _SHARE, spacing_s)
        return saved

    def _remember(self, event: Event) -> None:
        match event:
            case CheckpointSaved():
                self._kept.append(event)
                self._count += 1
            case CheckpointGone(file=file):
                self._kept = [each for each in self._kept if each.file != file]
                self._present = None
            case LossSwapped() | SettingChanged() | TakeOpened() if is_change(event) and self._kept:
                self._needed.add(self._kept[-1].file)
            case _:
                pass

    def _prune(self) -> Iterator[Event]:
        assert self._folder is not None
        best = [each for each in self._kept if each.why == "best"][-1:]
        staying = {each.file for each in (*self._kept[:1], *best, *self._kept[-_LAST:])}
        for each in self._kept[:]:
            if each.file not in staying | self._needed:
                gone = CheckpointGone(each.file, "pruned")
                yield gone  # told first: a file that is gone and said to be there would be worse
                self._remember(gone)
                (self._folder / each.file).unlink(missing_ok=True)


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


def _is_finite(run: Training) -> bool:
    found = torch.stack([each.isfinite().all() for each in run.model.state_dict().values()])
    return bool(found.all()) and math.isfinite(run.last_val_loss)


def _write(state: dict[str, Any], target: Path) -> str:
    """Write `state` to `target` and return the sha256 of the file."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        torch.load(beside, map_location="cpu", weights_only=True)
        beside.rename(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest
