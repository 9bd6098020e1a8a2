"""One rank of a run: python -m tuitrain.worker.rank [RUN_DIRECTORY]

torch's elastic agent starts it, and says by the environment which process of which host it is. The
first one of the host that has the run directory records and decides.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tuitrain.core import cublas
from tuitrain.core.safe import safe
from tuitrain.record import process
from tuitrain.store.paths import RunPaths
from tuitrain.worker.__main__ import run_to_end, train
from tuitrain.worker.agent import LAUNCHER
from tuitrain.worker.failure import is_of_another_rank

_LOOK_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Train the run together with the other ranks, and return the exit code."""
    cublas.repeat()
    end_with_launcher()
    leads = bool(argv) and os.environ.get("LOCAL_RANK", "0") == "0"
    return with_error_file(lambda: _lead(RunPaths(Path(argv[0]))) if leads else follow_first())


def _lead(paths: RunPaths) -> int:
    _go_on_after_signals()
    lock = os.open(paths.lock, os.O_RDONLY)  # the launcher holds it; to see that it is there
    train(paths, lock, lambda: None, in_ranks=True)
    return 0  # what is on record is no reason to start anew


def follow_first() -> int:
    """Train what the first rank does, and return the exit code."""
    _go_on_after_signals()
    from tuitrain.worker.following import follow

    follow()
    return 0


def _go_on_after_signals() -> None:
    """Train on after a signal: it has the launcher stop the run, by a request to the first rank.

    So that torch's agent, which sends one where another rank has failed, does not stop it.
    """
    process.handle(lambda *_: None, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_with_launcher() -> None:
    """Let this process be killed when its launcher ends, however it does, or if it has ended."""
    launcher = int(os.environ.pop(LAUNCHER, os.getppid()))
    with suppress(OSError, AttributeError):  # at once, on Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == launcher:
            time.sleep(_LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def with_error_file(act: Callable[[], int]) -> int:
    """Act, and leave an error where the launcher looks for it."""
    from torch.distributed.elastic.multiprocessing.errors import record

    try:
        return record(act)() or 0
    except Exception as error:
        if not is_of_another_rank(str(error)):
            raise
        from torch import distributed

        # what happened there is told by its launcher; of this one no traceback says more
        is_in_group = distributed.is_initialized()  # where the ranks count from the first host
        number = distributed.get_rank() if is_in_group else os.environ.get("RANK", "?")
        sys.stderr.write(f"tuitrain: rank {number}: {safe(error)}\n")
        return 1


if __name__ == "__main__":
    run_to_end(lambda: main(sys.argv[1:]))
