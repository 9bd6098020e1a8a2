"""The log of a run: what of it is kept, and how it is followed."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tuitrain.record.files import Files
from tuitrain.store import lock, output
from tuitrain.store.paths import RunPaths


@pytest.fixture
def log(run_paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(output, "LONGEST", 4000)
    monkeypatch.setattr(output, "KEPT", 2000)
    return run_paths.log


def printed(numbers: range) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


def test_a_long_log_keeps_its_newest_lines_while_others_append_to_it(
    run_paths: RunPaths, log: Path
):
    run_paths.record.touch()
    descriptor = lock.acquire(run_paths.lock)
    files = Files(run_paths, descriptor)
    trainers = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(trainers, printed(range(300)))
    files.look_after()
    assert log.read_bytes() == printed(range(300)), "it is short"

    os.write(trainers, printed(range(300, 600)))
    files.look_after()
    os.write(trainers, b"and on\n")
    first, *lines = log.read_bytes().splitlines(keepends=True)
    assert first == output.LEFT_OUT
    assert lines[-1] == b"and on\n"
    begin = int(lines[0].split()[1])
    assert b"".join(lines[:-1]) == printed(range(begin, 600))
    assert len(b"".join(lines)) <= 2100
    files.close()
    os.close(trainers)
    os.close(descriptor)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file be written beyond so many bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_log_that_cannot_be_written_anew_keeps_its_newest_lines(log: Path, size: int):
    log.write_bytes(printed(range(600)))
    with room_for(size):
        output.trim(log)
    assert log.read_bytes().endswith(printed(range(400, 600)))
    output.trim(log)
    assert log.stat().st_size <= 2100, "there is room again"
    assert log.read_bytes().endswith(printed(range(400, 600)))


def test_who_follows_a_log_that_is_trimmed_goes_on_with_what_comes_then(log: Path):
    log.write_bytes(printed(range(600)))
    with log.open() as followed:
        assert list(output.new_lines(followed))[-1] == "line 599\n"
        output.trim(log)
        assert list(output.new_lines(followed)) == []
        with log.open("a") as trainers:
            trainers.write("line 600\n")
        assert list(output.new_lines(followed)) == ["line 600\n"]


def test_a_run_without_a_log_of_its_own_has_none_to_trim(log: Path):
    output.trim(log)
    assert not log.exists()
