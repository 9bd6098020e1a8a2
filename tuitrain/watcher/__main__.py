"""The process of a watched script: python -m tuitrain.watcher RUN_DIRECTORY LOCK_FD

Its arguments after that are SCRIPT ARGS..., or -m MODULE ARGS...
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tuitrain.store.paths import RunPaths
from tuitrain.watcher import ranks, script
from tuitrain.watcher.frameworks import request_end
from tuitrain.watcher.session import Session


def main(argv: list[str]) -> int:
    """Run a script with hooks on PyTorch, and return its exit code."""
    directory, lock, *command = argv
    session = Session(RunPaths(Path(directory)), int(lock), end=request_end)
    if ranks.count() == 1:  # else the others would wait for this one
        session.end_on_signal(signal.SIGTERM)
        session.stop_before_first_step()
    return script.run_watched(command, session)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
