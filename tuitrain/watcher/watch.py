"""What a watched loop does, from its hooks to the record, and the commands on their way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.optim import Optimizer

from tuitrain.core.events import BatchDone, Event, Fact, Measured, RunStarted
from tuitrain.core.every import Every
from tuitrain.core.series import GRADIENT_NORM, Series
from tuitrain.engine.device import read
from tuitrain.engine.steering import Steering
from tuitrain.record.recorder import Recorder
from tuitrain.record.usage import Usage
from tuitrain.store.schema import BatchRow
from tuitrain.watcher import losses, objects
from tuitrain.watcher.alerts import Alerts
from tuitrain.watcher.beginning import length, run_started
from tuitrain.watcher.epochs import Epochs
from tuitrain.watcher.hooks import LOADER
from tuitrain.watcher.losses import Call
from tuitrain.watcher.times import BACKWARD, DATA, FORWARD, LOSS, STEP, Times
from tuitrain.watcher.watched import Watched, gradient_norm, is_finite

_MEASURE_EVERY_S = 1.0
_LARGEST_OUTPUT = 1 << 20
"""For outputs of more numbers, the values of the other losses are not computed."""


class Ending(KeyboardInterrupt):
    """Ends a watched loop that has no other way of being stopped."""


class Watch:
    """Meets `Watching`: gathers what the hooks see, records it, and steers after each step."""

    def __init__(
        self,
        loop: Watched,
        steering: Steering,
        recorder: Recorder,
        *,
        title: str,
        end: Callable[[], None],
    ) -> None:
        """`end` is called once a stop is recorded: it makes the loop end."""
        self.loop, self.steering, self.recorder = loop, steering, recorder
        self.title, self._end = title, end
        self.started: RunStarted | None = None
        self.has_ended = False
        self.epochs = Epochs(loop)
        self._times = Times()
        self._measures, self._usage = Every(_MEASURE_EVERY_S), Usage()
        self._is_sample = False
        """Whether the next loss call is kept, for the values of the other losses."""
        self._forget_step()
        self._scaled: tuple[Tensor, Tensor] | None = None
        """The newest scaled loss, and the loss itself."""
        self._took_step = False
        """Whether the scaler's step in hand was one of the optimizer."""
        self._evaluations: int | None = None
        """Backward passes within a step that evaluates a closure; None outside of one."""
        self._last_loss: Tensor | None = None
        self.notes: list[str] = []
        """What else the run shall say of itself at its first step."""
        self._is_hand_made: bool | None = None
        """Whether the loop moves its weights without an optimizer; None: not known yet."""
        self._iterator: Any = None
        """The loader's iterator that yielded the newest batch."""
        self._training: Any = None
        """The one that yielded the batch of the newest step."""
        self._is_bad = False
        """Whether the step in hand is left out, since its loss or a gradient is nonfinite."""
        self._alerts = Alerts()

    def _forget_step(self) -> None:
        self._losses: list[Tensor] = []
        """What was propagated since the last step."""
        self._samples, self._has_loss_call = 0, False

    # the loss function

    def before_loss(self) -> None:
        if torch.is_grad_enabled():
            self._times.end(FORWARD)

    def loss_instead(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        loop = self.loop
        if not loop.is_swapped or not torch.is_grad_enabled():
            return None
        return loop.instead(Call(name, args, kwargs))

    def after_loss(self, name: str, value: Tensor, args: tuple[Any, ...], kwargs: Any) -> None:
        target = args[1] if len(args) > 1 else kwargs.get("target")
        samples = target.shape[0] if isinstance(target, Tensor) and target.dim() else 1
        if not torch.is_grad_enabled():
            self._validate(Call(name, args, kwargs), value, samples)
            return
        self._times.end(LOSS)
        self._has_loss_call = True
        self._samples += samples
        if self.loop.call is None or self._is_sample:
            self._keep(Call(name, args, kwargs).without_graph())

    def _keep(self, call: Call) -> None:
        """Keep the newest call, and record the value of each loss that fits for it."""
        loop = self.loop
        if not loop.learn(call):
            return  # another term of the loss
        self._is_sample = False
        output = call.args[0] if call.args else None
        if isinstance(output, Tensor) and output.numel() <= _LARGEST_OUTPUT:
            self.recorder.latest_batch_losses(loop.step, _by_every_loss(call, loop.losses))

    def _validate(self, call: Call, value: Tensor, samples: int) -> None:
        source = _loader_of(self._iterator)
        if value.numel() != 1 or (source is not None and source is _loader_of(self._training)):
            return  # no mean, or training data evaluated once more
        of_samples = 1 / max(1, samples) if call.kwargs.get("reduction") == "sum" else 1
        add, loop = self.epochs.validations.add, self.loop
        add(source, call.name, value.detach().reshape(()) * of_samples, samples)
        swapped = loop.instead(call) if loop.is_swapped else None
        if swapped is not None:
            add(source, loop.loss_name, swapped.reshape(()) * of_samples, samples)

    # the backward pass

    def before_backward(self, loss: Tensor) -> None:
        self._times.end(LOSS if self._has_loss_call else FORWARD)
        if loss.numel() != 1:
            return
        if self._is_hand_made is None and self._losses and self._evaluations is None:
            self._is_hand_made = not (self.loop.parts.optimizers or objects.has_optimizer())
        if self._is_hand_made and self._losses:
            self._step(None)
        if self._evaluations is not None:
            self._evaluations += 1
            if self._evaluations > 1:
                return  # a closure evaluated again: the step takes its first evaluation
        if self._scaled is not None and self._scaled[0] is loss:
            loss = self._scaled[1]
        self._scaled = None
        self._losses.append(loss.detach())

    def after_backward(self) -> None:
        self._times.end(BACKWARD)

    def scaled(self, scaled: Any, loss: Any, scaler: Any) -> None:
        if isinstance(scaled, Tensor):
            self._scaled = scaled, loss
            self.loop.parts.add_scaler(scaler)

    def before_scaler_step(self) -> None:
        self._took_step = False

    def after_scaler_step(self) -> None:
        if not self._took_step:  # it found inf or NaN: this is no step, and its loss is none
            self._forget_step()
            self._times.take()

    # the step

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._before_update(optimizer)
            self.loop.lend_rates(optimizer)
            return None
        self._evaluations = 0
        self.loop.lend_rates(optimizer)
        if self.loop.clip_norm is None and self.loop.on_nonfinite == "alert":
            return None
        return self._with_closure(optimizer, closure, args, kwargs)

    def _with_closure(
        self, optimizer: Optimizer, closure: Callable[[], Any], args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
        """Judge and clip the gradients where a closure has just computed them."""

        def judged() -> Any:
            value = closure()
            self._before_update(optimizer)
            return value

        if len(args) > 1:
            return (args[0], judged, *args[2:]), kwargs
        return args, {**kwargs, "closure": judged}

    def _before_update(self, optimizer: Optimizer) -> None:
        """Clip gradients, and leave out a step with a nonfinite one if the user asked for that."""
        if self.loop.on_nonfinite != "alert":
            loss = self._losses[-1] if self._losses else None
            self._is_bad = not is_finite(loss, optimizer)
            if self._is_bad:
                for parameter in objects.parameters_of(optimizer):
                    parameter.grad = None
        self.loop.clip(optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        self._took_step, self._evaluations = True, None
        self._times.end(STEP)
        self.loop.parts.meet(optimizer)
        self._step(optimizer)

    def _step(self, optimizer: Optimizer | None) -> None:
        """Record a step, and apply commands."""
        loop, loss = self.loop, self._propagated()
        if self.started is None:
            self._start(optimizer, loss)
        loop.step += 1
        loop.batch += 1
        self._training = self._iterator
        self._record(optimizer, loss)
        if optimizer is not None:
            loop.take_back_rates(optimizer)
        self._forget_step()
        if self.epochs.validations and (validation := self.epochs.validation()):
            self.recorder.take(validation)
        if self._measures.is_due():
            self._measure(optimizer)
        self._apply(self.steering.after_batch())
        self._times.skip()

    def step_by_hand(self, loss: Tensor) -> None:
        """Take a step of a loop that has no optimizer of PyTorch."""
        self._is_hand_made, self._losses = False, [loss]
        self._step(None)

    def _propagated(self) -> Tensor:
        """Return the sum of what was propagated for this step; else that of the step before."""
        if not self._losses:
            return self._last_loss if self._last_loss is not None else torch.full((), math.nan)
        total = self._losses[0]
        for more in self._losses[1:]:
            total = total + more.to(total.device)
        self._last_loss = total = total.reshape(())
        return total

    def _record(self, optimizer: Optimizer | None, loss: Tensor) -> None:
        """Record a step; that of another optimizer than the first as series of its own."""
        loop, optimizers = self.loop, self.loop.parts.optimizers
        lr = float(optimizer.param_groups[0]["lr"]) if optimizer else 0.0
        times = self._times.take()
        if optimizer is not None and optimizer is not optimizers[0]:
            number = optimizers.index(optimizer) + 1
            values: dict[Series, Any] = {Series(f"loss-{number}"): loss, Series(f"lr-{number}"): lr}
            self.recorder.take(Measured(loop.take, loop.step, values))
            return
        done = BatchDone(
            loop.take, loop.step, loop.epoch + 1, loss, lr, self._samples, times,
            float(self._is_bad),
        )  # fmt: skip
        if loop.on_nonfinite != "alert":
            self.steering.nonfinite.note(done)
            self._is_bad = False
        self.recorder.take(done)

    def _measure(self, optimizer: Optimizer | None) -> None:
        """Record what would cost too much at every step."""
        self._is_sample = True
        values: dict[Series, Any] = dict(self._usage.read())
        if optimizer is not None:
            norm = gradient_norm(optimizer)
            if norm is not None:
                values[GRADIENT_NORM] = norm
            for number, group in enumerate(optimizer.param_groups[1:], start=2):
                values[Series(f"lr-group-{number}")] = float(group["lr"])
        self.recorder.take(Measured(self.loop.take, self.loop.step, values))

    def rows(self, rows: Sequence[BatchRow]) -> None:
        """Take the rows of steps whose numbers were read; warn of nonfinite losses."""
        self.epochs.rows(rows)
        if self.loop.on_nonfinite == "alert":
            self._alerts.rows(rows)

    # epochs

    def before_epoch(self, loader: Any) -> None:
        self._times.skip()
        is_training = torch.is_grad_enabled() and loader is _loader_of(self._training)
        if is_training and self.loop.batch:
            self.end_epoch()
            self.loop.is_at_epoch = True
            self._apply(self.steering.between())
            self.loop.is_at_epoch = False

    def before_fetch(self) -> None:
        self._times.skip()

    def after_fetch(self, iterator: Any) -> None:
        if torch.is_grad_enabled():
            self._times.end(DATA)
        self._iterator = iterator

    def end_epoch(self) -> None:
        """Record the epoch that is over, and save it if that takes little of the time."""
        self.recorder.flush()  # so that all losses of its steps are read
        self.recorder.take(self.epochs.ended())
        self._apply(self.steering.checkpoints.save_if_due(self.loop, "epoch"))

    def log(self, values: dict[str, Any]) -> None:
        """Record numbers by name at the present step; those logged once an epoch are metrics."""
        if (measured := self.epochs.log(values)) is not None:
            self.recorder.take(measured)

    # start and steering

    def _start(self, optimizer: Optimizer | None, loss: Tensor) -> None:
        loader, passes = _loader_of(self._iterator), max(1, len(self._losses))
        self.loop.length = -(-length(loader) // passes)
        self.started = run_started(
            self.loop, self.title, optimizer, loader, device=loss.device, passes=passes,
            notes=self.notes,
        )  # fmt: skip
        self.recorder.take(self.started)

    def _apply(self, events: Iterable[Fact | Event]) -> None:
        for event in (*events, *self._alerts.take()):
            self.recorder.take(event)
        if self.steering.decisions.stopped and not self.has_ended:
            self.has_ended = True
            self._end()


def _loader_of(iterator: Any) -> Any:
    """Return the loader of an iterator; None if it is gone, or there is no iterator."""
    loader: ref[Any] | None = getattr(iterator, LOADER, None)
    return loader() if loader is not None else None


@torch.no_grad()
def _by_every_loss(call: Call, names: Iterable[str]) -> dict[str, float]:
    """Return the value of each loss of the catalogue, and the script's own, for a call."""
    values = {
        name: losses.own(call) if name == call.name else losses.replaced(call, name)
        for name in names
        if losses.has_value(call, name)
    }
    return dict(zip(values, read([value.reshape(()) for value in values.values()]), strict=True))
