"""The lock of a run among the files of its process and of that one's children."""

import os
from pathlib import Path

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
