"""A run in memory: everything that a step or a command can change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuitrain import catalog
from tuitrain.catalog.choice import Choice
from tuitrain.catalog.model_entry import ModelEntry
from tuitrain.core.commands import SETTINGS
from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import Measured, RateReduced, RunStarted
from tuitrain.core.own import own_python
from tuitrain.core.problem import Card, Problem
from tuitrain.core.schedules import (
    OWN,
    PLATEAU,
    RateSchedule,
    Schedule,
    initial_schedule,
    rate_factor,
    share_done,
)
from tuitrain.core.spec import RunSpec
from tuitrain.engine import device as devices
from tuitrain.engine.criteria import Losses
from tuitrain.engine.data import WHOLE, Dataset, Part
from tuitrain.engine.evaluation import Metrics
from tuitrain.engine.finite_state import Name, first_nonfinite, nonfinite_from_the_start
from tuitrain.engine.fused_adam import Steps
from tuitrain.engine.gradient_scale import GradientScale
from tuitrain.engine.held import Held
from tuitrain.engine.layers import LayerNumbers
from tuitrain.engine.losses import Criterion
from tuitrain.engine.metrics import RunningMean
from tuitrain.engine.models import least_batch
from tuitrain.engine.monitor import Monitor
from tuitrain.engine.optim import trainable
from tuitrain.engine.plateau import Plateau
from tuitrain.engine.state import rng
from tuitrain.engine.state.buffers import Copies, Unsaved, buffers
from tuitrain.engine.state.step_backup import StepBackup, can_take_back
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.team import Team, on_all_ranks
from tuitrain.engine.user_code import UserCode
from tuitrain.steering.steerable import Position

_VALIDATION_BATCH, _VALIDATION_TIMES = 1024, 16
"""Samples per validation batch, and its limit in training batches: a smaller batch size must
reduce the memory of validation, too."""


@dataclass(slots=True)
class Training:
    """A run between two batches. `build` makes it from a spec."""

    model: nn.Module
    weights: tuple[nn.Parameter, ...]
    """The trainable parameters of the model."""
    optimizer: Optimizer
    criterion: Criterion
    data: Dataset
    device: torch.device
    stopwatch: devices.Stopwatch
    is_synchronous: bool
    """True on the CPU, where `.item()` does not synchronise; else values are read in groups."""
    loss_name: str
    base_lr: float
    """The learning rate setting, which a schedule multiplies by its factor."""
    batch_size: int
    epochs: int
    seed: int
    losses: Losses
    metrics: Metrics
    monitor: Monitor
    spec: RunSpec
    """With the settings that it left to the task."""
    code: UserCode
    try_own_loss: Callable[[Training, str], str | None] = lambda _run, _loss: None
    """Returns why a loss of the user's own cannot be used; see `preflight.why_not_loss`."""
    team: Team | None = None
    """The ranks that train the run together; None: this process alone does."""
    held: Held = field(default_factory=Held)
    """How this process holds the weights."""
    task: OpenedTask | None = None
    card: Card = field(default_factory=Card)
    warnings: tuple[str, ...] = ()
    """Doubts about its data."""
    own_schedule: Schedule | None = None
    """The schedule that a task of the user's own brings, if any."""
    has_graphs: bool = False
    """Whether CUDA graphs replay a step: their outputs and gradients hold until the next one."""
    gradient_scale: GradientScale | None = None
    """For gradients of 16-bit floats of few exponents; None where they need no scale."""
    part: Part = WHOLE
    """The part of each batch's samples that is this process's."""
    accumulate: int = 1
    """Batches whose gradients are added up to one step."""
    on_nonfinite: str = "pause"
    way_on: str = ""
    """How to go on with the run after a nonfinite value has ended it, as the end of a sentence."""
    until: int | None = None
    """End after this step, also within an epoch; None: after the last epoch."""
    clip_norm: float | None = None
    pace: float | None = None
    take: int = 1
    step: int = 0
    epoch: int = 0
    """The number of completed epochs."""
    batch: int = 0
    """The number of steps trained in the current epoch."""
    epoch_loss: RunningMean = field(default_factory=RunningMean)
    """The mean training loss of the current epoch."""
    last_val_loss: float = 0.0
    """The loss of the last validation; 0 before the first."""
    used_losses: tuple[str, ...] = ()
    """The losses that the present weights were trained with, or are from here on."""
    newest_batch: tuple[Tensor, Tensor] | None = None
    """Output and target of the newest batch; None before the first, and after `restore`."""
    newest_input: tuple[tuple[int, ...], torch.dtype] | None = None
    """Shape of a sample, and dtype, of the newest measured batch; None if it is not one tensor."""
    newest_measured: Measured | None = None
    """The newest measurements of a step."""
    newest_layers: LayerNumbers | None = None
    """The newest measurements of its layers."""
    unclipped_norm: Tensor | None = None
    """Gradient norm, before clipping, of the newest batch, where its step needed it."""
    schedule: RateSchedule = field(init=False)
    """The schedule of the learning rate in use."""
    plateau: Plateau = field(default_factory=Plateau)
    """What a plateau schedule has seen."""
    buffers: Copies = field(init=False)
    """Copies of the buffers of model and loss from before a forward pass."""
    not_looked_at: frozenset[Name] = field(init=False)
    """What is not finite on purpose, as a mask of -inf."""
    unsaved: tuple[Unsaved, Unsaved] = field(init=False)
    """The buffers of model and loss that no checkpoint has."""
    steps: Steps = field(init=False, default_factory=Steps)
    """Takes the steps of the optimizer."""
    _step_backup: StepBackup | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.keep_buffers()
        self.not_looked_at = nonfinite_from_the_start(self.model, self.criterion)
        self.unsaved = Unsaved(self.model), Unsaved(self.criterion)
        self.schedule = self.initial_schedule
        self.used_losses = (self.loss_name,)

    def keep_buffers(self) -> None:
        """Have room for copies of the buffers that model and loss have now."""
        self.buffers = Copies(buffers(self.model, self.criterion))

    @property
    def problem(self) -> Problem:
        """The learning problem, as the run records it."""
        data = self.data
        return Problem(
            data.kind, self.metrics.described, self.monitor.quantity.name, self.losses.names,
            data.classes, data.input_shape, self.losses.own, self.losses.aliases,
            self.metrics.own_names, self.losses.options, self.losses.misfits,
        )  # fmt: skip

    @property
    def recorded_losses(self) -> list[str]:
        """The losses that a validation evaluates, each by its text and with the defaults.

        They are the usual one, those used, the monitored one, and those that the spec asks for.
        """
        quantity = self.monitor.quantity
        monitored = [quantity.name] if quantity.is_loss else []
        texts = (*self.spec.val_losses, *monitored, *self.used_losses)
        names = {self.losses.usual, *(text.partition(":")[0] for text in texts)}
        defaults = [name for name in self.losses.names if name in names]
        return list(dict.fromkeys([*defaults, *texts]))

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.data.train) // (self.samples_per_step * self.part.count))

    @property
    def samples_per_step(self) -> int:
        """The samples of a rank in one optimizer step; the last one of an epoch may have fewer."""
        return self.batch_size * self.accumulate

    @property
    def trained_weights(self) -> int:
        """How many numbers are trained, on all ranks together."""
        return sum(weight.numel() for weight in trainable(self.model))

    @property
    def trained_epochs(self) -> float:
        """The number of epochs trained, with the share of the present one."""
        return self.epoch + self.batch / self.steps_per_epoch

    @property
    def initial_schedule(self) -> RateSchedule:
        """The schedule that the spec or the task names."""
        return initial_schedule(self.spec.optimizer, has_own=self.own_schedule is not None)

    @property
    def lr(self) -> float:
        """The learning rate in the optimizer: that of the last step, or of a change since then."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def position(self) -> Position:
        return Position(self.take, self.step, self.epoch)

    @property
    def is_between_epochs(self) -> bool:
        return self.batch == 0

    @property
    def has_boundaries(self) -> bool:
        return True

    @property
    def why_not_steered(self) -> None:
        return None

    @property
    def has_seen_epoch(self) -> bool:
        """True if every batch of the current epoch is trained; its validation follows."""
        return self.batch >= self.steps_per_epoch

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be trained, nor an epoch to be validated."""
        return self.has_reached_until or (
            self.is_between_epochs
            and (self.epoch >= self.epochs or self.monitor.is_out_of_patience)
        )

    @property
    def has_reached_until(self) -> bool:
        """True if step `until` is trained, and no epoch waits for its validation."""
        return self.until is not None and self.step >= self.until and not self.has_seen_epoch

    @property
    def end_reason(self) -> str:
        """The reason why a run that `is_over` ends before its last epoch; empty if it does not."""
        if self.epoch >= self.epochs:
            return ""
        if self.has_reached_until:
            return f"step {self.until:,} is trained, as asked"
        return f"no better {self.monitor.quantity.name} for {self.monitor.patience} epochs"

    @property
    def settings(self) -> dict[str, Any]:
        """The values that commands can change, by the command's kind."""
        return {
            "loss": self.loss_name,
            "lr": self.base_lr,
            "weight-decay": self.optimizer.param_groups[0].get("weight_decay", 0.0),
            "clip-norm": self.clip_norm,
            "batch-size": self.batch_size,
            "epochs": self.epochs,
            "schedule": str(self.schedule),
            "pace": self.pace,
        }

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the data of the remaining steps of this epoch; seed and epoch fix their order."""
        return self.data.train.epoch(
            self.samples_per_step, seed=self.seed, number=self.epoch, skip=self.batch,
            part=self.part,
        )  # fmt: skip

    def loss_named(self, text: str) -> str:
        """Return the canonical text of a loss; WrongUse if there is no such loss."""
        try:
            return self.losses.canonical(text)
        except TuitrainError:
            self.code.forget()
            raise

    def why_not(self, setting: str, value: Any) -> str | None:
        """Return why the run cannot use that value for a setting; None if it can."""
        match setting:
            case "loss":
                return self._why_not_loss(value)
            case "batch-size":
                return self.why_not_batches_of(value)
            case "epochs":
                least = self.epoch if self.is_between_epochs else self.epoch + 1
                return None if value >= least else f"it is in epoch {least} already; stop ends it"
            case "lr-find" if self.held.why_not_copied:
                return self.held.why_not_copied
            case "lr" | "schedule" | "lr-find" if isinstance(self.optimizer, torch.optim.Rprop):
                return "Rprop adapts a step size for each weight; lr is only the first one"
            case "weight-decay" if "weight_decay" not in self.optimizer.param_groups[0]:
                return f"{type(self.optimizer).__name__} has no weight decay"
            case "schedule" if RateSchedule.read(value).name == OWN and self.own_schedule is None:
                return "its task has no schedule of its own"
            case _:
                return None

    def _why_not_loss(self, loss: str) -> str | None:
        own = own_python(loss)
        if self.team is not None and own is not None and not self.code.has(own):
            self.code.forget()
            return "the other ranks do not have that file: name it when the run starts"
        try:
            self.losses.criterion(loss)
            reason = self.try_own_loss(self, loss) if self.losses.is_own(loss) else None
        except TuitrainError as error:
            reason = str(error)
        if reason is None:
            self.code.commit()
        else:
            self.code.forget()
        return reason

    def why_not_batches_of(self, size: int) -> str | None:
        """Return why the run cannot train batches of that size; None if it can."""
        tail, least = self.last_batch_of(size), self._least_batch
        if min(size, tail) >= least:
            return None
        larger = range(size + 1, len(self.data.train) + 1)
        fit = next((n for n in larger if min(n, self.last_batch_of(n)) >= least), None)
        on = f" on each of {self.part.count} ranks" if self.part.count > 1 else ""
        return (
            f"batch norm needs {least} samples in a batch, and the last batch of {size}{on} from "
            f"{len(self.data.train)} has {tail}; "
            + (f"try {fit}" if fit else "no other size helps")
        )

    def last_batch_of(self, size: int) -> int:
        """Return how many samples the process with the fewest has in the last batch of an epoch."""
        common = size * self.part.count
        return max((len(self.data.train) % common or common) // self.part.count, 1)

    @property
    def validated_at_once(self) -> int:
        """The samples of a validation batch of this process; the last one may have fewer."""
        return min(_VALIDATION_BATCH, _VALIDATION_TIMES * self.batch_size)

    @property
    def last_validation_batches(self) -> set[int]:
        """How many samples a process has in the last batch of a validation."""
        fewest = len(self.data.val) // self.part.count
        most = -(-len(self.data.val) // self.part.count)
        return {(own - 1) % self.validated_at_once + 1 for own in (fewest, most)}

    @property
    def _least_batch(self) -> int:
        entry = self._model_entry
        return max(least_batch(self.model), entry.least_batch if entry else 1)

    @property
    def _model_entry(self) -> ModelEntry | None:
        """The model's entry in the catalogue; None for one of the user's own."""
        text = self.spec.model
        is_own = not text or own_python(text) is not None
        return None if is_own else catalog.model_named(Choice.read("model", text).name)

    @on_all_ranks
    def change(self, setting: str, value: Any) -> None:
        """Change a setting from the next batch on; Refused for a loss that does not fit."""
        match setting:
            case "loss":
                self._swap_loss(value)
            case "lr":
                self.base_lr = value
                self._set_in_optimizer("lr", value)
            case "weight-decay":
                self._set_in_optimizer("weight_decay", value)
            case "schedule":
                self._use_schedule(value)
            case _:
                setattr(self, SETTINGS[setting].name, value)

    def step_backup(self) -> Copies | None:
        """Return copies of what a step changes, to take it back; None where that is not enough."""
        if not can_take_back(self.optimizer, self.weights):
            return None
        if self._step_backup is None or not self._step_backup.is_of(self.optimizer):
            self._step_backup = StepBackup(self.optimizer, self.weights)
        return self._step_backup.copies

    def follow_schedule(self) -> None:
        """Set the learning rate of the next step, a function of settings and position only."""
        if self.schedule.is_constant:
            return  # the parameter groups of the user's own optimizer may have different rates
        self._set_in_optimizer("lr", self.scheduled_lr)

    @property
    def scheduled_lr(self) -> float:
        """The learning rate that the schedule has for the next step."""
        trained, epochs = self.trained_epochs, self.epochs
        if self.schedule.name != OWN:
            return self.base_lr * self.schedule.factor(trained, epochs) * self.plateau.scale
        assert self.own_schedule is not None
        by_share = self.own_schedule

        def own(since: float, planned: float) -> float:
            return by_share(share_done(since, planned))

        return self.base_lr * rate_factor(own, trained, epochs, self.schedule.begin)

    def reduce_on_plateau(self, value: float) -> RateReduced | None:
        """Let a plateau schedule know the monitored value of the epoch that just ended."""
        if self.schedule.name != PLATEAU or self.trained_epochs <= self.schedule.begin:
            return None  # a rollback can lead to before its beginning
        before, options = self.plateau.scale, self.schedule.options
        sign = self.monitor.quantity.sign
        self.plateau = self.plateau.after(value, sign=sign, lr=self.base_lr, **options)
        if self.plateau.scale == before:
            return None
        waited = options["patience"] + 1
        return RateReduced(
            *self.position, self.plateau.scale, self.scheduled_lr,
            f"no better {self.monitor.quantity.name} for {waited} epoch{'s' * (waited > 1)}",
        )  # fmt: skip

    @on_all_ranks
    def use(self, settings: Mapping[str, Any]) -> None:
        """Set all of these settings, which `settings` returned."""
        for setting, value in settings.items():
            if value != self.settings[setting]:
                self.change(setting, value)

    def nonfinite(self) -> Name | None:
        """Return the first weight, buffer or state of the optimizer that is not finite, if any.

        Ranks that each hold all of it hold the same, so the first one looks for all.
        """
        return first_nonfinite(self) if self.held.is_whole else self.nonfinite_on_any_rank()

    @on_all_ranks
    def nonfinite_on_any_rank(self) -> Name | None:
        """Return the first of it that is not finite on any rank, if any."""
        return first_nonfinite(self)

    @on_all_ranks
    def whole_weights(self) -> dict[str, Any]:
        """Return the `state_dict` of the model."""
        return self.held.weights(self)

    @on_all_ranks
    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as types that `weights_only` loads."""
        return {
            "model": self.held.weights(self),
            "infinite": [name for what, name in sorted(self.not_looked_at)],
            "criterion": self._criterion_state(),
            "optimizer": self.held.optimizer_state(self),
            "position": {"step": self.step, "epoch": self.epoch, "batch": self.batch},
            "settings": self.settings,
            "epoch_loss": self.epoch_loss.state(),
            "monitor": self.monitor.state(),
            "monitored": tuple(self.monitor.quantity),
            "plateau": tuple(self.plateau),
            **({"gradient_scale": self.gradient_scale.state()} if self.gradient_scale else {}),
            "last_val_loss": self.last_val_loss,
            "used_losses": self.used_losses,
            "seed": self.seed,
            **self._generators(),
        }

    def _generators(self) -> dict[str, Any]:
        """Return the state of the random number generators, those of the other ranks too."""
        own = rng.state(self.device)
        return {"rng": own} if self.team is None else {"rng": own, "ranks": self.team.states(own)}

    @on_all_ranks
    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state` returned, with its settings; the take stays as it is."""
        self.held.load_weights(self, state["model"])
        # a checkpoint of an older version has no schedule
        self.use({"schedule": str(self.initial_schedule)} | state["settings"])
        # last: groups may differ in their rates
        self.held.load_optimizer_state(self, state["optimizer"])
        if isinstance(self.criterion, nn.Module) and "criterion" in state:
            self.criterion.load_state_dict(state["criterion"])
        for unsaved in self.unsaved:
            unsaved.restore()
        for name, value in state["position"].items():
            setattr(self, name, value)
        # batches of other ranks have other samples of the same order
        self.batch = self.batch * len(_states_of_ranks(state)) // self.part.count
        self.epoch_loss = RunningMean.of(state["epoch_loss"], self.device)
        if "monitor" in state:
            self.monitor.restore(*state["monitor"])
        else:  # of an older version
            self.monitor.restore(state["best"], state["patience"][1])
        self.plateau = Plateau(*state.get("plateau", ()))
        if self.gradient_scale is not None and "gradient_scale" in state:
            self.gradient_scale.restore(state["gradient_scale"])
        self.last_val_loss = state["last_val_loss"]
        # of an older version: that one recorded them all
        self.used_losses = tuple(state.get("used_losses", (self.spec.loss, self.loss_name)))
        self.newest_batch = None
        self._restore_generators(state)

    def _restore_generators(self, state: Mapping[str, Any]) -> None:
        """Restore this rank's generators; seed them anew if other ranks saved the state."""
        rank, count = self.part.rank, self.part.count
        saved = _states_of_ranks(state)
        if rank == 0 or len(saved) == count:
            rng.restore(saved[rank], self.device)
        else:
            rng.seed_rank(self.seed, rank, self.step)

    @on_all_ranks
    def inherit(self, state: Mapping[str, Any], *, with_optimizer: bool) -> None:
        """Start from another run's state, but keep this run's loss, rate, epochs, seed, ...

        Also start patience and the best epoch afresh. `with_optimizer` takes over the state of the
        optimizer, and with it the weight decay. The schedule is that of the optimizer's text, if it
        is one of the catalogue; a plateau that stays goes on counting if the monitor stays, too.
        """
        names = ["loss", "lr", "batch-size", "epochs", "pace"]
        if self._has_named_optimizer or not with_optimizer:
            names.append("schedule")
        if not with_optimizer:
            state = {**state, "optimizer": self.held.optimizer_state(self)}
            names.append("weight-decay")
        own = {name: self.settings[name] for name in names}
        self.restore(state)
        self.use(own)
        if len({group["lr"] for group in self.optimizer.param_groups}) == 1:
            self._set_in_optimizer("lr", self.base_lr)  # the parent's schedule may have lowered it
        self.monitor.reset()
        self.used_losses = (self.loss_name,)
        if state.get("monitored") != tuple(self.monitor.quantity):
            self.plateau = Plateau(self.plateau.scale)
        if state["seed"] != self.seed:
            rng.seed_rank(self.seed, self.part.rank)

    @property
    def environment(self) -> dict[str, str]:
        """The conditions of bit-for-bit repetition, the libraries of the data included."""
        used = {*(self.task.libraries if self.task else ())}
        if self.spec.model in catalog.TORCHVISION:
            used.add("torchvision")
        ranks = {} if self.team is None else {"ranks": str(self.part.count)}
        libraries = {name: version(name) for name in sorted(used)}
        return devices.environment(self.device) | ranks | self.held.conditions | libraries

    def started(self) -> RunStarted:
        """Return the event that the run is built."""
        return RunStarted(
            device=str(self.device),
            steps_per_epoch=self.steps_per_epoch,
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            train_samples=len(self.data.train),
            val_samples=len(self.data.val),
            environment=self.environment,
            settings=self.settings,
            problem=self.problem,
            card=self.card,
            model="" if self.spec.model else type(self.model).__name__,
            optimizer="" if self._has_named_optimizer else type(self.optimizer).__name__,
        )

    @property
    def _has_named_optimizer(self) -> bool:
        """Whether the optimizer is one of the catalogue, by the name in its spec."""
        return bool(self.spec.optimizer) and own_python(self.spec.optimizer) is None

    def _criterion_state(self) -> dict[str, Any]:
        """Return what a loss of the user's keeps from batch to batch; it need not keep anything."""
        return self.criterion.state_dict() if isinstance(self.criterion, nn.Module) else {}

    def _set_in_optimizer(self, name: str, value: float) -> None:
        for group in self.optimizer.param_groups:
            group[name] = value

    def _use_schedule(self, text: str) -> None:
        """Use a schedule from the place in its text on, or from here."""
        schedule = RateSchedule.read(text, now=self.trained_epochs)
        if schedule.is_constant and not self.schedule.is_constant:
            self._set_in_optimizer("lr", self.base_lr)
        self.schedule, self.plateau = schedule, Plateau()

    def _swap_loss(self, loss: str) -> None:
        self.criterion = self.losses.criterion(loss)
        self.keep_buffers()
        self.unsaved = self.unsaved[0], Unsaved(self.criterion)
        self.not_looked_at |= nonfinite_from_the_start(nn.Identity(), self.criterion)
        self.loss_name = loss
        self.used_losses = tuple(dict.fromkeys((*self.used_losses, loss)))
        self.epoch_loss = RunningMean()  # two losses have no common mean


def _states_of_ranks(state: Mapping[str, Any]) -> Sequence[Any]:
    """Return the generators of all ranks that saved a state of a run, or of the one process."""
    states: Sequence[Any] = state.get("ranks", [state["rng"]])
    return states
