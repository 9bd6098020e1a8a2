"""The plateau schedule counts as PyTorch's does."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.plateau import Plateau

VALUES = st.sampled_from([0.9, 0.91, 0.910001, 0.5, 0.2, -0.3, 3.0, math.nan, math.inf])


@pytest.mark.parametrize(("mode", "sign"), [("min", -1), ("max", 1)])
@given(st.lists(VALUES, max_size=30), st.integers(0, 3), st.sampled_from([1.0, 5e-8]))
def test_it_falls_after_the_same_epochs(mode, sign, values, patience, lr):
    optimizer = SGD([torch.zeros(1)], lr=lr)
    theirs = ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=patience)
    ours = Plateau()
    for value in values:
        ours = ours.after(value, sign=sign, lr=lr, factor=0.5, patience=patience)
        theirs.step(value)
        assert lr * ours.scale == optimizer.param_groups[0]["lr"]


def test_epochs_before_its_beginning_do_not_count():
    run = build(new_spec("digits", model="linear", optimizer="sgd"))
    run.change("schedule", "plateau:factor=0.5:patience=0@2")
    for run.epoch, value in ((1, 0.9), (2, 0.8)):  # after a rollback
        assert run.reduce_on_plateau(value) is None
    for run.epoch, value, scale in ((3, 0.7, 1.0), (4, 0.7, 0.5)):
        run.reduce_on_plateau(value)
        assert run.plateau.scale == scale
