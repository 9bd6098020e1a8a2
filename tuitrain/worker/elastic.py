"""The agent of torch that starts the ranks of one host, and what is its own here.

It tells of what failed, meets the other hosts anew where one is lost, and notices that.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from torch.distributed import DistStoreError
from torch.distributed.elastic.agent.server.api import RunResult, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import LogsSpecs

from tuitrain.worker.agent import COMES_WITHIN_S, Meeting
from tuitrain.worker.presence import Presence
from tuitrain.worker.rank_failure import (
    Failure,
    cause_in,
    failure_of,
    first_of,
    from_first,
    tell_cause,
    tell_first,
)

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TOLD_WITHIN = timedelta(seconds=20)
"""Time limit for each host to tell the others how many ranks it has, after all have come."""
_ENDS_WITHIN_S = 30
"""Time limit for the ranks of the other hosts to end, after those of this one."""


class Agent(LocalElasticAgent):
    """torch's agent; what it overrides are the steps of its own loop."""

    failure: Failure | None = None
    """The newest one."""
    _first = 0
    """What torch calls the first rank of the first host."""
    _presence: Presence | None = None

    def __init__(
        self,
        spec: WorkerSpec,
        logs: LogsSpecs,
        meeting: Meeting,
        ends_within_s: int,
        has_ended: Callable[[Failure], bool],
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__(spec, logs, exit_barrier_timeout=_ENDS_WITHIN_S)
        self._files = Path(logs.root_log_dir)
        self._meeting, self._ends_within_s = meeting, ends_within_s
        self._has_ended, self._waiting = has_ended, waiting

    def _rendezvous(self, worker_group: Any) -> None:
        with self._waiting():
            _met(partial(super()._rendezvous, worker_group))
        if self._meeting.hosts == 1:
            return
        store = worker_group.store
        self._presence = Presence(store, worker_group.group_rank, self._meeting.hosts)
        self._presence.begin()
        if self._meeting.is_first:
            tell_first(store, worker_group.workers[0].global_rank)
        self._first = first_of(store)  # at once: later it may be gone with its host

    def _start_workers(self, worker_group: Any) -> Any:
        handlers = {number: signal.getsignal(number) for number in _HANDLED}
        try:
            started = super()._start_workers(worker_group)
        finally:
            for number, handler in handlers.items():
                now = getattr(signal.getsignal(number), "__module__", "")
                if now.startswith("torch."):  # an older one's, which would end the ranks
                    signal.signal(number, handler)
        context: Any = self._pcontext
        close = context.close

        def close_in_time(death_sig: signal.Signals | None = None, *_: Any, **__: Any) -> None:
            close(death_sig, self._ends_within_s)  # where torch gives them 30 s

        context.close = close_in_time
        return started

    def _assign_worker_ranks(self, store: Any, *arguments: Any) -> Any:
        before = store.timeout
        store.set_timeout(_TOLD_WITHIN)  # each tells its own at once, or was lost before that
        try:
            return super()._assign_worker_ranks(store, *arguments)
        finally:
            store.set_timeout(before)  # the first host, who has the store, may stand still later

    def _monitor_workers(self, worker_group: Any) -> Any:
        result = _looked_at(partial(super()._monitor_workers, worker_group), self._files)
        if result.failures:
            failures, store = result.failures, self._store if self._meeting.hosts > 1 else None
            failures = from_first(failures, self._first, worker_group.workers[0].world_size)
            return self._after(failure_of(failures, store), result)
        if result.state is WorkerState.HEALTHY and (why := self._why_anew()) is not None:
            return self._after(Failure(why, 1), RunResult(WorkerState.UNHEALTHY))
        return result

    def _after(self, failure: Failure, result: Any) -> Any:
        """Return the result of a failure, after which nothing starts where the run has ended."""
        context: Any = self._pcontext
        context.close()  # first: the ranks may record how the run ends
        self.failure = failure._replace(is_last=self._remaining_restarts == 0)
        if self._has_ended(self.failure):
            self._remaining_restarts = 0
        return result

    def _why_anew(self) -> str | None:
        """Return what failed on another host, if something did that no rank of this one misses."""
        if self._presence is None:
            return None
        if self._are_others_waiting():
            return cause_in(self._store) or "another host started anew"
        if self._meeting.is_first:
            if (lost := self._presence.lost()) is None:
                return None
            if (cause := cause_in(self._store)) is None:  # else it has given up
                tell_cause(self._store, lost)
            return cause or lost
        self._presence.tell()
        return None

    def _exit_barrier(self) -> None:
        if self._presence is None:
            return
        self._presence.end()
        give_up_at = time.monotonic() + _ENDS_WITHIN_S
        while self._meeting.is_first and time.monotonic() < give_up_at:  # it has the store
            if self._presence.have_ended() or self._are_others_waiting():
                return
            time.sleep(self._worker_group.spec.monitor_interval)

    def _are_others_waiting(self) -> bool:
        """Whether a host has come, or comes back, that waits for all to start anew."""
        return self._worker_group.spec.rdzv_handler.num_nodes_waiting() > 0


def _met(meet: Callable[[], None]) -> None:
    """Let all hosts meet, and meet anew where one of them was lost while they did."""
    give_up_at = time.monotonic() + COMES_WITHIN_S
    while True:
        try:
            return meet()
        except DistStoreError:
            if time.monotonic() > give_up_at:
                raise


def _looked_at(look: Callable[[], Any], folder: Path) -> Any:
    """Return what torch's agent sees of its ranks, which leave their errors in that folder.

    It fails of an error of which a rank wrote a part, for want of room or since it was killed.
    """
    try:
        return look()
    except ValueError:
        for file in folder.rglob("error.json"):
            if not _is_whole(file):
                file.unlink()
        return look()


def _is_whole(file: Path) -> bool:
    with suppress(ValueError):
        json.loads(file.read_bytes())
        return True
    return False
