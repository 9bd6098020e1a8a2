"""What a step makes of finite gradients: no NaN and no infinity outlives it, in any mode."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import Shell, until
from tests.versions import SHARDED
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


class Cached(Normed):
    "Makes a mask at its first batch, which no checkpoint has."
    def forward(self, samples):
        if not hasattr(self, "cache"):
            self.register_buffer("cache", torch.tensor([0.0, -torch.inf]), persistent=False)
        return super().forward(samples)


class Unsaved(Normed):
    "Keeps a number that no checkpoint has, which overflows at the 20th batch."
    def __init__(self):
        super().__init__()
        self.register_buffer("grows", torch.ones(2), persistent=False)

    def forward(self, samples):
        self.grows *= 100 if self.training else 1
        return super().forward(samples)


class Strict(Normed):
    "Makes an error of NaN, as many distributions and losses do."
    def forward(self, samples):
        outputs = super().forward(samples)
        assert not outputs.isnan().any()
        return outputs


class Late(Wild):
    "Its validation is never finite, and a buffer is not from the 30th batch on."
    def __init__(self):
        super().__init__()
        self.register_buffer("grows", torch.full((2,), 1e9))

    def forward(self, samples):
        self.grows *= 10 if self.training else 1
        return super().forward(samples)


class Deep(torch.optim.SGD):
    "Keeps what overflows deep in its state."
    def step(self, closure=None):
        super().step(closure)
        for weight in self.param_groups[0]["params"]:
            self.state[weight].setdefault("kept", {"squares": torch.ones_like(weight)})
            self.state[weight]["kept"]["squares"] *= 1e10


def task(samples, model=Normed, **more):
    return tuitrain.Task(
        kind="binary",
        train=lambda: torch.utils.data.TensorDataset(samples[:192], targets[:192]),
        val=lambda: torch.utils.data.TensorDataset(inputs[192:], targets[192:]),
        model=model,
        **more,
    )


def steep(outputs, targets):
    return 1e23 * nn.functional.binary_cross_entropy_with_logits(outputs, targets)


finite, overflows, wild = task(inputs), task(overflowing), task(inputs, Wild)
cached, unsaved, strict = task(inputs, Cached), task(inputs, Unsaved), task(inputs, Strict)
late = task(inputs, Late)
deep = task(inputs, optimizer=lambda weights: Deep(weights, lr=0.01))
"""
FAULTS = {
    "rate": (("digits", "--lr", "1e300"), "weight 1.weight", 2),
    "last rate": (("digits", "--lr", "1e300", "--batch-size", "1437"), "weight 1.weight", 1),
    "norm": (("{folder}/task.py:overflows",), "buffer norm.running_var", 3),
    "squares": (
        ("{folder}/task.py:finite", "--loss", "{folder}/task.py:steep"),
        "optimizer state layer.weight.exp_avg_sq", 3,
    ),
    "error": (("{folder}/task.py:strict", "--lr", "1e38"), "weight layer.weight", 2),
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


def paused_task(tuitrain: Shell, folder: Path, name: str, *arguments: str) -> Run:
    """Return a run of a task above that has paused by itself."""
    (folder / "task.py").write_text(TASK)
    task = f"{folder}/task.py:{name}"
    tuitrain("run", task, "--epochs", "20", "--detach", "--name", "a", *arguments)
    run = connect("a", home=tuitrain.home)
    until(lambda: run.state in ("paused", "finished", "failed"), "it pauses")
    assert run.state == "paused"
    return run


def test_what_its_optimizer_keeps_deep_in_its_state_is_looked_at(tuitrain: Shell, tmp_path: Path):
    run = paused_task(tuitrain, tmp_path, "deep")
    assert is_clean(run)
    assert "optimizer state layer.weight.kept not finite" in tuitrain("show", "a").stdout


def test_a_buffer_that_no_checkpoint_has_begins_anew_where_a_run_goes_back(
    tuitrain: Shell, tmp_path: Path
):
    paused_task(tuitrain, tmp_path, "unsaved")
    assert "buffer grows not finite" in tuitrain("show", "a").stdout


def test_a_mask_that_a_model_makes_as_it_trains_is_left_alone(tuitrain: Shell, tmp_path: Path):
    (tmp_path / "task.py").write_text(TASK)
    tuitrain("run", f"{tmp_path}/task.py:cached", "--epochs", "2", "--plain", "--name", "a")
    assert tuitrain.show("a")["state"] == "finished"


def test_a_run_whose_validation_is_never_finite_goes_back_no_further_than_others(
    tuitrain: Shell, tmp_path: Path
):
    run = paused_task(tuitrain, tmp_path, "late", "--paused")
    tuitrain("ctl", "a", "step", "20", "--wait")
    until(lambda: tuitrain.show("a")["step"] == 20, "it took its steps")
    tuitrain("ctl", "a", "resume", "--wait")
    until(lambda: run.state == "paused", "it pauses by itself")
    (bad,) = [event for event in run.events(follow=False) if isinstance(event, NotFinite)]
    assert (bad.name, bad.back_at) == ("grows", 20)


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


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("fsdp", marks=SHARDED)])
def test_ranks_go_back_together(tuitrain: Shell, strategy: str):
    ranks = ("--nproc", "2", "--strategy", strategy, "--batch-size", "32")
    tuitrain("run", "digits", "--lr", "1e300", "--epochs", "2", "--detach", "--name", "a", *ranks)
    run = connect("a", home=tuitrain.home)
    until(lambda: run.state in ("paused", "finished", "failed"), "it pauses by itself")
    assert run.state == "paused"
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
