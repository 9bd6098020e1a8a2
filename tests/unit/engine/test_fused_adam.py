"""A fused Adam takes its steps to the bit as PyTorch's own `step` does, without its Python."""

import pytest
import torch
from torch import nn
from torch.optim import Adam, AdamW

from tuitrain.engine.fused_adam import Steps


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def give_gradients(model: nn.Module, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def numbers_of(model: nn.Module, optimizer: Adam) -> list[torch.Tensor]:
    states = [value for state in optimizer.state.values() for value in state.values()]
    return [*model.parameters(), *states]


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_steps_are_pytorchs_own_through_changes_skips_and_a_restored_state(kind, monkeypatch):
    slow_steps = []
    monkeypatch.setattr(
        "tuitrain.engine.fused_adam.take_step",
        lambda optimizer: (slow_steps.append(number), optimizer.step()),
    )
    models = network(), network()
    optimizers = [kind(model.parameters(), lr=0.1, fused=True) for model in models]
    steps = Steps()
    for number in range(12):
        for model, optimizer in zip(models, optimizers, strict=True):
            give_gradients(model, number)
            if number == 3:
                optimizer.param_groups[0].update(lr=0.01, weight_decay=0.1, betas=(0.8, 0.9))
            if number == 5:
                optimizer.load_state_dict(optimizer.state_dict())
            if number >= 7:  # as on an accelerator; the second of these steps is skipped
                optimizer.found_inf = torch.tensor(float(number == 8))
            if number == 10:
                model[0].bias.grad = None
        optimizers[0].step()
        steps.take(optimizers[1])

    one, other = map(numbers_of, models, optimizers)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    assert slow_steps == [0, 10], "only before there is a state, and where a gradient is missing"


@pytest.mark.parametrize(
    "given", [{"amsgrad": True}, {"fused": False}, {"lr": torch.tensor(0.1)}], ids=str
)
def test_an_optimizer_of_another_kind_takes_its_own_step(given):
    models = network(), network()
    optimizers = [
        Adam(model.parameters(), **{"lr": 0.1, "fused": True, **given}) for model in models
    ]
    steps = Steps()
    for number in range(3):
        for model in models:
            give_gradients(model, number)
        optimizers[0].step()
        steps.take(optimizers[1])

    one, other = map(numbers_of, models, optimizers)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
