"""What the first rank tells the others between two batches.

It goes through a Gloo group of its own: a rank that waits in it, while the run is paused, keeps no
device and no NCCL watchdog waiting.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.distributed.constants import default_pg_timeout

from tuitrain.engine.ranks.group import kept

_CONNECTS_WITHIN = timedelta(seconds=60)
_FOR_EVER = timedelta(days=365)
"""A pause has no time limit. A rank that ends is noticed at once: its connections are closed."""
_SENDS_WITHIN = default_pg_timeout
"""Time limit for another rank to take a message, that of torch for all that ranks do together.
Where it ends in the moment of sending, Gloo misses now and then that its connection was closed."""
_NONE = -1
_TELL = -1
"""In place of the size of a call."""
_LONGEST_TEXT = 1024


class Call(NamedTuple):
    """Call a method of the run."""

    method: str
    arguments: Sequence[Any] = ()
    named: Mapping[str, Any] = {}


class GoOn(NamedTuple):
    """Train on until the next meeting."""

    steps: int
    """Steps until then; at the end of an epoch there always is one."""
    take: int
    until: int | None
    waited: int
    """Epochs without a better one, which end the run where there is a limit."""
    has_stopped: bool
    """Whether no batch follows."""
    measures: int
    """What each of them measures of the next step, a `Measure`."""


class Tell(NamedTuple):
    """Tell what you have measured of yourself."""


class Channel:
    """The way from the first rank to the others."""

    def __init__(self) -> None:
        group = kept(distributed.new_group(backend="gloo", timeout=_CONNECTS_WITHIN))
        group._get_backend(torch.device("cpu"))._set_default_timeout(_FOR_EVER)
        self._group = group

    def send(self, message: Call | GoOn | Tell) -> None:
        """Send a message to all other ranks; for the first rank."""
        if isinstance(message, GoOn):
            self._broadcast(_numbers(message))
        elif isinstance(message, Tell):
            self._broadcast(_head(_TELL))
        else:
            body = packed(tuple(message))
            self._broadcast(_head(len(body)))
            self._broadcast(body)

    def receive(self) -> Call | GoOn | Tell:
        """Return the next message of the first rank; waits for it without limit."""
        numbers = torch.zeros(1 + len(GoOn._fields), dtype=torch.int64)
        self._broadcast(numbers)
        size, *rest = numbers.tolist()
        if size == _TELL:
            return Tell()
        if not size:
            return _go_on(rest)
        body = torch.empty(size, dtype=torch.uint8)
        self._broadcast(body)
        return Call(*unpacked(body))

    def of_first(self, value: Any) -> Any:
        """Return the value that the first rank has."""
        size = torch.zeros(1, dtype=torch.int64)
        body = packed(value) if distributed.get_rank() == 0 else None
        if body is not None:
            size[0] = len(body)
        self._broadcast(size)
        if body is None:
            body = torch.empty(int(size), dtype=torch.uint8)
        self._broadcast(body)
        return unpacked(body)

    def numbers_of_first(self, numbers: Sequence[float]) -> list[float]:
        """Return the numbers that the first rank has, as many on each."""
        tensor = torch.tensor(numbers, dtype=torch.float64)
        self._broadcast(tensor)
        return tensor.tolist()

    def to_first(self, value: Any) -> list[Any]:
        """Return the values of all ranks, on the first one; on the others, nothing."""
        body = packed(value)
        sizes = self._gathered(torch.tensor([len(body)]))
        most = torch.tensor([max(map(int, sizes), default=0)])
        self._broadcast(most)
        padded = torch.zeros(int(most), dtype=torch.uint8)
        padded[: len(body)] = body
        bodies = self._gathered(padded)
        return [unpacked(one[: int(size)]) for one, size in zip(bodies, sizes, strict=True)]

    def texts_to_first(self, text: str) -> list[str]:
        """Return the short texts of all ranks, on the first one; on the others, nothing."""
        body = text.encode().ljust(_LONGEST_TEXT)[:_LONGEST_TEXT]
        gathered = self._gathered(torch.frombuffer(bytearray(body), dtype=torch.uint8))
        return [one.numpy().tobytes().decode() for one in gathered]

    def _gathered(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks, on the first one."""
        count = distributed.get_world_size() if distributed.get_rank() == 0 else 0
        parts = [torch.empty_like(tensor) for _ in range(count)]
        work = distributed.gather(tensor, parts or None, 0, group=self._group, async_op=True)
        _wait(work, sends=not parts)
        return parts

    def _broadcast(self, tensor: Tensor) -> None:
        work = distributed.broadcast(tensor, 0, group=self._group, async_op=True)
        _wait(work, sends=distributed.get_rank() == 0)


def _wait(work: Any, *, sends: bool) -> None:
    """Wait for a message to have been sent, or for one without limit."""
    if not sends:
        work.wait()
        return
    began = time.monotonic()
    try:
        work.wait(_SENDS_WITHIN)
    except RuntimeError as error:
        if time.monotonic() - began < _SENDS_WITHIN.total_seconds():
            raise
        raise RuntimeError("Gloo: another rank took no message: it is gone, or stuck") from error


def _head(size: int) -> Tensor:
    return torch.tensor([size, *[0] * len(GoOn._fields)])


def _numbers(message: GoOn) -> Tensor:
    until = _NONE if message.until is None else message.until
    return torch.tensor([0, *message._replace(until=until)])


def _go_on(numbers: Sequence[int]) -> GoOn:
    steps, take, until, waited, has_stopped, measures = numbers
    return GoOn(steps, take, None if until == _NONE else until, waited, bool(has_stopped), measures)


def packed(value: Any) -> Tensor:
    """Return plain values and tensors as bytes (n,) uint8."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(bytearray(buffer.getbuffer()), dtype=torch.uint8)


def unpacked(body: Tensor) -> Any:
    """Return what was packed, with its tensors on the CPU."""
    return torch.load(io.BytesIO(body.numpy().tobytes()), map_location="cpu", weights_only=True)
