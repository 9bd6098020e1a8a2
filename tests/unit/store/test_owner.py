"""A signal reaches the recorded trainer, never another process that reuses its pid."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import until
from tuitrain.connection.client import Client
from tuitrain.connection.silence import why_silent
from tuitrain.store import lock
from tuitrain.store.owner import is_stopped, process_of
from tuitrain.store.paths import RunPaths
from tuitrain.trainer import supervisor

SIGN = """
import json, sys
from tuitrain.store.owner import this_process
open(sys.argv[1], "w").write(json.dumps(this_process()))
print("signed", flush=True)
input()
"""


@pytest.fixture
def trainer(run_paths: RunPaths) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is the owner of the run and holds its lock."""
    descriptor = lock.acquire(run_paths.lock)
    command = [sys.executable, "-c", SIGN, str(run_paths.owner)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor]
    ) as process:
        os.close(descriptor)
        assert process.stdout is not None
        assert process.stdout.readline() == b"signed\n"
        yield process
        process.kill()


def test_the_process_on_record_is_ended(run_paths: RunPaths, trainer: subprocess.Popen[bytes]):
    supervisor.kill(run_paths)
    assert trainer.wait() == -signal.SIGKILL
    assert process_of(run_paths.owner) is None


@pytest.mark.parametrize(
    ("field", "other"), [("booted", "another boot"), ("started", 1), ("pid", 1)]
)
def test_a_process_of_another_boot_start_or_pid_is_left_alone(
    run_paths: RunPaths, trainer: subprocess.Popen[bytes], field: str, other: object
):
    owner = json.loads(run_paths.owner.read_text())
    run_paths.owner.write_text(json.dumps({**owner, field: other}))

    supervisor.kill(run_paths)

    assert process_of(run_paths.owner) is None
    assert lock.is_held(run_paths.lock)
    assert trainer.poll() is None


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"pid": "x"}', '{"pid": -1}', "[" * 9999]
)
def test_a_malformed_owner_file_names_no_process(tmp_path: Path, text: str):
    (tmp_path / "owner.json").write_text(text)
    assert process_of(tmp_path / "owner.json") is None


def test_a_suspended_trainer_is_distinguished_from_a_busy_one(
    run_paths: RunPaths, trainer: subprocess.Popen[bytes]
):
    client = Client(run_paths.directory)
    process = process_of(run_paths.owner)
    assert process is not None
    assert "busy or hangs" in why_silent(client, "running")
    assert why_silent(client, "starting").endswith("what was asked for is done then")
    trainer.send_signal(signal.SIGSTOP)
    until(lambda: is_stopped(process), "it is stopped")
    assert f"kill -CONT {trainer.pid} wakes it" in why_silent(client, "running")
