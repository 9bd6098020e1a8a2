"""Two launchers on this machine, as two hosts that meet over loopback, train one run."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE_S, Shell, until
from tuitrain import connect


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


@contextmanager
def second_host(shell: Shell, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start the ranks of another host, with folders of its own: home, working and temporary."""
    (folder / "temporary").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tuitrain", "run", "digits", *options, "--node-rank", "1"]
    env = {
        **shell.env, "TUITRAIN_HOME": str(folder / "home"), "HOME": str(folder),
        "TMPDIR": str(folder / "temporary"),
    }  # fmt: skip
    with subprocess.Popen(
        command, env=env, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        yield process
        process.kill()


def test_two_hosts_train_one_run_and_the_second_one_may_be_lost(tuitrain: Shell, tmp_path: Path):
    hosts = ("--nnodes", "2", "--rdzv-endpoint", f"localhost:{free_port()}", "--rdzv-id", "both")
    with second_host(tuitrain, tmp_path / "b", *hosts) as second:
        tuitrain.start("a", *hosts, "--batch-size", "32", "--epochs", "40", "--pace", "60")
        run = connect("a", home=tuitrain.home)
        until(lambda: run.epoch >= 2, "it trains")
        assert len(run.show()["ranks"]) == len(tuitrain.show("a")["ranks"]) == 2
        for rank in psutil.Process(second.pid).children():
            rank.kill()
        until(lambda: "ended by SIGKILL" in str(tuitrain.show("a")["warnings"]), "it is named")
        until(lambda: run.state == "running", "all have started anew")
        second.kill()
        until(lambda: run.state == "starting", "it waits for the other host")
    assert any((tmp_path / "b" / "temporary").glob("tuitrain-*")), "what torch's agent wrote"
    with second_host(tuitrain, tmp_path / "b", *hosts) as second:
        until(lambda: run.state == "running", "it goes on")
        tuitrain("ctl", "a", "pace", "off")
        shown = tuitrain.ended("a")
        said, _ = second.communicate(timeout=PATIENCE_S)
    assert shown["state"] == "finished"
    assert shown["metrics"]["accuracy"] > 0.95
    assert any("lost its connection to another rank" in text for text in shown["warnings"])
    assert second.returncode == 0, said
    assert "tuitrain: the run has ended" in said.splitlines(), said
    assert not (tmp_path / "b" / "home").exists()
    assert not any((tmp_path / "b" / "temporary").glob("tuitrain-*"))


def test_a_stop_ends_the_wait_for_a_host_that_nobody_knows(tuitrain: Shell):
    hosts = ("--nnodes", "2", "--rdzv-endpoint", "nowhere.invalid:29400")
    tuitrain("run", "digits", *hosts, "--detach", "--name", "a")
    assert "2 hosts at nowhere.invalid:29400" in tuitrain("show", "a").stdout
    tuitrain("ctl", "a", "stop")
    assert tuitrain.ended("a")["state"] == "stopped"


@pytest.mark.parametrize(("options", "said"), [
    (("--nnodes", "2"), "--nnodes needs --rdzv-endpoint HOST:PORT"),
    (("--nnodes", "2", "--rdzv-endpoint", "a"), "takes HOST:PORT, with a port"),
    (("--nnodes", "2", "--rdzv-endpoint", "a:99999"), "with a port from 1 to 65535"),
    (("--rdzv-endpoint", "a:1"), "is for several hosts"),
    (("--node-rank", "1"), "from 0 to one less than --nnodes"),
])  # fmt: skip
def test_options_that_do_not_fit_together_are_refused(
    tuitrain: Shell, options: tuple[str, ...], said: str
):
    assert said in tuitrain.here("run", "digits", *options, code=2).stderr
    assert not (tuitrain.home / "runs").exists()
