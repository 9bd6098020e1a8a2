"""A process that lives on after its loop was watched, as that of a notebook does."""

import io
import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, redirect_stderr
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tuitrain
from tests.conftest import PATIENCE_S, until
from tuitrain.store.paths import RunPaths


def train_until(error: BaseException | None) -> None:
    """Train for two epochs; raise the error in the middle of the second."""
    loader = DataLoader(TensorDataset(torch.randn(48, 4), torch.randint(3, (48,))), batch_size=16)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(2):
        for number, (inputs, target) in enumerate(loader):
            if error is not None and (epoch, number) == (1, 1):
                raise error
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), target).backward()
            optimizer.step()


def test_blocks_one_after_another_leave_files_children_and_torch_as_they_were(tmp_path: Path):
    train_until(None)
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    before = psutil.Process().num_fds(), functional.cross_entropy
    errors = {"a": None, "a-2": KeyboardInterrupt(), "a-3": ValueError("bad luck"), "a-4": None}
    for name, error in errors.items():
        raised = nullcontext() if error is None else pytest.raises(type(error))
        with raised, tuitrain.watch("a", home=tmp_path) as run:
            train_until(error)
        assert run.name == name
    assert (psutil.Process().num_fds(), functional.cross_entropy) == before
    assert child.is_alive()
    child.kill()
    child.join()
    shown = {name: tuitrain.connect(name, home=tmp_path).show() for name in errors}
    ends = {name: (one["state"], one["step"], one["epoch"]) for name, one in shown.items()}
    assert ends == {
        "a": ("finished", 6, 2), "a-2": ("stopped", 4, 1), "a-3": ("failed", 4, 1),
        "a-4": ("finished", 6, 2),
    }  # fmt: skip


def test_a_block_within_one_of_the_same_loop_ends_with_the_outer_one(tmp_path: Path):
    watched = tuitrain.watch("a", home=tmp_path)
    with watched:
        with watched:
            train_until(None)
        assert tuitrain.connect("a", home=tmp_path).state == "running"
    assert tuitrain.connect("a", home=tmp_path).state == "finished"


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_blocks_that_begin_together_in_threads_have_one_run(tmp_path: Path):
    before, names = functional.cross_entropy.__code__, []
    both_began = threading.Barrier(2, timeout=PATIENCE_S)

    def watch() -> None:
        both_began.wait()
        with tuitrain.watch("a", home=tmp_path) as run:
            both_began.wait()
            train_until(None)
            names.append(run.name)
            both_began.wait()

    in_threads(2, watch)
    assert names == ["a", "a"]
    assert functional.cross_entropy.__code__ is before
    assert tuitrain.connect("a", home=tmp_path).state == "finished"


def test_a_loop_that_reports_its_own_steps_goes_on_without_its_record_and_after_the_block(
    tmp_path: Path,
):
    said = io.StringIO()
    with redirect_stderr(said), tuitrain.watch("a", home=tmp_path) as run:

        def has_said() -> bool:
            run.step(1.0)
            return bool(said.getvalue())

        run.step(1.0)
        RunPaths(tmp_path / "runs" / "a").record.unlink()
        until(has_said, "it is said")
        run.step(1.0)
    run.step(1.0)
    (line,) = said.getvalue().splitlines()
    assert line.startswith("tuitrain: the steps cannot be seen any more")


class Frozen(nn.Module):
    """A criterion whose methods cannot be replaced."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "forward":
            raise AttributeError("frozen")
        super().__setattr__(name, value)


def test_a_block_that_cannot_begin_leaves_no_run_that_goes_on(tmp_path: Path):
    with (
        pytest.raises(AttributeError, match="frozen"),
        tuitrain.watch("a", home=tmp_path, criterion=Frozen()),
    ):
        pytest.fail("it began")
    assert tuitrain.connect("a", home=tmp_path).state == "failed"
    with tuitrain.watch("b", home=tmp_path) as run:
        assert run.name == "b"
