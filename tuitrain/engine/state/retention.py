"""Decide from a run's events which checkpoints it has, and which can be deleted."""

from __future__ import annotations

from tuitrain.core.events import (
    CheckpointGone,
    CheckpointSaved,
    Event,
    LossSwapped,
    SettingChanged,
    TakeOpened,
    Warned,
)
from tuitrain.history.changes import is_change

_LAST = 3
_BEFORE_CHANGES = 50
_BEFORE_CHANGES_BYTES = 2 << 30

THINNED = Warned(
    f"the oldest checkpoints before changes are deleted: the newest {_BEFORE_CHANGES} are kept, or "
    f"{_BEFORE_CHANGES_BYTES >> 30} GiB of them"
)


class Retention:
    """Decides which checkpoints are kept.

    These are the first, the last three, the one that training continues from, and the newest of
    those before changes. The best epoch's is kept too, and the one that was the best at each of
    these, so that a run that goes back to one of them still has its best epoch.
    """

    def __init__(self) -> None:
        self.count = 0
        """The number of checkpoints that were ever saved."""
        self.origin = ""
        """The file that training continues from."""
        self._kept: dict[str, CheckpointSaved] = {}
        self._before_changes: set[str] = set()
        self._best = ""
        self._best_by: dict[str, str] = {}
        """By the file of a checkpoint, the file of the best epoch at that time."""
        self._has_warned = False

    @property
    def kept(self) -> tuple[CheckpointSaved, ...]:
        """The checkpoints that were not deleted, oldest first."""
        return tuple(self._kept.values())

    @property
    def best(self) -> CheckpointSaved | None:
        """The checkpoint of the best epoch of the lineage that was saved; None if there is none."""
        return self._kept.get(self._best)

    def find(self, file: str) -> CheckpointSaved | None:
        """Return the checkpoint in that file; None if it is not kept."""
        return self._kept.get(file)

    def need_last(self) -> None:
        """Mark the newest checkpoint as one before a change."""
        self._before_changes.add(next(reversed(self._kept)))

    def remember(self, event: Event) -> None:
        """Update from an event of the run; ignore events that do not concern checkpoints."""
        match event:
            case CheckpointSaved(file=file, why=why):
                self.count += 1
                self._kept[file] = event
                self._best = file if why == "best" else self._best
                self._best_by[file] = self._best
            case CheckpointGone(file=file):
                self._kept.pop(file, None)
            case LossSwapped() | SettingChanged() | TakeOpened():
                if is_change(event) and self._kept:
                    self.need_last()
                if isinstance(event, TakeOpened):
                    self._best = self._best_by.get(event.origin, "")
            case Warned():
                self._has_warned = self._has_warned or event == THINNED
            case _:
                pass

    def to_delete(self) -> list[CheckpointGone | Warned]:
        """Return an event for each checkpoint to delete.

        The first time in a run that one before a change is deleted, a warning comes first.
        """
        files = list(self._kept)
        staying = {*files[:1], *files[-_LAST:], self.origin, *self._newest_before_changes()}
        staying |= {self._best, *(self._best_by.get(file, "") for file in staying)}
        going = [file for file in files if file not in staying]
        is_thinned = not self._has_warned and not self._before_changes.isdisjoint(going)
        warnings = [THINNED] if is_thinned else []
        return [*warnings, *(CheckpointGone(file, "pruned") for file in going)]

    def _newest_before_changes(self) -> set[str]:
        """Return the files before changes that stay, with the best epoch at each.

        The newest one always stays, since an undo goes back to it.
        """
        staying: set[str] = set()
        count, size = 0, 0
        for file in reversed(list(self._kept)[1:]):
            if file not in self._before_changes:
                continue
            more = {file, self._best_by[file]} & self._kept.keys() - staying
            count, size = count + 1, size + sum(self._kept[needed].bytes for needed in more)
            if staying and (count > _BEFORE_CHANGES or size > _BEFORE_CHANGES_BYTES):
                break
            staying |= more
        return staying
