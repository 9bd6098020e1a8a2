"""The lock of a run among the files of its process and of that one's children."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuitrain.record.process import keep_lock


def is_open_in_a_child(descriptor: int) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def test_a_child_closes_the_lock_and_no_other_file_that_has_its_number_later(tmp_path: Path):
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    release = keep_lock(descriptor)
    assert not is_open_in_a_child(descriptor)
    release()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    assert other == descriptor, "the system gives the lowest free number"
    assert is_open_in_a_child(other)
    os.close(other)


CHILDREN = """
import signal, subprocess, sys
from multiprocessing import get_context

from tuitrain.record import process
from tuitrain.worker import rank

rank._go_on_after_signals() if sys.argv[1] == "rank" else process.Ending()
program = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
runs = get_context("fork").Event()
forked = get_context("fork").Process(target=lambda: (runs.set(), signal.pause()), daemon=True)
forked.start()
runs.wait()
for child in (program, forked):
    child.terminate()
forked.join(5)
signal.raise_signal(signal.SIGTERM)
program.stdin.close()
print(program.wait(30), forked.exitcode)
forked.kill()
"""


@pytest.mark.parametrize("of", ["rank", "trainer"])
def test_what_the_user_s_code_starts_ends_by_a_signal_that_the_trainer_outlives(of: str):
    child = subprocess.run(
        [sys.executable, "-c", CHILDREN, of], stdin=subprocess.PIPE, capture_output=True, text=True,
        check=False, timeout=100,
    )  # fmt: skip
    assert child.stdout == "-15 -15\n", child.stderr
