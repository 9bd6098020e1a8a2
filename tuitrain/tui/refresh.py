"""How often the screen of a run reads the record, and updates what it shows."""

from __future__ import annotations

from tuitrain.view.state.snapshot import Snapshot

PULL_S = 0.3
UPDATE_EVERY = 3
"""Pulls between two updates of all that is shown: with them no number is older than a second.

An event updates all at once, unless it is routine; and a batch of another epoch is not shown beside
the old epoch's numbers, but with the new ones. Where no key was pressed lately, and of a run that
does not train, only these pulls read the record."""
LIVELY_FOR_S = 30.0
"""Seconds after a key in which each pull reads, and updates the numbers of the newest batch."""
MANY_EVERY = 2
"""Pulls in these seconds between two such updates when a panel is shown that has many of these
numbers."""


class Refresh:
    """Counts the pulls, and says what is due at the present one."""

    def __init__(self, now_s: float) -> None:
        self._pulls = 0
        self._key_at_s = now_s
        self.is_calm = False
        """Whether no key was pressed lately."""

    def key_pressed(self, now_s: float) -> None:
        """Update more often for a while."""
        self._key_at_s = now_s

    def pull(self, now_s: float, *, is_idle: bool) -> bool:
        """Count a pull, and return whether the record is read at it."""
        self._pulls += 1
        self.is_calm = now_s - self._key_at_s >= LIVELY_FOR_S
        return not (self.is_calm or is_idle) or self._pulls % UPDATE_EVERY == 0

    @property
    def is_slow_due(self) -> bool:
        """Whether the slow snapshot is updated, and the fast one with it."""
        return self._pulls % UPDATE_EVERY == 0

    def is_fast_due(self, *, has_many: bool) -> bool:
        """Return whether the fast snapshot is updated, of many numbers of a batch or of few."""
        return not has_many or self._pulls % MANY_EVERY == 0


def is_idle(run: Snapshot) -> bool:
    """Return whether the run does not train, and no command that may change that is accepted."""
    if run.state != "paused":
        return run.has_ended
    return not any(command.state == "pending" for command in run.interventions)
