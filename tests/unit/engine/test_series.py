"""What a loop measures beside the loss."""

import itertools
import math

import pytest
import torch
from torch import nn

from tests.unit.engine.test_loop import digits
from tuitrain.catalog import new_spec
from tuitrain.core.detail import CONFUSION
from tuitrain.core.events import Detail, EpochEnded, Measured
from tuitrain.core.series import GRADIENT_NORM
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import gradient_norm


def test_the_gradient_norm_is_measured_once_a_second_by_the_loops_clock():
    ticks = itertools.count()
    run = digits(epochs=1)
    events = list(train(run, Steering(run), lambda: next(ticks) / 10))

    assert [event.step for event in events if isinstance(event, Measured)] == [1, 11, 21]


def first_norm(clip_norm: float | None) -> tuple[float, float]:
    """Return the norm that is measured after the first batch, and that of the gradients then."""
    run = digits(epochs=1, model="mlp:hidden=16")
    run.clip_norm = clip_norm
    events = train(run, Steering(run))
    measured = next(event for event in events if isinstance(event, Measured))
    gradients = torch.cat([weight.grad.flatten() for weight in run.weights])
    return float(measured.values[GRADIENT_NORM]), float(gradients.norm())


def test_it_is_that_of_all_gradients_together_before_they_are_clipped():
    measured, of_gradients = first_norm(None)
    assert measured == pytest.approx(of_gradients, rel=1e-5)
    clipped, of_clipped = first_norm(measured / 10)
    assert clipped == measured
    assert of_clipped == pytest.approx(measured / 10, rel=1e-3)


def test_it_is_not_finite_where_a_gradient_is_not():
    run = digits(epochs=1, on_nonfinite="skip")
    run.data.train.inputs[:] = math.nan
    measured = next(event for event in train(run, Steering(run)) if isinstance(event, Measured))
    assert math.isnan(measured.values[GRADIENT_NORM])


def test_a_sparse_gradient_counts_each_row_once():
    run = digits()
    rows = nn.Embedding(5, 3, sparse=True)
    rows(torch.tensor([1, 1, 4])).square().sum().backward()
    run.weights = (rows.weight,)
    dense = rows.weight.grad.to_dense()
    assert float(gradient_norm(run)) == pytest.approx(float(dense.norm()), rel=1e-6)


def is_confusion(event) -> bool:
    return isinstance(event, Detail) and event.name == CONFUSION


@pytest.mark.parametrize("task", ["digits", "breast-cancer"])
def test_an_epochs_confusion_matrix_comes_before_its_end_and_agrees_with_its_accuracy(task):
    run = build(new_spec(task, epochs=2, model="linear"))
    facts = list(train(run, Steering(run)))
    events = [event for event in facts if isinstance(event, EpochEnded) or is_confusion(event)]

    for detail, ended in zip(events[::2], events[1::2], strict=True):
        assert (detail.name, detail.take, detail.step) == (CONFUSION, ended.take, ended.step)
        counts = detail.body["counts"]
        right = sum(counts[item][item] for item in range(len(counts)))
        assert sum(map(sum, counts)) == len(run.data.val)
        assert right / len(run.data.val) == ended.metrics["accuracy"]


def test_numbers_have_no_confusion_matrix():
    run = build(new_spec("diabetes", epochs=1))
    assert not list(filter(is_confusion, train(run, Steering(run))))
