"""One rank of a run: python -m tuitrain.worker.rank RUN_DIRECTORY

torch's elastic launcher starts it, by `tuitrain.worker.launch` or by torchrun, and says by the
environment which rank it is. The first one records and decides; the others need no run directory.
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
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tuitrain.core.ranks import rank_of
from tuitrain.record import process
from tuitrain.store.paths import RunPaths
from tuitrain.worker.__main__ import run_to_end, train

_ENDED = "tuitrain/ended"
"""Is set, in the launcher's store, once the first rank has recorded the end of the run."""
_TELLS_WITHIN = timedelta(seconds=20)
_LOOK_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Train the run together with the other ranks, and return the exit code."""
    end_with_launcher()
    paths = RunPaths(Path(argv[0]))
    if rank_of(os.environ):
        return _recorded(_follow)
    return _recorded(lambda: _lead(paths))


def _lead(paths: RunPaths) -> int:
    descriptor = os.open(paths.lock, os.O_RDONLY)  # held by the launcher; to see that it is there
    code = train(paths, descriptor, process.Ending(), in_ranks=True)
    with suppress(Exception):
        _store().set(_ENDED, "")
    return 0 if code is not None else 1


def _follow() -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the first rank stops the run
    from tuitrain.worker.following import follow

    with TemporaryDirectory(prefix="tuitrain-") as folder:
        try:
            follow(Path(folder))
        except BaseException:
            if not _has_ended():
                raise
    return 0


def end_with_launcher() -> None:
    """Let this process be killed when its launcher ends, however it does."""
    launcher = os.getppid()
    with suppress(OSError, AttributeError):  # at once, on Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == launcher:
            time.sleep(_LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def _recorded(act: Callable[[], int]) -> int:
    """Act, and leave an error where the launcher looks for it."""
    from torch.distributed.elastic.multiprocessing.errors import record

    return record(act)() or 0


def _has_ended() -> bool:
    """Return whether the first rank has recorded the end; waits a while for it to do so."""
    with suppress(Exception):
        _store().wait([_ENDED], _TELLS_WITHIN)
        return True
    return False


def _store() -> Any:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # it is documented

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=_TELLS_WITHIN)


if __name__ == "__main__":
    run_to_end(lambda: main(sys.argv[1:]))
