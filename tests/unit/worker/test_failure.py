"""What a user is told when a trainer ends by an error."""

import errno
import sqlite3

import pytest
import torch

from tuitrain.core.errors import DeviceAbsent
from tuitrain.worker.failure import OutOfMemory, failure_of, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate "
                     "memory: you tried to allocate 9 bytes"),
    ],
)  # fmt: skip
def test_running_out_of_memory_is_recognised_on_host_and_device(error):
    assert is_out_of_memory(error)
    assert "out of memory before the first batch" in failure_of(error, "a").error


def test_out_of_memory_with_a_batch_offers_half_of_it():
    failure = failure_of(OutOfMemory("a", 512), "a")
    assert failure.exit_code == 1
    assert "out of memory with batches of 512; its checkpoints are kept" in failure.error
    assert failure.error.endswith("tuitrain resume a --batch-size 256")
    assert "smaller model" in str(OutOfMemory("a", 1)), "there is no smaller batch"


def test_a_disk_without_room_says_what_to_do_next():
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    for error in (full, OSError(errno.ENOSPC, "No space left on device")):
        assert "make room, then: tuitrain resume a" in failure_of(error, "a").error


def test_an_error_of_ours_keeps_its_sentence_and_code():
    failure = failure_of(DeviceAbsent("no device"), "a")
    assert (failure.error, failure.exit_code) == ("no device", 3)


def test_another_error_is_named_in_its_first_line():
    assert failure_of(ValueError("bad\nworse"), "a").error == "ValueError: bad"
