"""Loaders of any kind: the epochs and validations of a watched loop are its own."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import tuitrain
from tests.odd_loops import INPUTS, TARGETS, Both, Loop, train_loader, val_loader, watched


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(INPUTS[:64], TARGETS[:64], strict=True)


class WithoutLength(Stream):
    def __len__(self) -> int:
        raise NotImplementedError("nobody knows")


class WithWrongLength(Stream):
    def __len__(self) -> int:
        return 10


class Listed(Dataset):
    """A data set whose `tensors` are no tensors."""

    def tensors(self) -> None: ...

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return INPUTS[index], TARGETS[index]


class Generating(DataLoader):
    def _get_iterator(self) -> Any:
        iterator = super()._get_iterator()
        return (batch for batch in iterator)


@pytest.mark.parametrize(
    "loader",
    [
        partial(DataLoader, Stream(), 16), partial(DataLoader, WithoutLength(), 16),
        partial(DataLoader, WithWrongLength(), 16), partial(DataLoader, Listed(), 16),
        partial(Generating, Listed(), 16),
    ],
)  # fmt: skip
def test_epochs_are_those_of_the_training_loader_of_any_kind(tmp_path: Path, capfd, loader):
    def loop() -> Loop:
        trained, batches = Loop(), loader()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # none that the script would not have had
            for _ in range(3):
                trained.train(batches)
                trained.validate()
        return trained

    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == [4, 8, 12]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


def folds() -> Loop:
    """Two epochs for each of three folds, each with a model and loaders of its own."""
    whole, loops = Loop(), []
    for fold in range(3):
        held_back = range(fold * 32, fold * 32 + 32)
        rest = [index for index in range(96) if index not in held_back]
        data = TensorDataset(INPUTS, TARGETS)
        train = DataLoader(Subset(data, rest), 16)
        val = DataLoader(Subset(data, held_back), 16)
        loop = Loop()
        for _ in range(2):
            loop.train(train)
            loop.validate(val)
        whole.losses += loop.losses
        whole.val_losses += loop.val_losses
        loops.append((train, val))  # a loader may live on
    return whole


def left_early() -> Loop:
    """Each epoch ends before its loader does, and is validated with tensors."""
    loop, loader = Loop(), train_loader()
    for _ in range(6):
        loop.train(itertools.islice(loader, 3))
        loop.validate()
    return loop


def of_growing_batches() -> Loop:
    """Two epochs of small batches, then two of large ones; both loaders are there throughout."""
    loop, loader, val = Loop(), train_loader(), val_loader()
    large = DataLoader(loader.dataset, 32)
    for epoch in range(4):
        loop.train(large if epoch > 1 else loader)
        loop.validate(val)
    return loop


def of_growing_data() -> Loop:
    loop, val = Loop(), val_loader()
    for count in (16, 32):
        loader = DataLoader(TensorDataset(INPUTS[:count], TARGETS[:count]), 8)
        for _ in range(2):
            loop.train(loader)
            loop.validate(val)
    return loop


@pytest.mark.parametrize(
    ("loop", "ends"),
    [(of_growing_batches, [4, 8, 10, 12]), (of_growing_data, [2, 4, 8, 12])],
)
def test_another_loader_that_goes_on_with_the_training_begins_an_epoch(
    tmp_path: Path, capfd, loop, ends
):
    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == ends
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


def test_two_loaders_that_train_by_turns_are_one_epoch_together(tmp_path: Path, capfd):
    def by_turns() -> Loop:
        loop, both = Loop(), [train_loader(), train_loader()]
        for _ in range(3):
            for loader in both:
                loop.train(loader)
        return loop

    assert [one.step for one in watched(tmp_path, by_turns, capfd).epochs] == [8, 16, 24]


@pytest.mark.parametrize(("loop", "steps"), [(folds, 4), (left_early, 3)])
def test_each_epoch_has_its_own_validation(tmp_path: Path, capfd, loop, steps):
    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == list(range(steps, 6 * steps + 1, steps))
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


def cycled() -> Loop:
    """Batches that `cycle` kept; a loader validates now and then."""
    loop, val = Loop(), val_loader()
    batches = itertools.cycle(train_loader())
    for _ in range(4):
        loop.train(itertools.islice(batches, 4))
        loop.validate(val)
    loop.step(loop.loss(*next(batches)))
    return loop


def within_an_epoch() -> Loop:
    """Tensors validate within an epoch; each batch is evaluated once more, which is none."""
    loop, loader = Loop(), train_loader()
    for _ in range(2):
        for inputs, targets in loader:
            loop.step(loop.loss(inputs, targets))
            with torch.no_grad():
                loop.loss(inputs, targets.clone())
            loop.validate()
    del loop.val_losses[3::4]  # those are of the epochs
    return loop


def legacy() -> Loop:
    """A validation by a sum, as scripts had it before there was a reduction."""
    loop = Loop()
    for _ in range(4):
        loop.step(loop.loss(INPUTS[:64], TARGETS[:64]))
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = loop.model.eval()(INPUTS[64:])
            loss = functional.cross_entropy(outputs, TARGETS[64:], size_average=False)
        loop.model.train()
        loop.val_losses.append(loss.item() / 32)
    return loop


@pytest.mark.parametrize("loop", [cycled, within_an_epoch, legacy])
def test_a_validation_within_an_epoch_is_neither_lost_nor_invented(tmp_path: Path, capfd, loop):
    both = watched(tmp_path, loop, capfd)
    assert list(both.run.series("val-loss")[1]) == pytest.approx(both.lived.val_losses)


def test_a_validation_with_gradients_leaves_the_samples_of_a_step_alone(tmp_path: Path, capfd):
    def loop() -> Loop:
        trained, loader, other = Loop(), train_loader(), DataLoader(Listed(), 10)
        for _ in range(2):
            trained.train(loader)
            for inputs, targets in other:
                trained.loss(inputs, targets)
        return trained

    both = watched(tmp_path, loop, capfd)
    assert {row.samples for row in both.run.batches()} == {16}


def generated(start: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(INPUTS[start:end].split(16), TARGETS[start:end].split(16), strict=True)


def listed(start: int, end: int) -> list[tuple[Tensor, Tensor]]:
    return list(generated(start, end))


@cache
def loader_of(start: int, end: int) -> DataLoader:
    return DataLoader(TensorDataset(INPUTS[start:end], TARGETS[start:end]), 16)


def loaded(start: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
    return (batch for batch in loader_of(start, end))


@pytest.mark.parametrize("made", [generated, listed, loaded])
def test_batches_that_are_made_anew_in_one_line_are_an_epoch_each_time(tmp_path: Path, capfd, made):
    def train(run: Callable[[Any], Any] = iter) -> Loop:
        loop = Loop()
        for _ in range(3):
            loop.train(run(made(0, 64)))
            loop.validate(run(made(64, 96)))
        return loop

    alone = train().lived()
    with tuitrain.watch("a", home=tmp_path) as run:
        lived = train(run).lived()
    assert all(map(torch.equal, alone.weights, lived.weights))
    both = Both(tuitrain.connect("a", home=tmp_path), lived)
    assert [one.step for one in both.epochs] == [4, 8, 12]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


@pytest.mark.parametrize(
    ("batches", "note"),
    [
        (train_loader, "4 batches an epoch"),
        (partial(DataLoader, Stream(), 16), "a loader of unknown length"),
        (lambda: iter(train_loader()), "a loader of unknown length"),
        (partial(listed, 0, 64), "no loader: no epochs"),
    ],
)
def test_the_run_says_what_is_known_of_its_epochs(tmp_path: Path, capfd, batches, note):
    kept = []

    def loop() -> Loop:
        trained = Loop()
        for _ in range(2):
            kept.append(batches())
            trained.train(kept.pop() if "unknown" in note else kept[-1])
        return trained

    assert watched(tmp_path, loop, capfd).started.card.notes[0].endswith(f", {note}")
