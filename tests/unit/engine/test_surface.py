"""What a model says all over its one or two inputs, recorded without a change to its training."""

import copy

import pytest
import torch
from torch import nn

from tests.unit.engine.test_loop import digits
from tuitrain.catalog import new_spec
from tuitrain.core.decode import decoded
from tuitrain.core.detail import SURFACE, Surface
from tuitrain.core.events import Detail
from tuitrain.engine import validation_details
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state import rng
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.surface import ACROSS, POINTS, UP, has_surface, surface


class Noise(nn.Module):
    """Draws random numbers and counts its calls in a buffer, also in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, output):
        self.calls += 1
        return output + 0.1 * torch.randn_like(output)


def toy(task: str, **settings):
    torch.set_num_threads(1)
    return build(new_spec(task, device="cpu", **{"model": "mlp:hidden=16", **settings}))


def seen(run) -> Surface:
    inputs, target = run.data.val.inputs, run.data.val.targets
    with torch.no_grad():
        output = copy.deepcopy(run.model).eval()(inputs)
    return decoded(Surface, surface(run, inputs, output, target).body)


def test_of_two_inputs_every_point_of_a_grid_has_the_class_and_its_probability():
    run = toy("moons")
    found = seen(run)
    assert (len(found.levels), len(found.classes), len(found.levels[0])) == (UP, UP, 2 * ACROSS)
    (left, down), (right, up) = found.low, found.high
    for row, column in ((0, 0), (UP - 1, 5), (20, ACROSS - 1)):
        x = left + column / (ACROSS - 1) * (right - left)
        y = down + row / (UP - 1) * (up - down)
        chance = float(run.model(torch.tensor([[x, y]])).detach().sigmoid())
        assert bytes.fromhex(found.classes[row])[column] == (chance > 0.5)
        level = bytes.fromhex(found.levels[row])[column]
        assert level / 255 == pytest.approx(max(chance, 1 - chance), abs=0.003)


def test_of_one_input_the_curve_is_what_the_model_says_in_the_unit_of_the_target():
    run = toy("sine")
    found = seen(run)
    (curve,) = found.curves
    assert len(curve) == POINTS
    said = float(run.model(torch.tensor([found.high])).detach())
    assert curve[-1] == pytest.approx(said * run.data.unit + run.data.offset, abs=1e-4)
    assert found.levels == ()


def test_validation_samples_come_with_what_they_are_and_what_the_model_says():
    run = toy("circles")
    found = seen(run)
    val = run.data.val
    assert 100 < len(found.inputs) <= 200
    assert found.inputs[0] == pytest.approx(val.inputs[0].tolist(), rel=1e-5)
    assert found.targets[0] == float(val.targets[0])
    assert found.predicted[0] == float(run.model(val.inputs[:1]).detach() > 0)
    assert all(
        low < x < high
        for sample in found.inputs
        for low, x, high in zip(found.low, sample, found.high, strict=True)
    )


def test_a_number_over_two_inputs_has_its_level_between_the_least_and_the_greatest():
    run = toy("sine", model="linear")
    run.model = nn.Linear(2, 1)
    inputs = torch.randn(50, 2)
    found = decoded(Surface, surface(run, inputs, run.model(inputs).detach(), inputs[:, 0]).body)
    levels = {level for row in found.levels for level in bytes.fromhex(row)}
    assert {0, 255} <= levels
    assert found.span[0] < found.span[1]
    assert found.classes == ()


@pytest.mark.parametrize("inputs", [1, 2])
def test_of_many_classes_it_has_a_curve_for_each_or_the_likeliest_everywhere(inputs):
    run = digits()
    run.model = nn.Linear(inputs, 10)
    samples = torch.randn(50, inputs)
    found = decoded(
        Surface, surface(run, samples, run.model(samples).detach(), torch.arange(50) % 10).body
    )
    if inputs == 1:
        assert len(found.curves) == 10
        assert sum(curve[7] for curve in found.curves) == pytest.approx(1, abs=1e-4)
    else:
        corner = run.model(torch.tensor(found.low)).detach().softmax(0)
        assert bytes.fromhex(found.classes[0])[0] == int(corner.argmax())
        assert bytes.fromhex(found.levels[0])[0] == pytest.approx(255 * float(corner.max()), abs=1)


def test_a_model_that_cannot_be_looked_at_has_none():
    run = toy("moons")
    inputs, target = run.data.val.inputs, run.data.val.targets
    run.model.refuse = torch.zeros(1, requires_grad=True) * 2  # such a tensor cannot be copied
    assert surface(run, inputs, torch.zeros(len(target), 1), target) is None


def test_pictures_and_columns_have_none():
    assert has_surface(torch.zeros(3, 2))
    assert has_surface(torch.zeros(3, 1))
    assert not has_surface(torch.zeros(3, 3))
    assert not has_surface({"x": torch.zeros(3, 2)})
    run = digits(epochs=1)
    assert not [fact for fact in train(run, Steering(run)) if is_surface(fact)]


def is_surface(fact) -> bool:
    return isinstance(fact, Detail) and fact.name == SURFACE


def test_looking_at_every_validation_changes_neither_weights_nor_buffers_nor_draws(monkeypatch):
    def trained() -> tuple[str, list[int], int]:
        run = toy("moons", epochs=3, model="mlp:hidden=16,norm=batch,dropout=0.5")
        run.model.append(Noise())
        ticks = iter(range(1_000_000))
        surfaces = sum(map(is_surface, train(run, Steering(run), lambda: next(ticks))))
        return weights_sha256(run.model), rng.state(run.device)["cpu"].tolist(), surfaces

    with_surfaces = trained()
    monkeypatch.setattr(validation_details, "surface", lambda *_: None)
    without = trained()
    assert with_surfaces[:2] == without[:2]
    assert (with_surfaces[2], without[2]) == (3, 0)
