"""What tests share: a home of their own, the command line as a user has it, patience."""

import gc
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from tests.forks import PATIENCE_S as PATIENCE_S
from tests.forks import PROJECT as PROJECT
from tests.forks import Forks
from tuitrain import cli
from tuitrain.connection.client import Client
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.trainer import supervisor

_ENDS_WITHIN_S = 20.0
_LONG = ("process", "tui")
"""Folders of tests that take seconds each."""
ASKING = ("devices", "export", "predict")
"""Commands that ask a process with PyTorch."""
PACED = ("--epochs", "5000", "--pace", "60")
"""A run that outlasts its test, and leaves the cores to others."""
STARTING = ("run", "watch", "resume", "replay", "fork", "--home")

# Nothing of what is imported is garbage, and little of what a test leaves: it is looked for seldom.
gc.set_threshold(20_000, 10, 10)

# Two cores have four of these processes: threads that wait for each other would spin.
os.environ["OMP_NUM_THREADS"] = "1"

# A background job of a shell ignores SIGINT, and one of nohup SIGHUP; programs that tests interrupt
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each of several processes begin with its share of the tests that take seconds.

    Each is given as many tests that follow each other; the short ones are left to be shared out at
    the end, when a process that has none left takes over some of another's.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if count > 1:
        long = [item for item in items if item.path.parent.name in _LONG]
        short = [item for item in items if item.path.parent.name not in _LONG]
        items[:] = [
            item
            for number in range(count)
            for tests in (long, short)
            for item in tests[number * len(tests) // count : (number + 1) * len(tests) // count]
        ]


def pytest_collection_finish() -> None:
    """Leave out of garbage collections what all tests share: they took a fifth of their time."""
    gc.freeze()


settings.register_profile(  # how long an example takes proves nothing; each run draws others
    "tuitrain", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tuitrain")


def until(holds: Callable[[], Any], what: str = "it", there: Callable[[], str] = str) -> Any:
    """Return the first true value of `holds`, or fail: a deadline, never a pause, decides.

    The failure ends with what is `there` instead.
    """
    began = time.monotonic()
    while (now := time.monotonic()) < began + PATIENCE_S:
        if found := holds():
            return found
        time.sleep(
            min(0.3, max(0.02, 2 * (time.monotonic() - now)))
        )  # what is waited for needs the cores
    return pytest.fail(f"waited {PATIENCE_S:.0f} s in vain until {what}\n{there()}")


class Library:
    """Runs that several tests look at: each is trained once for all processes of pytest."""

    def __init__(self, folder: Path, forks: Callable[[], Forks]) -> None:
        self._folder, self._forks = folder, forks

    def take(self, name: str, train: Callable[["Shell"], object]) -> Path:
        """Return a home in which `train` was called once, by whoever asked for it first."""
        home = self._folder / re.sub(r"[^\w.=-]", "_", name)
        with FileLock(f"{home}.lock"):
            if not (done := home / "done").exists():
                train(Shell(home, forks=self._forks))
                done.touch()
        return home


class Shell:
    """`tuitrain` as a user types it, in a home of its own."""

    def __init__(
        self, home: Path, library: Library | None = None, *,
        in_threads: bool = False, forks: Callable[[], Forks] | None = None,
    ) -> None:  # fmt: skip
        """`in_threads`: trainers are threads of this process, and commands run in it, too.

        `forks`: processes are forks of one that has loaded PyTorch.
        """
        self.home = home
        self.env = {
            **os.environ,
            "TUITRAIN_HOME": str(home),
            "TERM": "dumb",
            "OMP_NUM_THREADS": "1",
        }
        for name in ("NO_COLOR", "COLUMNS", "LINES"):  # a parallel pytest sets the size
            self.env.pop(name, None)
        self._library = library
        self._in_threads = in_threads
        self._forks = forks

    def __call__(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, unless it starts a trainer in one of its own."""
        first = arguments[0] if arguments else ""
        starts_trainer = first in STARTING and not self._in_threads
        needs_torch = first in ASKING and self._forks is not None
        way = self.process if starts_trainer or needs_torch else self.here
        return way(*arguments, code=code)

    def process(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own."""
        if self._forks is None:
            return self.anew(*arguments, code=code)
        return _checked(self._forks().command(arguments, self.env), code)

    def python(self, *script: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a script in a process of its own, without warnings, as if it were started there."""
        assert self._forks is not None
        alone = {key: value for key, value in self.env.items() if key != "PYTHONPATH"}
        return _checked(self._forks().command(script, alone, folder=folder, is_script=True), 0)

    def anew(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in a new Python, for what depends on its start."""
        done = subprocess.run(
            [sys.executable, "-m", "tuitrain", *arguments],
            capture_output=True, text=True, env=self.env, timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return _checked(done, code)

    def here(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, which saves starting Python."""
        out, err = io.StringIO(), io.StringIO()
        interrupt = signal.getsignal(signal.SIGINT)
        with (
            mock.patch.dict(os.environ, self.env, clear=True),
            mock.patch.object(sys, "stdin", io.StringIO()),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            found = cli.run(list(arguments))
        signal.signal(signal.SIGINT, interrupt)
        done = subprocess.CompletedProcess(arguments, found, out.getvalue(), err.getvalue())
        return _checked(done, code)

    def show(self, run: str) -> dict[str, Any]:
        return json.loads(self.here("show", run, "--json").stdout)

    def client(self, run: str) -> Client:
        return Client(self.home / "runs" / run)

    def start(self, name: str, *options: str) -> Client:
        """Start a detached run and return it when it trains or waits."""
        self("run", "digits", "--detach", "--name", name, *options)
        before = ("starting", "running") if "--paused" in options else ("starting",)
        until(lambda: self.show(name)["state"] not in before, f"{name} has started")
        return self.client(name)

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until no trainer trains the run, and return what became of it."""
        client = self.client(name)
        until(lambda: not client.look(client.record.end()).alive, f"{name} has ended")
        return self.show(name)

    def trained(self, name: str, *options: str) -> Client:
        """Put a run of digits into this home that was trained, once, with these options.

        Without any: two epochs with seed 1.
        """
        options = options or ("--seed", "1", "--epochs", "2")

        def train(shell: Shell) -> None:
            shell("run", "digits", *options, "--plain", "--name", name)

        return self.copy_of(f"{name} {' '.join(options)}", train, name)

    def halted(self, name: str) -> Client:
        """Put a run into this home that was stopped at step 60 of 276, in its third epoch.

        It waited at the steps 0 and 30, with checkpoints; its seed is 1.
        """

        def train(shell: Shell) -> None:
            shell.start(name, "--seed", "1", "--epochs", "12", "--paused")
            for command in (("step", "30"), ("step", "30"), ("stop",)):
                shell("ctl", name, *command)
            shell.ended(name)

        return self.copy_of(f"{name} halted", train, name)

    def copy_of(self, key: str, train: Callable[["Shell"], object], name: str) -> Client:
        """Put the run of that name into this home that `train` left in another, once."""
        assert self._library is not None
        home = self._library.take(key, train)
        shutil.copytree(home / "runs" / name, self.home / "runs" / name)
        return self.client(name)


def _checked(
    done: subprocess.CompletedProcess[str], code: int | None
) -> subprocess.CompletedProcess[str]:
    if code is not None:
        assert done.returncode == code, f"{done.args}: {done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    # threads that wait do not spin
    forks = Forks({**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"})
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Library:
    """The runs that all processes of this pytest share."""
    folder = tmp_path_factory.getbasetemp()
    return Library(
        folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder,
        lambda: request.getfixturevalue("forks"),
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which nothing goes on after the test."""
    folder = tmp_path / "home"
    yield folder
    deadline = time.monotonic() + _ENDS_WITHIN_S
    for paths in runs_in(folder):
        # a trainer that was started just now has not said yet who it is
        while lock.is_held(paths.lock) and time.monotonic() < deadline:
            supervisor.kill(paths)
            time.sleep(0.02)


@pytest.fixture
def of_forks(request: pytest.FixtureRequest) -> Callable[[], Forks]:
    """Return the process that commands and trainers are forks of; it starts with the first."""
    return lambda: request.getfixturevalue("forks")


@pytest.fixture
def tuitrain(home: Path, library: Library, of_forks: Callable[[], Forks]) -> Shell:
    """A shell whose processes are forks, but for those that `anew` starts."""
    return Shell(home, library, forks=of_forks)


@pytest.fixture
def threaded(
    home: Path, library: Library, of_forks: Callable[[], Forks], monkeypatch
) -> Iterator[Shell]:
    """A shell whose trainers are threads of this process, for what needs no other."""
    from tests.trainer_thread import in_place_of_processes  # torch, only where it is needed

    monkeypatch.setenv("TUITRAIN_HOME", str(home))
    threads = in_place_of_processes(monkeypatch)
    yield Shell(home, library, in_threads=True, forks=of_forks)
    threads.close()


@pytest.fixture
def run_paths(tmp_path: Path) -> RunPaths:
    """An empty run directory."""
    paths = RunPaths(tmp_path / "runs" / "a")
    for folder in (paths.inbox, paths.checkpoints):
        folder.mkdir(parents=True)
    return paths
