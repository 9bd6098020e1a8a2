"""What tests share: a home of their own, the command line as a user has it, patience."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tuitrain import supervisor
from tuitrain.client import Client
from tuitrain.store.paths import RunPaths, runs_in

PATIENCE_S = 60.0
PROJECT = Path(__file__).parents[1]

settings.register_profile("tuitrain", deadline=None)  # how long an example takes proves nothing
settings.load_profile("tuitrain")


def until(holds: Callable[[], Any], what: str = "it") -> Any:
    """Return the first true value of `holds`, or fail: a deadline, never a pause, decides."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.01)
    return pytest.fail(f"waited {PATIENCE_S:.0f} s in vain until {what}")


class Shell:
    """`tuitrain` as a user types it, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            **os.environ,
            "TUITRAIN_HOME": str(home),
            "TERM": "dumb",
            "OMP_NUM_THREADS": "1",
        }
        for name in ("NO_COLOR", "COLUMNS", "LINES"):  # a parallel pytest sets the size
            self.env.pop(name, None)

    def __call__(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "tuitrain", *arguments],
            capture_output=True, text=True, env=self.env, timeout=2 * PATIENCE_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if code is not None:
            assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def show(self, run: str) -> dict[str, Any]:
        return json.loads(self("show", run, "--json").stdout)

    def client(self, run: str) -> Client:
        return Client(self.home / "runs" / run)

    def start(self, name: str, *options: str) -> Client:
        """Start a detached run and return it when it trains or waits."""
        self("run", "digits", "--detach", "--name", name, *options)
        until(lambda: self.show(name)["state"] != "starting", f"{name} has started")
        return self.client(name)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which nothing goes on after the test."""
    folder = tmp_path / "home"
    yield folder
    for paths in runs_in(folder):
        supervisor.kill(paths)


@pytest.fixture
def tuitrain(home: Path) -> Shell:
    return Shell(home)


@pytest.fixture
def run_paths(tmp_path: Path) -> RunPaths:
    """An empty run directory."""
    paths = RunPaths(tmp_path / "runs" / "a")
    for folder in (paths.inbox, paths.checkpoints):
        folder.mkdir(parents=True)
    return paths
