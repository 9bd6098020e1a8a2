"""Weights are the same under the names that wrappers give them."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tuitrain.engine.state.weights import weights_sha256, without_wrappers


def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def test_a_compiled_model_has_the_digest_of_the_model():
    plain = model()
    digest = weights_sha256(plain)
    assert weights_sha256(torch.compile(plain)) == digest
    plain[0] = torch.compile(plain[0])
    assert weights_sha256(plain) == digest


def test_a_model_in_ddp_has_the_digest_of_the_model(tmp_path):
    plain = model()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    try:
        wrapped = DistributedDataParallel(plain)
    finally:
        torch.distributed.destroy_process_group()
    assert next(iter(wrapped.state_dict())).startswith("module.")
    assert weights_sha256(wrapped) == weights_sha256(plain)


def test_a_part_that_is_named_like_a_wrapper_keeps_its_name():
    weights = {"module.weight": torch.ones(1), "head": torch.ones(1)}
    assert without_wrappers(weights) == weights
