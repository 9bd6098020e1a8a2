"""The training loop, as a generator of events.

It opens no file, writes to no screen and reads no clock but the one it is given. It yields events;
its caller decides what to do with them. Between two events the whole state of a run is in its
`Training`, so it can be saved at any of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch
from torch import Tensor

from tuitrain.core.errors import CannotSave
from tuitrain.core.events import (
    Detail,
    EpochEnded,
    Event,
    Fact,
    Finished,
    RateReduced,
    Warned,
)
from tuitrain.engine.criteria import copied
from tuitrain.engine.data import Samples
from tuitrain.engine.device import on_device, read
from tuitrain.engine.forward import without_graphs
from tuitrain.engine.metrics import RunningMean
from tuitrain.engine.state import rng
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import train_step
from tuitrain.engine.step_probe import StepProbe
from tuitrain.engine.surface import has_surface
from tuitrain.engine.training import Training
from tuitrain.engine.validation_details import Validated, validation_details
from tuitrain.steering.apply import or_warned


def train(
    run: Training, steering: Steering, clock: Callable[[], float] = time.monotonic
) -> Iterator[Fact | Event]:
    """Train `run` to its last epoch or until a command stops it, and yield its events.

    However it ends, the best epoch is saved. `clock` times the measurements that would cost too
    much at every step.
    """
    try:
        yield from _train(run, steering, StepProbe(clock))
    except Exception:
        with suppress(CannotSave):
            yield from steering.checkpoints.save_best()
        raise


def _train(run: Training, steering: Steering, probe: StepProbe) -> Iterator[Fact | Event]:
    yield from steering.between()
    while not (steering.decisions.stopped or run.is_over):
        yield from train_epoch(run, steering, probe)
        if run.has_seen_epoch and not steering.decisions.stopped:
            # where a model is looked at by all ranks together, no clock of one decides
            is_due = probe.validations.is_due() or bool(run.held.why_not_copied)
            ended, details, later = validate(run, with_samples=is_due)
            yield from details
            yield ended
            yield from later
            yield from or_warned(_save_epoch(run, steering, ended))
            yield from steering.between()
    if not steering.decisions.stopped:
        yield from steering.checkpoints.save(run, "finish")
        yield Finished(run.take, run.step, run.epoch, run.end_reason)
    yield from steering.close()


def train_epoch(run: Training, steering: Steering, probe: StepProbe) -> Iterator[Fact | Event]:
    """Train the rest of the current epoch, or until the run goes back to another take."""
    run.model.train()
    mark, take = run.stopwatch.mark, run.take
    probe.prepare(run, at_once=steering.decisions.pauses_next, agreed=steering.measures)
    began = mark()
    for data, target in run.batches():
        try:
            done = train_step(run, data, target, began, probe.forward)
        except Exception:
            if run.team is None:  # else the other ranks wait for the rest of the step
                yield from steering.after_failing()
            if run.take == take:
                raise
            return
        steering.nonfinite.note(done)
        yield done
        if probe.is_next:
            yield from probe.of(run, (data, target))
        has_seen = run.has_seen_epoch
        ends = has_seen or run.has_reached_until
        yield from steering.after_batch(ends=ends)
        if steering.decisions.stopped or run.take != take or (ends and not has_seen):
            return
        if not has_seen:
            probe.prepare(run, at_once=steering.decisions.pauses_next, agreed=steering.measures)
        began = mark()


class Validation(NamedTuple):
    """The end of an epoch, and what else there is to record of it."""

    ended: EpochEnded
    details: tuple[Detail, ...] = ()
    later: tuple[Warned | RateReduced, ...] = ()
    """Events that follow it."""


@torch.no_grad()
def validate(run: Training, *, with_samples: bool) -> Validation:
    """Evaluate the model on the validation data and complete the epoch.

    `with_samples` adds the details that take longer, as does the last epoch.
    """
    with without_graphs(run):
        seen, loss = _validated(run)
    output, target = seen.output, seen.target
    predicted = run.losses.predictions(run.loss_name, output)
    values, confusion = run.metrics.evaluate(predicted, target, unit=run.data.unit)
    (train_loss, skipped), run.epoch_loss = run.epoch_loss.result(), RunningMean()
    run.epoch += 1
    run.batch = 0
    run.last_val_loss = loss.value()
    val_losses = _by_loss(run, run.recorded_losses, output, target)
    if run.team is not None:  # they decide alike, though devices of other kinds compute otherwise
        numbers = [*values.values(), *val_losses.values(), run.last_val_loss]
        agreed = run.team.numbers_of_first(numbers)
        values = dict(zip(values, agreed, strict=False))
        val_losses = dict(zip(val_losses, agreed[len(values) :], strict=False))
        run.last_val_loss = agreed[-1]
    ended = EpochEnded(
        run.take, run.step, run.epoch, run.loss_name, train_loss, run.last_val_loss, values,
        improved=run.monitor.improved_by(values, val_losses, run.last_val_loss),
        val_losses=val_losses,
    )  # fmt: skip
    seen = seen._replace(output=predicted)
    with_samples = with_samples or run.is_over
    details = validation_details(run, seen, confusion, with_samples=with_samples)
    reduced = run.reduce_on_plateau(run.monitor.value(values, val_losses))
    warnings = [*_undefined(ended, target), *_skipped_warning(run, ended, skipped)]
    return Validation(ended, details, (*warnings, *filter(None, [reduced])))


def _validated(run: Training) -> tuple[Validated, RunningMean]:
    """Return the model's outputs for all validation samples, and the mean of the loss.

    What model and loss keep from batch to batch is left as it was: it is that of the training.
    """
    run.model.eval()
    if run.team is not None:
        run.team.share_buffers(run)
    run.buffers.keep()
    loss = RunningMean()
    inputs, outputs, targets = [], [], []
    # batches of other classes have other weights, and so no common mean
    is_whole = run.spec.class_weights is not None or run.team is not None
    for data, target in run.data.val.batches(run.validated_at_once, run.part):
        output = run.model(data)
        if not is_whole:
            loss.add(run.criterion(output, target), target.shape[0])
        inputs += [data] if has_surface(data) else []
        outputs.append(output)
        targets.append(target)
    if run.part.lacks_batch(len(run.data.val), run.validated_at_once):
        run.model(data)  # another rank has one more, and its model may need this one's weights
    output, target, *rest = _of_all_ranks(run, [outputs, targets, inputs])
    if is_whole:
        loss.add(run.criterion(output, target), 1)
    run.buffers.restore()
    return Validated(rest[0] if rest else None, output, target), loss


def _of_all_ranks(run: Training, parts: Sequence[list[Tensor]]) -> list[Tensor]:
    """Return the outputs and targets of all ranks, and the inputs if there are any, in order."""
    own = [torch.cat(batches) for batches in parts if batches]
    if run.team is None:
        return own
    val = run.data.val
    if isinstance(val, Samples):  # what is given to all is not sent to them
        known = (val.targets, val.inputs)[: len(own) - 1]
        outputs = run.team.gathered(own[:1], len(val))
        return [*outputs, *(on_device(part, run.device) for part in known)]
    return run.team.gathered(own, len(val))


def _undefined(ended: EpochEnded, target: Tensor) -> tuple[Warned, ...]:
    """Say once which metrics the validation data leave undefined."""
    names = [name for name, value in ended.metrics.items() if math.isnan(value)]
    if ended.epoch > 1 or not names:
        return ()
    what = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} undefined"
    if (target == target[0]).all():
        what += ": all validation targets are the same"
    return (Warned(what, ended.take, ended.step),)


def by_every_loss(run: Training, output: Tensor, target: Tensor) -> dict[str, float]:
    """Return the value of each loss that fits the problem for the same outputs, by loss text.

    Losses that cannot read the outputs of the one in use are left out. The others have their
    default parameters; recorded ones also appear with their own.
    """
    names = list(dict.fromkeys([*run.losses.names, *run.recorded_losses]))
    return _by_loss(run, names, output, target)


@torch.no_grad()
def _by_loss(
    run: Training, names: Sequence[str], output: Tensor, target: Tensor
) -> dict[str, float]:
    """Return the value of each loss that can read the outputs of the one in use."""
    reads = {name: run.losses.read_by(name, run.loss_name, output) for name in names}
    given = {name: outputs for name, outputs in reads.items() if outputs is not None}
    criteria = {name: run.losses.criterion(name) for name in given}
    if not any(map(run.losses.is_own, given)):
        values = [criteria[name](outputs, target) for name, outputs in given.items()]
    else:  # one that draws, or keeps a state, must not change training by being looked at
        with rng.preserved(run.device):
            values = [copied(criteria[name])(outputs, target) for name, outputs in given.items()]
    return dict(zip(given, read(values), strict=True))


def _skipped_warning(run: Training, ended: EpochEnded, skipped: int) -> tuple[Warned, ...]:
    """Say how many batches of the epoch were skipped, if any."""
    if not skipped:
        return ()
    batches = "batch" if run.steps_per_epoch == 1 else "batches"
    what = (
        f"epoch {ended.epoch:,}: {skipped:,} of {run.steps_per_epoch:,} {batches} "
        f"{'was' if skipped == 1 else 'were'} skipped, not finite"
    )
    return (Warned(what, ended.take, ended.step),)


def _save_epoch(run: Training, steering: Steering, ended: EpochEnded) -> Iterator[Event]:
    if ended.improved:
        yield from steering.checkpoints.keep_best(run)
    else:
        yield from steering.checkpoints.save_if_due(run, "epoch")
