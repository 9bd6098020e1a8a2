"""Keeps a run finite: what it keeps from step to step is looked at, and it goes back if need be."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuitrain.core.errors import Damaged, NothingFinite
from tuitrain.core.events import CheckpointSaved, Event, NotFinite, Warned
from tuitrain.core.safe import safe
from tuitrain.engine.finite_state import Name
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.steering.apply import take_opened
from tuitrain.steering.changes import Changes
from tuitrain.steering.decisions import WentBack

if TYPE_CHECKING:
    from tuitrain.engine.steering import Loop

EVERY_S, SHARE = 0.25, 0.01
"""The least time between two looks, and the share of the time that they may take. Those before
anything is validated or saved do not count."""


class KeptFinite:
    """Looks at weights, buffers and the optimizer's state between two batches.

    It looks now and then, and whenever it is asked to go back: before a validation, a checkpoint, a
    pause and the end. So nothing that is not finite outlives the process.
    """

    def __init__(
        self, run: Loop, checkpoints: Checkpoints, changes: Changes, clock: Callable[[], float]
    ) -> None:
        self.is_look_due = False
        """Whether to look after the next batch."""
        self._run, self._checkpoints, self._changes = run, checkpoints, changes
        self._clock, self._look_at = clock, clock() + EVERY_S
        self._finite: tuple[int, int] | None = None
        """Take and step of the newest look that found all finite."""
        self._went_back: tuple[str, dict[str, Any]] | None = None
        """The checkpoint to which it went back last, and the settings with which it went on."""

    def look_if_due(self) -> None:
        """Let there be a look after the next batch if there was none for long enough."""
        self.is_look_due |= self._clock() >= self._look_at

    def go_back(self) -> Generator[Event, None, WentBack | None]:
        """If what the run keeps is not finite, go back to the newest checkpoint that is.

        Nothing is saved before that. Return what was found. Raises NothingFinite if there is no
        such checkpoint.
        """
        run, place = self._run, self._place
        found = self._looked() if place != self._finite else None
        if found is None:
            self._finite = place
            return None
        since = self._finite[1] if self._finite else 0
        bad = NotFinite(*run.position, *found, since=since)
        yield from self._checkpoints.leave_best()
        origin, settings = yield from self._restored(bad)
        self._finite = self._place
        bad = replace(bad, back_at=run.position.step)
        opened = take_opened(run, origin, "rollback", left_at=bad.step)
        self._checkpoints.go_back(opened)
        self._changes.learn(opened)
        yield bad
        yield opened
        now = _of_training(run.settings)
        before, self._went_back = self._went_back, (origin.file, now)
        return WentBack(bad, repeats=now == settings or before == self._went_back)

    @property
    def _place(self) -> tuple[int, int]:
        return self._run.take, self._run.position.step

    def _looked(self) -> Name | None:
        """Return what is not finite, if anything, and set when to look again."""
        began = self._clock()
        found = self._run.nonfinite()
        now = self._clock()
        self.is_look_due, self._look_at = False, now + max(EVERY_S, (now - began) / SHARE)
        return found

    def _restored(
        self, bad: NotFinite
    ) -> Generator[Event, None, tuple[CheckpointSaved, Mapping[str, Any]]]:
        """Open a take at the newest finite checkpoint, with the settings of now.

        Return the checkpoint, and the settings that it was saved with.
        """
        run, staying = self._run, dict(self._run.settings)
        for saved in self._changes.finite_ones():
            try:
                state = yield from self._checkpoints.loaded(saved)
            except Damaged as error:
                yield Warned(f"{error}; using the one before it")
                continue
            settings = state["settings"]
            if not saved.is_between_epochs and settings["batch-size"] != staying["batch-size"]:
                continue  # its place in the epoch counts other batches
            run.restore(state)
            run.use(staying)
            if run.nonfinite() is None:
                run.take = self._changes.next_take
                return saved, _of_training(settings)
        raise NothingFinite(safe(bad.subject), bad.step)


def _of_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide what is trained."""
    return {name: value for name, value in settings.items() if name != "pace"}
