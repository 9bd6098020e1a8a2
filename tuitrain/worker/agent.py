"""torch's elastic agent, the engine of torchrun, which starts the ranks of one host."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tuitrain.core import python
from tuitrain.core.files import remove
from tuitrain.core.safe import safe
from tuitrain.worker.failure import is_of_another_rank
from tuitrain.worker.temporary import temporary_folder

Failures = Mapping[int, Any]
"""By rank, torch's `ProcessFailure` of each that failed on this host."""
_CAUSE, _CAUSE_WITHIN = "tuitrain-cause", timedelta(seconds=2)
"""The key in the store of all hosts under which one tells the others why a rank of it failed."""
_FIRST = "tuitrain-first"
"""The key under which the first host tells them the number that torch gave its first rank: that is
rank 0, and numbers follow from it."""
_NO_FILE = "<N/A>"
"""torch's, of a rank that left none."""
_KNOWN_WITHIN_S = 60
"""Time limit for the name of the first host to be known: that of a new one may come late."""
_ENDS_WITHIN_S = 30
"""Time limit for the ranks of the other hosts to end, after those of this one."""
COMES_WITHIN_S = 900
"""Time limit for all hosts to come, at the start and after a failure."""


class NotFound(Exception):
    """The host where the ranks meet is not there."""


class LocalRanks(NamedTuple):
    """The ranks of this host."""

    number: int
    command: Sequence[str]
    max_restarts: int
    directory: Path | None = None
    """The run directory, if this host has it: the agent writes into a folder of it."""


class Meeting(NamedTuple):
    """Where the hosts of a run meet, and how many of them there are; alone, anywhere."""

    hosts: int = 1
    endpoint: str = ""
    """HOST:PORT of the first host."""
    id: str = ""
    """Tells this run from others that meet there."""
    is_first: bool = True
    """Whether this is the first host."""


class Failure(NamedTuple):
    """The first failure of a rank."""

    text: str
    """Which rank failed, on which host, and of what."""
    exit_code: int
    """That of the first rank of this host; negative: the signal that ended it."""


def run_ranks(
    ranks: LocalRanks,
    meeting: Meeting,
    *,
    has_ended: Callable[[Failure], bool],
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Failure | None:
    """Let the ranks of this host train; return the failure that ended them, if one did.

    `has_ended` is told of each failure, and returns whether the run has ended: else all ranks of
    all hosts start anew. `waiting` is around the time until all hosts are there. Raises NotFound
    where the endpoint's host is not known, and torch's RendezvousError where others do not come.
    """
    from torch.distributed.elastic.agent.server.api import RunResult, WorkerSpec, WorkerState
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.rendezvous import registry

    class Agent(LocalElasticAgent):
        failure: Failure | None = None
        first = 0
        """What torch calls the first rank of the first host."""

        def _rendezvous(self, worker_group: Any) -> None:
            with waiting():
                super()._rendezvous(worker_group)
            if meeting.hosts > 1 and meeting.is_first:
                worker_group.store.set(_FIRST, str(worker_group.workers[0].global_rank))
            if meeting.hosts > 1:  # at once: later it may be gone with its host
                self.first = first_of(worker_group.store)

        def _monitor_workers(self, worker_group: Any) -> Any:
            result = _looked_at(partial(super()._monitor_workers, worker_group), Path(files))
            if result.failures:
                failures, store = result.failures, self._store if meeting.hosts > 1 else None
                failures = from_first(failures, self.first, worker_group.workers[0].world_size)
                self.failure = failure_of(failures, store)
                if has_ended(self.failure):
                    return RunResult(state=WorkerState.SUCCEEDED)
            return result

    _set_environment(ranks.number, meeting)
    if meeting.hosts > 1:
        with waiting():
            _wait_for_name(meeting.endpoint.rpartition(":")[0])
    first, *arguments = ranks.command
    with _folder(ranks.directory) as files:  # torch would leave its own behind
        agent = Agent(
            WorkerSpec(
                role="rank", local_world_size=ranks.number, entrypoint=first, args=tuple(arguments),
                rdzv_handler=registry.get_rendezvous_handler(_rendezvous(meeting)),
                max_restarts=ranks.max_restarts, monitor_interval=0.1,
            ),
            logs_specs=DefaultLogsSpecs(log_dir=files), exit_barrier_timeout=_ENDS_WITHIN_S,
        )  # fmt: skip
        return agent.failure if agent.run().failures else None


@contextmanager
def _folder(directory: Path | None) -> Iterator[str]:
    """Yield a new folder, and remove it after the block, with all that is in it.

    In a run directory it replaces that of a launcher that was killed.
    """
    if directory is None:
        with temporary_folder() as temporary:
            yield str(temporary)
        return
    folder = directory / "ranks"
    remove(folder)
    folder.mkdir(mode=0o700)
    try:
        yield str(folder)
    finally:
        remove(folder)


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


def _wait_for_name(host: str) -> None:
    """Wait until a host is known by its name: torch's own wait is long, and says nothing of it."""
    for _ in range(_KNOWN_WITHIN_S):
        with suppress(OSError, UnicodeError):
            socket.getaddrinfo(host.strip("[]"), None)
            return
        time.sleep(1)
    raise NotFound(f"no host is known as {safe(host)}, the name in --rdzv-endpoint")


def _set_environment(count: int, meeting: Meeting) -> None:
    """Set the variables that the agent reads, and those that its ranks get."""
    os.environ.update(python.environment())
    # the agent's own handler would end the ranks: here the first one stops the run
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGQUIT"
    # a store that outlives the ranks would tell new ones the addresses of old ones
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    if meeting.hosts == 1 and "lo" in {name for _, name in socket.if_nameindex()}:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # no other host has to reach them


def _rendezvous(meeting: Meeting) -> Any:
    from torch.distributed.elastic.rendezvous import RendezvousParameters

    where: dict[str, Any] = {"endpoint": "localhost:0", "local_addr": "localhost"}
    if meeting.hosts > 1:
        where = {"endpoint": meeting.endpoint, "is_host": meeting.is_first}
    return RendezvousParameters(
        backend="c10d", run_id=meeting.id or "tuitrain", min_nodes=meeting.hosts,
        max_nodes=meeting.hosts, join_timeout=COMES_WITHIN_S, **where,
    )  # fmt: skip


def local_count(asked: int | None) -> int:
    """Return the number of ranks on this host: None stands for one for each GPU, or processor."""
    if asked is not None:
        return asked
    import torch

    return torch.cuda.device_count() or os.cpu_count() or 1


def first_of(store: Any) -> int:
    """Return what torch calls the first rank of the first host, which says it in the store."""
    with suppress(Exception):  # torch's, of a store that is gone with its host
        store.wait([_FIRST], _CAUSE_WITHIN)
        return int(store.get(_FIRST))
    return 0


def from_first(failures: Failures, first: int, count: int) -> Failures:
    """Return the failures by their numbers among `count` ranks, of which `first` is rank 0."""
    return {(rank - first) % count: failure for rank, failure in failures.items()}


def failure_of(failures: Failures, store: Any = None) -> Failure:
    """Return the first failure of this host, or, if it lost others, what they say in the store.

    Without a store, and where they say nothing, it is that of this host.
    """
    rank, first = min(failures.items(), key=lambda one: (_has_lost(one[1]), one[1].timestamp))
    signal_name = first.signal_name()
    what = f"ended by {signal_name}" if signal_name != "<N/A>" else _reason(first)
    text = f"rank {rank} on {socket.gethostname()} {what}"
    if store is not None:
        with suppress(Exception):  # torch's, of a store that is gone with its host
            if _has_lost(first):
                store.wait([_CAUSE], _CAUSE_WITHIN)
                text = store.get(_CAUSE).decode(errors="replace")
            else:
                store.set(_CAUSE, text)
    return Failure(safe(text), first.exitcode)


def _has_lost(failure: Any) -> bool:
    return is_of_another_rank(_message(failure))


def _reason(failure: Any) -> str:
    if _has_lost(failure):
        return "lost its connection to another rank"
    return f"failed: {safe(_message(failure))}"


def _message(failure: Any) -> str:
    """Return why a rank failed, by its own file or its exit code."""
    message = "" if failure.error_file == _NO_FILE else failure.message  # else it is advice
    text = message if isinstance(message, str) else message.get("message", "")
    return [f"exit code {failure.exitcode}", *str(text).strip().splitlines()][-1]
