import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tuitrain.core.errors import NoSuchRun, RunLocked
from tuitrain.core.files import NotPlain
from tuitrain.store import lock

HOLD = """
import sys
from pathlib import Path
from tuitrain.store import lock
lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def descriptors():
    return {path.name for path in Path("/dev/fd").iterdir()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock until it is killed."""
    path.parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(lock, "_PATIENCE_S", 0.0)


def test_a_run_that_was_never_trained_is_not_held(tmp_path):
    assert not lock.is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_a_lock_is_held_as_long_as_another_process_lives(path, holder):
    assert lock.is_held(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not lock.is_held(path)


def test_a_killed_trainers_lock_is_free_for_the_next(path, holder, impatient):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    os.close(lock.acquire(path))


def test_a_run_that_is_being_trained_is_refused_by_its_name(path, holder, impatient):
    with pytest.raises(RunLocked, match="run is being trained already") as caught:
        lock.acquire(path)
    assert caught.value.exit_code == 3


def test_a_refusal_leaves_no_descriptor_open(path, holder, impatient):
    before = descriptors()
    with pytest.raises(RunLocked):
        lock.acquire(path)
    assert descriptors() == before


def test_a_probe_does_not_free_the_lock(path, holder):
    assert all(lock.is_held(path) for _ in range(100))


def test_a_probe_does_not_take_the_lock(path, impatient):
    path.parent.mkdir()
    os.close(lock.acquire(path))
    assert not any(lock.is_held(path) for _ in range(100))
    os.close(lock.acquire(path))


def test_a_starting_trainer_waits_for_the_probe_of_a_reader(path, monkeypatch):
    path.parent.mkdir()
    asking = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(asking, fcntl.LOCK_SH)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        os.close(asking)

    monkeypatch.setattr(lock.time, "sleep", wait)
    os.close(lock.acquire(path))
    assert len(waits) == 1


def test_a_lock_can_be_handed_to_a_child_who_then_holds_it_alone(path):
    path.parent.mkdir()
    descriptor = lock.acquire(path)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor]
    ) as child:
        os.close(descriptor)
        assert lock.is_held(path)
        child.kill()
        child.wait()
        assert not lock.is_held(path)


def test_a_program_that_a_trainer_starts_does_not_hold_its_lock(path):
    path.parent.mkdir()
    descriptor = lock.acquire(path)
    with subprocess.Popen(
        [sys.executable, "-c", "print(); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()  # it runs, so that what an exec closes is closed
        os.close(descriptor)
        assert not lock.is_held(path)
        child.kill()


def test_only_the_owner_may_touch_the_lock(path):
    path.parent.mkdir()
    os.close(lock.acquire(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_a_link_is_not_held_and_makes_no_file_elsewhere(path, tmp_path):
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    assert not lock.is_held(path)
    with pytest.raises(NotPlain, match="lock is a link"):
        lock.acquire(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_that_is_a_pipe_is_not_held_and_blocks_no_reader(path):
    path.parent.mkdir()
    os.mkfifo(path)
    assert not lock.is_held(path)
    with pytest.raises(NotPlain):
        lock.acquire(path)


def test_a_lock_got_just_when_its_run_was_deleted_is_none(path, monkeypatch):
    path.parent.mkdir()
    held = lock.acquire(path)

    def rename_away(_seconds):
        path.parent.rename(path.parent.with_name(".gone"))
        os.close(held)

    monkeypatch.setattr(lock.time, "sleep", rename_away)
    with pytest.raises(NoSuchRun, match="run has been deleted"):
        lock.acquire(path)
    assert not path.parent.exists()


def test_a_lock_is_never_a_standard_descriptor(path):
    path.parent.mkdir()
    script = "import sys; from pathlib import Path; from tuitrain.store import lock; "
    script += "sys.exit(lock.acquire(Path(sys.argv[1])))"
    shell = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable, script, str(path)], check=False)
    assert done.returncode > 2
