"""A trainer notices that its files were removed or replaced."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuitrain.core.errors import RunLocked
from tuitrain.record.files import Files, Lost
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths


@pytest.fixture
def files(run_paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """The files of a run that this process trains."""
    monkeypatch.setattr(lock, "_PATIENCE_S", 0.0)
    run_paths.record.touch()
    descriptor = lock.acquire(run_paths.lock)
    yield Files(run_paths, descriptor)
    os.close(descriptor)


def replaced(path: Path) -> None:
    path.rename(path.with_name("put-away"))
    path.touch()


def test_an_untouched_run_passes_the_check(files: Files):
    for _ in range(3):
        files.check()


def test_a_removed_lock_is_taken_again_for_the_last_word(run_paths: RunPaths, files: Files):
    run_paths.lock.unlink()
    lost = files.lost()
    assert lost is not None
    assert lost.may_record
    assert "lock was removed" in str(lost)
    with pytest.raises(RunLocked):
        lock.acquire(run_paths.lock)
    files.check()


def test_after_a_second_trainer_came_nothing_is_written(run_paths: RunPaths, files: Files):
    run_paths.lock.unlink()
    second = lock.acquire(run_paths.lock)
    for _ in range(2):
        with pytest.raises(Lost, match="lock was replaced") as caught:
            files.check()
        assert not caught.value.may_record
    os.close(second)
    assert files.lost(), "nor when that one has gone again"


@pytest.mark.parametrize("take_away", [Path.unlink, replaced])
def test_a_record_that_is_not_there_gets_no_last_word(run_paths: RunPaths, files: Files, take_away):
    take_away(run_paths.record)
    lost = files.lost()
    assert lost is not None
    assert not lost.may_record


def test_a_removed_directory_is_not_made_again(run_paths: RunPaths, files: Files):
    shutil.rmtree(run_paths.directory)
    lost = files.lost()
    assert lost is not None
    assert not lost.may_record
    assert not run_paths.directory.exists()


@pytest.mark.parametrize("is_copied_back", [False, True])
def test_a_moved_run_is_still_this_trainers(
    run_paths: RunPaths, files: Files, *, is_copied_back: bool
):
    moved = run_paths.directory.with_name("moved")
    run_paths.directory.rename(moved)
    if is_copied_back:
        shutil.copytree(moved, run_paths.directory)
    lost = files.lost()
    assert lost is not None
    assert lost.may_record
    assert "directory was moved" in str(lost)
    files.check()
