"""The functions of PyTorch stay the objects that a program has, while their calls are seen."""

import copy
import inspect
import io
import pickle
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import backward
from torch.nn import functional
from torch.nn.functional import cross_entropy

import tuitrain
from tests.odd_loops import INPUTS, TARGETS, Loop, watched
from tuitrain.watcher.hooks import LOSSES


class WithFunctions(nn.Linear):
    """A model that holds functions of PyTorch, as its loss."""

    def __init__(self) -> None:
        super().__init__(8, 4)
        self.losses = [getattr(functional, name) for name in LOSSES]
        self.backward = torch.autograd.backward


def saved(model: nn.Module) -> bytes:
    file = io.BytesIO()
    torch.save(model, file)
    return file.getvalue()


@pytest.mark.parametrize("write", [saved, pickle.dumps, copy.deepcopy])
def test_a_model_that_holds_its_loss_function_is_saved_before_while_and_after_it_is_watched(
    tmp_path: Path, write: Any
):
    before = WithFunctions()
    with tuitrain.watch("a", home=tmp_path):
        within = WithFunctions()
        assert within.losses == before.losses
        write(before)
        write(within)
    write(within)
    with tuitrain.watch("b", home=tmp_path):
        write(within)


class Imported(Loop):
    """Its functions were imported by their own names before it is watched."""

    def loss(self, inputs: Tensor = INPUTS, targets: Tensor = TARGETS) -> Tensor:
        return cross_entropy(self.model(inputs), targets)

    def step(self, loss: Tensor, *arguments: Any) -> None:
        self.optimizer.zero_grad()
        backward(loss)
        self.optimizer.step(*arguments)
        self.losses.append(loss.item())


def test_functions_that_were_imported_by_their_own_names_are_seen(tmp_path: Path, capfd):
    def loop() -> Loop:
        own = Imported()
        for _ in range(3):
            own.step(own.loss())
        return own

    assert watched(tmp_path, loop, capfd).started.problem.losses[0] == "cross-entropy"


class Handled(Tensor):
    """A tensor that has its own loss."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is cross_entropy:
            return torch.tensor(7.0)
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_function_is_known_to_tensors_that_have_one_of_their_own_for_it(tmp_path: Path):
    prediction = torch.ones(2, 3).as_subclass(Handled)
    with tuitrain.watch("a", home=tmp_path):
        assert float(functional.cross_entropy(prediction, TARGETS[:2])) == 7.0


def test_a_function_has_its_signature_while_it_is_watched_and_is_as_before_it(tmp_path: Path):
    def told() -> list[Any]:
        return [inspect.signature(cross_entropy), inspect.getsource(cross_entropy)]

    before = told(), dict(vars(cross_entropy)), cross_entropy.__code__
    with tuitrain.watch("a", home=tmp_path):
        assert told() == before[0]
    assert before == (told(), dict(vars(cross_entropy)), cross_entropy.__code__)


def test_a_call_that_is_on_its_way_when_watching_ends_returns_the_loss(tmp_path: Path):
    code = []
    with tuitrain.watch("a", home=tmp_path):
        code.append(cross_entropy.__code__)
    late = FunctionType(code[0], cross_entropy.__globals__)
    assert torch.equal(late(INPUTS, TARGETS), cross_entropy(INPUTS, TARGETS))


def test_one_function_in_the_place_of_another_is_seen_once(
    tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch
):
    class Replaced(Loop):
        def loss(self, inputs: Tensor = INPUTS, targets: Tensor = TARGETS) -> Tensor:
            return functional.mse_loss(self.model(inputs)[:, 0], targets.float())

    def loop() -> Loop:
        own = Replaced()
        own.step(own.loss())
        return own

    own = [lambda x, y, **_: (x - y).abs().mean(), lambda x, _y, **_: x.sum()]
    for replaced in (functional.l1_loss, own[0]):
        monkeypatch.setattr(functional, "mse_loss", replaced)
        monkeypatch.setattr(functional, "huber_loss", own[1])
        watched(tmp_path / replaced.__name__, loop, capfd)


def test_what_was_compiled_in_one_watched_loop_serves_in_the_next(tmp_path: Path):
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs: Any) -> Any:
        graphs.append(graph)
        return graph

    compiled = torch.compile(lambda x, y: cross_entropy(x, y), backend=backend, fullgraph=True)
    prediction = torch.ones(96, 4)
    for _ in range(3):
        with tuitrain.watch("a", home=tmp_path):
            compiled(prediction, TARGETS)
    assert len(graphs) == 1
