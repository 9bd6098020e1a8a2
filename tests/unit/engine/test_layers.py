"""What is measured of each layer of a model: by hand, and for every way to write a ReLU."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.engine.test_loop import digits
from tuitrain.core.decode import decoded
from tuitrain.core.detail import Layers as Recorded
from tuitrain.core.events import Measured
from tuitrain.core.series import DEAD_UNITS
from tuitrain.engine.layers import Activity, Layers
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering


def first_step(run) -> Measured:
    return next(event for event in train(run, Steering(run)) if isinstance(event, Measured))


def test_each_layer_has_the_norms_of_its_own_weights():
    run = digits(model="mlp:hidden=16")
    first, last = run.model[1], run.model[3]
    before = [torch.cat([layer.weight.flatten(), layer.bias]).detach() for layer in (first, last)]
    measured = first_step(run)
    recorded = decoded(Recorded, run.newest_layers.detail().body).layers

    assert [layer.name for layer in recorded] == ["1 Linear", "3 Linear"]
    for layer, module, old in zip(recorded, (first, last), before, strict=True):
        new = torch.cat([module.weight.flatten(), module.bias]).detach()
        gradient = torch.cat([module.weight.grad.flatten(), module.bias.grad])
        assert layer.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-4)
        ratio = (new - old).norm() / old.norm()
        assert layer.update_ratio == pytest.approx(float(ratio), rel=1e-4)
    assert recorded[0].units == 16
    assert recorded[0].dead == pytest.approx(float(measured.values[DEAD_UNITS]))
    assert recorded[1].dead is None, "no ReLU is behind it"


class Own(nn.Module):
    """A layer of four units, the first of which are never above 0, and a ReLU behind it."""

    def __init__(self, layer: nn.Module, relu, dead: int = 0) -> None:
        super().__init__()
        self.layer, self.relu = layer, relu
        with torch.no_grad():
            layer.bias.fill_(100)
            layer.bias[:dead] = -100

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.layer(x))


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bias_of = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    @property
    def bias(self) -> torch.Tensor:
        return self.bias_of.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias_of(self.conv(x))


RELUS = {
    "module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "relu6": nn.ReLU6(),
    "function": functional.relu,
    "method": lambda x: x.relu(),
    "torch": torch.relu,
    "method in place": lambda x: x.relu_(),
}
LAYERS = {
    "linear": (lambda: nn.Linear(3, 4), (32, 3)),
    "a sequence": (lambda: nn.Linear(3, 4), (32, 5, 3)),
    "convolution": (lambda: nn.Conv1d(3, 4, 3), (32, 3, 9)),
    "batch norm": (Normed, (32, 3, 8, 8)),
}


def dead_of(model: nn.Module, *batches: torch.Tensor) -> dict[str, float]:
    """Return the share of dead units of each layer that has some activation behind it."""
    layers = Layers(model, list(model.parameters()))
    activity = Activity(layers)
    for batch in batches:
        if activity.mode is not None:
            with activity.mode:
                model(batch)
        else:
            model(batch)
    activity.close()
    return {layers.names[layer]: float(dead.mean()) for layer, dead in activity.dead.items()}


@pytest.mark.parametrize("relu", RELUS)
@pytest.mark.parametrize("layer", LAYERS)
def test_dead_units_are_found_behind_every_layer_and_every_relu(layer: str, relu: str):
    made, shape = LAYERS[layer]
    model = Own(made(), RELUS[relu], dead=3)
    (found,) = dead_of(model, torch.randn(shape)).values()
    assert found == 0.75


def test_a_unit_that_is_above_0_in_one_use_of_its_layer_lives():
    model = Own(nn.Linear(3, 4), nn.ReLU(), dead=1)
    with torch.no_grad():
        model.layer.weight.fill_(200)
    low, high = torch.full((32, 3), -1.0), torch.full((32, 3), 1.0)
    assert dead_of(model, low) == {"layer Linear": 1.0}
    assert dead_of(model, low, high, low) == {"layer Linear": 0.0}


def test_of_a_few_samples_nothing_is_said():
    assert dead_of(Own(nn.Linear(3, 4), nn.ReLU(), dead=3), torch.randn(8, 3)) == {}


def test_weights_of_any_dtype_have_a_norm():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double(), nn.Linear(2, 2).bfloat16())
    weights = list(model.parameters())
    expected = [float(weight.detach().double().norm()) for weight in weights]
    norms = Layers(model, weights).squares([weight.detach() for weight in weights]).sqrt()
    pairs = zip(expected[::2], expected[1::2], strict=True)
    assert norms.tolist() == pytest.approx([math.hypot(*pair) for pair in pairs], rel=1e-2)


def test_nothing_of_the_watching_stays_with_the_model():
    run = digits(model="mlp:hidden=16")
    first_step(run)
    assert not any(module._forward_hooks for module in run.model.modules())


def test_a_model_without_a_relu_has_layers_and_no_dead_units():
    run = digits(model="linear")
    assert DEAD_UNITS not in first_step(run).values
    (layer,) = decoded(Recorded, run.newest_layers.detail().body).layers
    assert layer.dead is None
