"""Which checkpoints a run has, by the events that say so, and which of them can go."""

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

    These are the first, the last three, the one that training goes on from, and the newest of those
    before changes; and the best epoch's, both of now and of the time of each of these: a run that
    goes back to one of them has its best epoch still.
    """

    def __init__(self) -> None:
        self.count = 0
        """Of all that were ever saved."""
        self.origin = ""
        """The file that training goes on from."""
        self._kept: dict[str, CheckpointSaved] = {}
        self._before_changes: set[str] = set()
        self._best = ""
        self._best_by: dict[str, str] = {}
        """From the file of a checkpoint to the file of what was the best epoch by then."""
        self._told = False

    @property
    def kept(self) -> tuple[CheckpointSaved, ...]:
        """Those that were not deleted, oldest first."""
        return tuple(self._kept.values())

    @property
    def best(self) -> CheckpointSaved | None:
        """The one of the best epoch of the lineage, as far as it was saved."""
        return self._kept.get(self._best)

    def find(self, file: str) -> CheckpointSaved | None:
        """Return the checkpoint in that file; None if it is not kept."""
        return self._kept.get(file)

    def need_last(self) -> None:
        """Keep the newest checkpoint, since a change follows."""
        self._before_changes.add(next(reversed(self._kept)))

    def remember(self, event: Event) -> None:
        """Take in an event of the run; those that say nothing of checkpoints are let pass."""
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
                self._told = self._told or event == THINNED
            case _:
                pass

    def superfluous(self) -> list[CheckpointGone | Warned]:
        """Return which checkpoints go; and once for a run, that those before changes go, too."""
        files = list(self._kept)
        staying = {*files[:1], *files[-_LAST:], self.origin, *self._newest_before_changes()}
        staying |= {self._best, *(self._best_by.get(file, "") for file in staying)}
        going = [file for file in files if file not in staying]
        thinned = not self._told and not self._before_changes.isdisjoint(going)
        told = [THINNED] if thinned else []
        return [*told, *(CheckpointGone(file, "pruned") for file in going)]

    def _newest_before_changes(self) -> set[str]:
        """Return those before changes that are kept, with the best epoch by each.

        The last one always stays: it is what an undo goes back to.
        """
        staying: set[str] = set()
        count, size = 0, 0
        for file in reversed(list(self._kept)[1:]):
            if file not in self._before_changes:
                continue
            more = {file, self._best_by[file]} & self._kept.keys() - staying
            count, size = count + 1, size + sum(self._kept[each].bytes for each in more)
            if staying and (count > _BEFORE_CHANGES or size > _BEFORE_CHANGES_BYTES):
                break
            staying |= more
        return staying
