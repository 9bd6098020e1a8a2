"""What a step makes of finite gradients: no NaN and no infinity outlives it, in any mode."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import Shell, until
from tuitrain import connect
from tuitrain.connection.run import Run
from tuitrain.core.events import EpochEnded, NotFinite, SettingChanged, TakeOpened

TASK = """
import torch
import tuitrain
from torch import nn

inputs = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
targets = (inputs[:, 0] > 0).float()
overflowing = inputs.clone()
overflowing[5] = 1e20


class Normed(nn.Module):
    "A part of the loss is normed by statistics that it keeps of the inputs."

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 1), nn.BatchNorm1d(4)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(self, samples):
        self.norm(samples)
        return self.layer(samples.clamp(-3, 3)).flatten()


class Wild(Normed):
    def forward(self, samples):
        return super().forward(samples) * (1 if self.training else torch.inf)


def task(samples, model=Normed):
    return tuitrain.Task(
        kind="binary",
        train=lambda: torch.utils.data.TensorDataset(samples[:192], targets[:192]),
        val=lambda: torch.utils.data.TensorDataset(inputs[192:], targets[192:]),
        model=model,
    )


def steep(outputs, targets):
    return 1e23 * nn.functional.binary_cross_entropy_with_logits(outputs, targets)


finite, overflows, wild = task(inputs), task(overflowing), task(inputs, Wild)
"""
FAULTS = {
    "rate": (("digits", "--lr", "1e300"), "weight 1.weight", 2),
    "last rate": (("digits", "--lr", "1e300", "--batch-size", "1437"), "weight 1.weight", 1),
    "norm": (("{folder}/task.py:overflows",), "buffer norm.running_var", 3),
    "squares": (
        ("{folder}/task.py:finite", "--loss", "{folder}/task.py:steep"),
        "optimizer state layer.weight.exp_avg_sq", 3,
    ),
}  # fmt: skip
"""What to run, and what is found not finite after at most so many steps."""


def tensors(value: object) -> Iterator[torch.Tensor]:
    match value:
        case torch.Tensor():
            yield value
        case dict() | list() | tuple():
            for item in value.values() if isinstance(value, dict) else value:
                yield from tensors(item)


def is_clean(run: Run) -> bool:
    """Return whether a run has saved nothing that is not finite, but for the mask."""
    files = (run.directory / "checkpoints").iterdir()
    states = [torch.load(path, weights_only=True) for path in files]
    for state in states:
        state["model"].pop("mask", None)
    assert states
    return all(
        bool(one.isfinite().all())
        for state in states
        for one in tensors([state["model"], state["optimizer"]])
    )


@pytest.fixture(params=FAULTS)
def fault(request, tmp_path: Path) -> tuple[list[str], str, int]:
    (tmp_path / "task.py").write_text(TASK)
    arguments, subject, step = FAULTS[request.param]
    command = [argument.format(folder=tmp_path) for argument in arguments]
    return ["run", *command, "--epochs", "2", "--name", "a"], subject, step


def went_back(run: Run, subject: str, step: int) -> NotFinite:
    """Return what a run went back from, which is told with its place."""
    found = [event for event in run.events(follow=False) if isinstance(event, NotFinite)]
    bad = next(event for event in found if event.name)
    assert (bad.subject, bad.take, bad.since, bad.back_at) == (subject, 1, 0, 0)
    assert 1 <= bad.step <= step
    (opened, *_) = [event for event in run.events(follow=False) if isinstance(event, TakeOpened)]
    assert (opened.step, opened.left_at, opened.take) == (0, bad.step, 2)
    return bad


@pytest.mark.parametrize("mode", ["pause", "skip"])
def test_a_run_goes_back_and_waits_where_it_would_only_do_the_same_again(
    tuitrain: Shell, fault, mode: str
):
    command, subject, step = fault
    tuitrain(*command, "--on-nonfinite", mode, "--detach")
    run = connect("a", home=tuitrain.home)
    until(lambda: run.state in ("paused", "finished", "failed"), "it pauses by itself")

    assert run.state == "paused"
    bad = went_back(run, subject, step)
    assert tuitrain.show("a")["step"] == 0
    assert is_clean(run)
    said = tuitrain("show", "a").stdout
    assert (
        f"paused: {subject} not finite between steps 0 and {bad.step}: back at step 0; "
        "lower the rate, or scale the inputs"
    ) in said
    assert not [event for event in run.events(follow=False) if isinstance(event, EpochEnded)]
    tuitrain("ctl", "a", "stop", "--wait")
    assert tuitrain.ended("a")["state"] == "stopped"
    tuitrain("export", "a", "--format", "weights", "--out", str(tuitrain.home / "a.pt"))
    assert is_clean(run)


def test_a_run_that_shall_stop_ends_with_the_state_from_before(tuitrain: Shell, fault):
    command, subject, step = fault
    done = tuitrain(*command, "--on-nonfinite", "stop", "--plain", code=1)
    run = connect("a", home=tuitrain.home)

    bad = went_back(run, subject, step)
    assert run.state == "failed"
    assert (
        f"{subject} was not finite after step {bad.step}, and the run went back to step 0; "
        "tuitrain resume a goes on"
    ) in done.stderr
    assert is_clean(run)


@pytest.mark.parametrize("mode", ["pause", "skip"])
def test_with_a_lower_rate_it_goes_on_to_the_weights_of_a_run_that_had_it_from_the_start(
    tuitrain: Shell, mode: str
):
    rates = ("--on-nonfinite", mode, "--epochs", "2", "--detach")
    tuitrain("run", "digits", "--lr", "1e300", "--name", "a", *rates)
    run = connect("a", home=tuitrain.home)
    until(lambda: run.state == "paused", "it pauses by itself")
    assert "nothing was changed yet" in tuitrain("ctl", "a", "undo", code=3).stderr
    tuitrain("ctl", "a", "lr", "0.001", "--wait")
    tuitrain("ctl", "a", "resume", "--wait")
    shown = tuitrain.ended("a")
    tuitrain("run", "digits", "--lr", "0.001", "--epochs", "2", "--plain", "--name", "b")
    assert shown["state"] == "finished"
    assert shown["weights_sha256"] == tuitrain.show("b")["weights_sha256"]
    said = tuitrain("replay", "a", "--plain", "--name", "c").stdout
    assert "the same weights as a, to the last bit" in said


def test_a_run_that_skips_goes_on_once_with_other_settings_than_those_of_its_checkpoint(
    tuitrain: Shell,
):
    """A rate that was raised is still in use where it goes back to: the steps are others."""
    tuitrain(
        "run", "digits", "--on-nonfinite", "skip", "--epochs", "3", "--detach", "--name", "a",
        "--paused",
    )  # fmt: skip
    run = connect("a", home=tuitrain.home)
    tuitrain("ctl", "a", "step", "30", "--wait")
    until(lambda: run.state == "paused" and tuitrain.show("a")["step"] == 30, "it took its steps")
    tuitrain("ctl", "a", "lr", "1e300", "--wait")
    tuitrain("ctl", "a", "resume", "--wait")
    until(lambda: run.state == "paused" and tuitrain.show("a")["take"] == 3, "it went back twice")

    bad = [event for event in run.events(follow=False) if isinstance(event, NotFinite)]
    assert [event.back_at for event in bad if event.name] == [30, 30]
    assert is_clean(run)
    tuitrain("ctl", "a", "undo", "--wait")
    shown = tuitrain.show("a")
    assert (shown["step"], shown["lr"], shown["take"]) == (30, 0.001, 4)
    (raised,) = [one for one in run.events(follow=False) if isinstance(one, SettingChanged)]
    assert raised.step == 30
    tuitrain("ctl", "a", "resume", "--wait")
    shown = tuitrain.ended("a")
    tuitrain("run", "digits", "--epochs", "3", "--plain", "--name", "b")
    assert shown["weights_sha256"] == tuitrain.show("b")["weights_sha256"]


def test_an_epoch_whose_validation_is_not_finite_is_never_the_best(tuitrain: Shell, tmp_path: Path):
    (tmp_path / "task.py").write_text(TASK)
    tuitrain("run", f"{tmp_path}/task.py:wild", "--epochs", "2", "--plain", "--name", "a")
    run = connect("a", home=tuitrain.home)
    ended = [event for event in run.events(follow=False) if isinstance(event, EpochEnded)]
    assert [math.isfinite(event.val_loss or 0) for event in ended] == [False, False]
    assert not any(event.improved for event in ended)


def test_weights_to_begin_with_that_are_not_finite_are_refused_by_name(
    tuitrain: Shell, tmp_path: Path
):
    tuitrain("run", "digits", "--epochs", "1", "--plain", "--name", "a")
    path = tmp_path / "a.pt"
    tuitrain("export", "a", "--format", "weights", "--out", str(path))
    weights = torch.load(path, weights_only=True)
    weights["1.bias"][3] = math.nan
    torch.save(weights, path)
    done = tuitrain("run", "digits", "--init-from", str(path), "--plain", "--name", "b", code=3)
    assert f"the weights in {path} are not finite: 1.bias" in done.stderr


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_ranks_go_back_together(tuitrain: Shell, strategy: str):
    ranks = ("--nproc", "2", "--strategy", strategy, "--batch-size", "32")
    tuitrain("run", "digits", "--lr", "1e300", "--epochs", "2", "--detach", "--name", "a", *ranks)
    run = connect("a", home=tuitrain.home)
    until(lambda: run.state in ("paused", "finished", "failed"), "it pauses by itself")
    assert run.state == "paused", run.error
    bad = next(event for event in run.events(follow=False) if isinstance(event, NotFinite))
    assert (bad.what, bad.back_at) == ("weight", 0) or not bad.name
    assert tuitrain.show("a")["step"] == 0
    assert is_clean(run)
    tuitrain("ctl", "a", "lr", "0.001", "--wait")
    tuitrain("ctl", "a", "resume", "--wait")
    shown = tuitrain.ended("a")
    assert shown["state"] == "finished"
    tuitrain("run", "digits", "--epochs", "2", "--plain", "--name", "b", *ranks)
    assert shown["weights_sha256"] == tuitrain.show("b")["weights_sha256"]
