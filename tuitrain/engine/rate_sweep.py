"""A sweep of the learning rate: it rises from batch to batch until the loss diverges.

A copy of the run is trained, so that the run itself stays as it is. The method is the range test of
L. N. Smith ("Cyclical Learning Rates for Training Neural Networks", 2017).

Losses differ from batch to batch more than by the rate, in a run that has trained for a while most
of all. So each batch also goes through a copy that does not learn, with the same random numbers:
what differs between the two is due to the rate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tuitrain.core.detail import RATE_SWEEP, SWEPT_RATES
from tuitrain.core.events import CommandDropped, Detail, RateSwept
from tuitrain.core.every import Every
from tuitrain.core.numbers import rounded
from tuitrain.engine.data import WHOLE
from tuitrain.engine.metrics import RunningMean
from tuitrain.engine.state import rng
from tuitrain.engine.step import parts_of, train_step
from tuitrain.engine.training import Training
from tuitrain.engine.user_errors import user_code_message

MOST_BATCHES = 100
_MEMORY = 0.8
"""The share of the batches before in a smoothed difference."""
_DIVERGED = 4.0
"""The sweep ends at a smoothed loss so many times the least one."""
_FIRST = 10
"""Batches that always belong to a sweep."""
_REACH = 3
"""A slope reaches so many batches to both sides, about half a decade of rates in all."""
_FALL = 0.02
"""The least fall of the loss that is one, as a share of it."""
_REPORT_EVERY_S = 0.25


@dataclass(slots=True)
class _Points:
    """The batches of a sweep so far."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    _unlearned: list[float] = field(default_factory=list)
    """The losses of the same batches without learning."""

    def add(self, rate: float, loss: float, unlearned: float) -> None:
        self.rates.append(rate)
        self.losses.append(loss)
        self._unlearned.append(unlearned)

    @property
    def smoothed(self) -> list[float]:
        """The loss at the rate: an exponential average without initial bias.

        A fall in batches whose losses are above the mean counts as a share of them, so that no
        loss of 0 or more comes out below 0.
        """
        mean = sum(self._unlearned) / max(1, len(self._unlearned))
        averages = zip(_averaged(self.losses), _averaged(self._unlearned), strict=True)
        return [
            mean * loss / before if loss < before and 0 < mean < before else mean + loss - before
            for loss, before in averages
        ]

    @property
    def has_diverged(self) -> bool:
        smoothed = self.smoothed
        if not math.isfinite(smoothed[-1]):
            return True
        least = min(smoothed)
        rise = smoothed[-1] - least  # of a loss that may be negative
        return len(smoothed) > _FIRST and rise > (_DIVERGED - 1) * abs(least)


def _averaged(values: Sequence[float]) -> Iterator[float]:
    """Yield the exponential average up to each value, without initial bias."""
    total = 0.0
    for number, value in enumerate(values, 1):
        total = _MEMORY * total + (1 - _MEMORY) * value
        yield total / (1 - _MEMORY**number)


def sweep(
    run: Training, command: str, is_interrupted: Callable[[], bool]
) -> Iterator[Detail | RateSwept | CommandDropped]:
    """Train a copy of the run on its next batches; yield the points so far, and then the answer.

    It ends when the loss diverges, at the latest after `MOST_BATCHES`. If it is interrupted, or if
    the copy cannot be made or trained, the command is dropped with the reason.
    """
    points, every = _Points(), Every(_REPORT_EVERY_S)
    try:
        with rng.preserved(run.device), closing(_trained(run, points)) as batches:
            for _ in batches:
                if is_interrupted():
                    yield CommandDropped(command, "another command came before its end")
                    return
                if every.is_due():
                    yield _detail(run, points)
    except Exception as error:  # noqa: BLE001 - what is only tried must not end the training
        if len(points.losses) <= _FIRST:  # else the user's code takes no such numbers any more
            yield CommandDropped(command, f"the sweep failed: {user_code_message(error)}")
            return
    suggestion = suggested(points.rates, points.smoothed)
    yield _detail(run, points, suggestion)
    yield RateSwept(command, *run.position, len(points.losses), suggestion)


def suggested(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Return the rate at which the smoothed loss falls steepest over the logarithm of the rate.

    The rule is that of S. Gugger ("How Do You Find A Good Learning Rate", 2018). None if the loss
    does not fall by more than noise.
    """
    finite = [value for value in smoothed if math.isfinite(value)]
    lowest = finite.index(min(finite)) if finite else 0
    slopes = {
        at: finite[at + _REACH] - finite[at - _REACH]
        for at in range(_REACH, min(lowest + 1, len(finite) - _REACH))
    }
    if not slopes or finite[0] - finite[lowest] < _FALL * abs(finite[0]):
        return None
    return float(f"{rates[min(slopes, key=slopes.__getitem__)]:.2g}")


def _trained(run: Training, points: _Points) -> Generator[None]:
    """Train a copy of the run batch by batch, and add each of them to the points."""
    trial = _copied(run)
    still, criterion = copy.deepcopy((run.model, run.criterion))
    still.train()
    least, greatest = SWEPT_RATES
    growth = (greatest / least) ** (1 / (MOST_BATCHES - 1))
    with closing(_batches(trial)) as batches:
        for number, (data, target) in zip(range(MOST_BATCHES), batches, strict=False):
            with rng.preserved(run.device), torch.no_grad():
                unlearned = sum(
                    float(criterion(still(part), goal)) * share
                    for part, goal, share in parts_of(trial, data, target)
                )
            trial.change("lr", least * growth**number)
            done = train_step(trial, data, target, trial.stopwatch.mark())
            points.add(trial.lr, float(done.loss), unlearned)
            if points.has_diverged:
                return
            yield


def _batches(trial: Training) -> Generator[tuple[Any, Tensor]]:
    """Yield the remaining batches of this epoch, and those of the next ones."""
    while True:
        yield from trial.batches()
        trial.epoch, trial.batch = trial.epoch + 1, 0


def _copied(run: Training) -> Training:
    """Return a run that shares nothing with `run` that a step changes, at a constant rate."""
    model, optimizer, criterion, scale = copy.deepcopy(
        (run.model, run.optimizer, run.criterion, run.gradient_scale)
    )
    copied = replace(
        run,
        team=None,  # the others wait
        part=WHOLE,
        batch_size=run.batch_size * run.part.count,
        model=model.train(),
        weights=tuple(weight for weight in model.parameters() if weight.requires_grad),
        optimizer=optimizer,
        criterion=criterion,
        gradient_scale=scale,
        data=replace(run.data, train=run.data.train.to(run.device)),  # with a reader of its own
        epoch_loss=RunningMean(),
        newest_batch=None,
    )
    copied.change("schedule", "constant")
    return copied


def _detail(run: Training, points: _Points, suggestion: float | None = None) -> Detail:
    body = {
        "rates": rounded(points.rates),
        "losses": rounded(points.losses),
        "smoothed": rounded(points.smoothed),
        "suggestion": suggestion,
    }
    return Detail(run.take, run.step, RATE_SWEEP, body)
