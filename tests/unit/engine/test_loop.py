"""The loop, taken as what it is: a list of events."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from tests.reads import Reads
from tuitrain.catalog import fitting_losses, new_spec
from tuitrain.core.events import BatchDone, Detail, EpochEnded, Finished, Measured, Warned
from tuitrain.engine.build import build
from tuitrain.engine.data import shuffled
from tuitrain.engine.loop import train
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import check_finite_fast
from tuitrain.engine.training import Training
from tuitrain.record.recorder import Recorder
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter


def digits(**settings) -> Training:
    torch.set_num_threads(1)
    return build(new_spec("digits", **{"epochs": 2, "model": "linear", **settings}))


def test_an_epoch_is_its_batches_and_then_its_validation():
    run = digits(epochs=3)
    yielded = train(run, Steering(run), clock=lambda: 0.0)
    events = [event for event in yielded if not isinstance(event, Measured)]

    kinds = [type(event) for event in events]
    assert run.steps_per_epoch == 23
    epoch = [*[BatchDone] * 23, Detail, Detail, EpochEnded]  # confusion matrix and scores
    with_worst = [*[BatchDone] * 23, Detail, Detail, Detail, EpochEnded]
    assert kinds == [*with_worst, *epoch, *with_worst, Finished]
    assert [event.step for event in events[:23]] == list(range(1, 24))
    assert events[26].epoch == 1
    assert events[22].samples == 1437 - 22 * 64


def test_the_train_loss_of_an_epoch_is_the_mean_over_its_samples():
    run = digits(epochs=1)
    events = list(train(run, Steering(run)))

    batches = [event for event in events if isinstance(event, BatchDone)]
    ended = next(event for event in events if isinstance(event, EpochEnded))
    mean = sum(float(batch.loss) * batch.samples for batch in batches) / 1437
    assert ended.train_loss == pytest.approx(mean, rel=1e-12)


def test_validation_uses_the_model_in_evaluation_mode_and_leaves_it_to_train_on():
    run = digits(epochs=1)
    modes = []
    run.model.register_forward_hook(lambda module, *_: modes.append(module.training))

    list(train(run, Steering(run)))

    assert modes == [True] * 23 + [False]


def ends_of(run):
    return [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]


def test_an_epoch_is_evaluated_by_the_usual_loss_and_by_the_one_in_use_as_it_is_used():
    smooth = "cross-entropy:label_smoothing=0.1"
    (ended,) = ends_of(digits(epochs=1, loss=smooth))
    assert list(ended.val_losses) == ["cross-entropy", smooth]
    assert ended.val_losses[smooth] == pytest.approx(ended.val_loss, rel=1e-6)
    assert ended.val_losses["cross-entropy"] < ended.val_losses[smooth]

    sharp = "focal:gamma=3"
    (ended,) = ends_of(digits(epochs=1, loss=sharp, monitor="mse"))
    assert list(ended.val_losses) == ["cross-entropy", "focal", "mse", sharp]


def test_losses_that_are_asked_for_are_recorded_and_change_no_weights():
    def trained(**settings):
        run = digits(epochs=1, **settings)
        (ended,) = ends_of(run)
        return list(ended.val_losses), weights_sha256(run.model)

    plain, weights = trained()
    assert trained(val_losses=("MultiMarginLoss", "mse")) == (["cross-entropy", "multi-margin",
                                                               "mse"], weights)  # fmt: skip
    fitting = [loss.name for loss in fitting_losses("multiclass")]
    assert trained(val_losses=("all",)) == (fitting, weights)
    assert plain == ["cross-entropy"]


def test_a_loss_that_was_used_is_recorded_from_then_on_also_after_a_restore():
    run, restored = digits(epochs=3), digits(epochs=3)
    for event in train(run, Steering(run)):
        if isinstance(event, EpochEnded):
            last = event
            if event.epoch == 1:
                run.change("loss", "mse")
                run.change("loss", "l1")
            if event.epoch == 2:
                state = copy.deepcopy(run.state())
    restored.restore(state)
    assert list(last.val_losses) == ["cross-entropy", "mse", "l1"]
    assert [ended.val_losses for ended in ends_of(restored)] == [last.val_losses]


@pytest.mark.parametrize("size", [16, 20])
def test_what_other_ranks_saved_within_an_epoch_goes_on_with_the_samples_that_it_lacks(size: int):
    """As an undo does, after a resume with another number of ranks."""
    two, one = digits(batch_size=2 * size, epochs=1), digits(batch_size=size, epochs=1)
    trained = [event for event in train(two, Steering(two)) if isinstance(event, BatchDone)]
    state = copy.deepcopy(two.state())
    # what two ranks of that batch size would have saved after ten common batches
    state |= {"ranks": [state["rng"]] * 2, "position": {"step": 10, "epoch": 0, "batch": 10}}
    state["settings"] |= {"batch-size": size}
    one.restore(state)
    left = [event for event in train(one, Steering(one)) if isinstance(event, BatchDone)]
    assert sum(done.samples for done in left) == sum(done.samples for done in trained[10:])


@pytest.mark.parametrize(
    ("task", "undefined"), [("breast-cancer", "auroc is"), ("diabetes", "r2 is")]
)
def test_a_metric_that_the_validation_data_leave_undefined_is_said_once(task, undefined):
    run = build(new_spec(task, epochs=2))
    run.data.val.targets.fill_(1.0)
    warned = [event for event in train(run, Steering(run)) if isinstance(event, Warned)]
    assert [event.text for event in warned] == [
        f"{undefined} undefined: all validation targets are the same"
    ]


def test_the_order_of_an_epoch_is_a_function_of_seed_and_epoch():
    assert shuffled(100, seed=1, epoch=0).tolist() == shuffled(100, seed=1, epoch=0).tolist()
    assert shuffled(100, seed=1, epoch=0).tolist() != shuffled(100, seed=1, epoch=1).tolist()
    assert shuffled(100, seed=1, epoch=0).tolist() != shuffled(100, seed=2, epoch=0).tolist()
    assert sorted(shuffled(100, seed=3, epoch=7).tolist()) == list(range(100))


def test_batches_can_begin_in_the_middle_of_an_epoch():
    run = digits()
    every = [target.tolist() for _, target in run.batches()]
    run.batch = 5

    assert [target.tolist() for _, target in run.batches()] == every[5:]


def test_a_seed_repeats_bit_for_bit():
    def trained(seed: int) -> str:
        run = digits(epochs=2, seed=seed, model="mlp:hidden=32")
        list(train(run, Steering(run)))
        return weights_sha256(run.model)

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_twenty_epochs_with_seed_one_reach_the_promised_accuracy():
    run = digits(epochs=20, seed=1, model="mlp")
    ends = [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]

    assert ends[-1].metrics["accuracy"] >= 0.95
    best = max(end.metrics["accuracy"] for end in ends)
    assert [end for end in ends if end.improved][-1].metrics["accuracy"] == best


WAYS_TO_READ = {
    "item": lambda loss: loss.item(),
    "float": float,
    "int": int,
    "bool": bool,
    "if": lambda loss: 1 if loss > 2 else 0,
    "format": lambda loss: f"{loss:.3f}",
    "tolist": lambda loss: loss.tolist(),
    "cpu": lambda loss: loss.cpu(),
    "to": lambda loss: loss.to("cpu"),
    "numpy": lambda loss: loss.numpy(),
    "asarray": lambda loss: np.asarray(loss),
    "nonzero": lambda loss: loss.nonzero(),
    "where": lambda loss: torch.where(loss > 2),
    "mask": lambda loss: loss[loss > 2],
    "equal": lambda loss: torch.equal(loss, loss),
    "unique": lambda loss: loss.unique(),
    "bincount": lambda loss: loss.long().reshape(1).bincount(),
    "repeat": lambda loss: loss.reshape(1).repeat_interleave(loss.long().reshape(1)),
    "max": lambda loss: max([loss, loss + 1]),
}


@pytest.mark.parametrize("read", WAYS_TO_READ.values(), ids=WAYS_TO_READ)
def test_whatever_would_make_a_device_wait_is_seen(read):
    run = digits(epochs=1, batch_size=256)
    run.is_synchronous = False
    criterion = run.criterion

    def reading(*outputs_and_targets):
        loss = criterion(*outputs_and_targets)
        read(loss.detach())
        return loss

    run.criterion = reading
    events = train(run, Steering(run), clock=lambda: 0.0)
    with Reads() as reads:
        for _ in range(4):  # a batch, its gradient norm, two batches
            next(events)

    assert reads.count >= 3


def test_no_batch_makes_the_device_wait(run_paths: RunPaths):
    writer = RunWriter(run_paths.record)
    ticks = itertools.count()
    recorder = Recorder(writer, clock=lambda: next(ticks) / 1000)
    flushes = 0
    write = writer.write

    def counted(batches, *more):
        nonlocal flushes
        flushes += bool(batches)
        write(batches, *more)

    writer.write = counted
    run = digits(epochs=1, batch_size=16, model="mlp:hidden=16")  # with layers that are measured
    run.is_synchronous = False  # as on an accelerator
    recorder.time_with(run.stopwatch.microseconds)
    events = train(run, Steering(run))
    with Reads() as reads:
        for _ in range(run.steps_per_epoch):
            recorder.take(next(events))
        recorder.flush()
    writer.close()

    assert 1 <= flushes < run.steps_per_epoch / 10
    assert reads.count == flushes


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("is_synchronous", [True, False])
def test_one_number_that_is_not_finite_is_found_and_large_ones_are_let_pass(number, is_synchronous):
    run = digits()
    run.is_synchronous = is_synchronous
    loss = torch.tensor(1.0)
    for weight in run.weights:
        weight.grad = torch.full_like(weight, 3e38)  # their sum is not finite
    assert not check_finite_fast(run, loss)
    assert check_finite_fast(run, torch.tensor(number))
    last = run.weights[-1].grad
    assert last is not None
    last[-1] = number
    assert check_finite_fast(run, loss)
    last[-1] = -3e38
    assert not check_finite_fast(run, loss)
