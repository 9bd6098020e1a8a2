"""Whatever stands in the catalogue can be built, fits, trains and improves."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from tuitrain.core import catalog
from tuitrain.core.catalog import CATALOG, LOSSES, MODELS, OPTIMIZERS, TASKS
from tuitrain.core.errors import Refused
from tuitrain.core.events import BatchDone, EpochEnded, Finished
from tuitrain.core.spec import RunSpec
from tuitrain.engine.checkpoint import weights_sha256
from tuitrain.engine.loop import train
from tuitrain.engine.losses import criterion_for
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import build

everything = [
    pytest.param(entry, id=f"{what}-{entry.name}")
    for what, entries in CATALOG.items()
    for entry in entries.values()
]
trainings = [
    (task.name, loss.name, model)
    for task in TASKS.values()
    for loss in catalog.fitting_losses(task.kind)
    for model in MODELS
]
KINDS = ["multiclass", "binary", "regression"]


def trained(spec):
    """Train as the worker does, without waiting for any pace; return the run and its events."""
    run = build(replace(spec, device="cpu"))
    ticks = itertools.count()
    return run, list(train(run, Steering(run, clock=lambda: float(next(ticks)))))


@pytest.mark.parametrize("entry", everything)
def test_an_entry_is_where_the_catalogue_says(entry):
    assert callable(entry.load())


@pytest.mark.parametrize(("task", "loss", "model"), trainings)
def test_every_model_learns_every_task_by_every_loss_that_fits(task, loss, model):
    run, events = trained(RunSpec.of(task, loss=loss, model=model, epochs=2))
    before, after = [event for event in events if isinstance(event, EpochEnded)]
    assert after.train_loss < before.train_loss
    assert after.val_loss < before.val_loss
    assert {"accuracy"} <= after.metrics.keys()
    assert isinstance(events[-1], Finished)
    steps = [event.step for event in events if isinstance(event, BatchDone)]
    assert steps == list(range(1, 2 * run.steps_per_epoch + 1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(optimizer):
    _, events = trained(RunSpec.of(optimizer=optimizer, lr=0.01, epochs=2))
    before, after = [event for event in events if isinstance(event, EpochEnded)]
    assert after.train_loss < before.train_loss


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_is_what_the_catalogue_says_it_is(task):
    data = task.load()()
    assert data.kind == task.kind
    for samples in (data.train, data.val):
        assert len(samples.inputs) == len(samples) > 0
        assert samples.inputs.dtype == torch.float32
        assert samples.inputs.isfinite().all()
    assert set(data.val.targets.tolist()) <= set(range(data.outputs))
    again = task.load()()
    assert torch.equal(data.train.inputs, again.train.inputs)
    assert torch.equal(data.val.targets, again.val.targets)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_is_made_for_what_it_fits_and_refused_elsewhere(loss, kind):
    if kind in loss.kinds:
        assert callable(criterion_for(loss.name, kind))
    else:
        with pytest.raises(Refused, match=kind):
            criterion_for(loss.name, kind)


def of_classes(direct):
    """Return torch's own numbers for random logits and classes: value and gradient."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(50, 7, generator=generator).mul(4).requires_grad_()
    classes = torch.randint(7, (50,), generator=generator)
    value = direct(logits, classes)
    value.backward()
    return logits, classes, value.detach(), logits.grad


def squared_errors_of_probabilities(logits, classes):
    return functional.mse_loss(logits.softmax(1), functional.one_hot(classes, 7).float())


by_torch = {
    ("cross-entropy", "multiclass"): functional.cross_entropy,
    ("mse", "multiclass"): squared_errors_of_probabilities,
}


def test_every_loss_is_compared_with_torchs_own():
    assert set(by_torch) == {(loss.name, kind) for loss in LOSSES.values() for kind in loss.kinds}


@pytest.mark.parametrize(("loss", "kind"), by_torch)
def test_a_loss_and_its_gradient_are_torchs_own_to_the_last_bit(loss, kind):
    logits, classes, value, slope = of_classes(by_torch[loss, kind])
    mine = logits.detach().clone().requires_grad_()
    found = criterion_for(loss, kind)(mine, classes)
    found.backward()
    assert found.shape == ()
    assert torch.equal(found.detach(), value)
    assert torch.equal(mine.grad, slope)


def digest(**settings):
    run, _ = trained(RunSpec.of(epochs=2, **settings))
    return weights_sha256(run.model)


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_decides_the_weights_to_the_last_bit(model):
    assert digest(model=model, seed=7) == digest(model=model, seed=7)
    assert digest(model=model, seed=7) != digest(model=model, seed=8)


def test_a_pace_changes_no_weights():
    assert digest(pace=60.0) == digest()


def test_what_is_drawn_before_a_run_changes_nothing_in_it():
    first = digest(seed=3)
    torch.rand(1000)
    assert digest(seed=3) == first
