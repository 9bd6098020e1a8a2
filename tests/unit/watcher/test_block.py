"""A loop of one's own in a `with` block: its losses, epochs, logged numbers and its end."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

import tuitrain
from tests.conftest import PROJECT, until
from tuitrain.core.commands import (
    Boundary,
    Change,
    Command,
    Pause,
    Request,
    Stop,
    SwapLoss,
    Undo,
)
from tuitrain.core.events import (
    EpochEnded,
    LossSwapped,
    Paused,
    RunStarted,
    Stopped,
    TakeOpened,
)
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.watcher import session
from tuitrain.watcher.loop import WatchedLoop

BATCHES, MOST = 4, 20_000
"""Those of an epoch, and more than are trained before a command is carried out."""


class Training:
    """A model, its data, and a loop that ends where its loader does."""

    def __init__(self, home: Path, batches: int = BATCHES) -> None:
        data = TensorDataset(torch.randn(8 * batches, 4), torch.randn(8 * batches, 3))
        self.loader = DataLoader(data, batch_size=8)
        self.model = nn.Linear(4, 3)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self._paths = RunPaths(home / "runs" / "a")
        self._submitted: set[str] = set()

    def epochs(self, run: WatchedLoop) -> Iterator[tuple[float, float]]:
        """Yield the loss of each step, and what it is by hand."""
        for _ in range(MOST // BATCHES):
            for inputs, target in run(self.loader):
                self._optimizer.zero_grad()
                outputs = self.model(inputs)
                loss = functional.mse_loss(outputs, target)
                loss.backward()
                self._optimizer.step()
                yield loss.item(), (outputs - target).square().mean().item()
            if run.stopped:
                return
        raise AssertionError("it was not stopped")

    def submit_once(self, command: Command, at: Boundary = "batch") -> None:
        if command.kind not in self._submitted:
            self._submitted.add(command.kind)
            inbox.put(self._paths.inbox, Request.new(command, at=at))

    def events(self, kind: type) -> list:
        run = tuitrain.connect(self._paths.directory)
        return [event for event in run.events(follow=False) if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("code", "error"),
    [(None, None), (0, None), (3, "ended with exit code 3"), ("no data", "ended itself: no data")],
)
def test_a_program_that_ends_within_the_block_says_whether_it_failed(
    tmp_path: Path, code: object, error: str | None
):
    def program() -> None:
        with tuitrain.watch("a", home=tmp_path) as run:
            run.step(1.0)
            sys.exit(code)

    with pytest.raises(SystemExit):
        program()
    shown = tuitrain.connect("a", home=tmp_path).show()
    assert shown["state"] == ("failed" if error else "finished")
    assert shown["error"] == (error and f"the script {error}")


def test_a_generator_that_is_closed_within_the_block_has_finished(tmp_path: Path):
    def losses() -> Iterator[float]:
        with tuitrain.watch("a", home=tmp_path) as run:
            while True:
                run.step(1.0)
                yield 1.0

    steps = losses()
    assert [next(steps), next(steps)] == [1.0, 1.0]
    steps.close()
    assert tuitrain.connect("a", home=tmp_path).show()["state"] == "finished"


@pytest.mark.parametrize(
    "given",
    [
        {"model": "perceptron"},
        {"optimizer": "adam"},
        {"losses": [nn.functional.l1_loss]},
        {"criterion": "mse"},
        {"losses": {"half": 0.5}},
        {"losses": {"": nn.functional.l1_loss}},
        {"losses": {"two\nlines": nn.functional.l1_loss}},
        {"config": "lr=0.1"},
        {"keep": nn.Sequential(nn.Linear(1, 1))},
        {"keep": True},
        {"keep": [1.0]},
        {"kind": "multilabel"},
        {"on_nonfinite": "ignore"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_wrong_argument_is_refused_by_name_and_makes_no_run(tmp_path: Path, given):
    (name,) = given
    with pytest.raises(tuitrain.WrongUse, match=name):
        tuitrain.watch("a", home=tmp_path, **given)
    assert not (tmp_path / "runs").exists()


def half(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs - target).square().mean() / 2


def test_a_loss_of_the_users_own_is_swapped_in_and_a_stop_ends_the_loader(tmp_path: Path):
    training = Training(tmp_path)
    with tuitrain.watch("a", home=tmp_path, losses={"half": half}) as run:
        for loss, by_hand in training.epochs(run):
            training.submit_once(SwapLoss("half"))
            if loss < 0.7 * by_hand:
                training.submit_once(Stop())
        after = True
    assert after, "the block goes on"
    (swapped,), (stopped,) = training.events(LossSwapped), training.events(Stopped)
    assert 1 <= swapped.step < stopped.step
    (started,) = training.events(RunStarted)
    assert (started.device, started.parameters) == ("cpu", 4 * 3 + 3)


def test_a_swap_and_a_stop_for_the_end_of_an_epoch_are_made_there(tmp_path: Path):
    training = Training(tmp_path)
    with tuitrain.watch("a", home=tmp_path) as run:
        for number, (loss, by_hand) in enumerate(training.epochs(run), start=1):
            if number == 2 * BATCHES + 1:  # two epochs are over, and a third has begun
                training.submit_once(SwapLoss("l1"), "epoch")
            if abs(loss - by_hand) > 0.01:
                training.submit_once(Stop(), "epoch")
        after = True
    assert after, "the block goes on"
    (swapped,), (stopped,) = training.events(LossSwapped), training.events(Stopped)
    assert swapped.step < stopped.step
    assert {swapped.step, stopped.step} <= {epoch.step for epoch in training.events(EpochEnded)}


def test_the_rate_of_each_group_and_the_gradient_norm_are_series(tmp_path: Path):
    model = nn.Linear(4, 3)
    groups = [{"params": [model.weight], "lr": 0.02}, {"params": [model.bias], "lr": 0.5}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    norms = []
    with tuitrain.watch("a", home=tmp_path):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            norms.append(torch.nn.utils.get_total_norm([one.grad for one in model.parameters()]))
            optimizer.step()
    run = tuitrain.connect("a", home=tmp_path)
    rates = {name: run.series(name)[1][0] for name in ("lr", "lr-group-2")}
    assert rates == {"lr": 0.02, "lr-group-2": 0.5}
    steps, found = run.series("gradient-norm")
    assert list(found) == [pytest.approx(float(norms[step - 1])) for step in steps]


def test_a_pause_for_the_end_of_an_epoch_holds_there(tmp_path: Path):
    training = Training(tmp_path)
    with tuitrain.watch("a", home=tmp_path) as run:
        for number, _ in enumerate(training.epochs(run), start=1):
            if number == 2 * BATCHES + 1:  # two epochs are over, and a third has begun
                training.submit_once(Pause(), "epoch")
                Thread(target=stopped_when_paused, args=[training], daemon=True).start()
    (paused,) = training.events(Paused)
    assert paused.step in {epoch.step for epoch in training.events(EpochEnded)}
    assert training.events(Stopped)[0].step == paused.step


def test_the_loss_of_an_epoch_is_that_of_its_steps_without_those_that_were_undone(tmp_path: Path):
    training = Training(tmp_path, batches=100)
    steps_until_undone = iter(range(1000))
    with tuitrain.watch("a", home=tmp_path) as run:
        assert session.current is not None
        loop = session.current.watch.loop
        for number, _ in enumerate(training.epochs(run), start=1):
            if number == 110:
                training.submit_once(Change("clip-norm", 1e9))  # which changes nothing
            if loop.clip_norm and next(steps_until_undone) == 20:
                training.submit_once(Undo())
            if loop.take == 2 and loop.epoch == 3:
                training.submit_once(Stop())
    (opened,) = training.events(TakeOpened)
    rows = tuitrain.connect("a", home=tmp_path).batches()
    assert {row.take for row in rows if row.step > opened.step} == {1, 2}, "some were undone"
    epochs = training.events(EpochEnded)
    for epoch in epochs:
        losses = [
            row.loss
            for row in rows
            if row.epoch == epoch.epoch
            and (row.take == epoch.take or (row.take < epoch.take and row.step <= opened.step))
        ]
        assert epoch.train_loss == pytest.approx(sum(losses) / len(losses), rel=1e-9)
    assert {epoch.take for epoch in epochs} >= {2}


def stopped_when_paused(training: Training) -> None:
    until(lambda: training.events(Paused), "it holds")
    training.submit_once(Stop())


def test_what_is_logged_to_tensorboard_is_recorded_as_well(tmp_path: Path):
    with (
        tuitrain.watch("a", home=tmp_path) as run,
        SummaryWriter(str(tmp_path / "board")) as writer,
    ):
        for number in range(3):
            run.step(1.0)
            writer.add_scalar("accuracy", number / 2, number)
            writer.add_scalars("losses", {"train": number}, number)
    series = {one["name"] for one in tuitrain.connect("a", home=tmp_path).show()["series"]}
    assert {"accuracy", "losses/train"} <= series
    assert list(tuitrain.connect("a", home=tmp_path).series("accuracy")[1]) == [0.0, 0.5, 1.0]


def triplets(model: nn.Module, inputs: Tensor) -> Tensor:
    return functional.triplet_margin_loss(model(inputs), model(inputs + 1), model(-inputs))


class Backwards(nn.Module):
    """A criterion whose arguments have names of its own."""

    def forward(self, *, truth: Tensor, guess: Tensor) -> Tensor:
        return (truth - guess).abs().mean()


def told(model: nn.Module, inputs: Tensor) -> Tensor:
    return CRITERION(truth=inputs[:, :3], guess=model(inputs))


CRITERION = Backwards()


@pytest.mark.parametrize("loss", [triplets, told])
def test_a_loss_without_an_input_and_a_target_is_seen_and_cannot_be_swapped(
    tmp_path: Path, capfd, loss
):
    inputs, model = torch.randn(8, 4), nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    with tuitrain.watch(
        "a", home=tmp_path, kind="regression", losses={"half": half}, criterion=CRITERION
    ):
        inbox.put(RunPaths(tmp_path / "runs" / "a").inbox, Request.new(SwapLoss("half")))
        inbox.put(RunPaths(tmp_path / "runs" / "a").inbox, Request.new(SwapLoss("l1")))
        for _ in range(3):
            with torch.no_grad():
                loss(model, inputs)
            optimizer.zero_grad()
            value = loss(model, inputs)
            value.backward()
            optimizer.step()
            losses.append(value.item())
    run = tuitrain.connect("a", home=tmp_path)
    assert [row.loss for row in run.batches()] == losses
    refused = [event.reason for event in run.events(follow=False) if hasattr(event, "reason")]
    assert [reason.count("no input and target") for reason in refused] == [1, 1]
    assert "cannot be seen" not in capfd.readouterr().err


def test_the_loop_that_the_page_shows_is_watched_as_it_says(tmp_path: Path, monkeypatch, capsys):
    page = (PROJECT / "docs" / "watch.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("TUITRAIN_HOME", str(tmp_path))
    exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.startswith("asymmetric ended at loss 0.")
    run = tuitrain.connect("asymmetric", home=tmp_path)
    (started,) = [event for event in run.events(follow=False) if isinstance(event, RunStarted)]
    assert "width = 8" in started.card.notes
    assert {"criterion", "absolute"} <= set(run.show()["problem"]["losses"])
    assert len(run.series("weight")[1]) or run.show()["metrics"]["weight"]
    documented = set(re.findall(r"^\| `([a-z_`, ]+)` \|", page, re.MULTILINE))
    named = {name for row in documented for name in re.findall(r"\w+", row)}
    assert set(inspect.signature(tuitrain.watch).parameters) <= named
