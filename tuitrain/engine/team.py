"""What a run asks of the ranks that train it together with this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from torch import Tensor

from tuitrain.engine.data import Part

if TYPE_CHECKING:
    from tuitrain.engine.steering import Steering
    from tuitrain.engine.step import Added
    from tuitrain.engine.training import Training

P = ParamSpec("P")
T = TypeVar("T")


class Team(Protocol):
    """The ranks of a run; `tuitrain.engine.ranks` has them. A process alone has none."""

    part: Part
    """The part of the samples that is this rank's."""
    passes: int
    """The forward passes of the newest step, as many on each rank."""

    def device_of(self, name: str) -> str:
        """Return the device of this rank where the spec has that name."""

    def steering_of(self, run: Training, *arguments: Any, **named: Any) -> Steering:
        """Return the steering of the run on this rank."""

    def train(self, run: Training) -> None:
        """Let the run be trained by all ranks, with the weights that it has on the first.

        Raises Refused if its data or its model do not allow it.
        """

    def also(
        self, name: str, arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        """Let every other rank call the method of that name of its run, beside the block."""

    def add_gradients(
        self, run: Training, call: Callable[[Any], Tensor], data: Any, target: Tensor
    ) -> tuple[Added, int]:
        """Add the gradients of the mean loss over all ranks, and return it.

        Also return the number of samples of all ranks. The output is that of this rank.
        """

    def gathered(self, parts: Sequence[Tensor], total: int) -> list[Tensor]:
        """Return the rows of all ranks, `total` of each, in the order of the samples."""

    def of_first(self, value: Any) -> Any:
        """Return the value that the first rank has: plain values, in lists and dicts."""

    def numbers_of_first(self, numbers: Sequence[float]) -> list[float]:
        """Return the numbers that the first rank has, as many on each."""

    def share_buffers(self, run: Training) -> None:
        """Give each rank's model the buffers of the first."""

    def states(self, own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the states of the generators of all ranks, on the first one."""


def on_all_ranks(
    method: Callable[Concatenate[Training, P], T],
) -> Callable[Concatenate[Training, P], T]:
    """Let a method of a run be called by all ranks, once the first one calls it."""

    @wraps(method)
    def call(run: Training, /, *arguments: P.args, **named: P.kwargs) -> T:
        if run.team is None:
            return method(run, *arguments, **named)
        with run.team.also(method.__name__, arguments, named):
            return method(run, *arguments, **named)

    return call
