"""A process that has loaded PyTorch once, and runs commands and scripts in forks of itself."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
PATIENCE_S = 120.0
"""Long enough for a machine that others use; only what is broken waits so long."""


class Forks:
    """Starts commands and scripts in processes of their own, without starting PyTorch again.

    For what needs real processes, but no real start of them.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        """Start it with a pipe that is closed when this process ends, however it does."""
        alive, self._alive = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.forks_server", str(alive)], cwd=PROJECT, text=True,
            env={**self._env, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[alive],
        )  # fmt: skip
        os.close(alive)
        return process

    def submit(self, **request: Any) -> Any:
        """Return the answer to a request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            self._process.kill()
            self.close()
            self._process = self._start()  # for the tests that follow
            raise TimeoutError(f"{request} did not end")
        return json.loads(self._process.stdout.readline())

    def command(
        self, arguments: Sequence[str], env: Mapping[str, str], *,
        folder: Path | None = None, is_script: bool = False,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run `tuitrain ARGUMENTS...`, or `python -W error ARGUMENTS...`; return what it said."""
        with tempfile.TemporaryDirectory() as said:
            out, err = Path(said, "out"), Path(said, "err")
            code = self.submit(
                command=arguments, env=dict(env), folder=str(folder or Path.cwd()),
                out=str(out), err=str(err), is_script=is_script,
            )  # fmt: skip
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def close(self) -> None:
        self._process.communicate()
        os.close(self._alive)
