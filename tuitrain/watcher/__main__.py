"""The process of a watched script: python -m tuitrain.watcher RUN_DIRECTORY LOCK_FD

Its arguments after that are SCRIPT ARGS..., or -m MODULE ARGS...
"""

from __future__ import annotations

import atexit
import signal
import sys
from pathlib import Path

from tuitrain.store.paths import RunPaths
from tuitrain.watcher import ranks, script
from tuitrain.watcher.frameworks import request_end
from tuitrain.watcher.session import HOOKED, Session, say
from tuitrain.watcher.watch import Ending


def main(argv: list[str]) -> int:
    """Run a script with hooks on PyTorch, and return its exit code."""
    directory, lock, *command = argv
    session = Session(RunPaths(Path(directory)), int(lock), end=request_end)
    is_alone = ranks.count() == 1  # else the other processes would wait for this one
    if is_alone:
        session.end_on_signal(signal.SIGTERM)
    outcome: list[BaseException | None] = [None]
    code = [0]
    atexit.register(lambda: session.close(outcome[0], code[0]))  # after what the script registers
    if is_alone:
        session.stop_before_first_step()
    session.start()
    say(f"{session.paths.name}: watching {' '.join(command)}; hooked: {HOOKED}")
    try:
        script.run(command)
    except Ending as error:
        outcome[0] = error
        if not session.watch.failure:
            say(f"{session.paths.name}: stopped at step {session.watch.loop.step:,}")
    except SystemExit as error:
        code[0] = _exit_code(error)
    except BaseException as error:  # noqa: BLE001 - it is printed as `python` prints it
        outcome[0], code[0] = error, 130 if isinstance(error, KeyboardInterrupt) else 1
        script.print_error(error)
    if session.watch.failure:  # a framework may have ended the script in its own way
        say(f"{session.paths.name}: {session.watch.failure}")
        code[0] = code[0] or 1
    return code[0]


def _exit_code(error: SystemExit) -> int:
    """Return the exit code that `python` ends with; prints a text as it does."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)  # noqa: T201 - as `python` does
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
