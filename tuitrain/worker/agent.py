"""torch's elastic agent, the engine of torchrun, which starts the ranks of one host."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tuitrain.core import python
from tuitrain.core.files import remove
from tuitrain.core.safe import safe
from tuitrain.worker.rank_failure import Failure
from tuitrain.worker.temporary import temporary_folder

LAUNCHER = "TUITRAIN_LAUNCHER"
"""The variable that tells the ranks the process that they end with."""
_KNOWN_WITHIN_S = 60
"""Time limit for the name of the first host to be known: that of a new one may come late."""
RANK_ENDS_WITHIN_S = 10
"""Time limit for a rank that trains to record why it ends: one that waits for a lost one does not
end by itself."""
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
    ends_within_s: int = 30
    """Time limit for the others to end by themselves, once one has failed; then they are killed."""


class Meeting(NamedTuple):
    """Where the hosts of a run meet, and how many of them there are; alone, anywhere."""

    hosts: int = 1
    endpoint: str = ""
    """HOST:PORT of the first host."""
    id: str = ""
    """Tells this run from others that meet there."""
    is_first: bool = True
    """Whether this is the first host."""


def run_ranks(
    ranks: LocalRanks,
    meeting: Meeting,
    *,
    has_ended: Callable[[Failure], bool],
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Failure | None:
    """Let the ranks of this host train; return the failure that ended them, if one did.

    `has_ended` is told of each failure, and returns whether the run has ended: else all ranks of
    all hosts start anew, if they may once more. `waiting` is around the time until all hosts are
    there. Raises NotFound where the endpoint's host is not known, and torch's RendezvousError where
    others do not come.
    """
    from torch.distributed.elastic.agent.server.api import WorkerSpec, WorkerState
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.rendezvous import registry

    from tuitrain.worker.elastic import Agent

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
            DefaultLogsSpecs(log_dir=files), meeting, ranks.ends_within_s, has_ended, waiting,
        )  # fmt: skip
        return None if agent.run().state is WorkerState.SUCCEEDED else agent.failure


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
    os.environ.update(python.environment(), **{LAUNCHER: str(os.getpid())})
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
