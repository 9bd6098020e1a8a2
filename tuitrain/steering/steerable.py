"""The two protocols of steering: a steerable run, and a keeper of its states.

Our own training implements the first; so can a foreign loop, or one rank of many.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from tuitrain.core.events import CheckpointSaved, Event, TakeOpened


class Position(NamedTuple):
    """The place that a run has reached."""

    take: int = 1
    step: int = 0
    epoch: int = 0
    """Completed epochs."""


class Steerable(Protocol):
    """A run between two batches."""

    take: int
    pace: float | None
    """At most so many batches a second; None: unlimited."""

    @property
    def position(self) -> Position:
        """The steps and completed epochs of its present take."""

    @property
    def is_between_epochs(self) -> bool:
        """True if no batch of the current epoch is trained yet."""

    @property
    def steps_per_epoch(self) -> int:
        """With the batch size in use."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings in use by name, the loss and the pace among them."""

    @property
    def has_boundaries(self) -> bool:
        """Whether the end of an epoch can be waited for; else commands for it apply at a batch."""

    @property
    def why_not_steered(self) -> str | None:
        """Why no command can be carried out; None if commands can."""

    def loss_named(self, text: str) -> str:
        """Return the run's canonical name of the loss; WrongUse if the run does not have it."""

    def why_not(self, setting: str, value: Any) -> str | None:
        """Return why the run cannot use that value of a setting; None if it can.

        Or why it cannot carry out `lr-find`, `undo`, `rollback` or `checkpoint` at all.
        """

    def change(self, setting: str, value: Any) -> None:
        """Use another value from the next batch on."""

    def use(self, settings: Mapping[str, Any]) -> None:
        """Use all of these settings."""

    def state(self) -> dict[str, Any]:
        """Return the state that determines the next step, position and settings included."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore everything in `state` except the take."""


class Keeper(Protocol):
    """Keeps states of a run: in files, in memory, or nowhere."""

    @property
    def kept(self) -> tuple[CheckpointSaved, ...]:
        """The checkpoints that can be restored, oldest first."""

    @property
    def best(self) -> CheckpointSaved | None:
        """The best epoch's checkpoint, if it is saved."""

    @property
    def waiting(self) -> int | None:
        """The best epoch while it is only a copy in memory; else None."""

    def save(
        self, run: Steerable, why: str, *, command: str | None = None, is_needed: bool = False
    ) -> Iterator[Event]:
        """Save a checkpoint, unless the last one has the same position and there is no command.

        `is_needed` marks a checkpoint before a change. Raises CannotSave.
        """

    def save_best(self) -> Iterator[Event]:
        """Save the copy of the best epoch, if there is one. Raises CannotSave, and keeps it."""

    def leave_best(self) -> Iterator[Event]:
        """Save the copy of the best epoch, or report that it cannot be saved and drop it."""

    def loaded(self, saved: CheckpointSaved) -> Generator[Event, None, Mapping[str, Any]]:
        """Return the state in a checkpoint. Reports a damaged one before it raises Damaged."""

    def go_back(self, opened: TakeOpened) -> None:
        """Record that training continues from an older checkpoint."""
