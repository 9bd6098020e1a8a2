"""Steps of a watched loop that are left out, since their loss or a gradient is not finite."""

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import nn

import tuitrain
from tuitrain.core.spec import RunSpec
from tuitrain.watcher.watched import Watched


def trained(model: nn.Module, batches: list[torch.Tensor], home: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tuitrain.watch("a", home=home, on_nonfinite="skip"):
        for batch in batches:
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()


@pytest.mark.parametrize("bad", [{2}, {1, 2, 4}])
def test_of_a_step_that_is_left_out_nothing_stays_in_batch_norms_statistics(bad, tmp_path):
    torch.manual_seed(0)
    batches = list(torch.randn(6, 8, 3))
    whole, without = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    without.load_state_dict(whole.state_dict())
    spoilt = [batch * math.nan if at in bad else batch for at, batch in enumerate(batches)]
    trained(whole, spoilt, tmp_path / "whole")
    trained(without, [batches[at] for at in range(6) if at not in bad], tmp_path / "without")
    for one, other in zip(whole.state_dict().values(), without.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_bad_number_in_a_sparse_gradient_leaves_the_step_out(tmp_path):
    model = nn.EmbeddingBag(4, 2, mode="sum", sparse=True)
    model.weight.register_hook(lambda gradient: gradient * math.inf)
    before = model.weight.detach().clone()
    trained(model, [torch.tensor([[0, 1]])] * 2, tmp_path)
    assert torch.equal(model.weight, before)


def test_after_going_back_the_statistics_before_a_bad_step_are_those_gone_back_to():
    model = nn.BatchNorm1d(3)
    spec = RunSpec(
        task="a", model="", loss="", optimizer="", lr=0.0, batch_size=0, epochs=0, seed=0,
        on_nonfinite="skip", watched=("a",),
    )  # fmt: skip
    loop = Watched(spec)
    loop.parts.meet(torch.optim.SGD(model.parameters()), model)
    state = copy.deepcopy(loop.state())
    model(torch.randn(8, 3))
    loop.buffers.keep(loop.parts.models)
    loop.restore(state)
    model(torch.full((8, 3), math.nan))
    loop.buffers.restore(loop.parts.models)
    assert torch.equal(model.running_var, torch.ones(3))


def test_a_buffer_that_grows_is_left_alone(tmp_path):
    class Growing(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.seen = torch.cat([self.seen, inputs.detach()])
            return super().forward(inputs)

    model = Growing(3, 1)
    model.register_buffer("seen", torch.zeros(1, 3))
    batches = list(torch.randn(4, 8, 3))
    batches[2] = batches[2] * math.nan
    trained(model, batches, tmp_path)
    assert model.seen.shape == (33, 3)
    assert model.weight.isfinite().all()
