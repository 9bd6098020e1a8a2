"""A trial of the user's own code on real batches, before a run begins and before a loss is used.

It changes nothing: a copy of the model goes through it, and the random number generators are
restored. It comes first on the CPU, since a class index out of range ends every later use of an
accelerator in the process.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from tuitrain.core.commands import SwapLoss
from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.core.own import own_python
from tuitrain.engine import batches
from tuitrain.engine.batches import described, first_samples
from tuitrain.engine.criteria import copied, scalar
from tuitrain.engine.pitfalls import Pitfalls
from tuitrain.engine.state import rng
from tuitrain.engine.streaming import Streamed, moved
from tuitrain.engine.training import Training
from tuitrain.engine.user_errors import failing_as, place_of, placed

_CPU = torch.device("cpu")
_MOST_ON_CPU = 32
"""Samples of the trial on the CPU, where the run is on an accelerator."""
_FAR = 3
"""The batch that is reached both by iterating and by skipping."""
_MOST_NAMES = 3


def preflight(run: Training) -> list[str]:
    """Try a training batch and a validation batch, and return what to warn of.

    Raises WrongUse, in one sentence, for what cannot be trained.
    """
    if not is_needed(run):
        return []
    with rng.preserved(run.device), _as_wrong_use():
        for what in ("train", "val"):
            with placed(_place(run, what)):
                batches.check_arrays(run.data, what)
        with placed(_place(run, "schedule")):
            _try_schedule(run)
        warnings = [*_try_model(run), *_differing_reads(run)]
    return list(dict.fromkeys(warnings))


def _place(run: Training, name: str, setting: str | None = None) -> str:
    """Return where the user's file has a field of the task; see `OpenedTask.place`."""
    return run.task.place(name, setting) if run.task is not None else ""


def is_needed(run: Training) -> bool:
    """Return whether task, model, optimizer or a loss is the user's own."""
    spec = run.spec
    texts = (spec.task, spec.model, spec.optimizer)
    return any(own_python(text) for text in texts) or any(map(run.losses.is_own, _losses(run)))


def why_not_loss(run: Training, text: str) -> str | None:
    """Return why a loss cannot be used from the next batch on; None if it can.

    It is tried on the newest batch, or, before there is one, on the first.
    """
    if run.newest_batch is None and run.held.why_not_copied:
        return None  # it was tried before the start, and here is no model to make a batch with
    with rng.preserved(run.device):
        try:
            with _as_wrong_use():
                output, target = run.newest_batch or _first_output(run)
                _try_loss(run, text, moved(output, _CPU), moved(target, _CPU))
        except WrongUse as error:
            return str(error)
    return None


@contextmanager
def _as_wrong_use() -> Iterator[None]:
    """Raise WrongUse for errors of the user's code: the command was wrong, not the run."""
    try:
        yield
    except TuitrainError as error:
        raise WrongUse(str(error)) from error


def _try_schedule(run: Training) -> None:
    if run.own_schedule is None:
        return
    for done in (0.0, 0.5, 1.0):
        with failing_as("the schedule", run.own_schedule):
            factor = float(run.own_schedule(done))
        if not math.isfinite(factor):
            raise WrongUse(f"the schedule returns {factor} for {done}, and must return a factor")


def _try_model(run: Training) -> Iterator[str]:
    for device in dict.fromkeys((_CPU, _CPU if run.spec.is_sharded else run.device)):
        size = _MOST_ON_CPU if device != run.device else run.batch_size
        with _borrowed(run, device) as model:
            trial = _Trial(run, model, device, size)
            with _keeping_shapes(model):
                yield from trial.train()
                trial.validate()
                trial.try_batch_of_one()


@contextmanager
def _keeping_shapes(called: Any) -> Iterator[None]:
    """Raise WrongUse if a module changes its buffers so that no checkpoint can be loaded."""
    before = _shapes(called)
    yield
    after = _shapes(called)
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            raise WrongUse(
                f"{place_of(called)}{type(called).__name__} changes the shape of its buffer "
                f"{name}, so that no checkpoint fits it: give it its last shape in __init__"
            )


def _shapes(called: Any) -> dict[str, torch.Size]:
    state = called.state_dict() if isinstance(called, nn.Module) else {}
    return {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}


@dataclass(slots=True)
class _Trial:
    """A model, on a device, that goes through batches of at most so many samples."""

    run: Training
    model: nn.Module
    device: torch.device
    size: int

    def train(self) -> Iterator[str]:
        """Put one training batch through the model and every loss, forward and backward."""
        inputs, target = self._batch("train")
        self.model.train()
        output = self._forward(inputs, target)
        needed = {*_in_use(self.run), *self.run.recorded_losses}
        for text, read in _reads(self.run, output.detach()):
            yield from _try_loss(self.run, text, read, target, must_be_finite=text in needed)
        loss = _value(self.run, self.run.loss_name, output, target, Pitfalls())
        if not loss.requires_grad:
            raise WrongUse(
                "the loss does not depend on the weights of the model: leave .detach(), .item() "
                "and no_grad() out of its forward"
            )
        with failing_as("the backward pass"):
            loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
        yield from _without_gradient(self.model)

    @torch.no_grad()
    def validate(self) -> None:
        """Put one validation batch through the model, every loss, and all metrics."""
        inputs, target = self._batch("val")
        self.model.eval()
        output = self._forward(inputs, target)
        for text, read in _reads(self.run, output):
            _value(self.run, text, read, target, Pitfalls())
        copied(self.run.metrics).evaluate(output, target, unit=self.run.data.unit)

    @torch.no_grad()
    def try_batch_of_one(self) -> None:
        """Put one sample through the model where the last batch of an epoch has no more."""
        inputs, target = first_samples(self._batch("train"), 1)
        run = self.run
        trains = "an epoch", True, {run.last_batch_of(run.batch_size)}
        validates = "a validation", False, run.last_validation_batches
        for whole, is_training, lasts in (trains, validates):
            if 1 in lasts:
                self.model.train(is_training)
                self._forward(inputs, target, f"the last batch of {whole} has one sample, and ")

    def _batch(self, what: str) -> tuple[Any, Tensor]:
        run = self.run
        with placed(_place(run, what)), failing_as(what):
            if what == "train":
                batch = batches.batch_of(run.data.train, self.size, run.seed)
            else:
                reading = run.data.val.batches(self.size)
                batch = next(reading)
                reading.close()  # type: ignore[attr-defined]  # each is a generator
        with placed(_place(run, what)):
            batches.check_batch(*batch, run.data, what)
        inputs, target = moved(batch, self.device)
        return inputs, target

    def _forward(self, inputs: Any, target: Tensor, before: str = "") -> Tensor:
        place = _place(self.run, "model", self.run.spec.model)
        of = self.model
        with placed(place), failing_as(f"{before}the model takes inputs {described(inputs)}", of):
            self._check_precision(inputs)
            output = self.model(inputs)
        with placed(place_of(of) or place), failing_as(f"{before}{type(of).__name__}"):
            batches.check_output(output, target, self.run.data)
        made: Tensor = output
        return made

    def _check_precision(self, inputs: Any) -> None:
        kinds = {weights.dtype for weights in self.model.parameters()}
        if (
            isinstance(inputs, Tensor)
            and inputs.dtype == torch.float64
            and kinds == {torch.float32}
        ):
            raise WrongUse("and its weights are float32: write .float()")


def _in_use(run: Training) -> list[str]:
    """Return the loss of the run, and those that its plan swaps to."""
    commands = [change.command for change in run.spec.schedule]
    planned = [command.loss for command in commands if isinstance(command, SwapLoss)]
    return [run.loss_name, *map(run.losses.canonical, planned)]


def _losses(run: Training) -> list[str]:
    """Return the losses in use, those that validations evaluate, and the task's own."""
    own = filter(run.losses.is_own, run.losses.names)
    return list(dict.fromkeys((*_in_use(run), *run.recorded_losses, *own)))


def _reads(run: Training, output: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield each of these losses that can read the model's outputs, with what it reads."""
    in_use = _in_use(run)
    for text in _losses(run):
        read = output if text in in_use else run.losses.read_by(text, run.loss_name, output)
        if read is not None:
            yield text, read


def _try_loss(
    run: Training, text: str, output: Tensor, target: Tensor, *, must_be_finite: bool = True
) -> list[str]:
    """Try a loss forward and backward on outputs, and return what to warn of."""
    place = place_of(run.losses.criterion(text))
    if not place and run.losses.is_own(text) and own_python(text) is None:
        place = _place(run, "criterion" if text == run.loss_name else "losses")
    with placed(place):
        return _tried(run, text, output, target, must_be_finite=must_be_finite)


def _tried(
    run: Training, text: str, output: Tensor, target: Tensor, *, must_be_finite: bool
) -> list[str]:
    pitfalls = Pitfalls()
    leaf = output.detach().requires_grad_(output.is_floating_point())
    loss = _value(run, text, leaf, target, pitfalls)
    with failing_as(f"the backward pass of {text}"):
        if loss.requires_grad:
            torch.autograd.grad(loss, leaf, allow_unused=True)
    if not loss.requires_grad:
        raise WrongUse(
            f"{text} does not depend on the output: leave .detach() and .item() out of it"
        )
    if must_be_finite and not bool(loss.isfinite()):
        way_out = run.losses.way_out(text, output)
        said = f"{text} is {float(loss.detach())} on the first batch"
        raise WrongUse(f"{said}: {way_out}" if way_out else said)
    criterion = run.losses.criterion(text)
    if isinstance(criterion, nn.Module) and any(True for _ in criterion.parameters()):
        pitfalls.warnings.append(
            f"{text} has weights of its own, which no optimizer trains: put them into the model"
        )
    return pitfalls.warnings


def _value(run: Training, text: str, output: Tensor, target: Tensor, pitfalls: Pitfalls) -> Tensor:
    """Return the value of a copy of a loss; the loss may keep a state that a trial must not change.

    Raises UserCodeFailed with the line of the user's code.
    """
    criterion = _criterion_on(output.device, copied(run.losses.criterion(text)))
    shapes = f"output {described(output)}, target {described(target)}"
    version = target._version
    what = f"the loss {text} ({shapes})"
    with _keeping_shapes(criterion), failing_as(what, criterion), pitfalls:
        value = criterion(output, target)
    if target._version != version:
        raise WrongUse(f"{text} changes the targets in place, which other losses get, too")
    return scalar(value, text)


def _criterion_on(device: torch.device, criterion: Any) -> Any:
    """Return a loss whose own tensors, such as the weights of classes, are on the device."""
    if isinstance(criterion, nn.Module):
        return criterion.to(device)
    if isinstance(criterion, partial):
        return partial(criterion.func, *criterion.args, **moved(criterion.keywords, device))
    return criterion


def _first_output(run: Training) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), _borrowed(run, run.device) as model, failing_as("the model"):
        inputs, target = batches.batch_of(run.data.train, run.batch_size, run.seed)
        return model.train()(inputs), target


def _without_gradient(model: nn.Module) -> Iterator[str]:
    names = [
        name for name, weights in model.named_parameters()
        if weights.requires_grad and weights.grad is None
    ]  # fmt: skip
    if names:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield (
            f"the loss does not depend on {', '.join(names[:_MOST_NAMES])}{more}, which the model "
            "has and its forward does not use"
        )


def _differing_reads(run: Training) -> Iterator[str]:
    """Yield a warning for streamed samples that depend on what was read before."""
    with failing_as("train"):
        if isinstance(run.data.train, Streamed) and not _skips_exactly(run, run.data.train):
            yield (
                "a batch reached by skipping differs from the same batch reached by iterating, so "
                "that a resume is not exact: draw from torch, numpy.random or random, which are "
                "seeded for each sample, and keep no state in the dataset"
            )
    with failing_as("val"):
        if isinstance(run.data.val, Streamed) and not _repeats(run.data.val, run.batch_size):
            yield "validation samples differ each time they are read: metrics are not comparable"


def _skips_exactly(run: Training, source: Streamed) -> bool:
    at = min(_FAR, run.steps_per_epoch) - 1
    reading = source.epoch(run.batch_size, seed=run.seed, number=0)
    iterated = list(islice(reading, at + 1))[-1]
    reading.close()  # type: ignore[attr-defined]  # each is a generator
    return batches.same(iterated, batches.batch_of(source, run.batch_size, run.seed, at=at))


def _repeats(source: Streamed, size: int) -> bool:
    """Return whether the first validation batch is the same when it is read again."""
    indices = range(min(size, len(source)))
    part: Any = Subset(source.dataset, indices)  # type: ignore[arg-type]  # it is map-style
    first = replace(source, dataset=part, _loader=[])
    epochs = [list(first.batches(size)) for _ in range(2)]
    first.close()
    return batches.same(*epochs)


@contextmanager
def _borrowed(run: Training, device: torch.device) -> Iterator[nn.Module]:
    """Yield a copy of the model on a device; where it cannot be copied, itself, and restore it."""
    try:
        model = copy.deepcopy(run.model).to(device)
    except (RuntimeError, TypeError, NotImplementedError):
        before = copy.deepcopy(run.model.state_dict())
        try:
            yield run.model.to(device)
        finally:
            run.model.to(run.device).load_state_dict(before)
            run.model.zero_grad()
    else:
        yield model
