"""What a watched loop does, from its hooks to the record, and the commands on their way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from tuitrain.core.events import BatchDone, EpochEnded, Event, Measured, RunStarted, Warned
from tuitrain.core.every import Every
from tuitrain.core.problem import Card, Problem
from tuitrain.core.safe import safe
from tuitrain.core.series import GRADIENT_NORM, LONGEST_NAME, Series
from tuitrain.engine.device import environment, read
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.steering import Steering
from tuitrain.record.recorder import Recorder
from tuitrain.record.usage import Usage
from tuitrain.store.schema import BatchRow
from tuitrain.watcher import losses, objects
from tuitrain.watcher.hooks import LOADER
from tuitrain.watcher.losses import Call
from tuitrain.watcher.times import BACKWARD, DATA, FORWARD, LOSS, STEP, Times
from tuitrain.watcher.validations import Validations
from tuitrain.watcher.watched import Watched, gradient_norm, is_finite

_MEASURE_EVERY_S = 1.0
_VAL_LOSS = Series("val-loss")
_LARGEST_OUTPUT = 1 << 20
"""Outputs of more numbers are not kept for the values of the other losses."""


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
        self.title = title
        self.has_ended = False
        self._end = end
        self._times = Times()
        self._losses: list[Tensor] = []
        """What was propagated since the last step."""
        self._has_loss_call = False
        self._samples = 0
        self._scaled: tuple[Tensor, Tensor] | None = None
        self._took_step = False
        self._closures: int | None = None
        """Backward passes within a step that evaluates a closure; None outside of one."""
        self._last_loss: Tensor | None = None
        self._hand_made: bool | None = None
        """Whether the loop moves its weights without an optimizer; None: not known yet."""
        self._iterator: Any = None
        """The loader's iterator that yielded the newest batch."""
        self._training: Any = None
        """The iterator that yielded the batch of the newest step."""
        self._validations = Validations()
        self._epoch_began = 0
        self._epoch_loss = [0.0, 0]
        self._best: float | None = None
        self._logged: dict[str, tuple[int, float]] = {}
        self._measures, self._usage = Every(_MEASURE_EVERY_S), Usage()
        self._is_sample = False
        self._bad_until = -1
        self._card_notes: list[str] = []
        self.started: RunStarted | None = None

    # the loss function

    def before_loss(self) -> None:
        if torch.is_grad_enabled():
            self._times.end(FORWARD)

    def loss_instead(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        loop = self.loop
        if loop.loss_name in (loop.own_loss, losses.UNKNOWN) or not torch.is_grad_enabled():
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
            self._keep(Call(name, args, kwargs))

    def _keep(self, call: Call) -> None:
        """Keep the newest call, and record the values of all losses that fit for it."""
        loop = self.loop
        if loop.call is None:
            loop.call = call.without_graph()
            loop.loss_name = call.name if loop.loss_name == losses.UNKNOWN else loop.loss_name
        if loop.call.function != call.function:
            return
        self._is_sample = False
        loop.call = call.without_graph()
        output = loop.call.args[0] if loop.call.args else None
        if isinstance(output, Tensor) and output.numel() <= _LARGEST_OUTPUT:
            self.recorder.latest_batch_losses(loop.step, self._by_every_loss(loop.call))

    @torch.no_grad()
    def _by_every_loss(self, call: Call) -> dict[str, float]:
        names = [name for name in self.loop.losses if name in (call.name,) or call.kind]
        values = {}
        for name in names:
            if name in self.loop.registered:
                continue  # it may keep a state or draw: looking must not change training
            given = Call(call.function, call.args, call.kwargs)
            value = losses.own(given) if name == call.name else losses.replaced(given, name)
            values[name] = value.detach().reshape(())
        return dict(zip(values, read(list(values.values())), strict=True))

    def _validate(self, call: Call, value: Tensor, samples: int) -> None:
        source = self._loader_of(self._iterator)
        if source is not None and source is self._loader_of(self._training):
            return  # training data evaluated once more
        per_sample = value.detach()
        if call.kwargs.get("reduction") == "sum":
            per_sample = per_sample / max(1, samples)
        if per_sample.numel() != 1:
            return
        self._validations.add(source, call.name, per_sample.reshape(()), samples)
        loop = self.loop
        if loop.call and call.function == loop.call.function and loop.loss_name not in (
            call.name, losses.UNKNOWN,
        ):  # fmt: skip
            swapped = loop.instead(call)
            if swapped is not None:
                self._validations.add(source, loop.loss_name, swapped.reshape(()), samples)

    # the backward pass

    def before_backward(self, loss: Tensor) -> None:
        self._times.end(LOSS if self._has_loss_call else FORWARD)
        if loss.numel() != 1:
            return
        if self._hand_made is None and self._losses and self._closures is None:
            self._hand_made = not (self.loop.parts.optimizers or objects.has_optimizer())
        if self._hand_made and self._losses:
            self._step(None)
        if self._closures is not None:
            self._closures += 1
            if self._closures > 1:
                return  # a closure is evaluated again: the step takes its first evaluation
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
            self._losses, self._samples = [], 0
            self._times.take()

    # the step

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        loop = self.loop
        if closure is None:
            self._judge(optimizer)
            loop.lend_settings(optimizer)
            return None
        self._closures = 0
        if loop.factor != 1:
            clip, loop.clip_norm = loop.clip_norm, None
            loop.lend_settings(optimizer)
            loop.clip_norm = clip
        if loop.clip_norm is None and loop.on_nonfinite == "alert":
            return None
        return self._with_closure(optimizer, closure, args, kwargs)

    def _with_closure(
        self, optimizer: Optimizer, closure: Callable[[], Any], args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
        """Judge and clip the gradients where a closure has just computed them."""

        def judged() -> Any:
            value = closure()
            self._judge(optimizer)
            if self.loop.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(
                    objects.optimizers_parameters(optimizer), self.loop.clip_norm
                )
            return value

        if len(args) > 1:
            return (args[0], judged, *args[2:]), kwargs
        return args, {**kwargs, "closure": judged}

    def _judge(self, optimizer: Optimizer) -> None:
        """Leave out a step with a nonfinite loss or gradient, if the user asked for that."""
        if self.loop.on_nonfinite == "alert":
            return
        self._is_bad = not is_finite(self._losses[-1] if self._losses else None, optimizer)
        if self._is_bad:
            for parameter in objects.optimizers_parameters(optimizer):
                parameter.grad = None

    _is_bad = False

    def after_step(self, optimizer: Optimizer) -> None:
        self._took_step, self._closures = True, None
        self._times.end(STEP)
        if optimizer not in self.loop.parts.optimizers:
            self.loop.parts.add(optimizer, objects.model_of(optimizer))
        self._step(optimizer)

    def _step(self, optimizer: Optimizer | None) -> None:
        """Record a step, and apply commands."""
        loop, parts = self.loop, self.loop.parts
        loss = self._propagated()
        if self.started is None:
            self._start(optimizer, loss)
        loop.step += 1
        loop.batch += 1
        self._training = self._iterator
        if optimizer is None or optimizer is parts.optimizers[0]:
            self._record(optimizer, loss)
        else:
            self._record_other(optimizer, loss)
        if optimizer is not None:
            loop.take_back_settings(optimizer)
        self._losses, self._samples, self._has_loss_call = [], 0, False
        if self._validations:
            self._end_validation()
        if self._measures.is_due():
            self._measure(optimizer)
        self._apply(self.steering.after_batch())
        self._times.skip()

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
        loop = self.loop
        lr = float(optimizer.param_groups[0]["lr"]) if optimizer else 0.0
        done = BatchDone(
            loop.take, loop.step, loop.epoch + 1, loss, lr, self._samples, self._times.take(),
            1.0 if self._is_bad else 0.0,
        )  # fmt: skip
        if loop.on_nonfinite != "alert":
            self.steering.nonfinite.note(done)
            self._is_bad = False
        self.recorder.take(done)

    def _record_other(self, optimizer: Optimizer, loss: Tensor) -> None:
        """Record the step of another optimizer than the first as series of its own."""
        number = self.loop.parts.optimizers.index(optimizer) + 1
        lr = float(optimizer.param_groups[0]["lr"])
        self._times.take()
        self.recorder.take(
            Measured(
                self.loop.take, self.loop.step,
                {Series(f"loss-{number}"): loss, Series(f"lr-{number}"): lr},
            )
        )  # fmt: skip

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
        """Take rows whose numbers were read: for the epoch's mean and for nonfinite losses."""
        for row in rows:
            if math.isfinite(row.loss):
                self._epoch_loss[0] += row.loss * max(1, row.samples)
                self._epoch_loss[1] += max(1, row.samples)
            elif self.loop.on_nonfinite == "alert":
                if row.step != self._bad_until + 1:
                    self._warnings.append(
                        Warned(
                            f"the loss was {row.loss} at step {row.step:,}; the script took the "
                            "step: watch --on-nonfinite skip, pause or stop would leave it out",
                            row.take, row.step,
                        )
                    )  # fmt: skip
                self._bad_until = row.step

    @property
    def _warnings(self) -> list[Warned]:
        return self.__dict__.setdefault("_waiting_warnings", [])

    # epochs

    def before_epoch(self, loader: DataLoader[Any]) -> None:
        self._times.skip()
        if not torch.is_grad_enabled() or loader is not self._loader_of(self._training):
            return
        if self.loop.batch:
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

    def is_epoch_over(self) -> bool:
        """Return whether the last batch of the training loader is trained, as far as is known."""
        return self.loop.batch >= self.loop.length > 0

    def end_epoch(self) -> None:
        """Record the epoch that is over, with the validation since its last step."""
        loop = self.loop
        self.recorder.flush()
        val_losses = next(iter(self._validations.take()), {})
        loop.epoch += 1
        loop.length, loop.batch = loop.step - self._epoch_began, 0
        self._epoch_began = loop.step
        total, samples = self._epoch_loss
        self._epoch_loss = [0.0, 0]
        train_loss = total / samples if samples else math.nan
        val_loss = val_losses.get(loop.loss_name, next(iter(val_losses.values()), None))
        loop.last_val_loss = 0.0 if val_loss is None else val_loss
        self._take(
            EpochEnded(
                loop.take, loop.step, loop.epoch, loop.loss_name, train_loss, val_loss,
                self._metrics_of_epoch(), improved=self._improves(val_losses.get(loop.own_loss)),
                val_losses=val_losses,
            )
        )  # fmt: skip
        self._apply(self.steering.checkpoints.save_if_due(loop, "epoch"))

    def _improves(self, val_loss: float | None) -> bool:
        if val_loss is None or not (self._best is None or val_loss < self._best):
            return False
        self._best = val_loss
        return True

    def _end_validation(self) -> None:
        """Record a validation within an epoch as a series."""
        for number, means in enumerate(self._validations.take(), start=1):
            name = "val-loss" if number == 1 else f"val-loss-{number}"
            value = means.get(self.loop.loss_name, next(iter(means.values())))
            self.recorder.take(Measured(self.loop.take, self.loop.step, {Series(name): value}))

    # numbers of the user's own

    def log(self, values: dict[str, Any]) -> None:
        """Record numbers by name at the present step; those logged once an epoch are metrics."""
        measured: dict[Series, Any] = {}
        for name, value in values.items():
            number = _number(value)
            if number is not None:
                measured[Series(safe(name)[:LONGEST_NAME] or "value")] = number
                count, _ = self._logged.get(name, (0, 0.0))
                self._logged[name] = count + 1, number
        if measured:
            self.recorder.take(Measured(self.loop.take, self.loop.step, measured))

    def _metrics_of_epoch(self) -> dict[str, float]:
        logged, self._logged = self._logged, {}
        return {
            safe(name)[:LONGEST_NAME]: float(value)
            for name, (count, value) in logged.items()
            if count == 1 or self.loop.length == count == 1
        }

    # start and steering

    def _start(self, optimizer: Optimizer | None, loss: Tensor) -> None:
        loop, loader = self.loop, self._loader_of(self._iterator)
        length = _length(loader)
        loop.length = -(-length // max(1, len(self._losses))) if length else 0
        model = loop.parts.models[0] if loop.parts.models else None
        self.started = RunStarted(
            str(loss.device), loop.length, loop.parts.parameters, _size(loader), 0,
            environment(loss.device), loop.settings,
            Problem(loop.kind or (loop.call.kind if loop.call else None), (), loop.own_loss,
                    loop.losses),
            Card(self.title, "watch", tuple(self._notes(optimizer, model, loader))),
            type(model).__name__ if model is not None else "",
            _class_name(optimizer) if optimizer is not None else "",
        )  # fmt: skip
        self._take(self.started)

    def _notes(self, optimizer: Optimizer | None, model: Any, loader: Any) -> list[str]:
        """Say what was seen with the first step, and what cannot be."""
        loop, passes = self.loop, len(self._losses)
        optimizer_text = (
            f"optimizer {_class_name(optimizer)}" if optimizer is not None
            else "no optimizer: a backward pass is a step"
        )  # fmt: skip
        parts = [
            optimizer_text,
            f"loss {loop.own_loss}" if loop.call else "a loss of its own, which cannot be swapped",
            f"model {type(model).__name__}" if model is not None else "no module as a model",
            f"{_length(loader):,} batches an epoch" if _length(loader) else "no loader seen: no "
            "epochs",
        ]
        notes = ["watched: " + ", ".join(parts)]
        if passes > 1:
            notes.append(f"{passes} backward passes a step: its loss is their sum")
        return notes

    def _take(self, event: Event) -> None:
        self.recorder.take(event)
        self.recorder.flush()

    def _apply(self, events: Any) -> None:
        for event in events:
            self.recorder.take(event)
        for warning in self._warnings:
            self.recorder.take(warning)
        self._warnings.clear()
        if self.steering.decisions.stopped and not self.has_ended:
            self.has_ended = True
            self._end()

    @staticmethod
    def _loader_of(iterator: Any) -> Any:
        loader: ref[Any] | None = getattr(iterator, LOADER, None)
        return loader() if loader is not None else None


def _number(value: Any) -> Any:
    """Return a number or a detached scalar tensor; None for anything else."""
    if isinstance(value, Tensor):
        return value.detach().reshape(()) if value.numel() == 1 else None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _class_name(optimizer: Optimizer) -> str:
    """Return the name of an optimizer's class, without those that frameworks make of it."""
    return type(optimizer).__name__


def _length(loader: Any) -> int:
    """Return the number of a loader's batches; 0 if it does not know."""
    try:
        return len(loader)
    except TypeError:
        return 0


def _size(loader: Any) -> int:
    """Return the number of a loader's samples; 0 if it does not know."""
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return 0
