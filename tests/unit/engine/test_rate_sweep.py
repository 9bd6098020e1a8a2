"""A sweep of the learning rate: what it finds, and that nothing is left of it."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from tests.unit.engine.test_steering import PER_EPOCH, of, small, trained
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, FindRate, Pause, Resume, Stop, Undo
from tuitrain.core.decode import decoded
from tuitrain.core.detail import RATE_SWEEP, SWEPT_RATES, RateSweep
from tuitrain.core.events import (
    BatchDone,
    CommandDropped,
    Detail,
    EpochEnded,
    RateSwept,
    Stopped,
    TakeOpened,
)
from tuitrain.engine.build import build
from tuitrain.engine.data import Part
from tuitrain.engine.rate_sweep import MOST_BATCHES, suggested
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.streaming import Streamed
from tuitrain.engine.training import Training


class Counting(nn.Module):
    """Draws, and keeps a number and a buffer that are in no checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        self.seen += 1
        return x + torch.randn_like(x) / (1 + self.calls)


def everything(run: Training, events: list) -> tuple[Any, ...]:
    """Return all that a step depends on, and all that was seen of the steps."""
    counting = [module for module in run.model.modules() if isinstance(module, Counting)]
    return (
        weights_sha256(run.model),
        [(part.calls, float(part.seen)) for part in counting],
        torch.get_rng_state().tolist(),
        repr(run.optimizer.state_dict()["param_groups"]),
        [float(done.loss) for done in of(events, BatchDone)],
        [replace(ended, improved=False) for ended in of(events, EpochEnded)],
        run.monitor.state(),
        {name: float(value) for name, value in run.gradient_scale.state().items()}
        if run.gradient_scale else None,
    )  # fmt: skip


SWEPT: dict[str, list] = {
    "before the first batch": [(0, FindRate())],
    "in an epoch": [(4, FindRate())],
    "between epochs": [(1, (FindRate(), "epoch"))],
    "while paused, twice": [(3, Pause()), (99, FindRate()), (99, FindRate()), (99, Resume())],
}
PAUSED = [(3, Pause()), (99, Resume())]
RUNS: dict[str, dict[str, Any]] = {
    "dropout and batch norm": {"model": "mlp:hidden=16,norm=batch,dropout=0.5"},
    "momentum and a schedule": {"optimizer": "sgd:momentum=0.9,schedule=cosine", "lr": 0.1},
    "a scale of 16-bit gradients": {"precision": "fp16"},
    "a model with a state of its own": {},
}


def built(how: str, **more) -> Training:
    spec = {"model": "linear", "batch_size": 256, "epochs": 2, **RUNS[how], **more}
    run = build(new_spec("digits", **spec))
    if not RUNS[how]:
        run.model.append(Counting())
    return run


@pytest.mark.parametrize(
    ("how", "when"),
    [
        ("dropout and batch norm", "in an epoch"),
        ("dropout and batch norm", "while paused, twice"),
        ("momentum and a schedule", "between epochs"),
        ("momentum and a schedule", "in an epoch"),
        ("a scale of 16-bit gradients", "in an epoch"),
        ("a model with a state of its own", "before the first batch"),
    ],
)
def test_the_run_goes_on_as_if_nothing_had_been(how: str, when: str):
    undisturbed = built(how)
    with_pause = PAUSED if len(SWEPT[when]) > 1 else []
    expected = everything(undisturbed, trained(undisturbed, *with_pause))
    swept = built(how)  # the seed of all generators is set when a run is built
    events = trained(swept, *SWEPT[when])
    assert len(of(events, RateSwept)) == max(1, len(SWEPT[when]) - 2)
    assert everything(swept, events) == expected


def test_a_reader_in_the_middle_of_its_epoch_goes_on_with_its_own_order():
    def streamed() -> Training:
        run = build(new_spec("digits", model="linear", batch_size=16, epochs=2))
        samples = TensorDataset(run.data.train.inputs[:80], run.data.train.targets[:80])
        run.data = replace(run.data, train=Streamed(samples))
        return run

    undisturbed = streamed()
    expected = everything(undisturbed, trained(undisturbed))
    swept = streamed()
    events = trained(swept, (3, FindRate()))
    assert len(of(events, RateSwept)) == 1
    assert everything(swept, events) == expected


def points(events: list) -> RateSweep:
    details = [event for event in of(events, Detail) if event.name == RATE_SWEEP]
    return decoded(RateSweep, details[-1].body)


def test_the_rate_rises_until_the_loss_diverges_and_one_before_that_is_suggested():
    events = trained(small(epochs=2), (4, FindRate()))
    sweep, (swept,) = points(events), of(events, RateSwept)

    assert sweep.rates[0] == pytest.approx(SWEPT_RATES[0])
    growths = [after / before for before, after in zip(sweep.rates, sweep.rates[1:], strict=False)]
    assert growths == pytest.approx([growths[0]] * len(growths), rel=1e-4)
    assert len(sweep.rates) == len(sweep.losses) == len(sweep.smoothed) == swept.batches
    assert swept.batches < MOST_BATCHES, "it ends early"
    assert sweep.smoothed[-1] > 4 * min(sweep.smoothed)
    assert swept.suggestion == sweep.suggestion
    lowest = sweep.rates[sweep.smoothed.index(min(sweep.smoothed))]
    assert SWEPT_RATES[0] < swept.suggestion < lowest
    assert (swept.step, swept.epoch) == (4, 0)


def test_of_several_ranks_it_takes_the_common_batches():
    def losses(size: int, part: Part) -> list[float]:
        spec = new_spec("digits", model="linear", batch_size=size, epochs=1, seed=1)
        run = build(spec, part=part)
        return points(trained(run, (0, FindRate()))).losses

    assert losses(32, Part(0, 2)) == losses(64, Part())


def test_a_loss_that_is_never_negative_is_smoothed_to_no_negative_one():
    run = build(new_spec("sine", model="linear", optimizer="sgd", batch_size=1, epochs=2))
    inputs = torch.tensor([0.0, 1.0]).repeat(60)[:, None]
    samples = TensorDataset(inputs, 10 * inputs[:, 0])  # every other loss is 0 from the start
    run.data = replace(run.data, train=Streamed(samples))
    sweep = points(trained(run, (0, FindRate())))
    assert min(sweep.losses) < 1 < max(sweep.losses), "it learns"
    assert min(sweep.smoothed) >= 0


def test_a_suggestion_lies_where_the_loss_falls_steepest_and_is_none_where_it_does_not_fall():
    rates = [10 ** (-6 + number / 10) for number in range(60)]
    fall = [2.3 - 2 / (1 + math.exp(-(number - 30) / 2)) for number in range(60)]
    assert suggested(rates, fall) == pytest.approx(rates[30], rel=0.1)
    assert suggested(rates, [2.3] * 60) is None
    assert suggested(rates, [2.3 + number / 60 for number in range(60)]) is None
    assert suggested(rates[:4], fall[:4]) is None
    assert suggested(rates, [*fall[:50], *[math.nan] * 10]) == suggested(rates, fall)


def test_another_command_ends_the_sweep_and_is_carried_out_at_once():
    run, undisturbed = small(), small()
    events = trained(run, (4, FindRate()), (4, Stop()))
    trained(undisturbed, (4, Stop()))

    (dropped,) = of(events, CommandDropped)
    assert dropped.reason == "another command came before its end"
    assert [event.step for event in of(events, Stopped)] == [4]
    assert len(of(events, BatchDone)) == 4
    assert weights_sha256(run.model) == weights_sha256(undisturbed.model)


def test_a_sweep_is_no_change_that_an_undo_takes_back():
    events = trained(small(), (2, Change("lr", 0.5)), (3, FindRate()), (4, Undo()))
    assert not of(events, TakeOpened)


class Unique(nn.Linear):
    def __deepcopy__(self, _memo: dict) -> None:
        raise NotImplementedError("there is one of it")


def test_a_model_that_cannot_be_copied_is_not_swept_and_trains_on():
    run = small(epochs=1)
    run.model.append(Unique(10, 10))
    events = trained(run, (2, FindRate()))
    (dropped,) = of(events, CommandDropped)
    assert dropped.reason == "the sweep failed: NotImplementedError: there is one of it"
    assert len(of(events, BatchDone)) == PER_EPOCH


def test_a_loss_that_refuses_what_a_diverged_model_returns_ends_the_sweep_alone():
    run = small(epochs=1)
    usual = run.criterion

    def picky(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if output.abs().max() > 20:
            raise ValueError("what numbers!")
        return usual(output, target)

    run.criterion = picky
    events = trained(run, (2, FindRate()))
    (swept,) = of(events, RateSwept)
    assert swept.batches < len(points(trained(small(epochs=1), (2, FindRate()))).rates)
    assert swept.suggestion
    assert len(of(events, BatchDone)) == PER_EPOCH
