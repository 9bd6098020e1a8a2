"""Schedules of the learning rate, as text and as numbers."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from tuitrain.catalog import OPTIMIZERS, read_options
from tuitrain.core.errors import WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.schedules import SCHEDULES, RateSchedule


@pytest.mark.parametrize(
    "text",
    ["constant", "cosine@0", "linear@4", "cosine@4.25", "own@0", "constant:warmup=2@0",
     "cosine:warmup=0.5@1", "step:size=5:gamma=0.5:warmup=1@0", "one-cycle@0", "plateau@3",
     "plateau:factor=0.5:patience=2@0"],
)  # fmt: skip
def test_a_schedule_is_read_as_it_is_written(text):
    assert str(RateSchedule.read(text)) == text
    assert OPTIONS["lr_schedule"].read(text) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("step:gamma=0.5,size=3", "step:size=3:gamma=0.5"),
        ("step:size=10", "step"),
        ("cosine:warmup=0@2", "cosine@2"),
        ("constant:warmup=0", "constant"),
        ("plateau:patience=10:factor=.5", "plateau:factor=0.5"),
    ],
)
def test_options_have_one_order_and_defaults_are_left_out(text, canonical):
    assert OPTIONS["lr_schedule"].read(text) == canonical


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("plateau:patience=-1", "schedule plateau:patience takes a whole number from 0"),
        ("plateau:patience=1.5", "schedule plateau:patience takes a whole number from 0"),
        ("plateau:factor=0", "schedule plateau:factor takes a number above 0 and below 1, not 0"),
        ("plateau:factor=1", "schedule plateau:factor takes a number above 0 and below 1, not 1"),
        ("step:gamma=2", "schedule step:gamma takes a number above 0 to 1, not 2"),
        ("step:size", "schedule step:size takes a number above 0, not "),
        ("step:", "no option '' of the schedule step; there are: gamma, size, warmup"),
        ("step:size=0@2", "schedule step:size takes a number above 0, not 0"),
        ("cosine:warmup=nan", "schedule cosine:warmup takes a number from 0, not nan"),
        ("cosine:size=3", "no option 'size' of the schedule cosine; there are: warmup"),
        ("step:gama=0.5", "did you mean 'gamma'?"),
    ],
)
def test_an_option_that_a_schedule_does_not_take_is_named(text, sentence):
    with pytest.raises(WrongUse, match=re.escape(sentence)):
        OPTIONS["lr_schedule"].read(text)
    with pytest.raises(WrongUse, match=re.escape(sentence)):
        read_options(OPTIMIZERS["adam"], {"schedule": text})


def test_a_name_alone_begins_where_the_run_is():
    assert str(RateSchedule.read("cosine", now=4 + 1 / 3)) == "cosine@4.333333333333333"
    assert str(RateSchedule.read("cosine@1", now=4)) == "cosine@1"
    assert str(RateSchedule.read("constant", now=4)) == "constant"
    assert str(RateSchedule.read("constant:warmup=1", now=4)) == "constant:warmup=1@4"


@pytest.mark.parametrize(
    "text",
    ["cosin", "", "own", "constant@4", "cosine@", "cosine@x", "cosine@-1", "cosine@nan",
     "cosine@inf", "cosine@1e300", "own:warmup=1@0", 3, None],
)  # fmt: skip
def test_anything_else_is_wrong_and_the_message_lists_what_there_is(text):
    with pytest.raises(WrongUse, match=r"schedule takes constant, cosine, .* or plateau.*, not"):
        OPTIONS["lr_schedule"].take(text)


@pytest.mark.parametrize(
    ("trained", "begin", "epochs", "factor"),
    [
        (0, 0, 4, 1.0),
        (3, 0, 4, 0.25),
        (4, 4, 8, 1.0),
        (6, 4, 8, 0.5),
        (8, 4, 8, 0.0),
        (2, 4, 8, 1.0),  # after a rollback
        (2, 4, 4, 1.0),  # after a rollback, and fewer epochs
        (2, 4, 3, 1.0),
        (9, 4, 8, 0.0),
        (4, 4, 4, 1.0),
    ],
)
def test_a_schedule_goes_from_its_beginning_to_the_last_epoch(trained, begin, epochs, factor):
    assert RateSchedule("linear", begin).factor(trained, epochs) == factor


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", ["", ":warmup=2"])
def test_before_its_beginning_a_run_trains_at_lr(name, warmup):
    schedule = RateSchedule.read(f"{name}{warmup}", now=4)
    assert [schedule.factor(trained, 9) for trained in (0, 1.5, 3.9)] == [1, 1, 1]


def by_torch(name: str, optimizer: Optimizer, steps: int, per_epoch: int) -> LRScheduler:
    """Return the scheduler of PyTorch for a schedule with its defaults over so many steps."""
    makers: dict[str, Callable[[], LRScheduler]] = {
        "constant": lambda: LinearLR(optimizer, start_factor=1, total_iters=1),
        "linear": lambda: PolynomialLR(optimizer, total_iters=steps),
        "cosine": lambda: CosineAnnealingLR(optimizer, T_max=steps),
        "step": lambda: StepLR(optimizer, step_size=10 * per_epoch),
        # ours reaches its end with the end of the last step, and PyTorch's with its beginning
        "one-cycle": lambda: OneCycleLR(
            optimizer, max_lr=0.5, total_steps=steps + 1, cycle_momentum=False,
            pct_start=(0.3 * steps + 1) / (steps + 1),
        ),
    }  # fmt: skip
    return makers[name]()


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # by PyTorch 2.6, of its own call
@settings(max_examples=30)
@given(
    st.sampled_from(["constant", "linear", "cosine", "step", "one-cycle"]),
    st.integers(1, 25),
    st.integers(1, 7),
    st.integers(0, 5),
)
def test_its_rates_are_those_of_pytorch(name, epochs, per_epoch, warmup):
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    warmup = 0 if name == "one-cycle" else min(warmup, epochs - 1)
    first, later = warmup * per_epoch, (epochs - warmup) * per_epoch
    scheduler = by_torch(name, optimizer, later, per_epoch)
    if first:
        rising = LinearLR(optimizer, start_factor=0.01, total_iters=first)
        scheduler = SequentialLR(optimizer, [rising, scheduler], milestones=[first])
    schedule = RateSchedule.read(f"{name}:warmup={warmup}", now=0)
    for step in range(epochs * per_epoch):
        trained = step // per_epoch + step % per_epoch / per_epoch
        expected = optimizer.param_groups[0]["lr"]
        assert math.isclose(0.5 * schedule.factor(trained, epochs), expected, rel_tol=1e-9)
        optimizer.step()
        scheduler.step()


def test_a_step_falls_with_its_epoch_wherever_the_schedule_began():
    schedule = RateSchedule.read("step:size=2", now=1 + 2 / 7)
    falls = [schedule.factor(1 + epoch + 2 / 7, 9) for epoch in range(6)]
    assert falls == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_it_rises_through_a_warm_up_longer_than_the_run():
    schedule = RateSchedule.read("cosine:warmup=8", now=0)
    assert schedule.factor(4, 4) == pytest.approx(0.505)


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_is_said_in_the_words_of_its_options(name):
    assert all(key in SCHEDULES[name].summary for key in SCHEDULES[name].options)
