"""A run between two batches, as a checkpoint holds it: to be saved now or, once copied, later."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor

from tuitrain.steering.steerable import Steerable


class Moment(NamedTuple):
    """The state of a run and the take that it belongs to."""

    take: int
    state: Mapping[str, Any]

    @classmethod
    def of(cls, run: Steerable) -> Moment:
        """Return the present; its tensors are the run's own, and change with the next batch."""
        return cls(run.take, run.state())

    def copied(self) -> Moment:
        """Return the moment with tensors of its own, in host memory.

        Raises MemoryError, or torch's RuntimeError, if they do not fit. An overcommitted allocation
        succeeds and ends the process later, so half of the available memory must be enough.
        """
        needed = sum(tensor.nbytes for tensor in _tensors(self.state))
        if needed > psutil.virtual_memory().available // 2:
            raise MemoryError(f"a copy takes {needed} bytes")
        return Moment(self.take, _copied(self.state))

    @property
    def place(self) -> tuple[object, ...]:
        """What tells the moment from any other of its run."""
        position, settings = self.state["position"], self.state["settings"]
        return (self.take, *position.values(), *settings.values())

    @property
    def is_between_epochs(self) -> bool:
        return bool(self.state["position"]["batch"] == 0)

    @property
    def is_finite(self) -> bool:
        """Whether the weights are finite, and so was the last validation."""
        finite = torch.stack([each.isfinite().all() for each in self.state["model"].values()])
        return bool(finite.all()) and math.isfinite(self.state["last_val_loss"])


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
    """Copy what training changes: tensors and what holds them. Tuples come from the generators of
    random numbers, new each time.
    """
    match value:
        case Tensor():
            return value.detach().to("cpu", copy=True)
        case dict():
            made = copy.copy(value)  # a `state_dict` has the versions of its modules, too
            made.update((key, _copied(item)) for key, item in value.items())
            return made
        case list():
            return [_copied(item) for item in value]
        case _:
            return value
