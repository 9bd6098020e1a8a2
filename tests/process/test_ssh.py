"""A run on another machine: started, lost, shown, steered and stopped over a real sshd."""

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.conftest import PROJECT, Shell, until
from tests.process.conftest import Terminal

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
_SEPARATION = Path("/run/sshd")

pytestmark = pytest.mark.skipif(
    not (SSHD and shutil.which("ssh") and shutil.which("ssh-keygen")), reason="OpenSSH is missing"
)


class Host:
    """An sshd on the loopback that lets this user in, and what runs below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("host", "user"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(key, check=True)
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self._port = free.getsockname()[1]
        (folder / "config").write_text(
            f"Port {self._port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        )
        assert SSHD is not None
        self._log = (folder / "log").open("w+")
        command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
        self._sshd = subprocess.Popen(command, stderr=self._log)
        until(self._answers, "sshd listens", self.log)

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def _answers(self) -> bool:
        if self._sshd.poll() is not None:
            pytest.skip(f"sshd does not start here: {self.log()}")
        return "Server listening" in self.log()

    def ssh(self, *options: str) -> list[str]:
        """Return the command that opens a connection."""
        settings = (
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes",
            "BatchMode=yes", "LogLevel=ERROR",
        )  # fmt: skip
        return [
            "ssh", "-F", "none", "-i", str(self._folder / "user"), "-p", str(self._port),
            *(word for setting in settings for word in ("-o", setting)),
            *options, f"{getpass.getuser()}@127.0.0.1",
        ]  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """Return what runs in the sessions of all connections, the sessions' sshd first."""
        return psutil.Process(self._sshd.pid).children(recursive=True)

    def close(self) -> None:
        for process in self.processes():
            process.kill()
        self._sshd.kill()
        self._sshd.wait()
        self._log.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    if os.getuid() == 0 and not _SEPARATION.is_dir():
        try:
            _SEPARATION.mkdir(mode=0o755, parents=True)
        except OSError as error:
            pytest.skip(f"sshd needs a folder that cannot be made: {error}")
    found = Host(tmp_path)
    try:
        done = subprocess.run(
            [*found.ssh(), "true"], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            pytest.skip(f"sshd lets nobody in here: {done.stderr}{found.log()}")
        yield found
    finally:
        found.close()


class Remote:
    """`tuitrain` as a user types it on the other machine, and their terminals here."""

    def __init__(self, host: Host, home: Path) -> None:
        self.host = host
        self.shell = Shell(home)
        self.opened: list[Terminal] = []
        names = ("TUITRAIN_HOME", "OMP_NUM_THREADS")
        env = [f"{name}={self.shell.env[name]}" for name in names]
        self._tuitrain = ["env", "-C", str(PROJECT), *env, sys.executable, "-m", "tuitrain"]

    def __call__(self, *arguments: str) -> str:
        """Run a command that needs no terminal."""
        done = subprocess.run(
            [*self.host.ssh("-T"), shlex.join([*self._tuitrain, *arguments])],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def open(self, *arguments: str) -> Terminal:
        command = shlex.join([*self._tuitrain, *arguments])
        self.opened.append(Terminal(self.shell, command, program=self.host.ssh("-tt")))
        return self.opened[-1]


@pytest.fixture
def remote(host: Host, home: Path) -> Iterator[Remote]:
    found = Remote(host, home)
    yield found
    for terminal in found.opened:
        terminal.kill()


def signalled(number: signal.Signals) -> Callable[[Terminal, psutil.Process], None]:
    return lambda client, session: os.kill(client.pid, number)


def stopped_and_terminated(client: Terminal, session: psutil.Process) -> None:
    """A machine that fell asleep, and an sshd that gave it up."""
    os.kill(client.pid, signal.SIGSTOP)
    session.terminate()


LOSSES: dict[str, Callable[[Terminal, psutil.Process], None]] = {
    "the client is killed": signalled(signal.SIGKILL),
    "the client hangs up": signalled(signal.SIGHUP),
    "the client is terminated": signalled(signal.SIGTERM),
    "the session's sshd is killed": lambda client, session: session.kill(),
    "the escape": lambda client, session: client.press("~."),
    "the client sleeps and is given up": stopped_and_terminated,
}


def test_a_run_outlives_six_lost_connections_and_is_attached_steered_and_stopped_over_ssh(
    remote: Remote,
):
    client = remote.open("run", "digits", "--epochs", "100000", "--name", "a", "--paused")
    client.expect("● paused")
    for name, lose in LOSSES.items():
        step = goes_on_without(remote, client, name, lose)
        client = remote.open("attach", "a")
        client.expect("● paused")
        client.expect(f"paused at step {step}")
    is_steered_and_stopped(remote, client)


def goes_on_without(
    remote: Remote, client: Terminal, name: str, lose: Callable[[Terminal, psutil.Process], None]
) -> int:
    """Lose the connection, see that only the run is left, and return the step that it does next."""
    trainer = remote.shell.show("a")["pid"]
    session, *others = (item for item in remote.host.processes() if item.pid != trainer)
    assert any(process.name().startswith("python") for process in others), "the app is there"

    lose(client, session)

    until(lambda: not any(map(_goes_on, [session, *others])), f"the app has ended after {name}")
    step = int(remote.shell.show("a")["step"]) + 1
    remote.shell("ctl", "a", "step")
    wanted = {"pid": trainer, "state": "paused", "step": step}
    until(lambda: wanted.items() <= remote.shell.show("a").items(), f"it trains after {name}")
    return step


def _goes_on(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_steered_and_stopped(remote: Remote, screen: Terminal) -> None:
    remote("ctl", "a", "lr", "0.01", "--wait")
    assert remote.shell.show("a")["lr"] == 0.01

    screen.expect("lr 0.001 → 0.01")
    screen.press(" ")
    screen.expect("● running")
    assert remote.shell.show("a")["state"] == "running"

    remote("ctl", "a", "stop")
    screen.expect("● stopped")
    assert remote.shell.show("a")["state"] == "stopped"
    screen.press("q")
    until(screen.has_ended, "the app and the connection have ended")
    assert screen.status == 0
