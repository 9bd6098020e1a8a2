"""Several batches make one step: it is that of their mean loss."""

import math
from dataclasses import replace

import pytest
import torch

from tests.contract.test_program import printed_by, recipe_of
from tests.property.test_resume import lived
from tests.unit.engine.test_bad_batches import nonfinite_steps, of, spoilt
from tests.unit.engine.test_steering import trained
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, FindRate, Request, Resume, Step, Undo
from tuitrain.core.events import BatchDone, Detail, EpochEnded, RateSwept
from tuitrain.engine.build import build
from tuitrain.engine.device import HostStopwatch
from tuitrain.engine.loop import train
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.export.program import program

NORMED = "mlp:hidden=16,norm=batch,dropout=0.2"


def of_digits(**settings):
    torch.set_num_threads(1)
    return build(new_spec("digits", **{"model": "linear", "epochs": 2, "seed": 1, **settings}))


def test_a_step_is_that_of_one_large_batch_and_its_times_are_added_up():
    one, accumulated = of_digits(batch_size=240), of_digits(batch_size=60, accumulate=4)
    large = of(list(train(one, Steering(one))), BatchDone, EpochEnded)
    small = of(list(train(accumulated, Steering(accumulated))), BatchDone, EpochEnded)

    assert one.steps_per_epoch == accumulated.steps_per_epoch == math.ceil(1437 / 240)
    assert [type(event) for event in small] == [type(event) for event in large]
    for event, other in zip(small, large, strict=True):
        if isinstance(event, BatchDone):
            assert event.samples == other.samples
            assert float(event.loss) == pytest.approx(float(other.loss), rel=1e-4)
            times = HostStopwatch().microseconds(event.marks)
            assert len(times) == 6
            assert abs(sum(times) - (event.marks[-1] - event.marks[0]) // 1000) < 20
    for weight, other in zip(one.weights, accumulated.weights, strict=True):
        assert torch.allclose(weight, other, atol=1e-3)


def test_the_batches_of_a_step_are_normed_one_by_one_and_the_last_may_be_smaller():
    run = of_digits(model=NORMED, batch_size=100, accumulate=3)
    _, target = list(run.batches())[-1]
    assert target.shape == (1437 - 4 * 300,)
    seen = []
    run.model[1].register_forward_hook(lambda *call: seen.append(len(call[2])))
    trained(run)
    assert seen[:5] == [100, 100, 100, 100, 100]
    assert seen[12:15] == [100, 100, 37], "of the first epoch"


@pytest.mark.parametrize("is_synchronous", [True, False])
def test_one_bad_batch_leaves_the_whole_step_out(is_synchronous):
    settings = {"batch_size": 128, "accumulate": 2, "model": "mlp:hidden=8,norm=batch"}
    run = spoilt(is_synchronous=is_synchronous, **settings)
    first = next(run.batches())[0][0]
    is_first = (run.data.train.inputs == first).flatten(1).all(dim=1)
    run.data.train.inputs[is_first] = math.nan
    events = list(train(run, Steering(run)))
    assert nonfinite_steps(events) == [1]
    assert all(tensor.isfinite().all() for tensor in run.model.state_dict().values())


@pytest.mark.parametrize("schedule", ["cosine:warmup=0.5", "constant"])
def test_its_program_adds_up_the_same_gradients(schedule):
    spec = new_spec(
        "digits", model=NORMED, optimizer=f"adam:schedule={schedule}", batch_size=100,
        accumulate=4, epochs=2, class_weights=",".join(["1"] * 9 + ["2.5"]),
    )  # fmt: skip
    recipe, digest = recipe_of(spec)
    text = program(recipe, written_by="this test")
    assert printed_by(text) == digest
    assert printed_by(program(replace(recipe, skips_nonfinite=True), written_by="a")) == digest


def test_a_killed_run_goes_on_to_the_same_weights():
    spec = new_spec("digits", model=NORMED, batch_size=64, accumulate=4, epochs=3, seed=3)
    asked = [(3, Change("lr", 0.01), None), (5, Change("batch-size", 100), None), (9, Undo(), None)]
    commands = [(at, Request.new(command, where)) for at, command, where in asked]
    weights, _ = lived(commands, (), spec=spec)
    assert lived(commands, (4, 8), spec=spec)[0] == weights


def test_it_is_looked_at_batch_by_batch_without_a_change():
    undisturbed = of_digits(model=NORMED, batch_size=64, accumulate=4)
    trained(undisturbed)
    run = of_digits(model=NORMED, batch_size=64, accumulate=4)
    events = trained(run, (3, Step(1)), (4, Resume()), (6, FindRate()))
    assert of(events, RateSwept)
    searched = [item for item in of(events, Detail) if item.name == "line-search"]
    assert searched
    assert weights_sha256(run.model) == weights_sha256(undisturbed.model)
