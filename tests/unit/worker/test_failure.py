"""Messages for errors that end a trainer."""

import errno
import sqlite3

import pytest
import torch

from tuitrain.core.errors import DeviceAbsent
from tuitrain.worker.failure import OutOfMemory, failure_of, is_final, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate "
                     "memory: you tried to allocate 9 bytes"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: not "
                     "enough memory: you tried to allocate 9 bytes."),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB, other allocations: 1 KB)"),
        RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling "
                     "`cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY"),
        RuntimeError("NCCL error in: NCCLUtils.cpp, unhandled cuda error\nLast error:\n"
                     "Cuda failure 2 'out of memory'"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED: workspace size is insufficient"),
        RuntimeError("std::bad_alloc"),
    ],
)  # fmt: skip
def test_running_out_of_memory_is_recognised_on_host_and_device(error):
    assert is_out_of_memory(error)
    assert "out of memory before the first batch" in failure_of(error, "a").error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed "
                     "in a non-contiguous input."),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm(...)`"),
        ValueError("a name with out of memory in it"),
    ],
)  # fmt: skip
def test_another_fault_of_a_device_is_not_taken_for_it(error):
    assert not is_out_of_memory(error)


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
        assert is_final(error), "several ranks do not start anew on a full disk"


def test_an_error_of_ours_keeps_its_sentence_and_code():
    failure = failure_of(DeviceAbsent("no device"), "a")
    assert (failure.error, failure.exit_code) == ("no device", 3)


def test_another_error_is_named_in_its_first_line():
    assert failure_of(ValueError("bad\nworse"), "a").error == "ValueError: bad"
