"""The state of a watched loop before its optimizers move a weight: the epoch 0 of a rollback."""

from __future__ import annotations

from collections.abc import Iterator

from tuitrain.core.events import Event, Warned
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.state.moment import Moment
from tuitrain.steering.apply import or_warned
from tuitrain.watcher.watched import Watched

_NO_MEMORY = (
    "there is no memory for a copy of the weights before the first step: rollback 0 cannot go back "
    "to them"
)


class InitialState:
    """Copies the state before the first step of each optimizer, and saves it after that step.

    With a further optimizer the state is that before its first step, when the others have begun.
    """

    def __init__(self, loop: Watched) -> None:
        self._loop = loop
        self._optimizers = 0
        """The number of optimizers whose state was copied."""
        self._copy: Moment | None = None
        self._warnings: list[Warned] = []

    def copy(self) -> bool:
        """Copy the state if there is a new optimizer; return whether there is something to save."""
        loop, count = self._loop, len(self._loop.parts.optimizers)
        if count <= self._optimizers or loop.epoch or loop.why_not_steered or loop.is_sharded:
            return False
        self._optimizers = count
        try:
            self._copy = Moment.of(loop).at_boundary().copied()
        except (MemoryError, RuntimeError):  # the latter is torch's
            self._warnings.append(Warned(_NO_MEMORY))
        return True

    def save(self, checkpoints: Checkpoints) -> Iterator[Event]:
        """Save the copy, if there is one; a failure yields a warning."""
        yield from self._warnings
        self._warnings.clear()
        copy, self._copy = self._copy, None
        if copy is not None:
            yield from or_warned(checkpoints.save_moment(copy, "start"))
