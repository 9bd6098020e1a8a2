"""Commands on watched loops that are no textbook's."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

import tuitrain
from tests.conftest import until
from tests.odd_loops import INPUTS, TARGETS, Loop
from tuitrain.core.commands import Change, Command, Request, Rollback, Stop, SwapLoss, Undo
from tuitrain.core.events import CommandDropped, LossSwapped, RunStarted, TakeOpened
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.watcher import samples, session, watch
from tuitrain.watcher.losses import Call, replaced


def steered(home: Path, loop: Loop, commands: list[Command], **options: Any) -> list[Any]:
    """Train, with one command after the other, and return the events of the run."""
    run = tuitrain.connect

    def is_answered(request: Request) -> bool:
        loop.step(loop.loss())
        events = run("a", home=home).events(follow=False)
        return any(getattr(event, "command", None) == request.id for event in events)

    with tuitrain.watch("a", home=home, **options):
        for _ in range(5):
            loop.step(loop.loss())
        for command in commands:
            request = Request.new(command)
            inbox.put(RunPaths(home / "runs" / "a").inbox, request)
            until(partial(is_answered, request), "it is answered")
            loop.step(loop.loss())
    return list(run("a", home=home).events(follow=False))


class Unrated(torch.optim.Optimizer):
    """An optimizer without a learning rate."""

    def step(self) -> None:  # type: ignore[override]  # as scripts do
        """Move nothing."""


class Copying(nn.Sequential):
    """A model that gives away copies of its weights."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {name: one.clone() for name, one in super().state_dict(*args, **kwargs).items()}


def test_an_undo_puts_the_weights_back_of_a_model_that_saves_copies(tmp_path: Path):
    loop = Loop()
    loop.model = Copying(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.5)
    events = steered(tmp_path, loop, [Change("lr", 0.4), Undo()])
    (take,) = [event for event in events if isinstance(event, TakeOpened)]
    assert loop.losses[take.left_at] == loop.losses[take.step], "the step after it, once more"


def test_a_rollback_to_other_parameter_groups_is_refused_and_watching_goes_on(tmp_path: Path):
    loop = Loop()
    first, *_, last = loop.model
    loop.optimizer = torch.optim.Adam(last.parameters())
    step = loop.step

    def unfreezing(loss: Tensor) -> None:
        if len(loop.losses) == 3:
            loop.optimizer.add_param_group({"params": first.parameters()})
        step(loss)

    loop.step = unfreezing  # type: ignore[method-assign]  # as a script may
    events = steered(tmp_path, loop, [Rollback(0)])
    (dropped,) = [event for event in events if isinstance(event, CommandDropped)]
    assert "other parameter groups" in dropped.reason
    assert events[-1].kind == "finished"


def once_changed(loop: Loop, act: Callable[[], None]) -> None:
    """Let a script act once before the first step that a user's learning rate applies to."""
    step, acts = loop.step, [act]

    def acting(loss: Tensor) -> None:
        assert session.current is not None
        if session.current.watch.loop.factor != 1 and acts:
            acts.pop()()
        step(loss)

    loop.step = acting  # type: ignore[method-assign]  # as a script may


def test_an_undo_to_an_optimizer_of_another_class_is_refused(tmp_path: Path):
    loop = Loop()

    def replace() -> None:
        loop.optimizer = torch.optim.Adam(loop.model.parameters())

    once_changed(loop, replace)
    events = steered(tmp_path, loop, [Change("lr", 0.4), Undo()])
    (dropped,) = [event for event in events if isinstance(event, CommandDropped)]
    assert "other settings" in dropped.reason
    assert events[-1].kind == "finished"


def test_an_undo_leaves_a_scheduler_that_began_since_what_it_needs(tmp_path: Path):
    loop = Loop()
    cycles: list[Any] = []
    once_changed(
        loop, lambda: cycles.append(OneCycleLR(loop.optimizer, max_lr=0.2, total_steps=1000))
    )
    events = steered(tmp_path, loop, [Change("lr", 0.4), Undo()])
    assert [event for event in events if isinstance(event, TakeOpened)]
    cycles[0].step()
    assert {"initial_lr", "max_lr"} <= loop.optimizer.param_groups[0].keys()


def test_a_swap_outlives_a_wrong_call_of_the_loss(tmp_path: Path, capfd):
    loop = Loop()
    step = loop.step

    def after_a_wrong_call(loss: Tensor) -> None:
        with pytest.raises(ValueError, match="batch_size"):
            functional.cross_entropy(loop.model(INPUTS), TARGETS[:3])
        step(loss)

    loop.step = after_a_wrong_call  # type: ignore[method-assign]  # as a script may
    steered(tmp_path, loop, [SwapLoss("brier")])
    assert "cannot be seen" not in capfd.readouterr().err


def test_a_registered_loss_is_refused_where_the_script_reduces_it(tmp_path: Path):
    loop = Loop()
    loop.loss = lambda: functional.cross_entropy(  # type: ignore[method-assign]  # as a script may
        loop.model(INPUTS), TARGETS, reduction="none"
    ).mean()
    events = steered(tmp_path, loop, [SwapLoss("own")], losses={"own": functional.cross_entropy})
    assert [event.kind for event in events].count("loss-swapped") == 0
    assert "reduction='none'" in str(events)


def test_a_swap_leaves_a_weighted_call_of_the_same_function_as_it_is(tmp_path: Path, capfd):
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.0)
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def terms() -> list[Tensor]:
        outputs = loop.model(INPUTS)
        return [
            functional.cross_entropy(outputs, TARGETS),
            functional.cross_entropy(outputs, TARGETS, weight=weight),
        ]

    first, second = (one.item() for one in terms())
    loop.loss = lambda: sum(terms())  # type: ignore[method-assign]  # as a script may
    brier = replaced(Call("cross_entropy", (loop.model(INPUTS), TARGETS), {}), "brier").item()
    steered(tmp_path, loop, [SwapLoss("brier")])
    assert loop.losses[0] == pytest.approx(first + second)
    assert loop.losses[-1] == pytest.approx(brier + second)
    assert "cannot be seen" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "loss", "other"),
    [(None, "huber", "bce-with-logits"), ("binary", "bce-with-logits", "huber")],
)
def test_the_kind_decides_what_takes_the_place_of_a_squared_error(
    tmp_path: Path, kind: str | None, loss: str, other: str
):
    loop, targets = Loop(), (TARGETS > 1).float()[:, None]
    loop.model = nn.Sequential(nn.Linear(8, 1))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.0)
    formula = {"huber": nn.HuberLoss(), "bce-with-logits": nn.BCEWithLogitsLoss()}[loss]
    by_hand = formula(loop.model(INPUTS), targets).item()
    loop.loss = lambda: functional.mse_loss(  # type: ignore[method-assign]  # as a script may
        loop.model(INPUTS), targets
    )
    events = steered(tmp_path, loop, [SwapLoss(loss), SwapLoss(other)], kind=kind)
    assert [event.loss for event in events if isinstance(event, LossSwapped)] == [loss]
    assert loop.losses[-1] == pytest.approx(by_hand)
    fitting = tuitrain.connect("a", home=tmp_path).show()["problem"]["losses"]
    assert (loss in fitting, other in fitting) == (True, False)


def test_an_undo_takes_back_what_is_to_be_kept_and_the_settings_given_are_shown(tmp_path: Path):
    loop = Loop()
    averaged = AveragedModel(loop.model)
    step = loop.step

    def averaging(loss: Tensor) -> None:
        step(loss)
        averaged.update_parameters(loop.model)

    loop.step = averaging  # type: ignore[method-assign]  # as a script may
    given = {"keep": [averaged], "config": {"width": 16, "data": "drawn"}}
    events = steered(tmp_path, loop, [Change("lr", 0.4), Undo()], **given)
    (take,) = [event for event in events if isinstance(event, TakeOpened)]
    assert int(averaged.n_averaged) == len(loop.losses) - (take.left_at - take.step)
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    assert {"width = 16", "data = drawn"} <= set(started.card.notes)


def test_a_rate_is_refused_where_the_optimizer_has_none(tmp_path: Path):
    loop = Loop()
    loop.optimizer = Unrated(loop.model.parameters(), {})
    events = steered(tmp_path, loop, [Change("lr", 0.4), Undo()])
    assert "Unrated has no learning rate" in str(events)
    assert events[-1].kind == "finished"


def test_a_loss_that_the_script_has_put_in_the_place_of_the_first_can_be_swapped(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(samples, "_EVERY_S", 0.0)
    monkeypatch.setattr(watch, "_LOOK_AFTER_NS", 0)
    loop, ones = Loop(), torch.ones(96, 4)
    loop.model = nn.Sequential(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.0)
    l1 = functional.l1_loss(loop.model(INPUTS), ones).item()

    def loss() -> Tensor:
        outputs = loop.model(INPUTS)
        if len(loop.losses) < 2:
            return functional.cross_entropy(outputs, TARGETS)
        return functional.mse_loss(outputs, ones)

    loop.loss = loss  # type: ignore[method-assign]  # as a script may
    events = steered(tmp_path, loop, [SwapLoss("l1")])
    assert "the script's loss is mse now, and no longer cross-entropy" in str(events)
    (swapped,) = [event for event in events if isinstance(event, LossSwapped)]
    assert (swapped.previous, swapped.loss) == ("mse", "l1")
    assert loop.losses[-1] == pytest.approx(l1)


def test_an_undo_leaves_a_loss_that_the_script_has_changed_since_as_it_is(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(samples, "_EVERY_S", 0.0)
    monkeypatch.setattr(watch, "_LOOK_AFTER_NS", 0)
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.0)

    def smoothed() -> Tensor:
        return functional.cross_entropy(loop.model(INPUTS), TARGETS, label_smoothing=0.5)

    def stepped(is_done: Callable[[], bool]) -> bool:
        loop.step(loop.loss())
        return is_done()

    def ask(command: Command, is_done: Callable[[], bool]) -> None:
        inbox.put(RunPaths(tmp_path / "runs" / "a").inbox, Request.new(command))
        until(partial(stepped, is_done), "it is done")

    loop.loss = lambda: functional.nll_loss(  # type: ignore[method-assign]  # as a script may
        loop.model(INPUTS).log_softmax(1), TARGETS
    )
    by_hand = smoothed().item()
    with tuitrain.watch("a", home=tmp_path):
        assert session.current is not None
        watched = session.current.watch.loop
        ask(Change("clip-norm", 1e9), lambda: watched.clip_norm is not None)
        loop.loss = smoothed  # type: ignore[method-assign]  # as a script may
        until(partial(stepped, lambda: watched.own_loss == "cross-entropy"), "it is seen")
        ask(Undo(), lambda: watched.take == 2)
        loop.step(loop.loss())
    assert loop.losses[-1] == pytest.approx(by_hand)
    assert tuitrain.connect("a", home=tmp_path).show()["loss"] == "cross-entropy"


def test_a_stop_ends_the_thread_of_a_loop_without_a_traceback(tmp_path: Path, capfd):
    loop, usual = Loop(), threading.excepthook
    with tuitrain.watch("a", home=tmp_path):
        inbox.put(RunPaths(tmp_path / "runs" / "a").inbox, Request.new(Stop()))
        thread = threading.Thread(target=lambda: [loop.step(loop.loss()) for _ in range(10**5)])
        thread.start()
        thread.join()
    threading.excepthook = usual
    assert tuitrain.connect("a", home=tmp_path).state == "stopped"
    assert "Traceback" not in capfd.readouterr().err
