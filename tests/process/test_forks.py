"""The processes that tests start end with the tests."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import PROJECT, until

TESTS = """
import json, os, sys
from tests.forks import Forks

home, script = sys.argv[1:]
env = {**os.environ, "TUITRAIN_HOME": home}
forks = Forks(env)
forks.command(["run", "digits", "--detach", "--paused", "--name", "a"], env)
pid = forks.submit(run=[script], log=os.devnull)
print(pid, json.load(open(home + "/runs/a/owner.json"))["pid"], flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they go on")
def test_scripts_and_trainers_end_with_tests_that_are_killed(tmp_path: Path):
    (tmp_path / "waits.py").write_text("import signal\nsignal.pause()\n")
    command = [sys.executable, "-c", TESTS, str(tmp_path / "home"), str(tmp_path / "waits.py")]
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tests:
        assert tests.stdout is not None
        started = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
        assert len(started) == 2
        tests.kill()
    until(lambda: not any(map(_is_alive, started)), "they have ended")


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
