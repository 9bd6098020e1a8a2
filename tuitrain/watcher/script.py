"""Run a user's script as `python` would: arguments, paths, `__main__`, output and exit code."""

from __future__ import annotations

import runpy
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import torch  # noqa: F401 - before the script's folder is searched for modules


def run(command: Sequence[str]) -> None:
    """Run `SCRIPT ARGS...` or `-m MODULE ARGS...`; raises whatever the script raises."""
    if command[0] == "-m":
        sys.argv = list(command[1:])
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        return
    script = Path(command[0])
    main = types.ModuleType("__main__")
    main.__file__ = str(script)
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.argv = list(command)
    sys.path.insert(0, str(script.resolve().parent))
    sys.modules["__main__"] = main
    with script.open("rb") as file:
        code = compile(file.read(), str(script), "exec", dont_inherit=True)
    exec(code, main.__dict__)  # noqa: S102 - the user named this script


def without_ours(error: BaseException) -> BaseException:
    """Return the error with a traceback that begins in the script, as `python` prints it."""
    here, trace = str(Path(__file__).parent), error.__traceback__
    while trace is not None and (
        trace.tb_frame.f_code.co_filename.startswith(here)
        or trace.tb_frame.f_code.co_filename == runpy.__file__
        or "frozen runpy" in trace.tb_frame.f_code.co_filename
    ):
        trace = trace.tb_next
    return error.with_traceback(trace)
