"""How many ranks there are, what they talk over, and the device of each."""

import os
import socket

import pytest
import torch
from torch import distributed

from tests.stand_ins import nvidia
from tuitrain.engine.ranks.group import device_of, joined
from tuitrain.worker.agent import local_count

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture
def rank(monkeypatch: pytest.MonkeyPatch) -> int:
    """The number on its host of this process, which is the only one of a run."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 2, "MASTER_PORT": port}
    for name, value in said.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    return said["LOCAL_RANK"]


@without_gpu
def test_of_gpus_each_rank_has_the_one_of_its_number_and_they_talk_over_nccl(rank: int):
    with nvidia(count=3):
        assert local_count(None) == 3
        assert [device_of(name) for name in ("auto", "cuda")] == [f"cuda:{rank}"] * 2
        assert device_of("cpu") == "cpu"
        with pytest.raises((RuntimeError, ValueError), match="NCCL"), joined(leads=True):
            pass  # it is asked for, and says that these are no GPUs


@without_gpu
def test_without_a_gpu_there_is_a_rank_for_each_processor_and_they_talk_over_gloo(rank: int):
    assert local_count(None) == os.cpu_count()
    assert local_count(5) == 5
    assert device_of("auto") == "cpu"
    with joined(leads=True):
        assert distributed.get_backend() == "gloo"
    assert not distributed.is_initialized()


def test_one_that_fails_leaves_the_others_when_it_ends_and_not_before_it_has_told_why(rank: int):
    with pytest.raises(ValueError, match="planted"), joined(leads=True):
        raise ValueError("planted")
    assert distributed.is_initialized()
    distributed.destroy_process_group()
