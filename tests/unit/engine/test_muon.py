"""Muon for matrices and AdamW for the rest, as one optimizer."""

import copy

import pytest
import torch
from torch import nn

from tests.unit.engine.test_steering import of, trained
from tests.versions import MUON
from tuitrain.catalog import new_spec
from tuitrain.core.errors import Refused
from tuitrain.core.events import EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.muon import MuonAdamW, hidden_matrices
from tuitrain.engine.optim import build_optimizer


def muon(network: nn.Module, lr: float) -> MuonAdamW:
    return MuonAdamW(network.parameters(), lr, matrices=hidden_matrices(network))


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))


def stepped(network: nn.Module, *optimizers: torch.optim.Optimizer, steps: int = 3) -> list:
    torch.manual_seed(1)
    for _ in range(steps):
        network.zero_grad()
        network(torch.randn(8, 4)).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    return [weight.detach().clone() for weight in network.parameters()]


def equal(some: list, others: list) -> bool:
    return all(map(torch.equal, some, others))


@MUON
def test_it_steps_as_pytorchs_two_do():
    first, second = model(), model()
    matrices = [second[0].weight, second[2].weight]
    others = [second[0].bias, second[2].bias, second[4].weight, second[4].bias]
    both = (
        torch.optim.Muon(matrices, lr=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.01, weight_decay=0.1),
    )
    assert equal(stepped(first, muon(first, 0.01)), stepped(second, *both))


@MUON
def test_its_state_and_its_rate_are_those_of_both():
    first = model()
    optimizer = muon(first, 0.01)
    stepped(first, optimizer)
    second = copy.deepcopy(first)
    other = muon(second, 0.5)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    third, copied = copy.deepcopy((first, optimizer))
    for one in (optimizer, other, copied):
        for group in one.param_groups:
            group["lr"] = 0.002
    now = stepped(first, optimizer)

    assert equal(now, stepped(second, other))
    assert equal(now, stepped(third, copied))


def test_it_takes_linear_layers_but_the_last_and_no_tables():
    network = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5), nn.LSTM(5, 5), nn.Linear(5, 2))
    assert [id(weight) for weight in hidden_matrices(network)] == [id(network[1].weight)]
    tied = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9), nn.Linear(9, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(ValueError, match="the model has none"):
        hidden_matrices(tied)


@pytest.mark.parametrize("network", [nn.Linear(3, 2), nn.Sequential(nn.Conv2d(1, 2, 3))])
def test_without_a_hidden_matrix_it_is_refused(network):
    with pytest.raises(Refused, match="muon: it is for linear layers before the last"):
        build_optimizer("muon", network, 0.1, torch.device("cpu"))


def test_an_older_pytorch_is_named_by_its_version(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(ValueError, match=r"it needs PyTorch 2\.9 or newer, and this is"):
        muon(model(), 0.1)


@MUON
def test_it_learns_the_digits_at_the_usual_rate():
    run = build(new_spec("digits", optimizer="muon", epochs=5))
    assert of(trained(run), EpochEnded)[-1].metrics["accuracy"] > 0.9
