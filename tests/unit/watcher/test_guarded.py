"""Whatever fails in a hook, the watched loop trains on to the same weights; one line says so."""

import copy
import io
import pickle
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from inspect import isfunction
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

import tuitrain
from tests.conftest import until
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.watcher import session
from tuitrain.watcher.watch import Watch
from tuitrain.watcher.watching import NEEDED, UNSEEN, Watching


def trained() -> list[torch.Tensor]:
    """Train a small model for two epochs, with a validation, and return its weights."""
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(48, 4), torch.randint(0, 3, (48,)))
    loader, held_out = (
        DataLoader(data, batch_size=16, shuffle=True),
        DataLoader(data, batch_size=48),
    )
    model = nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(2):
        for inputs, target in loader:
            optimizer.zero_grad()
            scaler.scale(functional.cross_entropy(model(inputs), target)).backward()
            scaler.step(optimizer)
            scaler.update()
        with torch.no_grad():
            for inputs, target in held_out:
                functional.cross_entropy(model(inputs), target)
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_every_hook_has_words_for_what_is_not_seen_without_it():
    hooks = {name for name, hook in vars(Watching).items() if isfunction(hook)}
    assert {name for name in hooks if not name.startswith("_")} == set(UNSEEN)


@pytest.mark.parametrize("hook", UNSEEN)
def test_a_hook_that_fails_leaves_the_training_as_it_is(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise ValueError("broken on purpose")

    alone = trained()
    monkeypatch.setattr(Watch, hook, fail)
    said = io.StringIO()
    with redirect_stderr(said), tuitrain.watch("a", home=tmp_path):
        assert session.current is not None
        session.current.watch.loop.is_swapped = hook == "before_loss"
        watched = trained()

    assert same(alone, watched)
    lines = [line for line in said.getvalue().splitlines() if "cannot be seen any more" in line]
    assert len(lines) == 1
    assert "ValueError: broken on purpose" in lines[0]
    last = RunReader(RunPaths(tmp_path / "runs" / "a").record).last_word()
    assert last is not None
    assert last.kind == ("failed" if hook in NEEDED else "finished")


def test_numbers_that_cannot_be_recorded_still_go_where_the_script_logs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise ValueError("broken on purpose")

    def logged(name: str) -> list[float]:
        with SummaryWriter(str(tmp_path / name)) as writer:
            for number in range(3):
                writer.add_scalar("accuracy", number / 2, number)
        board = EventAccumulator(str(tmp_path / name)).Reload()
        return [one.value for one in board.Scalars("accuracy")]

    alone = trained(), logged("alone")
    monkeypatch.setattr(Watch, "log", fail)
    said = io.StringIO()
    with redirect_stderr(said), tuitrain.watch("a", home=tmp_path) as run:
        watched = trained(), logged("watched")
        run.log(accuracy=1.0)

    assert same(alone[0], watched[0])
    assert alone[1] == watched[1] == [0.0, 0.5, 1.0]
    (line,) = (line for line in said.getvalue().splitlines() if "cannot be seen any more" in line)
    assert "the numbers that the script logs" in line
    assert "ValueError: broken on purpose" in line


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0), (True, 1.0), (numpy.float32(0.5), 0.5), (2**60, 2.0**60),
        (torch.tensor(2**60), 2.0**60), (torch.tensor([0.25]), 0.25), (torch.tensor(True), 1.0),
        (torch.tensor(0.5, dtype=torch.bfloat16), 0.5), (nn.Parameter(torch.tensor([[0.5]])), 0.5),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_number_of_any_type_is_recorded_as_it_was_when_it_was_logged(
    tmp_path: Path, value: Any, number: float
):
    with tuitrain.watch("a", home=tmp_path) as run:
        run.step(1.0)
        run.log(number=value)
        if isinstance(value, torch.Tensor):
            value.data.zero_()
    assert list(tuitrain.connect("a", home=tmp_path).series("number")[1]) == [number]


@pytest.mark.parametrize(
    "value",
    [None, "high", [1, 2], torch.ones(3), {"a": 1}, object(), 1j, torch.tensor(1 + 1j), 10**400],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_no_number_is_left_out_and_the_rest_is_recorded(
    tmp_path: Path, value: object
):
    said = io.StringIO()
    with redirect_stderr(said), tuitrain.watch("a", home=tmp_path) as run:
        for number in range(3):
            run.step(1.0)
            run.log(odd=value, even=number)
            run.log(**{"": 1.0, "\x1b[31mred": 2.0, "x" * 500: 3.0})
    assert "cannot be seen" not in said.getvalue()
    assert list(tuitrain.connect("a", home=tmp_path).series("even")[1]) == [0, 1, 2]


def test_after_the_block_torch_is_as_it_was(tmp_path: Path):
    before = functional.cross_entropy, torch.Tensor.backward, DataLoader.__iter__, torch.jit.script
    with tuitrain.watch("a", home=tmp_path):
        assert functional.cross_entropy is before[0]
        trained()
    after = functional.cross_entropy, torch.Tensor.backward, DataLoader.__iter__, torch.jit.script
    assert before == after


class Halved(nn.Module):
    """A criterion of one's own."""

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(output, target) / 2


class WithItsLoss(nn.Module):
    """A model that holds its criterion."""

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.linear, self.criterion = nn.Linear(3, 3), criterion

    def forward(self, inputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.criterion(self.linear(inputs), target)


def saved_and_loaded(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize(
    "again",
    [
        torch.jit.script,
        copy.deepcopy,
        saved_and_loaded,
        lambda model: pickle.loads(pickle.dumps(model)),
    ],
    ids=["script", "deepcopy", "save", "pickle"],
)
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, Halved])
def test_torchscript_copies_and_files_work_while_a_loop_is_watched(
    tmp_path: Path, again: Callable[[nn.Module], nn.Module], criterion: Callable[[], nn.Module]
):
    inputs, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    model = WithItsLoss(criterion())
    expected = model(inputs, target)
    with tuitrain.watch("a", home=tmp_path, criterion=model.criterion):
        assert torch.equal(again(model)(inputs, target), expected)
        assert torch.equal(again(model.criterion)(model.linear(inputs), target), expected)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        model(inputs, target).backward()
        optimizer.step()
        copied = again(model)
    assert torch.equal(copied(inputs, target), expected)
    assert model.criterion.state_dict() == {}
    assert "forward" not in vars(model.criterion)
    rows = RunReader(RunPaths(tmp_path / "runs" / "a").record).batches(0, 1)
    assert [row.loss for row in rows] == [pytest.approx(expected.item())]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_torchscript_finds_the_names_of_who_calls_it_while_a_loop_is_watched(tmp_path: Path):
    row_type = torch.Tensor  # a name of this function alone

    class Holder:
        def __init__(self, row: row_type) -> None:
            self.row = row

    with tuitrain.watch("a", home=tmp_path):
        scripted = torch.jit.script(Holder)
    assert torch.equal(scripted(torch.ones(2)).row, torch.ones(2))


def test_a_loop_in_a_thread_with_a_patched_loss_and_a_complex_one_is_seen(tmp_path: Path):
    weight = torch.ones(1, dtype=torch.complex64, requires_grad=True)

    def complex_step() -> None:
        optimizer = torch.optim.SGD([weight], lr=0.1)
        (weight * weight.conj()).sum().backward(torch.tensor(1 + 0j))
        optimizer.step()

    with tuitrain.watch("a", home=tmp_path) as run:
        own = functional.cross_entropy
        functional.cross_entropy = lambda x, y: 2 * own(x, y)
        thread = threading.Thread(target=lambda: (trained(), complex_step()))
        thread.start()
        thread.join()
        functional.cross_entropy = own
        assert run.name == "a"
    with tuitrain.watch("a", home=tmp_path) as run:
        assert run.name == "a-2"
    rows = RunReader(RunPaths(tmp_path / "runs" / "a").record).batches(0, 1)
    assert len(rows) >= 6
    last = RunReader(RunPaths(tmp_path / "runs" / "a").record).last_word()
    assert last is not None
    assert last.kind == "finished"


def test_a_loop_of_another_kind_than_pytorchs_is_recorded_step_by_step(tmp_path: Path):
    with tuitrain.watch("a", home=tmp_path) as run:
        for number in range(1, 6):
            run.step(1 / number)
            run.log(half=number / 2)
    rows = RunReader(RunPaths(tmp_path / "runs" / "a").record).batches(0, 1)
    assert [row.loss for row in rows] == [1 / number for number in range(1, 6)]


def test_a_record_that_is_overwritten_ends_the_record_and_not_the_training(tmp_path: Path):
    alone, said = trained() + trained(), io.StringIO()
    with redirect_stderr(said), tuitrain.watch("a", home=tmp_path):
        watched = trained()
        for path in (tmp_path / "runs" / "a").glob("run.db*"):
            path.write_bytes(b"no record " * 1000)
        watched += trained()
    assert same(alone, watched)
    assert len([line for line in said.getvalue().splitlines() if "tuitrain: " in line]) == 1


def test_a_record_that_is_removed_between_two_epochs_ends_with_one_line(tmp_path: Path):
    loader = DataLoader(TensorDataset(torch.randn(4, 4), torch.randn(4, 3)), batch_size=4)
    model, said = nn.Linear(4, 3), io.StringIO()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def has_said() -> bool:
        for inputs, target in loader:
            functional.mse_loss(model(inputs), target).backward()
            optimizer.step()
        return bool(said.getvalue())

    with redirect_stderr(said), tuitrain.watch("a", home=tmp_path):
        assert not has_said()
        RunPaths(tmp_path / "runs" / "a").record.unlink()
        until(has_said, "it is said")
    (line,) = said.getvalue().splitlines()
    assert line.startswith("tuitrain: the steps cannot be seen any more")
