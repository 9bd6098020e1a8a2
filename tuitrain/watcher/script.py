"""Run a user's script as `python` would: arguments, paths, `__main__`, output and exit code."""

from __future__ import annotations

import atexit
import builtins
import os
import runpy
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import torch  # noqa: F401 - before the script's folder is searched for modules

from tuitrain.watcher.session import AnySession
from tuitrain.watcher.watch import Ending

_OURS = str(Path(__file__).parent)
_RUNPY = (runpy.__file__, "<frozen runpy>")


def run_watched(
    command: Sequence[str],
    session: AnySession,
    failed: Callable[[BaseException], None] = lambda _: None,
) -> int:
    """Run `SCRIPT ARGS...` or `-m MODULE ARGS...` under watch, and return its exit code.

    `failed` is called with an error that the script raised.
    """
    outcome: list[BaseException | None] = [None]
    code = 0
    atexit.register(lambda: session.close(outcome[0]))  # after what the script registers
    session.start()
    session.greet(command)
    try:
        run(command)
    except Ending as error:
        outcome[0] = error
    except SystemExit as error:
        outcome[0], code = error, _exit_code(error)
    except BaseException as error:  # noqa: BLE001 - it is printed as `python` prints it
        outcome[0], code = error, 130 if isinstance(error, KeyboardInterrupt) else 1
        print_error(error)
        failed(error)
    return session.take_leave(outcome[0], code)


def _exit_code(error: SystemExit) -> int:
    """Return the exit code that `python` ends with; prints a text as it does."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    with suppress(Exception):  # the script may have closed it
        file = sys.__stderr__ if sys.stderr is None else sys.stderr
        print(error.code, file=file)
    return 1


def run(command: Sequence[str]) -> None:
    """Run `SCRIPT ARGS...` or `-m MODULE ARGS...`; raises whatever the script raises."""
    if command[0] == "-m":
        sys.argv = list(command[1:])
        sys.path.insert(0, str(Path.cwd()))
        _run_module(command[1])
        return
    script = Path(command[0])
    main = types.ModuleType("__main__")
    main.__file__ = os.path.abspath(script)  # noqa: PTH100 - as `python` does: links stay
    main.__builtins__ = builtins  # type: ignore[attr-defined]  # as `python` does
    sys.argv = list(command)
    sys.path.insert(0, str(script.resolve().parent))
    sys.modules["__main__"] = main
    with script.open("rb") as file:
        code = compile(file.read(), main.__file__, "exec", dont_inherit=True)
    exec(code, main.__dict__)  # noqa: S102 - the user named this script


def _run_module(name: str) -> None:
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except ImportError as error:
        if not _is_of_runpy(error):
            raise
        sys.exit(
            f"{sys.executable}: {error}"
        )  # what `python -m` says of a module that is not there


def _is_of_runpy(error: ImportError) -> bool:
    """Return whether `runpy` raised an error itself, and no line of the module's did."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename in _RUNPY


def print_error(error: BaseException) -> None:
    """Print an error as `python` would: by the script's own hook, and without our frames."""
    chain: BaseException | None = error
    seen: set[int] = set()
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))
        chain.__traceback__ = _without_ours(chain.__traceback__)
        chain = chain.__cause__ or chain.__context__
    sys.excepthook(type(error), error, error.__traceback__)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package, and of `runpy` before the script."""
    kept: list[TracebackType] = []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not (file.startswith(_OURS) or (not kept and file in _RUNPY)):
            kept.append(trace)
        trace = trace.tb_next
    for one in reversed(kept):
        line = -1 if one.tb_lineno is None else one.tb_lineno  # code that is of no line has none
        trace = TracebackType(trace, one.tb_frame, one.tb_lasti, line)
    return trace
