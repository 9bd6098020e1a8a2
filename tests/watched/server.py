"""Runs scripts in forks of a process that has loaded PyTorch, which saves each of them seconds.

python -m tests.watched.server: each line of its input is a request, each of its output the answer.
{"run": [ARGUMENTS...], "log": FILE} runs `python ARGUMENTS...`, `tuitrain ARGUMENTS...` if they
begin with watch, and answers with the pid; {"poll": PID} answers with the exit code, or null.
"""

import atexit
import gc
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

import psutil  # noqa: F401 - loaded once, for all that are forked
import sklearn.datasets  # noqa: F401 - loaded once, for all that are forked
import torch._dynamo
import torch.utils.data  # noqa: F401 - loaded once, for all that are forked

import tuitrain.watcher.session  # noqa: F401 - loaded once, for all that are forked
from tuitrain import cli
from tuitrain.watcher import __main__ as watcher


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        answer = _run(request) if "run" in request else _poll(request["poll"])
        print(json.dumps(answer), flush=True)


def _run(request: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        code = _in_child(request["run"], Path(request["log"]))
    except BaseException:  # noqa: BLE001 - as python prints it
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def _in_child(command: list[str], log: Path) -> int:
    os.setsid()
    with log.open("ab", 0) as file, Path(os.devnull).open() as nothing:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        os.dup2(nothing.fileno(), 0)
    sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
    if command[0] == "watch":
        os.execve = _become  # the interpreter is started already
        return cli.run(command)
    runpy.run_path(command[0], run_name="__main__")
    return 0


def _become(_file: str, line: list[str], _environment: dict[str, str]) -> None:
    """Become the watched script as a new interpreter would."""
    sys.path.pop(0)
    code = watcher.main(line[line.index("tuitrain.watcher") + 1 :])
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    main()
