"""Measurements that would cost too much at every step: once a second, of one step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tuitrain.core.events import Measured
from tuitrain.core.every import Every
from tuitrain.core.series import GRADIENT_NORM, Series
from tuitrain.engine.device import read
from tuitrain.record.recorder import Recorder
from tuitrain.record.usage import Usage
from tuitrain.watcher import losses
from tuitrain.watcher.losses import Call
from tuitrain.watcher.watched import Watched, gradient_norm

_EVERY_S = 1.0
_MOST_MISSED = 3
"""The loss has become another function once the one known was not called for so many seconds."""
_LARGEST_OUTPUT = 1 << 20
"""For outputs of more numbers, the values of the other losses are not computed."""


class Samples:
    """Records gradient norm, usage and the rates of further groups; then a call of the loss."""

    def __init__(self, loop: Watched, recorder: Recorder) -> None:
        self._loop, self._recorder = loop, recorder
        self._usage, self._due = Usage(), Every(_EVERY_S)
        self.wants_call = True
        """Whether the next call of the loss function shall be kept."""
        self._missed = 0
        """How often it was not called from one measurement to the next."""

    def take_if_due(self, optimizer: Optimizer | None) -> None:
        """Record a step that was just taken."""
        if not self._due.is_due():
            return
        self._missed += self.wants_call
        self.wants_call = True
        weights = optimizer.param_groups[0]["params"] if optimizer is not None else ()
        device = str(weights[0].device) if weights else "cpu"
        values: dict[Series, Any] = dict(self._usage.read(device))
        if optimizer is not None:
            norm = None if self._loop.is_sharded else gradient_norm(optimizer)
            if norm is not None:
                values[GRADIENT_NORM] = norm
            for number, group in enumerate(optimizer.param_groups[1:], start=2):
                values[Series(f"lr-group-{number}")] = self._loop.scaled(group.get("lr"))
        self._recorder.take(Measured(self._loop.take, self._loop.step, values))

    def keep(self, call: Call) -> None:
        """Learn from a call of the loss, and record the value of each loss that fits for it."""
        if not self._loop.learn(call.without_data(), anew=self._missed >= _MOST_MISSED):
            return  # another term of the loss
        self.wants_call, self._missed = False, 0
        output = call.args[0] if call.args else None
        if isinstance(output, Tensor) and output.numel() <= _LARGEST_OUTPUT:
            values = _by_every_loss(call, self._loop.losses, self._loop.kind)
            self._recorder.latest_batch_losses(self._loop.take, self._loop.step + 1, values)


@torch.no_grad()
def _by_every_loss(call: Call, names: Iterable[str], kind: str | None) -> dict[str, float]:
    """Return the value of each loss of the catalogue, and the script's own, for a call."""
    values = {}
    for name in names:
        if losses.has_value(call, name):
            with suppress(RuntimeError):  # PyTorch has no kernel of it for these tensors
                is_own = name == call.name
                values[name] = losses.own(call) if is_own else losses.replaced(call, name, kind)
    return dict(zip(values, read([value.reshape(()) for value in values.values()]), strict=True))
