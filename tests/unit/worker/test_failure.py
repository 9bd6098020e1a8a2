"""What a user is told when a trainer ends by an error."""

import pytest
import torch

from tuitrain.core.errors import DeviceAbsent
from tuitrain.core.spec import RunSpec
from tuitrain.store.paths import RunPaths
from tuitrain.supervisor import write_spec
from tuitrain.worker.__main__ import failure_of


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate "
                     "memory: you tried to allocate 9 bytes"),
    ],
)  # fmt: skip
def test_out_of_memory_is_one_sentence_that_offers_a_smaller_batch(run_paths: RunPaths, error):
    write_spec(run_paths, RunSpec.of("digits", batch_size=512))
    failure = failure_of(error, run_paths)

    assert failure.exit_code == 1
    assert "out of memory with batches of 512; its checkpoints are kept" in failure.error
    assert "--init-from a --batch-size 256" in failure.error


def test_an_error_of_ours_keeps_its_sentence_and_code(run_paths: RunPaths):
    failure = failure_of(DeviceAbsent("no device"), run_paths)
    assert (failure.error, failure.exit_code) == ("no device", 3)


def test_another_error_is_named_in_its_first_line(run_paths: RunPaths):
    failure = failure_of(ValueError("bad\nworse"), run_paths)
    assert failure.error == "ValueError: bad"
