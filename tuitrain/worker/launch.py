"""The launcher of a run with several ranks: python -m tuitrain.worker.launch RUN_DIRECTORY LOCK_FD

It holds the lock, and starts the ranks by torch's elastic agent, the engine of torchrun, which
starts them anew where one fails.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tuitrain.core import python
from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import Event, Failed, StartupReached
from tuitrain.core.files import write_atomically
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.record import process
from tuitrain.record.recorder import Recorder
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.store.writer import RunWriter
from tuitrain.worker.__main__ import run_to_end

_RANK = "tuitrain.worker.rank"


def main(argv: list[str]) -> int:
    """Train the run of a directory with several ranks, and return the exit code."""
    paths, descriptors = RunPaths(Path(argv[0])), [int(text) for text in argv[1:]]
    faulthandler.enable()
    process.keep_lock(descriptors[0])
    process.write_owner(paths.owner)
    _stop_on_signals(paths)
    for descriptor in descriptors[1:]:
        threading.Thread(target=_stop_without_owner, args=(paths, descriptor), daemon=True).start()
    _record(paths, StartupReached("starting the ranks"))
    failures = launch(paths, paths.read_spec())
    last = _last_word(paths)
    if last is None:
        why = described(failures) if failures else "its ranks ended without a word"
        _record(paths, Failed(f"{why}; tuitrain resume {paths.title} goes on from its checkpoint"))
        return 1
    return last.exit_code if isinstance(last, Failed) else 0


def launch(paths: RunPaths, spec: RunSpec) -> Mapping[int, Any]:
    """Let the ranks train, and return the failures that ended them, by rank; none: it has ended."""
    from torch.distributed.elastic.agent.server.api import RunResult, WorkerSpec, WorkerState
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.rendezvous import RendezvousParameters, registry

    class Agent(LocalElasticAgent):
        """Notes why it starts all ranks anew, and does not once the end is on record."""

        def _monitor_workers(self, worker_group: Any) -> Any:
            result = super()._monitor_workers(worker_group)
            if not result.failures:
                return result
            if _last_word(paths) is not None:
                return RunResult(state=WorkerState.SUCCEEDED)
            note_failure(paths, described(result.failures))
            return result

    count = local_count(spec)
    os.environ.update(python.environment())
    # the agent's own handler would end the ranks: here the first one stops the run
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGQUIT"
    # a store that outlives the ranks would tell new ones the addresses of old ones
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    first, *arguments = python.command(_RANK, str(paths.directory))
    rendezvous = RendezvousParameters(
        backend="c10d", endpoint="localhost:0", run_id=paths.name, min_nodes=1, max_nodes=1,
        local_addr="localhost",
    )  # fmt: skip
    agent = Agent(
        WorkerSpec(
            role="rank", local_world_size=count, entrypoint=first, args=tuple(arguments),
            rdzv_handler=registry.get_rendezvous_handler(rendezvous),
            max_restarts=spec.max_restarts, monitor_interval=0.1,
        ),
        logs_specs=DefaultLogsSpecs(),
    )  # fmt: skip
    failures: Mapping[int, Any] = agent.run().failures
    return failures


def local_count(spec: RunSpec) -> int:
    """Return the number of ranks on this host: with `auto`, one for each GPU, or processor."""
    if spec.nproc is not None:
        return spec.nproc
    import torch

    return torch.cuda.device_count() or os.cpu_count() or 1


def described(failures: Mapping[int, Any]) -> str:
    """Return which rank failed first, on which host, and of what."""
    rank, first = min(failures.items(), key=lambda item: item[1].timestamp)
    signal_name = first.signal_name()
    what = f"ended by {signal_name}" if signal_name != "<N/A>" else f"failed: {_reason(first)}"
    return f"rank {rank} on {socket.gethostname()} {what}"


def _reason(failure: Any) -> str:
    """Return the last line of a failure's message, which its file or its exit code tells."""
    told = failure.message  # that of a file has the traceback beside it, which the log has, too
    text = told["message"] if isinstance(told, dict) else str(told)
    lines = text.strip().splitlines() or [f"exit code {failure.exitcode}"]
    return safe(lines[-1])


def note_failure(paths: RunPaths, failure: str) -> None:
    """Leave a note for the ranks that are started anew."""
    with suppress(OSError):
        write_atomically(paths.failed_rank, failure)


def _stop_on_signals(paths: RunPaths) -> None:
    def stop(number: int, _frame: object) -> None:
        inbox.put(paths.inbox, Request.new(Stop(signal.Signals(number).name)))

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _stop_without_owner(paths: RunPaths, pipe: int) -> None:
    """Stop the run once the other end of the pipe is closed: its owner never writes."""
    os.read(pipe, 1)
    inbox.put(paths.inbox, Request.new(Stop("the command that owned the run ended")))


def _last_word(paths: RunPaths) -> Event | None:
    return RunReader(paths.record).last_word()


def _record(paths: RunPaths, event: Event) -> None:
    writer = RunWriter(paths.record, answered=paths.answered)
    recorder = Recorder(writer)
    recorder.take(event)
    recorder.close()
    writer.close()


if __name__ == "__main__":
    run_to_end(lambda: main(sys.argv[1:]))
