"""One rank of a watched script: python -m tuitrain.watcher.rank RUN_DIRECTORY SCRIPT ARGS...

torch's elastic agent starts it, and says by the environment which one it is. The first one records
and decides. For a module, the arguments are RUN_DIRECTORY -m MODULE ARGS...
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from tuitrain.store.paths import RunPaths
from tuitrain.watcher import following, ranks, script
from tuitrain.watcher.frameworks import request_end
from tuitrain.watcher.session import AnySession, Session
from tuitrain.watcher.watch import Ending
from tuitrain.worker.rank import end_with_launcher


def main(argv: list[str]) -> int:
    """Run a script in this rank, and return its exit code."""
    directory, *command = argv
    end_with_launcher()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the launcher has the run stopped
    code = script.run_watched(command, _session(RunPaths(Path(directory))), failed=_tell)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends, and records it
    return code


def _session(paths: RunPaths) -> AnySession:
    if ranks.rank():
        return following.Session(paths.read_spec(), end=request_end)
    signal.signal(signal.SIGTERM, _end)
    lock = os.open(paths.lock, os.O_RDONLY)  # the launcher holds it; to see that it is there
    return Session(paths, lock, end=request_end, has_launcher=True)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise Ending(signal.Signals(number).name)


def _tell(error: BaseException) -> None:
    """Leave an error where the launcher looks for it."""
    handler = get_error_handler()
    handler.initialize()
    handler.record_exception(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
