"""Whatever stands in the catalogue can be built, fits, trains and improves."""

import inspect
import itertools
import math
from dataclasses import replace

import pytest
import torch

from tests.versions import USABLE_OPTIMIZERS
from tuitrain import catalog
from tuitrain.catalog import CATALOG, LOSSES, MODELS, OPTIMIZERS, TASKS
from tuitrain.core.errors import Refused
from tuitrain.core.events import BatchDone, EpochEnded, Finished
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.losses import criterion_for
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.tasks import dataset

everything = [
    pytest.param(entry, id=f"{what}-{entry.name}")
    for what, entries in CATALOG.items()
    for entry in entries.values()
]
embedded = {task.name: task for task in TASKS.values() if not task.is_downloaded}
trainings = [
    (task.name, model.name)
    for task in embedded.values()
    for model in MODELS.values()
    if model.why_not((1, 8, 8) if task.has_images else (1,)) is None
]
fitting = [
    (task.name, loss.name)
    for task in embedded.values()
    for loss in catalog.fitting_losses(task.kind)
]
KINDS = ["multiclass", "binary", "multilabel", "regression"]
LEARNED = {
    "digits": (0.5, "mlp:hidden=32", 3), "breast-cancer": (0.2, "mlp:hidden=32", 4),
    "moons": (0.3, "mlp:hidden=32", 5), "circles": (0.3, "mlp:hidden=32", 8),
    "spirals": (0.2, "mlp:hidden=64-64", 24), "diabetes": (0.2, "mlp:hidden=32", 12),
    "sine": (0.2, "mlp:hidden=64-64", 16),
}  # fmt: skip
"""The least gain in accuracy, or R², over the best constant; with a model, after so many epochs."""


def trained(spec):
    """Train as the worker does, without waiting for any pace; return the run and its events."""
    run = build(replace(spec, device="cpu"))
    ticks = itertools.count()
    return run, list(train(run, Steering(run, clock=lambda: float(next(ticks)))))


@pytest.mark.parametrize("entry", everything)
def test_an_entry_is_where_the_catalogue_says(entry):
    assert callable(entry.load())


@pytest.mark.parametrize(("task", "loss"), fitting)
def test_every_loss_that_fits_a_task_beats_the_best_constant(task, loss):
    margin, model, epochs = LEARNED[task]
    run, events = trained(catalog.new_spec(task, loss=loss, model=model, epochs=epochs, lr=0.02))
    last = [event for event in events if isinstance(event, EpochEnded)][-1]
    if run.data.kind == "regression":
        learned = last.metrics["r2"]
    else:
        counts = run.data.val.targets.long().bincount()
        learned = last.metrics["accuracy"] - float(counts.max() / counts.sum())
    assert learned > margin
    assert math.isfinite(last.val_loss)


@pytest.mark.parametrize(("task", "model"), trainings)
def test_every_model_learns_every_task(task, model):
    run, events = trained(catalog.new_spec(task, model=model, epochs=2))
    before, after = [event for event in events if isinstance(event, EpochEnded)]
    assert after.train_loss < before.train_loss
    assert math.isfinite(after.val_loss)
    assert next(iter(after.metrics)) == run.monitor.quantity.name, "the leading metric comes first"
    assert isinstance(events[-1], Finished)
    steps = [event.step for event in events if isinstance(event, BatchDone)]
    assert steps == list(range(1, 2 * run.steps_per_epoch + 1))


@pytest.mark.parametrize("name", USABLE_OPTIMIZERS)
def test_an_optimizer_has_the_options_and_defaults_of_pytorch(name):
    entry = OPTIMIZERS[name]
    known = dict(inspect.signature(getattr(torch.optim, entry.aliases[0])).parameters)
    if entry.name == "muon":
        of_adamw = inspect.signature(torch.optim.AdamW).parameters
        known |= {f"adamw_{name}": parameter for name, parameter in of_adamw.items()}
    for key, option in entry.options.items():
        assert key == "schedule" or option.default == known[key].default
    if entry.place.startswith("torch."):
        assert entry.is_fused == ("fused" in known)
        assert entry.is_fused or entry.is_capturable == ("capturable" in known)


@pytest.mark.parametrize("optimizer", USABLE_OPTIMIZERS)
def test_every_optimizer_learns(optimizer):
    _, events = trained(catalog.new_spec(optimizer=optimizer, lr=0.01, epochs=2))
    before, after = [event for event in events if isinstance(event, EpochEnded)]
    assert after.train_loss < before.train_loss


@pytest.mark.parametrize("task", embedded.values(), ids=embedded)
def test_a_task_is_what_the_catalogue_says_it_is(task):
    data = dataset.load(task.name)
    assert data.kind == task.kind
    for samples in (data.train, data.val):
        assert len(samples.inputs) == len(samples) > 0
        assert samples.inputs.dtype == torch.float32
        assert samples.inputs.isfinite().all()
    if task.kind == "multiclass":
        assert set(data.val.targets.tolist()) <= set(range(data.outputs))
    else:
        assert data.outputs == 1
        assert data.val.targets.dtype == torch.float32
    again = dataset.load(task.name)
    assert torch.equal(data.train.inputs, again.train.inputs)
    assert torch.equal(data.val.targets, again.val.targets)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_is_made_for_what_it_fits_and_refused_elsewhere(loss, kind):
    if kind in loss.takes:
        assert callable(criterion_for(loss.name, kind))
    else:
        with pytest.raises(Refused, match=kind) as refused:
            criterion_for(loss.name, kind)
        assert loss.misfits[kind] in str(refused.value)


def digest(**settings):
    run, _ = trained(catalog.new_spec(epochs=2, **settings))
    return weights_sha256(run.model)


@pytest.mark.parametrize("model", sorted({model for _, model in trainings}))
def test_a_seed_decides_the_weights_to_the_last_bit(model):
    assert digest(model=model, seed=7) == digest(model=model, seed=7)
    assert digest(model=model, seed=7) != digest(model=model, seed=8)


def test_a_pace_changes_no_weights():
    assert digest(pace=60.0) == digest()


def test_what_is_drawn_before_a_run_changes_nothing_in_it():
    first = digest(seed=3)
    torch.rand(1000)
    assert digest(seed=3) == first
