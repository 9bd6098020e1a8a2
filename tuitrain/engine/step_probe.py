"""Measurements that would cost too much at every step: once a second, and before a pause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from enum import IntEnum
from functools import partial
from typing import Any, SupportsFloat

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tuitrain.core.detail import BATCH
from tuitrain.core.events import Detail, Measured
from tuitrain.core.every import Every
from tuitrain.core.numbers import rounded
from tuitrain.core.series import DEAD_UNITS, GRADIENT_NORM, UPDATE_RATIO, Series
from tuitrain.engine.batches import dtype_name
from tuitrain.engine.criteria import copied
from tuitrain.engine.device import read
from tuitrain.engine.layers import Activity, LayerNumbers, Layers
from tuitrain.engine.line_search import line_search
from tuitrain.engine.loss_curves import places_of
from tuitrain.engine.state import rng
from tuitrain.engine.step import dense, gradient_norm
from tuitrain.engine.training import Training

MEASURE_EVERY_S = 1.0
_MOST_WEIGHTS = 1 << 22
"""Weights are copied before a measured step: of a larger model that would take time and memory."""
_SAMPLES = 32


class Measure(IntEnum):
    """What is measured of a step."""

    NOTHING = 0
    STEP = 1
    LINE = 2
    """The step, and the loss along it: a pause follows."""


class StepProbe:
    """Decides which steps are measured, and measures them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._every = Every(MEASURE_EVERY_S, clock)
        self.validations = Every(MEASURE_EVERY_S, clock)
        """When the samples of a validation are due."""
        self._before: list[Tensor] = []
        self._drawn: Mapping[str, Any] | None = None
        """The random number generators before a step that is followed by a pause."""
        self._layers: Layers | None = None
        self._activity = Activity()
        self.is_next = False
        """Whether the next step is measured."""
        self.forward: Callable[[Any], Tensor] | None = None
        """Calls the model of a step that is measured; else None."""

    def prepare(self, run: Training, *, at_once: bool, agreed: Measure | None = None) -> None:
        """Decide whether the next step is measured, as it is `at_once`, and keep its weights.

        Ranks that measure it together have `agreed` on it.
        """
        if agreed is not None:
            is_due, at_once = agreed > Measure.NOTHING, agreed == Measure.LINE
        else:
            is_due = self._every.is_due() or at_once
        if is_due or self.is_next:
            self.is_next = True
            is_small = run.trained_weights <= _MOST_WEIGHTS
            self._before = [weight.detach().clone() for weight in run.weights] if is_small else []
            self._drawn = rng.state(run.device) if at_once else None
            self._layers = self._layers or _layers(run)
            self._activity.close()
            self._activity = Activity(self._layers)
            if self._activity.mode is not None:
                self.forward = partial(_within, self._activity.mode, run.model)

    def of(self, run: Training, batch: tuple[Any, Tensor]) -> Iterator[Measured | Detail]:
        """Yield the measurements of the step just taken on `batch`, as device scalars.

        Before a pause, the loss along the step follows.
        """
        self._activity.close()
        data, before = batch[0], self._before
        values = {GRADIENT_NORM: gradient_norm(run)}
        run.newest_layers = layers = self._of_layers(run)
        if layers.moves is not None and layers.sizes is not None:
            moves, sizes = map(torch.linalg.vector_norm, (layers.moves, layers.sizes))
            values[UPDATE_RATIO] = moves / sizes
        if (dead := layers.dead_shares) is not None:
            values[DEAD_UNITS] = dead.max()
        self._before, self.is_next, self.forward = [], False, None
        run.newest_measured = Measured(run.take, run.step, values)
        is_tensor = isinstance(data, Tensor)
        run.newest_input = (tuple(data.shape[1:]), data.dtype) if is_tensor else None
        yield run.newest_measured
        if before and self._drawn is not None:
            yield from line_search(run, before, batch, self._drawn)

    @torch.no_grad()
    def _of_layers(self, run: Training) -> LayerNumbers:
        assert self._layers is not None
        layers, gradients = self._layers, list(map(_gradient, run.weights))
        moved = [new - old for new, old in zip(run.weights, self._before, strict=False)]
        seen = [tensors for tensors in (gradients, moved, self._before) if tensors]
        norms = run.held.summed(torch.stack(list(map(layers.squares, seen)))).sqrt()
        of_gradients, moves, sizes = norms if len(norms) > 1 else (norms[0], None, None)
        return LayerNumbers(
            run.take, run.step, layers.names, of_gradients, moves, sizes, self._activity.dead
        )


def _layers(run: Training) -> Layers:
    weights = run.held.of_model(run)
    return Layers(run.model, weights, are_used=weights is run.weights)


def _within(mode: TorchFunctionMode, model: Callable[[Any], Tensor], data: Any) -> Tensor:
    with mode:
        return model(data)


def _gradient(weight: Tensor) -> Tensor:
    """Return the gradient of a weight, or 0 for one that the loss does not depend on."""
    return weight.new_zeros(()) if weight.grad is None else dense(weight.grad)


@torch.no_grad()
def batch_detail(run: Training) -> Detail | None:
    """Return the newest batch as a detail, `core.detail.Batch`; None if there is none.

    Waits for the device.
    """
    if run.newest_batch is None:
        return None
    output, target = run.newest_batch
    measured = run.newest_measured
    numbers: Mapping[Series, SupportsFloat] = {GRADIENT_NORM: gradient_norm(run)}
    if measured is not None and (measured.take, measured.step) == (run.take, run.step):
        numbers = measured.values
    first = output[:_SAMPLES], target[:_SAMPLES]
    losses = _sample_losses(run, *first)
    values = read([*losses, *numbers.values()])
    predicted = run.losses.predictions(run.loss_name, first[0]), first[1]
    values_by_series = dict(zip(numbers, values[len(losses) :], strict=True))
    body = {
        "input": _input(run, len(target)),
        "target": _shape(target.shape, target.dtype),
        "output": _shape(output.shape, output.dtype),
        "gradient_norm": values_by_series.get(GRADIENT_NORM),
        "update_ratio": values_by_series.get(UPDATE_RATIO),
        "losses": rounded(values[: len(losses)]),
        "places": rounded(places_of(run.data.kind, *predicted).tolist() if losses else []),
    }
    return Detail(run.take, run.step, BATCH, body)


def _input(run: Training, samples: int) -> str:
    if run.newest_input is None:
        return ""
    shape, dtype = run.newest_input
    return _shape((samples, *shape), dtype)


def _shape(shape: Sequence[int], dtype: torch.dtype) -> str:
    return f"{tuple(shape)} {dtype_name(dtype)}"


def _sample_losses(run: Training, output: Tensor, target: Tensor) -> list[Tensor]:
    """Return the loss of each sample alone; none where a loss of the user needs more of them."""
    is_own = run.losses.is_own(run.loss_name)
    criterion = copied(run.criterion) if is_own else run.criterion
    try:
        # one that draws, or keeps a state, must not change training by being looked at
        with rng.preserved(run.device) if is_own else nullcontext():
            return [
                criterion(output[at : at + 1], target[at : at + 1]) for at in range(len(output))
            ]
    except Exception:  # noqa: BLE001 - what is only looked at must not end the training
        return []
