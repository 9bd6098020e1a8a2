"""A download in the trainer, through the real command line and a real https connection."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Shell, until
from tests.process.slow_server import SlowServer


@pytest.fixture
def server(tuitrain: Shell, tmp_path: Path) -> Iterator[SlowServer]:
    try:
        slow = SlowServer(tmp_path, "ossci-datasets.s3.amazonaws.com")
    except OSError:
        pytest.skip("there is no openssl to make a certificate with")
    tuitrain.env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), **slow.environment}
    yield slow
    slow.close()


def begun(tuitrain: Shell, server: SlowServer) -> None:
    """Let a detached run of mnist get some of its first file."""
    tuitrain("run", "mnist", "--detach", "--name", "a")
    server.send(8)
    until(lambda: server.asked, "the file is asked for")


def left_in_cache(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("way", ["stop", "SIGTERM"])
def test_a_download_ends_when_the_run_is_stopped_and_begins_anew_with_it(
    tuitrain: Shell, server: SlowServer, tmp_path: Path, way: str
):
    begun(tuitrain, server)
    run = tuitrain.client("a")
    if way == "SIGTERM":
        pid = tuitrain.show("a")["pid"]
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
    else:
        command = subprocess.Popen(
            [sys.executable, "-m", "tuitrain", "ctl", "a", "stop"], env=tuitrain.env,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    until(lambda: server.send(1) or not run.look(run.record.end()).alive, "its trainer has gone")
    if way == "stop":
        assert "stop: applied at step 0" in command.communicate()[0]

    assert tuitrain.show("a")["state"] == "stopped"
    assert left_in_cache(tmp_path) == []
    assert list(run.paths.inbox.iterdir()) == []
    if way == "stop":
        it_begins_anew(tuitrain, server)
        assert left_in_cache(tmp_path) == []


def it_begins_anew(tuitrain: Shell, server: SlowServer) -> None:
    asked = server.asked
    tuitrain("resume", "a", "--detach")
    # the server notices that the trainer before has gone when it sends it more
    until(lambda: server.send(1) or server.asked > asked, "it is downloaded again")
    server.close()
    until(lambda: tuitrain.show("a")["state"] == "failed", "the connection is cut")
    assert "was cut after" in tuitrain.show("a")["error"]


def test_a_file_with_another_digest_is_refused_and_its_progress_shown(
    threaded: Shell, server: SlowServer, tmp_path: Path
):
    tuitrain = threaded
    tuitrain.env |= server.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    server.chunks = 40
    server.send(server.chunks)
    failed = tuitrain("run", "mnist", "--plain", "--name", "a", code=1)

    assert "downloading train-images-idx3-ubyte.gz ... 100 %" in failed.stdout
    assert "its digest differs" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert left_in_cache(tmp_path) == []


def test_the_first_ctrl_c_ends_a_download(tuitrain: Shell, server: SlowServer):
    process = subprocess.Popen(
        [sys.executable, "-m", "tuitrain", "run", "mnist", "--plain", "--name", "a"],
        env=tuitrain.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    server.send(8)
    until(lambda: server.asked, "the file is asked for")
    process.send_signal(signal.SIGINT)
    until(lambda: server.send(1) or process.poll() is not None, "it has ended")

    assert process.returncode == 130
    assert tuitrain.show("a")["state"] == "stopped"
