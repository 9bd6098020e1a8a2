"""What is measured of a step now and then: the size of its update, its shapes and samples."""

import pytest
import torch

from tests.unit.engine.test_loop import digits
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Request, Step
from tuitrain.core.decode import decoded
from tuitrain.core.detail import Batch
from tuitrain.core.events import BatchDone, Measured, Paused, StepsTaken
from tuitrain.core.series import GRADIENT_NORM, UPDATE_RATIO
from tuitrain.engine import step_probe
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import batch_detail


def flat(run) -> torch.Tensor:
    return torch.cat([weight.detach().flatten().double() for weight in run.weights])


def first_measured(run) -> Measured:
    return next(event for event in train(run, Steering(run)) if isinstance(event, Measured))


def test_the_update_ratio_is_how_far_a_step_moved_the_weights_by_their_size():
    run = digits(model="mlp:hidden=16")
    before = flat(run)
    measured = first_measured(run)
    ratio = (flat(run) - before).norm() / before.norm()
    assert float(measured.values[UPDATE_RATIO]) == pytest.approx(float(ratio), rel=1e-5)


def test_a_model_too_large_to_copy_has_no_update_ratio(monkeypatch):
    monkeypatch.setattr(step_probe, "_MOST_WEIGHTS", 10)
    assert set(first_measured(digits()).values) == {GRADIENT_NORM}


def test_measuring_every_step_changes_no_weight():
    def trained(clock) -> str:
        run = digits(epochs=1, model="mlp:hidden=16,dropout=0.5")
        for event in train(run, Steering(run), clock):
            if isinstance(event, Measured):
                batch_detail(run)
        return weights_sha256(run.model)

    ticks = iter(range(1_000_000))
    assert trained(lambda: next(ticks)) == trained(lambda: 0.0)


def test_every_single_step_is_measured():
    run = digits()
    asked = [[], [Request.new(Step(2), None)], [Request.new(Step(1), None)]]

    def commands(wait_s):
        if wait_s is None:  # paused
            return asked.pop(0) if asked else pytest.fail("nothing more is asked")
        return []

    steering = Steering(run, commands, paused=True)
    events = []
    for event in train(run, steering, clock=lambda: 0.0):
        events.append(event)
        if isinstance(event, StepsTaken) and event.step == 3:
            break
    assert [event.step for event in events if isinstance(event, BatchDone)] == [1, 2, 3]
    assert [event.step for event in events if isinstance(event, Measured)] == [1, 2, 3]
    assert sum(isinstance(event, Paused) for event in events) == 2


@pytest.mark.parametrize(
    ("task", "shapes"),
    [
        ("digits", ("(64, 1, 8, 8) float32", "(64,) int64", "(64, 10) float32")),
        ("breast-cancer", ("(64, 30) float32", "(64,) float32", "(64, 1) float32")),
        ("diabetes", ("(64, 10) float32", "(64,) float32", "(64, 1) float32")),
    ],
)
def test_a_batch_tells_its_shapes_and_the_loss_of_its_first_samples(task, shapes):
    run = build(new_spec(task, device="cpu", model="mlp:hidden=16", batch_size=64))
    measured = first_measured(run)
    detail = batch_detail(run)
    batch = decoded(Batch, detail.body)
    output, target = run.newest_batch

    assert (detail.take, detail.step) == (1, 1)
    assert (batch.input, batch.target, batch.output) == shapes
    assert batch.gradient_norm == pytest.approx(float(measured.values[GRADIENT_NORM]))
    assert batch.update_ratio == pytest.approx(float(measured.values[UPDATE_RATIO]))
    assert len(batch.losses) == 32
    first = float(run.criterion(output[:32], target[:32]))
    assert sum(batch.losses) / 32 == pytest.approx(first, rel=1e-5), "their mean is theirs together"


def test_a_step_that_was_not_measured_has_a_gradient_but_no_update():
    run = digits()
    events = train(run, Steering(run), clock=lambda: 0.0)
    while run.step < 2:
        next(events)
    batch = decoded(Batch, batch_detail(run).body)
    assert batch.gradient_norm > 0
    assert batch.update_ratio is None


def test_before_the_first_batch_there_is_none():
    assert batch_detail(digits()) is None
