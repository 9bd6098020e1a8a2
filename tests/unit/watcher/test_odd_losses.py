"""Losses as people propagate them: watched, that of a step is what was propagated."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.odd_loops import INPUTS, TARGETS, Loop, watched
from tests.versions import since


def propagated_in_many_ways() -> Loop:
    loop = Loop()
    one = torch.tensor(1.0)
    for way in range(5):
        loop.optimizer.zero_grad()
        first, second = loop.loss(), loop.model(INPUTS).square().mean()
        match way:
            case 0:
                torch.autograd.backward([first, second])
            case 1:
                torch.autograd.backward((first, second), (one, one))
            case 2:
                torch.autograd.backward([first + second], one)
            case 3:
                torch.autograd.backward(term for term in (first, second))
            case 4:
                (first + second).expand(4).backward(gradient=torch.full((4,), 0.25))
        loop.optimizer.step()
        loop.losses.append((first + second).item())
    return loop


def propagated_from_an_edge() -> Loop:
    """From a node of the graph, which has no value."""
    loop = Loop()
    for _ in range(3):
        edge = torch.autograd.graph.get_gradient_edge(loop.loss())
        torch.autograd.backward(edge, torch.tensor(1.0))
        loop.optimizer.step()
        loop.losses.append(math.nan)
    return loop


def scaled_in_many_ways() -> Loop:
    loop, scaler = Loop(), torch.amp.GradScaler("cpu")
    for way in range(5):
        loop.optimizer.zero_grad()
        first, second = loop.loss(), loop.model(INPUTS).square().mean()
        if way != 4:
            scaled = scaler.scale(first), scaler.scale(second)
        match way:
            case 0:
                scaled[0].backward()
                scaled[1].backward()
            case 1:
                (scaled[0] + scaled[1]).backward()
            case 2:
                torch.autograd.backward(scaled)
            case 3:
                torch.autograd.backward(scaler.scale([first, second]))
            case 4:
                scaler.scale(first + second).backward()
        scaler.step(loop.optimizer)
        scaler.update()
        loop.losses.append((first + second).item())
    return loop


def reduced_by_the_script() -> Loop:
    loop = Loop()
    for _ in range(4):
        losses = functional.cross_entropy(loop.model(INPUTS), TARGETS, reduction="none")
        loop.step((losses * torch.rand(96)).mean())
    return loop


def complex_numbers() -> Loop:
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4, dtype=torch.complex64))
    loop.optimizer = torch.optim.Adam(loop.model.parameters())
    for _ in range(4):
        outputs = loop.model(INPUTS.to(torch.complex64))
        loop.step(functional.l1_loss(outputs, torch.ones_like(outputs)))
    return loop


def distances_that_draw() -> Loop:
    loop = Loop()

    def distance(one: Tensor, other: Tensor) -> Tensor:
        return (loop.model(one) - loop.model(other)).norm(dim=1)  # it has a dropout

    for _ in range(4):
        shifted = INPUTS + 1
        loop.step(
            functional.triplet_margin_with_distance_loss(
                INPUTS, shifted, -INPUTS, distance_function=distance
            )
        )
    return loop


def gradients_of_samples() -> Loop:
    """Of torch.func, beside a step as usual."""
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.1)

    def loss(parameters: Any, one: Tensor, target: Tensor) -> Tensor:
        output = torch.func.functional_call(loop.model, parameters, (one[None],))
        return functional.cross_entropy(output, target[None])

    for _ in range(3):
        parameters = {name: one.detach() for name, one in loop.model.named_parameters()}
        for function in (loss, torch.func.grad(loss), torch.no_grad()(loss)):
            torch.func.vmap(function, (None, 0, 0))(parameters, INPUTS, TARGETS)
        loop.step(torch.vmap(functional.cross_entropy)(loop.model(INPUTS), TARGETS).mean())
    return loop


def traced_by_fx() -> Loop:
    loop = Loop()
    net = loop.model

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
            return functional.cross_entropy(self.net(inputs), targets)

    traced = torch.fx.symbolic_trace(Whole())
    assert len(list(traced.graph.nodes)) == 2 + len(net) + 2
    for _ in range(3):
        loop.step(traced(INPUTS, TARGETS))
    return loop


@pytest.mark.parametrize(
    "loop",
    [
        propagated_in_many_ways, scaled_in_many_ways,
        pytest.param(propagated_from_an_edge, marks=since(2, 7)),
        reduced_by_the_script, complex_numbers, distances_that_draw, gradients_of_samples,
        traced_by_fx,
    ],
)  # fmt: skip
def test_the_loss_of_a_step_is_what_was_propagated(tmp_path: Path, capfd, loop):
    watched(tmp_path, loop, capfd)


class Parts(nn.Module):
    """A criterion with outputs by name, and losses by name."""

    def forward(self, outputs: dict[str, Tensor], targets: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(outputs["logits"], targets)}


class Whole(Parts):
    def forward(self, outputs: dict[str, Tensor], targets: Tensor) -> Tensor:  # type: ignore[override]  # as scripts do
        return super().forward(outputs, targets)["loss"] * 2


@pytest.mark.parametrize("criterion", [Parts(), Whole()])
def test_a_criterion_of_outputs_and_losses_by_name_is_seen(tmp_path: Path, capfd, criterion):
    def loop() -> Loop:
        trained = Loop()
        for _ in range(3):
            loss = criterion({"logits": trained.model(INPUTS)}, TARGETS)
            trained.step(loss["loss"] if isinstance(loss, dict) else loss)
        return trained

    both = watched(
        tmp_path, loop, capfd, criterion=criterion, kind="multiclass",
        losses={"own": functional.cross_entropy},
    )  # fmt: skip
    assert both.run.show()["loss"] in ("its own loss", "criterion")
