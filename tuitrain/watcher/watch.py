"""What a watched loop does, from its hooks to the record, and the commands on their way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from time import perf_counter_ns
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tuitrain.core.events import BatchDone, Event, Fact, Failed, Measured, RunStarted, Warned
from tuitrain.core.every import Every
from tuitrain.core.series import GRADIENT_NORM, Series
from tuitrain.engine.device import read
from tuitrain.engine.steering import Steering
from tuitrain.record.controls import LOOK_AFTER_S
from tuitrain.record.recorder import Recorder
from tuitrain.record.usage import Usage
from tuitrain.steering.apply import or_warned
from tuitrain.store.schema import BatchRow
from tuitrain.watcher import losses, objects, ranks
from tuitrain.watcher.epochs import Epochs
from tuitrain.watcher.first_step import FirstStep, has_other_terms, length, run_started
from tuitrain.watcher.losses import Call
from tuitrain.watcher.propagated import Loss, Propagated
from tuitrain.watcher.sources import Sources
from tuitrain.watcher.times import BACKWARD, DATA, FORWARD, LOSS, STEP, begin, skip
from tuitrain.watcher.watched import Watched, gradient_norm, is_finite

_MEASURE_EVERY_S = 1.0
_LOOK_AFTER_NS = round(LOOK_AFTER_S * 1e9)
_LARGEST_OUTPUT = 1 << 20
"""For outputs of more numbers, the values of the other losses are not computed."""


class Ending(KeyboardInterrupt):
    """Ends a watched loop that has no other way of being stopped."""


class Watch:
    """Meets `Watching`: gathers what the hooks see, records it, and steers after each step."""

    failure = ""
    """Why the run failed, if a nonfinite value ended it."""

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
        self._sources, self._propagated = Sources(), Propagated()
        self._marks = begin(perf_counter_ns())
        """Those of the step in hand; see `tuitrain.watcher.times`."""
        self._measures, self._usage = Every(_MEASURE_EVERY_S), Usage()
        self._is_sample = False
        """Whether the next loss call is kept, for the values of the other losses."""
        self._has_loss_call = self._has_other_terms = False
        self._returned: Tensor | None = None
        """What the loss function returned before the first backward pass."""
        self._took_step = False
        """Whether the scaler's step in hand was one of the optimizer."""
        self._is_hand_made: bool | None = None
        """Whether the loop moves its weights without an optimizer; None: not known yet."""
        self._may_begin_epoch = False
        """Whether a training loader began anew, but perhaps for an evaluation."""
        self._is_bad = False
        """Whether the step in hand is left out, since its loss or a gradient is nonfinite."""
        self._nonfinite_until = -1
        """The newest step with a nonfinite loss."""
        self._look_at = 0
        """When to look around after a step, on the clock of the marks; 0: after the next one."""
        self._warnings: list[Warned] = []
        self.notes: list[str] = []
        """What else the run shall say of itself at its first step."""

    # the loss function

    def before_loss(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        if not torch.is_grad_enabled():
            return None
        self._marks += FORWARD, perf_counter_ns()
        return self.loop.instead(Call(name, args, kwargs)) if self.loop.is_swapped else None

    def after_loss(self, name: str, value: Tensor, args: tuple[Any, ...], kwargs: Any) -> None:
        target = args[1] if len(args) > 1 else kwargs.get("target")
        shape = target.shape if isinstance(target, Tensor) else ()
        samples = shape[0] if shape else 1
        if not torch.is_grad_enabled():
            self._validate(Call(name, args, kwargs), value, samples)
            return
        self._marks += LOSS, perf_counter_ns()
        if not self._has_loss_call:  # the further terms of a loss are of the same samples
            self._has_loss_call = True
            self._propagated.count(samples)
            self._sources.use()
        if self.loop.call is None or self._is_sample:
            self._keep(Call(name, args, kwargs))
        if self.started is None:
            self._sources.train_on(target)
            self._returned = value

    def _keep(self, call: Call) -> None:
        """Learn from the newest call, and record the value of each loss that fits for it."""
        loop = self.loop
        if not loop.learn(call.without_data()):
            return  # another term of the loss
        self._is_sample = False
        output = call.args[0] if call.args else None
        if isinstance(output, Tensor) and output.numel() <= _LARGEST_OUTPUT:
            self.recorder.latest_batch_losses(loop.step, _by_every_loss(call, loop.losses))

    def _validate(self, call: Call, value: Tensor, samples: int) -> None:
        given = call.arguments()
        source = self._sources.of_validation(given.get("target"))
        self._sources.use()
        if value.numel() != 1 or source is None:
            return  # no mean, or training data evaluated once more
        of_samples = 1 / max(1, samples) if given["reduction"] == "sum" else 1
        self._look_at = 0  # it is recorded at the next step
        add, loop = self.epochs.validations.add, self.loop
        add(source, call.name, value.detach().reshape(()) * of_samples, samples)
        swapped = loop.instead(call) if loop.is_swapped else None
        if swapped is not None:
            add(source, loop.loss_name, swapped.reshape(()) * of_samples, samples)

    # the backward pass

    def before_backward(self, loss: Any, gradient: Any) -> None:
        self._marks += LOSS if self._has_loss_call else FORWARD, perf_counter_ns()
        if self._is_hand_made is None and self._propagated.passes:
            self._is_hand_made = not (self.loop.parts.optimizers or objects.has_optimizer())
            if self._is_hand_made:
                self._step(None)
        if self.started is None:
            self._has_other_terms = has_other_terms(loss, self._returned)
            self._returned = None
        self._propagated.add(loss, gradient)
        self._has_loss_call = False

    def after_backward(self) -> None:
        self._marks += BACKWARD, perf_counter_ns()
        if self._is_hand_made:
            self._step(None)

    def scaled(self, scaled: Any, loss: Any, scaler: Any) -> None:
        self._propagated.scale(scaled, loss, scaler)
        self.loop.parts.add_scaler(scaler)

    def before_scaler_step(self) -> None:
        self._took_step = False

    def after_scaler_step(self) -> None:
        if not self._took_step:  # it found inf or NaN: this is no step, and its loss is none
            self._propagated.take()
            self._marks = begin(self._marks[-1])

    # the step

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        self._is_hand_made = False
        loop = self.loop
        if loop.factor != 1:
            loop.lend_rates(optimizer)
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is not None:
            return self._with_closure(optimizer, closure, args, kwargs)
        if loop.clip_norm is not None or loop.on_nonfinite != "alert":
            self._before_update(optimizer)
        return None

    def _with_closure(
        self, optimizer: Optimizer, closure: Callable[[], Any], args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
        """Judge and clip the gradients where a closure has just computed them."""

        def checked() -> Any:
            self._propagated.evaluates()
            value = closure()
            self._before_update(optimizer)
            return value

        if len(args) > 1:
            return (args[0], checked, *args[2:]), kwargs
        return args, {**kwargs, "closure": checked}

    def _before_update(self, optimizer: Optimizer) -> None:
        """Clip gradients, and leave out a step with a nonfinite one if the user asked for that."""
        if self.loop.on_nonfinite != "alert" and not is_finite(self._propagated.last, optimizer):
            self._is_bad = True
            for parameter in objects.parameters_of(optimizer):
                parameter.grad = None
        self.loop.clip(optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        self._took_step = True
        self._marks += STEP, perf_counter_ns()
        self._step(optimizer, self.loop.parts.meet(optimizer))

    def step_by_hand(self, loss: Tensor) -> None:
        """Take a step of a loop that has no optimizer of PyTorch."""
        self._is_hand_made = False
        skip(self._marks)
        self._propagated.take()
        self._propagated.add(loss, None)
        self._step(None)

    def _step(self, optimizer: Optimizer | None, number: int = 0) -> None:
        """Record a step of the optimizer of that number; look around now and then."""
        loop, propagated = self.loop, self._propagated
        if loop.factor != 1:
            loop.take_back_rates()
        if self.has_ended:
            return
        if self._may_begin_epoch and self._sources.has_trained(self._sources.loader):
            self._begin_epoch()
        passes, samples = propagated.passes, propagated.samples
        loss = propagated.take()
        if self.started is None:
            self._start(optimizer, passes)
        if not self._look_at and self.epochs.validations:
            self._record_validation()
        loop.step += 1
        loop.batch += 1
        self._sources.step()
        self._record(optimizer, number, loss, samples)
        if self._marks[-1] >= self._look_at:
            self._look(optimizer, number)

    def _look(self, optimizer: Optimizer | None, number: int) -> None:
        """Do what need not be done at every step, commands included: most steps are only recorded.

        The commands in hand may need every step, as `step N` and a pace do.
        """
        if self._measures.is_due():
            self._sample(optimizer)
        self._steer(number)
        skip(self._marks)
        self._look_at = 0 if self.steering.has_to_do else self._marks[-1] + _LOOK_AFTER_NS

    def _steer(self, number: int) -> None:
        """Apply commands; `step N` counts the steps of the first optimizer alone."""
        counts = not number and self.loop.step > 1  # the first one is that of a start in a pause
        self._apply(self.steering.after_batch() if counts else self.steering.between())

    def _record_validation(self) -> None:
        """Record what was validated since the last step as series, if anything was."""
        if (validation := self.epochs.validation()) is not None:
            self.recorder.take(validation)

    def _record(self, optimizer: Optimizer | None, number: int, loss: Loss, samples: int) -> None:
        """Record a step; that of another optimizer than the first as series of its own."""
        loop, marks = self.loop, self._marks
        self._marks = begin(marks[-1])
        lr = loop.rate_of(optimizer.param_groups[0]) if optimizer else 0.0
        if number:
            name = f"-{number + 1}"
            values: dict[Series, Any] = {Series(f"loss{name}"): loss, Series(f"lr{name}"): lr}
            self.recorder.take(Measured(loop.take, loop.step, values))
            return
        done = BatchDone(
            loop.take, loop.step, loop.epoch + 1, loss, lr, samples, marks, float(self._is_bad)
        )
        if self._is_bad:
            self.steering.nonfinite.note(done)
            self._is_bad, self._look_at = False, 0
        self.recorder.take(done)

    def _sample(self, optimizer: Optimizer | None) -> None:
        """Record what would cost too much at every step."""
        self._is_sample = True
        values: dict[Series, Any] = dict(self._usage.read())
        if optimizer is not None:
            norm = None if self.loop.is_sharded else gradient_norm(optimizer)
            if norm is not None:
                values[GRADIENT_NORM] = norm
            for number, group in enumerate(optimizer.param_groups[1:], start=2):
                values[Series(f"lr-group-{number}")] = self.loop.rate_of(group)
        self.recorder.take(Measured(self.loop.take, self.loop.step, values))

    def rows(self, rows: Sequence[BatchRow]) -> None:
        """Take the rows of steps whose numbers were read; warn of nonfinite losses."""
        self.epochs.rows(rows)
        for row in rows:
            if math.isfinite(row.loss) or not self._warns:
                continue
            if row.step != self._nonfinite_until + 1:
                text = (
                    f"the loss was {row.loss} at step {row.step:,}; the script took the step "
                    "(tuitrain watch --on-nonfinite skip leaves such steps out)"
                )
                self._warnings.append(Warned(text, row.take, row.step))
            self._nonfinite_until = row.step

    @property
    def _warns(self) -> bool:
        """Whether a nonfinite loss is news: not if it is handled, or no loss is seen at all."""
        return self.loop.on_nonfinite == "alert" and self._propagated.has_any

    # epochs

    def before_epoch(self, loader: Any) -> None:
        skip(self._marks)
        if not (self.loop.batch and self._sources.has_trained(loader)):
            return
        if torch.is_grad_enabled() and self.loop.parts.is_training:
            self._begin_epoch()
        else:  # an evaluation of training data, unless a step follows
            self._may_begin_epoch = True

    def _begin_epoch(self) -> None:
        """End the epoch before, and apply the commands that wait for that."""
        self._may_begin_epoch = False
        self.end_epoch()
        self._sources.begin_epoch()
        self.loop.is_at_epoch = True
        self._apply(self.steering.between())
        self.loop.is_at_epoch = False

    def before_fetch(self) -> None:
        skip(self._marks)

    def after_fetch(self, iterator: Any) -> None:
        if torch.is_grad_enabled():
            self._marks += DATA, perf_counter_ns()
        self._sources.fetch(iterator)

    def end_epoch(self) -> None:
        """Record the epoch that is over, and save it if that takes little of the time."""
        self.recorder.flush()  # so that all losses of its steps are read
        ended, checkpoints = self.epochs.ended(), self.steering.checkpoints
        self.recorder.take(ended)
        best, due = checkpoints.keep_best(self.loop), checkpoints.save_if_due(self.loop, "epoch")
        self._apply(self._saved(best if ended.improved else due))

    def log(self, values: dict[str, Any]) -> None:
        """Record numbers by name at the present step; those logged once an epoch are metrics."""
        if (measured := self.epochs.log(values)) is not None:
            self.recorder.take(measured)

    # start and steering

    def _start(self, optimizer: Optimizer | None, passes: int) -> None:
        """Record what the loop turned out to be; `passes` are the backward passes of its step."""
        self.epochs.validations.take()  # those of a check before training
        loader = self._sources.loader
        batches = max(1, min(passes, self._sources.fetched))  # of a step
        self.loop.length = -(-length(loader) // batches)
        first = FirstStep(
            optimizer, loader, self._propagated.device, passes, self._has_other_terms,
            tuple(self.notes),
        )  # fmt: skip
        if optimizer is not None and ranks.count() > 1:
            self.loop.is_sharded = objects.is_sharded(optimizer)
        self.started = run_started(self.loop, self.title, first)
        self.recorder.take(self.started)

    def close(self) -> None:
        """Record what is in hand at the end of the script, and save the weights."""
        if self.started is None:
            return
        self.recorder.flush()
        if self.epochs.is_over:
            self.end_epoch()
        else:
            self._record_validation()
        saved = self._saved(self.steering.checkpoints.save(self.loop, "finish"))
        for event in chain(saved, self.steering.close(), self._warnings):
            self.recorder.take(event)

    def _saved(self, saving: Iterator[Event]) -> Iterator[Event]:
        """Save, unless the other ranks would have to save as well; a failure is a warning."""
        return iter(()) if self.loop.is_sharded else or_warned(saving)

    def _apply(self, events: Iterable[Fact | Event]) -> None:
        self._look_at = 0  # these commands may have to do something after the next step
        for event in chain(events, self._warnings):  # one by one: a pause waits in the midst
            self.recorder.take(event)
            if isinstance(event, Failed):
                self.failure = event.error
        self._warnings.clear()
        if self.steering.decisions.stopped and not self.has_ended:
            self.has_ended = True
            self._end()


@torch.no_grad()
def _by_every_loss(call: Call, names: Iterable[str]) -> dict[str, float]:
    """Return the value of each loss of the catalogue, and the script's own, for a call."""
    values = {
        name: losses.own(call) if name == call.name else losses.replaced(call, name)
        for name in names
        if losses.has_value(call, name)
    }
    return dict(zip(values, read([value.reshape(()) for value in values.values()]), strict=True))
