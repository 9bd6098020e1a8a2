"""What a run keeps is looked at before it outlives the moment, and now and then."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.reads import Reads
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Pause, Request, Resume, Rollback, SaveCheckpoint, Stop
from tuitrain.core.errors import NothingFinite
from tuitrain.core.events import (
    BatchDone,
    CheckpointGone,
    CheckpointSaved,
    EpochEnded,
    NotFinite,
    Paused,
    SettingChanged,
    TakeOpened,
)
from tuitrain.engine.build import build
from tuitrain.engine.finite_state import Name
from tuitrain.engine.loop import train
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training

NORMED = "mlp:hidden=8,norm=batch"


def small(**settings) -> Training:
    torch.set_num_threads(1)
    settings = {"model": "linear", "epochs": 2, "batch_size": 256, "seed": 1, **settings}
    return build(new_spec("digits", **settings))


def of(events: Sequence[object], *kinds: type) -> list:
    return [event for event in events if isinstance(event, kinds)]


class Spoilt(Iterator[object]):
    """The events of a run whose first weight is made NaN after a step, once."""

    def __init__(self, run: Training, folder: Path | None, at: int, *script: Request) -> None:
        self.run, self.at, self.script = run, at, list(script)
        self.steering = Steering(run, self.commands, checkpoints=Checkpoints(folder))
        list(self.steering.checkpoints.save(run, "start"))
        self.events = train(run, self.steering)

    def commands(self, wait_s: float | None) -> Sequence[Request]:
        if wait_s is None:
            return [Request.new(Resume())]
        return [self.script.pop(0)] if self.script and self.run.step == 3 else []

    def __next__(self) -> object:
        event = next(self.events)
        if isinstance(event, BatchDone) and (event.take, event.step) == (1, self.at):
            with torch.no_grad():
                self.run.weights[0].view(-1)[0] = math.nan
        return event


def test_nan_in_the_last_batch_of_an_epoch_is_not_validated(tmp_path: Path):
    events = list(Spoilt(small(), tmp_path, 6))
    (bad,) = of(events, NotFinite)
    assert (bad.what, bad.name, bad.step, bad.since, bad.back_at) == ("weight", "1.weight", 6, 0, 0)
    assert [ended.take for ended in of(events, EpochEnded)] == [2, 2], "trained to its end"


@pytest.mark.parametrize("command", [Pause(), SaveCheckpoint(), Change("lr", 0.5), Stop()])
def test_nan_is_found_before_a_command_has_the_run_saved(command, tmp_path: Path):
    request = Request.new(command, "batch")
    events = list(Spoilt(small(), tmp_path, 3, request))
    (bad,) = of(events, NotFinite)
    assert (bad.step, bad.back_at) == (3, 0)
    assert all(saved.take == 2 for saved in of(events, CheckpointSaved))
    answers = [one for one in events if getattr(one, "command", None) == request.id]
    assert (answers[-1].take, answers[-1].step) == (2, 0)
    assert len(of(events, Paused)) == (0 if isinstance(command, Stop) else 1)
    for changed in of(events, SettingChanged):
        assert (changed.value, changed.step) == (0.5, 0)


def test_a_rollback_of_the_users_own_opens_a_take_after_that(tmp_path: Path):
    events = list(Spoilt(small(), tmp_path, 3, Request.new(Rollback(), "batch")))
    by_itself, asked = of(events, TakeOpened)
    assert (by_itself.take, by_itself.went_back_by_itself) == (2, True)
    assert (asked.take, asked.origin_take, asked.went_back_by_itself) == (3, 1, False)
    assert not of(events, Paused), "the user has chosen where to go on"


def test_a_run_goes_back_to_a_pause_within_an_epoch(tmp_path: Path):
    events = list(Spoilt(small(), tmp_path, 5, Request.new(Pause(), "batch")))
    loss, bad = of(events, NotFinite)
    assert (loss.what, loss.step) == ("loss", 6)
    assert (bad.since, bad.step, bad.back_at) == (3, 6, 3)


def test_a_mask_that_the_model_was_made_with_keeps_no_checkpoint_from_being_finite(tmp_path: Path):
    run = small()
    run.model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    run = replace(run)
    events = list(Spoilt(run, tmp_path, 5, Request.new(Pause(), "batch")))
    assert of(events, NotFinite)[-1].back_at == 3
    assert all(saved.is_finite for saved in of(events, CheckpointSaved))


def test_a_damaged_checkpoint_is_left_out(tmp_path: Path):
    spoilt = Spoilt(small(), tmp_path, 5, Request.new(Pause(), "batch"))
    events: list[object] = []
    for event in spoilt:
        events.append(event)
        if isinstance(event, Paused) and event.step == 3:
            (path,) = tmp_path.glob("*-step3.pt")
            path.write_bytes(b"")
    assert of(events, NotFinite)[-1].back_at == 0
    assert [gone.why for gone in of(events, CheckpointGone)][:1] == ["damaged"]


def test_without_a_checkpoint_the_run_fails_and_names_what_is_not_finite():
    with pytest.raises(NothingFinite, match=r"weight 1\.weight is not finite after step 6, and"):
        list(Spoilt(small(), None, 6))


def test_a_look_is_made_four_times_a_second_at_most_and_waits_once():
    now = 0.0
    run = small(model=NORMED, batch_size=16)
    steering = Steering(run, clock=lambda: now)
    looks: list[int] = []
    look = run.held.named_weights
    run.held.named_weights = lambda run: looks.append(run.step) or look(run)
    events = train(run, steering)
    for flush in range(20):
        done = next(event for event in events if isinstance(event, BatchDone))
        now = flush / 10
        steering.has_read(done, [])
    assert len(looks) == 6
    run.is_synchronous = False
    with Reads() as reads:
        assert run.nonfinite() is None
    assert reads.count == 1


@pytest.mark.parametrize(
    ("place", "what", "name"),
    [
        (lambda run: run.model[1].weight, "weight", "1.weight"),
        (lambda run: run.model[2].running_var, "buffer", "2.running_var"),
        (lambda run: run.criterion.mean, "buffer", "loss.mean"),
        (lambda run: run.criterion.centre, "weight", "loss.centre"),
        (lambda run: run.optimizer.state[run.weights[0]]["exp_avg_sq"], "state",
         "1.weight.exp_avg_sq"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_each_thing_that_a_run_keeps_is_looked_at_and_named(place, what, name, number):
    run = small(model=NORMED)
    run.losses._own["kept"] = Keeping
    run.change("loss", "kept")
    events = train(run, Steering(run))
    next(events)
    assert run.nonfinite() is None
    with torch.no_grad():
        place(run).view(-1)[-1] = number
    assert run.nonfinite() == Name(what, name)


class Keeping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("least", torch.tensor(math.inf))
        self.centre = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, target)


def test_the_least_loss_that_an_own_optimizer_keeps_may_be_infinite():
    run = small()
    state = run.optimizer.state[run.weights[0]]

    class Own(torch.optim.SGD):
        pass

    run.optimizer = Own(run.weights, lr=0.1)
    run.optimizer.state[run.weights[0]] = {"least": torch.tensor(math.inf), **state}
    assert run.nonfinite() is None
    run.optimizer.state["all"] = {"best": torch.full((2,), math.inf)}
    assert run.nonfinite() is None
    run.optimizer.state[run.weights[0]]["mean"] = torch.full_like(run.weights[0], math.inf)
    assert run.nonfinite() == Name("state", "1.weight.mean")
