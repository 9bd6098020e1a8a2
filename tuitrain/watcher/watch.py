"""Follow a watched loop from its hooks to the record, and bring commands back to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from time import perf_counter_ns
from typing import Any

from torch import Tensor, is_grad_enabled
from torch.optim import Optimizer

from tuitrain.core.events import BatchDone, Event, Fact, Failed, Measured, RunStarted, Warned
from tuitrain.core.series import Series
from tuitrain.engine.steering import Steering
from tuitrain.record.controls import LOOK_AFTER_S
from tuitrain.record.recorder import Recorder
from tuitrain.steering.apply import or_warned
from tuitrain.store.schema import BatchRow
from tuitrain.watcher import objects, ranks
from tuitrain.watcher.dynamo import is_simulated
from tuitrain.watcher.epochs import Epochs
from tuitrain.watcher.first_step import FirstStep, has_other_terms, length, run_started
from tuitrain.watcher.initial import InitialState
from tuitrain.watcher.losses import Call
from tuitrain.watcher.nonfinite import NonfiniteLosses
from tuitrain.watcher.propagated import Loss, Propagated
from tuitrain.watcher.samples import Samples
from tuitrain.watcher.sources import Sources
from tuitrain.watcher.stepping import Stepping
from tuitrain.watcher.times import BACKWARD, DATA, FORWARD, LOSS, PARTS, STEP
from tuitrain.watcher.watched import Watched, is_finite

_LOOK_AFTER_NS = round(LOOK_AFTER_S * 1e9)


class Ending(KeyboardInterrupt):
    """Ends a watched loop that has no other way of being stopped."""


class Watch(Stepping):
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
        """`end` is called once a stop is recorded: it makes the loop end.

        The recorder's clock is `perf_counter`, as that of the hooks.
        """
        self.loop, self.steering, self.recorder = loop, steering, recorder
        self.title, self._end = title, end
        self.started: RunStarted | None = None
        self.has_ended = self._has_other_terms = False
        self.epochs, self._sources, self._propagated = Epochs(loop), Sources(), Propagated()
        self._rare = Samples(loop, recorder)
        self._spent, self._last = [0] * PARTS, perf_counter_ns()
        """The time of each part of the step in hand so far, and the end of what was measured last,
        in nanoseconds."""
        self._samples = 0
        """Those of the loss call that awaits its backward pass; 0 without one."""
        self._look_at = 0
        """When to look around after a step, on the same clock; 0: after the next one."""
        self._returned: Tensor | None = None
        """The values of the loss function before the first backward pass."""
        self._number = 0
        """That of the optimizer that steps, or stepped last."""
        self._initial, self._nonfinite = InitialState(loop), NonfiniteLosses()
        self._before_scaler = 0
        """The number of steps before the scaler's step in hand."""
        self._is_hand_made: bool | None = None
        """Whether the loop moves its weights without an optimizer; None: not known yet."""
        self._may_begin_epoch = False
        """Whether a training loader began anew, but perhaps for an evaluation."""
        self._is_nonfinite = False
        """Whether the step in hand is left out, since its loss or a gradient is nonfinite."""
        self._warnings: list[Warned] = []
        self.notes: list[str] = []
        """Further remarks of the run about itself at its first step."""

    # the loss function

    def after_loss(
        self, name: str, value: Tensor, args: tuple[Any, ...], kwargs: Any, began: int
    ) -> None:
        target = args[1] if len(args) > 1 else kwargs.get("target")
        shape = target.shape if isinstance(target, Tensor) else ()
        samples = shape[0] if shape else 1
        if not is_grad_enabled():
            self._validate(Call(name, args, kwargs), value, samples)
            return
        spent, now = self._spent, perf_counter_ns()
        spent[FORWARD] += began - self._last
        spent[LOSS] += now - began
        self._last = now
        if not self._samples:  # the further terms of a loss are of the same samples
            self._samples = self._sources.samples = samples
            if self._sources.unused:
                self._sources.use(trains=True)
        if self.started is None or self._rare.wants_call:
            self._learn(Call(name, args, kwargs), target, value)

    def _learn(self, call: Call, target: Any, value: Tensor) -> None:
        """Learn what the loss is, once a second, and what the first step is of."""
        if self._rare.wants_call:
            before = self.loop.own_loss
            self._rare.keep(call)
            if self.started is not None and self.loop.own_loss != before:
                self._report_loss(before)
        if self.started is None:
            self._sources.train_on(target)
            self._returned = value

    def _report_loss(self, before: str) -> None:
        """Warn that the script computes another loss; keep no other one that does not fit it."""
        now = self.loop.own_loss
        text = f"the script's loss is {now} now, and no longer {before}: they do not compare"
        self._warnings.append(Warned(text, step=self.loop.step))
        self._check_loss()

    def _validate(self, call: Call, value: Tensor, samples: int) -> None:
        given = call.arguments()
        source = self._sources.of_validation(given.get("target"), samples)
        self._sources.use()
        if value.numel() != 1 or source is None:
            return  # no mean, or training data evaluated once more
        of_samples = 1 / max(1, samples) if given["reduction"] == "sum" else 1
        self._attend()  # it is recorded at the next step
        add, loop = self.epochs.validations.add, self.loop
        add(source, call.name, value.detach().reshape(()) * of_samples, samples)
        swapped = loop.instead(call) if loop.is_swapped else None
        if swapped is not None:
            add(source, loop.loss_name, swapped.reshape(()) * of_samples, samples)

    # the backward pass

    def after_backward(self, loss: Any, gradient: Any, began: int) -> None:
        if (type(loss) is not Tensor or loss.is_meta) and is_simulated(loss):
            return
        if self._is_hand_made is None and self._propagated.passes:
            self._is_hand_made = not (self.loop.parts.optimizers or objects.has_optimizer())
            if self._is_hand_made:
                self.after_step(None)
                began = self._last
        spent, now = self._spent, perf_counter_ns()
        spent[LOSS if self._samples else FORWARD] += began - self._last
        spent[BACKWARD] += now - began
        self._last = now
        if self.started is None:
            self._has_other_terms = has_other_terms(loss, self._returned)
            self._returned = None
        self._propagated.add(loss, gradient, self._samples)
        self._samples = 0
        if self._is_hand_made:
            self.after_step(None)

    def scaled(self, scaled: Any, loss: Any, scaler: Any) -> None:
        self._propagated.scale(scaled, loss, scaler)
        self.loop.parts.add_scaler(scaler)

    def before_scaler_step(self) -> None:
        self._before_scaler = self.loop.step

    def after_scaler_step(self) -> None:
        if (
            self.loop.step == self._before_scaler
        ):  # it found inf or NaN: this is no step, and its loss is none
            self._propagated.take()
            self._spent = [0] * PARTS

    # the step

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        self._is_hand_made = False
        if self.loop.batch and self._sources.replaces(is_first_epoch=not self.loop.epoch):
            self._begin_epoch()
        return super().before_step(optimizer, args, kwargs)

    def evaluates(self) -> None:
        self._propagated.evaluates()

    def is_finite(self, optimizer: Optimizer) -> bool:
        return is_finite(self._propagated.last, optimizer)

    def leave_out(self, optimizer: Optimizer) -> None:
        super().leave_out(optimizer)
        self._is_nonfinite = True
        self._attend()

    def meet(self, optimizer: Optimizer) -> None:
        """Find the number of the optimizer; keep the state before the first step of a new one.

        A new one with a loader of its own, as that of a further fold, ends the epoch before it.
        """
        is_new = optimizer not in self.loop.parts.optimizers
        if is_new and self.loop.batch and self._sources.succeeds():
            self._begin_epoch()
        self.optimizer = self.calm = None  # the one before may have no other owner left
        self._number = self.loop.parts.meet(optimizer)
        self.optimizer = optimizer
        if self._initial.copy():
            self._attend()

    def after_step(self, optimizer: Optimizer | None) -> None:
        """Record a step; look around now and then. None: it is one of a loop without optimizers."""
        now, loop = perf_counter_ns(), self.loop
        spent, self._spent = self._spent, [0] * PARTS
        spent[STEP] += now - self._last
        self._last = now
        if (optimizer is None or optimizer is not self.calm) and not self._goes_on(optimizer):
            return
        samples, loss = self._propagated.samples, self._propagated.take()
        loop.step += 1
        loop.batch += 1
        rate = None if optimizer is None else optimizer.param_groups[0].get("lr")
        lr = rate * loop.factor if type(rate) is float else loop.scaled(rate)
        if self._number and optimizer is not None:
            self._record_other(loss, lr)
        else:
            self.recorder.batches.append((
                now / 1e9, loop.take, loop.step, loop.epoch + 1, loss, lr,
                samples, spent, 1.0 if self._is_nonfinite else 0.0,
            ))  # fmt: skip
        if now >= self._look_at:
            self._look(optimizer)

    def step_by_hand(self, loss: Tensor) -> None:
        """Take a step of a loop that has no optimizer of PyTorch."""
        self._is_hand_made = False
        self._skip()
        self._propagated.take()
        self._propagated.add(loss, None)
        self.after_step(None)

    def _goes_on(self, optimizer: Optimizer | None) -> bool:
        """Return whether a step is one of the run; if so, record what came before it."""
        loop = self.loop
        loop.take_back_rates()
        if self.has_ended:
            return False
        if optimizer is not self.optimizer and optimizer is not None:
            self.meet(optimizer)
        if not self._look_at:
            self._catch_up(optimizer)
        if self._sources.newest is not self._sources.trained:
            self._sources.step()
        self.calm = optimizer if not self._number and loop.leaves_steps_alone else None
        return True

    def _catch_up(self, optimizer: Optimizer | None) -> None:
        """Record what came before this step."""
        if self._may_begin_epoch and self._sources.has_trained(self._sources.loader):
            self._begin_epoch()
        if self.started is None:
            self._start(optimizer, self._propagated.passes)
        self._record_validation()

    def _look(self, optimizer: Optimizer | None) -> None:
        """Do what need not be done at every step, commands included: most steps are only recorded.

        The commands in hand may need every step, as `step N` and a pace do.
        """
        if self._is_nonfinite:
            self._report_nonfinite()
        if not self._look_at:
            self._apply(self._initial.save(self.steering.checkpoints))
        self._rare.take_if_due(optimizer)
        self._steer()
        self.recorder.flush_if_due()
        self._skip()
        if self.steering.has_to_do:
            self._attend()
        else:
            self._look_at = self._last + _LOOK_AFTER_NS

    def _report_nonfinite(self) -> None:
        """Report the step that was left out."""
        loop, self._is_nonfinite = self.loop, False
        place = loop.take, loop.step, loop.epoch + 1
        self.steering.nonfinite.note(BatchDone(*place, self._propagated.last, 0.0, 0, (), 1.0))

    def _attend(self) -> None:
        """Look at what came before the next step, and around after it."""
        self._look_at, self.calm = 0, None

    def _skip(self) -> None:
        """Leave out the time since the last measurement, as that of a validation or a pause."""
        self._last = perf_counter_ns()

    def _steer(self) -> None:
        """Apply commands; `step N` counts the steps of the first optimizer alone."""
        counts = (
            not self._number and self.loop.step > 1
        )  # the first one is that of a start in a pause
        self._apply(self.steering.after_batch() if counts else self.steering.between())

    def _record_validation(self) -> None:
        """Record what was validated since the last step as series, if anything was."""
        if self.epochs.validations and (validation := self.epochs.validation()) is not None:
            self.recorder.take(validation)

    def _record_other(self, loss: Loss, lr: Loss) -> None:
        """Record a step of another optimizer as series of its own."""
        name = f"-{self._number + 1}"
        values: dict[Series, Any] = {Series(f"loss{name}"): loss, Series(f"lr{name}"): lr}
        self.recorder.take(Measured(self.loop.take, self.loop.step, values))

    def rows(self, rows: Sequence[BatchRow]) -> None:
        """Take the rows of steps whose numbers were read; warn of nonfinite losses."""
        self.epochs.rows(rows)
        if self._warns:
            self._warnings += self._nonfinite.warnings(rows)

    @property
    def _warns(self) -> bool:
        """Whether a nonfinite loss is news: not if it is handled, or no loss is seen at all."""
        return self.loop.on_nonfinite == "alert" and self._propagated.has_any

    # epochs

    def before_epoch(self, loader: Any) -> None:
        self._skip()
        if not (self.loop.batch and self._sources.has_trained(loader)):
            return
        if is_grad_enabled() and self.loop.parts.is_training:
            self._begin_epoch()
        else:  # an evaluation of training data, unless a step follows
            self._may_begin_epoch = True
            self._attend()

    def _begin_epoch(self) -> None:
        """End the epoch before, and apply the commands that wait for that."""
        self._may_begin_epoch = False
        self.end_epoch()
        self._sources.begin_epoch()
        self._attend()
        self._steer_between_epochs()

    def _steer_between_epochs(self) -> None:
        self.loop.is_at_epoch = True
        self._apply(self.steering.between())
        self.loop.is_at_epoch = False

    def after_fetch(self, iterator: Any, began: int) -> None:
        self._last = now = perf_counter_ns()
        if is_grad_enabled():
            self._spent[DATA] += now - began
        if self._sources.fetch(iterator):  # the loader of a validation, or that of training again
            self.calm, self._samples = None, 0

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
            optimizer, loader, self._sources.newest is not None, self._propagated.device, passes,
            self._has_other_terms, tuple(self.notes),
        )  # fmt: skip
        if optimizer is not None and ranks.count() > 1:
            self.loop.is_sharded = self.loop.is_sharded or objects.is_sharded(optimizer)
        self._check_loss()
        self.started = run_started(self.loop, self.title, first)
        self.recorder.take(self.started)

    def _check_loss(self) -> None:
        """Go on with the script's own loss if the one asked for at the start cannot be used."""
        loop = self.loop
        name, reason = loop.loss_name, loop.why_not("loss", loop.loss_name)
        if loop.is_swapped and reason is not None:
            self._warnings.append(Warned(f"the loss {name} is not used: {reason}"))
            loop.change("loss", loop.own_loss)

    # the other processes that train with this one, where there are any

    def expect_others(self, comes_within_s: float) -> None:
        """They take their first step at most so long after this one."""

    def announce(self) -> None:
        """Let them know that this one is watched."""

    def leave(self) -> None:
        """Let them know that nothing is watched any more."""

    # the end

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
        for event in chain(events, self._warnings):  # one by one: a pause waits in the midst
            self._attend()  # it may have to do with the next step
            self.recorder.take(event)
            if isinstance(event, Failed):
                self.failure = event.error
        self._warnings.clear()
        if self.steering.decisions.stopped and not self.has_ended:
            self.has_ended = True
            self._end()
