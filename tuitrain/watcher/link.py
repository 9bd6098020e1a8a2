"""The way from the rank that leads a watched loop to the others: a Gloo group of our own.

It is made beside the process groups of the script, whose store alone it uses: torch counts its
groups, and the script's own would have other numbers on a rank without a watch.
"""

from __future__ import annotations

import ctypes
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, distributed
from torch._C._distributed_c10d import (  # distributed's own, with types
    PrefixStore,
    ProcessGroupGloo,
    Store,
)
from torch.distributed.distributed_c10d import _get_default_store

from tuitrain.engine.ranks.messages import Call, packed, unpacked
from tuitrain.watcher.ranks import COMES_WITHIN_S, FOLLOWS_WITHIN_S

_CONNECTS_WITHIN_S = 60.0
_LOOK_S = 0.01
_SLICE = timedelta(milliseconds=100)
"""A rank waits in short slices: so signals are handled, and one that has left is seen."""
FOR_EVER_S = 365 * 86400.0
_LONGEST_NUMBERS = 1024
_LEFT = "left"
_LEADS, _FOLLOWS = "leads", "follows"
_GO, _NO = "go", "no"


class Unreachable(Exception):
    """Another rank cannot be reached, or does not come."""


class Over(Unreachable):
    """The loop is not watched any more on the rank that leads, and goes on as the script has it."""


class Wait(NamedTuple):
    """Something follows, sooner or later."""


class GoOn(NamedTuple):
    """Train on until the next meeting."""

    steps: int
    """Steps until then."""
    take: int
    has_stopped: bool
    """Whether the loop ends here."""


class Measure(NamedTuple):
    """Tell what you have measured."""


Order: TypeAlias = Wait | GoOn | Call | Measure
_KINDS = (Wait, GoOn, Call, Measure)


class Entry:
    """A rank's entry among those of a watched loop, before it has its connections to them."""

    _count = 0

    def __init__(self, *, leads: bool, comes_within_s: float) -> None:
        """`comes_within_s` is the time limit for the others to be watched as well, once the first
        step is taken here. Each rank makes its entries in the same order.
        """
        Entry._count += 1
        self._name = f"tuitrain-watch-{Entry._count}"
        self._leads, self._within_s = leads, comes_within_s

    def announce(self) -> None:
        """Let the other ranks know that this one is watched, if there is a process group."""
        if distributed.is_initialized():
            self._store().set(f"role-{distributed.get_rank()}", _LEADS if self._leads else _FOLLOWS)

    def join(self, weights: str) -> Link:
        """Return the connections, once all ranks have taken their first step.

        `weights` is a digest of this rank's. Raises Unreachable if they do not come, or are not
        watched.
        """
        if not distributed.is_initialized():
            raise Unreachable("they have no process group")
        self.announce()
        try:
            return self._joined(self._store(), weights)
        except RuntimeError as error:  # torch's, of its stores and of Gloo
            raise Unreachable(_first_line(error)) from error

    def _joined(self, store: Store, weights: str) -> Link:
        rank, count = distributed.get_rank(), distributed.get_world_size()
        if self._agreed(store, count) != _GO:
            raise Unreachable("not all of them are watched")
        leader = self._roles(store, count).index(_LEADS)
        store.set(f"weights-{rank}", weights)
        limit = timedelta(seconds=_CONNECTS_WITHIN_S)
        group = ProcessGroupGloo(PrefixStore("gloo", store), rank, count, timeout=limit)
        group._set_default_timeout(timedelta(seconds=FOR_EVER_S))
        same = all(_text(store, f"weights-{other}") == weights for other in range(count))
        return Link(group, store, leader, have_same_weights=same)

    def _agreed(self, store: Store, count: int) -> str:
        """Return whether all ranks go on to connect; the same answer on each of them."""
        if self._leads:
            return store.compare_set("agreed", "", self._whether_all(store, count)).decode()
        self._come(store, ["agreed"])
        return store.compare_set("agreed", "", _NO).decode()

    def _whether_all(self, store: Store, count: int) -> str:
        if not self._come(store, [f"role-{rank}" for rank in range(count)]):
            return _NO
        return _GO if self._roles(store, count).count(_LEADS) == 1 else _NO

    def _come(self, store: Store, keys: list[str]) -> bool:
        """Wait for keys; return whether they came. The store's own wait would lock it meanwhile."""
        give_up_at = time.monotonic() + self._within_s
        while not (are_there := store.check(keys)) and time.monotonic() < give_up_at:
            time.sleep(_LOOK_S)
        return are_there

    def _roles(self, store: Store, count: int) -> list[str]:
        return [_text(store, f"role-{rank}") for rank in range(count)]

    def _store(self) -> Store:
        return PrefixStore(self._name, _get_default_store())


class Link:
    """The group of the ranks: the one that leads sends, and the others receive."""

    def __init__(self, group: Any, store: Store, leader: int, *, have_same_weights: bool) -> None:
        self.have_same_weights = have_same_weights
        self._group, self._store, self._leader = group, store, leader
        self._is_broken = False
        self._ended = 0
        """How many operations have ended, which every rank begins in the same order."""
        self._from_leader = distributed.BroadcastOptions()
        self._from_leader.rootRank, self._from_leader.rootTensor = leader, 0

    def send(self, order: Order) -> None:
        """Send an order to all others. Raises Unreachable."""
        if isinstance(order, Call):
            body = packed(tuple(order))
            self._broadcast(_head(order, len(body)), FOLLOWS_WITHIN_S)
            self._broadcast(body)
        else:
            self._broadcast(_head(order, *map(int, order)), FOLLOWS_WITHIN_S)

    def receive(self, within_s: float = COMES_WITHIN_S) -> Order:
        """Return the next order; waits for it so long. Raises Unreachable."""
        head = torch.empty(4, dtype=torch.int64)
        self._broadcast(head, within_s)
        number, *values = head.tolist()
        kind = _KINDS[number]
        if kind is Call:
            body = torch.empty(values[0], dtype=torch.uint8)
            self._broadcast(body)
            return Call(*unpacked(body))
        if kind is GoOn:
            steps, take, has_stopped = values
            return GoOn(steps, take, bool(has_stopped))
        return Wait() if kind is Wait else Measure()

    def gathered(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the numbers of all ranks. Raises Unreachable."""
        text = json.dumps(numbers).encode().ljust(_LONGEST_NUMBERS)[:_LONGEST_NUMBERS]
        own = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        of_all = [torch.empty_like(own) for _ in range(self._group.size())]
        self._end(lambda: self._group.allgather([of_all], [own]), COMES_WITHIN_S)
        return [json.loads(one.numpy().tobytes()) for one in of_all]

    def leave(self, *, keeps_settings: bool) -> None:
        """Let the others know that this rank meets them no more, unless one left before it."""
        rank = self._group.rank()
        is_over = rank == self._leader and not keeps_settings
        found, own = "", f"{rank} {int(is_over)} {self._ended}"
        with suppress(RuntimeError):  # the store has ended with its rank
            while not found or int(found.split()[-1]) > self._ended:
                found = self._store.compare_set(_LEFT, found, own).decode()

    def _broadcast(self, tensor: Tensor, within_s: float = COMES_WITHIN_S) -> None:
        self._end(lambda: self._group.broadcast([tensor], self._from_leader), within_s)

    def _end(self, begin: Callable[[], Any], within_s: float) -> None:
        """Begin an operation and wait for its end; one that is left broken ends the link."""
        if self._is_broken:
            raise Unreachable("an operation was interrupted")
        self._is_broken = True
        try:
            self._wait(begin(), within_s)
        except RuntimeError as error:
            raise Unreachable(_first_line(error)) from error
        self._is_broken = False
        self._ended += 1

    def _wait(self, work: Any, within_s: float) -> None:
        give_up_at = time.monotonic() + within_s
        while not work.is_completed():
            with suppress(RuntimeError):  # the slice has passed, perhaps as the work ended
                work.wait(_SLICE)
            if work.is_completed():
                break
            self._check_all_are_there()
            if time.monotonic() > give_up_at:
                _keep(self._group)
                raise Unreachable(f"they did not come within {within_s:g} s")
        work.wait()  # raises its error, if it has one

    def _check_all_are_there(self) -> None:
        """Raise Unreachable if a rank has left without the operation in hand."""
        if self._store.check([_LEFT]):
            rank, is_over, ended = map(int, _text(self._store, _LEFT).split())
            if ended <= self._ended:
                _keep(self._group)
                raise Over if is_over else Unreachable(f"rank {rank} has left")


def _head(order: Order, *values: int) -> Tensor:
    return torch.tensor([_KINDS.index(type(order)), *values, 0, 0, 0][:4])


def _keep(group: Any) -> None:
    """Keep a group for ever: its end would wait for the operation that is left."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))


def _text(store: Store, key: str) -> str:
    return store.get(key).decode()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
