"""Scripts of tests/watched, run with and without watching."""

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, Shell, until
from tests.forks import Forks
from tuitrain import Run, connect
from tuitrain.core.events import EpochEnded, RunStarted

SCRIPTS = PROJECT / "tests" / "watched"


LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"}
"""The variable that lets ranks of one machine talk there."""
_TWO_RANKS = ("torchrun", "--nproc-per-node", "2")

Server = Forks


@dataclass
class Script:
    """A script that runs, or ran."""

    server: Server
    pid: int
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ended(self) -> int:
        """Wait for its end, and return its exit code."""
        codes: list[int] = []

        def has_ended() -> bool:
            code = self.server.submit(poll=self.pid)
            codes.extend([] if code is None else [code])
            return bool(codes)

        until(has_ended, "the script has ended", lambda: self.log)
        return codes[0]

    @property
    def steps(self) -> list[list[dict[str, Any]]]:
        """What each of its ranks wrote of each step."""
        reports = sorted(self.folder.glob("report-*"))
        return [[json.loads(line) for line in one.read_text().splitlines()] for one in reports]

    def report(self) -> dict[str, Any]:
        """Return what it wrote once it came to its end."""
        code = self.ended()
        assert code == 0, self.log
        return json.loads((self.folder / "report").read_text())


class Scripts:
    """Starts scripts of tests/watched, watched or not."""

    def __init__(self, server: Server, shell: Shell, folder: Path) -> None:
        self.server, self.shell, self._folder = server, shell, folder
        self._count = 0

    def start(self, script: str, *arguments: str) -> Script:
        """Start it as `python script.py` does; its first argument is the file of its report."""
        return self._reporting(script, arguments)

    def watch(
        self, name: str, script: str, *arguments: str, options: tuple[str, ...] = ()
    ) -> Script:
        """Start it as `tuitrain watch --plain OPTIONS script.py` does."""
        return self._reporting(script, arguments, *self._watch(name, *options))

    def start_ranks(self, *arguments: str) -> Script:
        """Start distributed.py as `torchrun --nproc-per-node 2` does."""
        return self._reporting("distributed", arguments, *_TWO_RANKS)

    def watch_ranks(self, name: str, *arguments: str, options: tuple[str, ...] = ()) -> Script:
        """Start it as `torchrun --nproc-per-node 2 -m tuitrain watch OPTIONS` does."""
        watch = "-m", "tuitrain", *self._watch(name, *options)
        return self._reporting("distributed", arguments, *_TWO_RANKS, *watch)

    def _reporting(self, script: str, arguments: Sequence[str], *before: str) -> Script:
        folder = self._new_folder()
        file, report = str(SCRIPTS / f"{script}.py"), str(folder / "report")
        return self.run(*before, file, report, *arguments, folder=folder)

    def run(self, *line: str, folder: Path | None = None) -> Script:
        """Start what the forks' server runs; `folder` is a new one, for its log."""
        folder = folder or self._new_folder()
        pid = self.server.submit(run=line, log=str(folder / "log"), env=LOOPBACK)
        return Script(self.server, pid, folder)

    def _watch(self, name: str, *options: str) -> tuple[str, ...]:
        return "watch", "--plain", "--home", str(self.shell.home), "--name", name, *options

    def run_of(self, name: str) -> Run:
        return connect(name, home=self.shell.home)

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self._folder / f"script-{self._count}"
        folder.mkdir()
        (folder / "log").touch()
        return folder


@dataclass
class Pair:
    """The same script without and with watching."""

    alone: dict[str, Any]
    watched: dict[str, Any]
    run: Run
    log: str

    @property
    def losses(self) -> list[float]:
        """The recorded loss of each step."""
        return [row.loss for row in self.run.batches()]

    @property
    def started(self) -> RunStarted:
        return next(one for one in self.run.events(follow=False) if isinstance(one, RunStarted))

    @property
    def note(self) -> str:
        """What was said to be watched."""
        return self.started.card.notes[0]

    @property
    def epochs(self) -> list[EpochEnded]:
        return [one for one in self.run.events(follow=False) if isinstance(one, EpochEnded)]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def pair(scripts: Scripts, script: str, *arguments: str) -> Pair:
    """Run a script both ways at the same time."""
    name = "-".join((script, *arguments)).replace("_", "-")
    alone, watched = scripts.start(script, *arguments), scripts.watch(name, script, *arguments)
    return Pair(alone.report(), watched.report(), scripts.run_of(name), watched.log)


@pytest.fixture(scope="session")
def server(forks: Forks) -> Forks:
    return forks
