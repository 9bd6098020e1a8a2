"""The state of a run between two batches, to be saved now or, once copied, later."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psutil
from torch import Tensor

from tuitrain.engine.finite_state import are_finite
from tuitrain.engine.state.weights import without_wrappers
from tuitrain.steering.steerable import Steerable


class Moment(NamedTuple):
    """The state of a run and the take that it belongs to."""

    take: int
    state: Mapping[str, Any]

    @classmethod
    def of(cls, run: Steerable) -> Moment:
        """Return the present moment; its tensors are the run's and change with the next batch."""
        return cls(run.take, run.state())

    def at_boundary(self) -> Moment:
        """Return the moment as one between two epochs, of which the second begins with it."""
        position = {**self.state["position"], "batch": 0}
        return self._replace(state={**self.state, "position": position})

    def copied(self) -> Moment:
        """Return the moment with its tensors copied to host memory.

        Raises MemoryError if they need more than half of the available memory, since an
        overcommitted allocation succeeds and ends the process later; torch's RuntimeError if
        an allocation fails.
        """
        needed = sum(tensor.nbytes for tensor in _tensors(self.state))
        if needed > psutil.virtual_memory().available // 2:
            raise MemoryError(f"a copy takes {needed} bytes")
        return Moment(self.take, _copied(self.state))

    @property
    def step(self) -> int:
        return int(self.state["position"]["step"])

    @property
    def epoch(self) -> int:
        """The number of completed epochs."""
        return int(self.state["position"]["epoch"])

    @property
    def place(self) -> tuple[object, ...]:
        """Take, position and settings, which identify the moment in its run."""
        position, settings = self.state["position"], self.state["settings"]
        return (self.take, *position.values(), *settings.values())

    @property
    def is_between_epochs(self) -> bool:
        return bool(self.state["position"]["batch"] == 0)

    @property
    def is_finite(self) -> bool:
        """True if the weights and the last validation loss are finite, but for masks of -inf."""
        weights = without_wrappers(self.state["model"])
        on_purpose = self.state.get("infinite", ())  # a watched script and older versions say none
        is_finite = are_finite(weights[name] for name in weights if name not in on_purpose)
        return is_finite and math.isfinite(self.state["last_val_loss"])


def _tensors(value: object) -> Iterator[Tensor]:
    match value:
        case Tensor():
            yield value
        case dict():
            for item in value.values():
                yield from _tensors(item)
        case list():
            for item in value:
                yield from _tensors(item)


def _copied(value: Any) -> Any:
    """Return a copy of what training changes: tensors, and the dicts and lists that contain them.

    Tuples are states of random number generators, which are new each time.
    """
    match value:
        case Tensor():
            return value.detach().to("cpu", copy=True)
        case dict():
            copied = copy.copy(value)  # this keeps the module versions of a `state_dict`
            copied.update((key, _copied(item)) for key, item in value.items())
            return copied
        case list():
            return [_copied(item) for item in value]
        case _:
            return value
