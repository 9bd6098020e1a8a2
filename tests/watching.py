"""Scripts of tests/watched, run with and without watching."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, Shell, until
from tests.forks import Forks
from tuitrain import Run, connect
from tuitrain.core.events import EpochEnded, RunStarted

SCRIPTS = PROJECT / "tests" / "watched"


Server = Forks


@dataclass
class Script:
    """A script that runs, or ran."""

    server: Server
    pid: int
    folder: Path
    rank: int = 0

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
    def steps(self) -> list[dict[str, Any]]:
        """What it, as one of several ranks, wrote of each step."""
        lines = (self.folder / f"report-{self.rank}").read_text().splitlines()
        return [json.loads(line) for line in lines]

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
        folder = self._new_folder()
        line = [str(SCRIPTS / f"{script}.py"), str(folder / "report"), *arguments]
        return Script(self.server, self.server.submit(run=line, log=str(folder / "log")), folder)

    def watch(
        self, name: str, script: str, *arguments: str, options: tuple[str, ...] = ()
    ) -> Script:
        """Start it as `tuitrain watch --plain OPTIONS script.py` does."""
        folder = self._new_folder()
        line = [
            "watch", "--plain", "--home", str(self.shell.home), "--name", name, *options,
            str(SCRIPTS / f"{script}.py"), str(folder / "report"), *arguments,
        ]  # fmt: skip
        return Script(self.server, self.server.submit(run=line, log=str(folder / "log")), folder)

    def start_ranks(self, *arguments: str, count: int = 2) -> list[Script]:
        """Start distributed.py as `torchrun --nproc-per-node COUNT` does."""
        return self._ranks([str(SCRIPTS / "distributed.py")], arguments, count)

    def watch_ranks(
        self, name: str, *arguments: str, options: tuple[str, ...] = (), count: int = 2
    ) -> list[Script]:
        """Start it as `torchrun ... -m tuitrain watch OPTIONS distributed.py` does."""
        line = [
            "watch", "--plain", "--home", str(self.shell.home), "--name", name, *options,
            str(SCRIPTS / "distributed.py"),
        ]  # fmt: skip
        return self._ranks(line, arguments, count)

    def _ranks(self, line: list[str], arguments: tuple[str, ...], count: int) -> list[Script]:
        folder, port = self._new_folder(), free_port()
        ranks = []
        for rank in range(count):
            env = {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count),
                "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
            }  # fmt: skip
            run = [*line, str(folder / "report"), *arguments]
            pid = self.server.submit(run=run, log=str(folder / "log"), env=env)
            ranks.append(Script(self.server, pid, folder, rank))
        return ranks

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
