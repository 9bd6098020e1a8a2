"""Runs commands and scripts in forks of a process that has loaded PyTorch, which saves seconds.

python -P -m tests.forks_server PIPE: for each line of its input, a request, it prints the answer.
When the other end of the pipe is closed, all that it started is killed.
{"run": [ARGUMENTS...], "log": FILE} runs `python ARGUMENTS...`, `tuitrain ARGUMENTS...` if they
begin with watch or run, what they name if they begin with torchrun, whose ranks are forks, too, and
answers with the pid; {"poll": PID} answers with the exit code, or null. With "env" it has these
variables as well, and "folder" is where it works.
{"command": [ARGUMENTS...], "env": {...}, "folder": FOLDER, "out": FILE, "err": FILE} runs
`tuitrain ARGUMENTS...` to its end, whose trainers are forks, too, and answers with the exit code;
with "is_script", `python -W error ARGUMENTS...`.
"""

import atexit
import fcntl
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd  # noqa: F401 - loaded once, for all that are forked
import psutil  # noqa: F401 - loaded once, for all that are forked
import sklearn.compose
import sklearn.datasets  # noqa: F401 - loaded once, for all that are forked
import torch._dynamo  # which the first optimizer of a process loads, for seconds
import torch.distributed.run
import torch.utils.data
import torchvision  # noqa: F401 - loaded once, for all that are forked
from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

import tuitrain.watcher.session
import tuitrain.worker.torch_query
import tuitrain.worker.trainer  # noqa: F401 - loaded once, for all that are forked
from tuitrain import cli
from tuitrain.watcher import __main__ as watcher
from tuitrain.watcher import follow, launch
from tuitrain.worker import join

_MODULES = (
    "tuitrain.watcher.launch",
    "tuitrain.watcher.rank",
    "tuitrain.worker",
    "tuitrain.worker.join",
    "tuitrain.worker.launch",
    "tuitrain.worker.rank",
    "tuitrain.worker.torch_query",
)
"""Those that tuitrain starts as processes, and that import PyTorch."""
_BECOMES = {
    "tuitrain.watcher": watcher,
    "tuitrain.watcher.follow": follow,
    "tuitrain.watcher.launch": launch,
    "tuitrain.worker.join": join,
}
"""Those that a command becomes."""
_TESTS = int(sys.argv[1])
"""A pipe that is closed when the tests end."""


def main() -> None:
    subprocess_handler.Popen = Forked  # the ranks of torch's agent
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "command" in request:
            pid = _forked(lambda request=request: _command(**request))
            answer: int | None = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        elif "run" in request:
            answer = _forked(lambda request=request: _script(**request))
        else:
            answer = _poll(request["poll"])
        print(json.dumps(answer), flush=True)  # noqa: T201 - it is the answer


def _end_with_tests() -> None:
    """Let this process be killed when the tests end, even if they are killed; on Linux."""
    if hasattr(fcntl, "F_SETSIG"):
        pipe = os.open(f"/dev/fd/{_TESTS}", os.O_RDONLY)  # anew, with an owner of its own
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_ASYNC)


def _forked(run: Callable[[], int]) -> int:
    """Fork, have the child exit with what `run` returns, and return its pid."""
    pid = os.fork()
    if pid == 0:
        _end_with_tests()
        try:
            code = run()
        except BaseException:  # noqa: BLE001 - as python prints it
            traceback.print_exc()
            code = 1
        _exit(code)
    return pid


def _exit(code: int) -> NoReturn:
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _command(
    command: list[str], env: dict[str, str], folder: str, out: str, err: str, *, is_script: bool
) -> int:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    with (
        Path(os.devnull).open() as nothing,
        Path(out).open("wb") as stdout,
        Path(err).open("wb") as stderr,
    ):
        _connect(nothing.fileno(), stdout.fileno(), stderr.fileno())
    if is_script:
        warnings.simplefilter("error")
        sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
        runpy.run_path(command[0], run_name="__main__")
        return 0
    return _ours(command)


def _ours(command: list[str]) -> int:
    """Run `tuitrain COMMAND...` without starting PyTorch anew."""
    subprocess.Popen = Forked
    os.execve = _become
    return cli.run(command)


def _connect(*files: int) -> None:
    """Let the standard streams be these files."""
    for number, file in enumerate(files):
        if file != -1:
            os.dup2(file, number)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        setattr(sys, name, open(number, mode, buffering=1, closefd=False))  # noqa: SIM115 - it stays


class Forked(subprocess.Popen):
    """A process; if it is one of ours, a fork of this one instead of a new Python."""

    def _execute_child(self, args: Sequence[str], *how: Any) -> None:
        if not (command := _of_python(args)):
            super()._execute_child(args, *how)  # type: ignore[misc]  # of CPython alone
            return
        _, _, _, passed, _, env, _, _, _, *pipes = how[:15]
        stdin, _, _, stdout, _, stderr = pipes
        self.pid = os.fork()
        if self.pid == 0:
            _become_python(command, env, passed, (stdin, stdout, stderr))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # of CPython alone


def _of_python(args: Sequence[str]) -> list[str]:
    """Return the arguments of a Python that tuitrain or torchrun starts; of others, none."""
    first, *command = args
    is_ours = command[:2] == ["-P", "-m"] and command[2] in _MODULES
    return command[1:] if first == sys.executable and (is_ours or command[0] == "-u") else []


def _become_python(
    command: Sequence[str], env: Mapping[str, str], passed: Sequence[int], streams: Sequence[int]
) -> NoReturn:
    """Do in a fork what `python COMMAND...` does, with these standard streams."""
    weakref.finalize._registry.clear()  # its parent's temporary folders are not its own
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    torch.set_num_threads(int(env["OMP_NUM_THREADS"]))  # as PyTorch reads it when it is loaded
    _connect(*streams)
    for number in [int(file.name) for file in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in (*passed, _TESTS):
            with suppress(OSError):  # that of the folder itself is closed already
                os.close(number)
    _end_with_tests()
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):  # of its parent
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code: Any = 0
    try:
        code = _run(command)
    except SystemExit as error:
        code = error.code
    except Exception:  # noqa: BLE001 - as python prints it
        traceback.print_exc()
        code = 1
    _exit(code or 0)


def _run(command: Sequence[str]) -> int:
    """Run `python COMMAND...`, and return its exit code."""
    if command[:2] == ["-m", "tuitrain"]:
        return _ours([*command[2:]])
    is_module = command[0] == "-m"
    sys.argv = [*command[is_module:]]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


def _script(
    run: list[str], log: str, env: Mapping[str, str] | None = None, folder: str = "."
) -> int:
    command = run
    os.setsid()
    os.chdir(folder)
    os.environ.update(env or {})
    tempfile.tempdir = None  # that of its own variables
    with Path(log).open("ab", 0) as file, Path(os.devnull).open() as nothing:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        os.dup2(nothing.fileno(), 0)
    sys.argv = command
    if command[0] in ("watch", "run"):
        return _ours(command)
    if command[0] == "torchrun":
        torch.distributed.run.main(command[1:])
        return 0
    return _run(command)


def _become(_file: str, line: list[str], _environment: dict[str, str]) -> NoReturn:
    """Become what a new interpreter would: this one is started already."""
    sys.path.pop(0)
    module, *arguments = line[line.index("-m") + 1 :]
    _exit(_BECOMES[module].main(arguments))


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    main()
