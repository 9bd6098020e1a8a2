"""A watched loop as something that can be steered: its position, settings and state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer

from tuitrain.core.errors import TuitrainError
from tuitrain.core.spec import RunSpec
from tuitrain.core.watched import again
from tuitrain.engine.gradient_scale import gradients_of
from tuitrain.steering.steerable import Position
from tuitrain.watcher import losses, ranks
from tuitrain.watcher.buffers import GoodBuffers
from tuitrain.watcher.epoch_loss import EpochLoss
from tuitrain.watcher.losses import Call, Own
from tuitrain.watcher.objects import parameters_of
from tuitrain.watcher.propagated import Loss, copied
from tuitrain.watcher.state import Parts

_EPOCHS_TO_KNOW = 2
"""An epoch is known to be over when the next one begins; before that there is no boundary."""
_OF_THE_SCRIPT = {
    "batch-size": "the script makes its own batches: tuitrain cannot change their size",
    "epochs": "the script decides how long it trains; stop ends it",
    "schedule": "the script decides on its schedule; lr changes the rate, whatever that does",
    "lr-find": "only the script has its loop and its next batches: no sweep can train them ahead",
}
_OF_WEIGHTS = ("undo", "rollback", "checkpoint")
_NO_WEIGHTS = (
    "the script has no optimizer of PyTorch, so its weights are not known, and can neither be "
    "saved nor put back: tuitrain.watch(keep=[model]) in the script names them"
)
_OF_PARTS = (
    "each rank has a part of the weights, or others than the rest: none of them can save or "
    "restore them alone; the script can"
)
_CLIPS_PARTS = "each rank has a part of the gradients: their norm is not known to any of them"


class Watched:
    """A watched loop between two steps; meets `Steerable`.

    The learning rate of a command is a factor on what the script and its schedulers set: it is
    multiplied in before a step and taken out after it, so that no scheduler undoes it.
    """

    is_synchronous = True
    """Flags of nonfinite numbers are read at once: they exist only if the user asks for it."""

    def __init__(self, spec: RunSpec, registered: Mapping[str, Own] | None = None) -> None:
        """`registered` has the user's own losses by name: functions of input and target."""
        self.parts, self.buffers = Parts(), GoodBuffers()
        self.registered = dict(registered or {})
        self.kind = spec.kind
        self.on_nonfinite, self.way_on = spec.on_nonfinite, again(spec)
        self.pace = spec.pace
        self.loss_name = losses.UNKNOWN
        self.is_swapped = False
        """Whether another loss than the script's own is in use."""
        self.own_loss = losses.UNKNOWN
        """The name of the loss that the script itself computes."""
        self.call: Call | None = None
        """The last call of a loss function in training, without its graph."""
        self.take, self.step, self.epoch, self.batch = 1, 0, 0, 0
        self.length: int = 0
        """Steps of an epoch; 0 while that is unknown."""
        self.is_at_epoch = False
        """Whether the loop is about to begin an epoch."""
        self.epoch_loss, self.last_val_loss = EpochLoss(), 0.0
        self.best_val_loss = math.nan
        """The least of an epoch, of the script's own loss; NaN before the first."""
        self.is_sharded = False
        """Whether other ranks have other parts of the weights, which this one cannot read alone."""
        self.clip_norm: float | None = None
        self.factor = 1.0
        """By it the script's learning rates are multiplied."""
        self._left_factor = 1.0
        """The factor that was in use before the last `restore`."""
        self._rates: list[tuple[dict[str, Any], Any]] = []
        """Groups, and the script's learning rates while those of the user are in use."""

    @property
    def position(self) -> Position:
        return Position(self.take, self.step, self.epoch)

    @property
    def is_between_epochs(self) -> bool:
        return self.is_at_epoch or not self.has_boundaries

    @property
    def has_boundaries(self) -> bool:
        return self.epoch >= _EPOCHS_TO_KNOW

    @property
    def why_not_steered(self) -> str | None:
        count = ranks.count()
        if count == 1:
            return None
        return (
            f"this is one of {count} processes that train together, and the others would not "
            "follow: start them with tuitrain watch --nproc, or torchrun ... -m tuitrain watch"
        )

    def nonfinite(self) -> None:
        """Return that nothing is not finite: what a script keeps is its own."""

    @property
    def leaves_steps_alone(self) -> bool:
        """Whether the script takes its steps as it would alone: by its loss, rates, gradients."""
        reacts = self.is_swapped or self.on_nonfinite != "alert"
        return self.factor == 1 and self.clip_norm is None and not reacts

    @property
    def steps_per_epoch(self) -> int:
        return self.length

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer that took the first step."""
        return self.parts.optimizers[0] if self.parts.optimizers else None

    @property
    def lr(self) -> float:
        """The learning rate of the next step, of the first group."""
        optimizer = self.optimizer
        return float(self.scaled(optimizer.param_groups[0].get("lr"))) if optimizer else 0.0

    def learn(self, call: Call, *, anew: bool = False) -> bool:
        """Keep a call of the loss function, without its graph; False for another function's.

        `anew` the loss may have become another function, whose values compare with none before; not
        among several ranks, which would not do so at the same step.
        """
        if self.call is not None and self.call.function != call.function:
            if not anew or ranks.count() > 1:
                return False
            self.best_val_loss = math.nan
        is_own = self.loss_name in (losses.UNKNOWN, self.own_loss)
        self.call, self.own_loss = call, call.name
        self._use_loss(call.name if is_own else self.loss_name)
        return True

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that commands can change."""
        settings: dict[str, Any] = {
            "loss": self.loss_name, "clip-norm": self.clip_norm, "pace": self.pace
        }  # fmt: skip
        if self.optimizer is not None:
            group = self.optimizer.param_groups[0]
            if _has_rate(group):
                settings["lr"] = self.lr
            settings["weight-decay"] = float(group.get("weight_decay", 0.0))
        return settings

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses that can be swapped in, the script's own first."""
        if self.call is None:
            return (losses.UNKNOWN,)
        own = () if losses.why_not_own(self.call) else self.registered
        return tuple(dict.fromkeys([*losses.fitting(self.call, self.kind), *own]))

    def loss_named(self, text: str) -> str:
        """Return the canonical name of a loss; WrongUse if there is none of that name."""
        if text in self.registered or text == self.own_loss:
            return text
        return losses.canonical(text)

    def why_not(self, setting: str, value: Any) -> str | None:
        """Return why the loop cannot use that value; None if it can."""
        if setting in _OF_THE_SCRIPT:
            return _OF_THE_SCRIPT[setting]
        if setting == "loss":
            return self._why_not_loss(self.call, str(value))
        if setting == "pace":
            return None
        if setting in _OF_WEIGHTS:
            if self.is_sharded:
                return _OF_PARTS
            return None if self.optimizer or self.parts.kept else _NO_WEIGHTS
        if self.optimizer is None:
            return "the script has no optimizer of PyTorch: it moves the weights itself"
        if setting == "clip-norm" and self.is_sharded:
            return _CLIPS_PARTS
        return self._why_not_of(self.optimizer, setting)

    @staticmethod
    def _why_not_of(optimizer: Optimizer, setting: str) -> str | None:
        group = optimizer.param_groups[0]
        if setting == "lr" and not _has_rate(group):
            return f"{type(optimizer).__name__} has no learning rate"
        if setting == "lr" and not float(group["lr"]):
            return "its learning rate is 0 now, and no factor makes it another; try again later"
        if setting == "weight-decay" and "weight_decay" not in group:
            return f"{type(optimizer).__name__} has no weight decay"
        return None

    def _why_not_loss(self, call: Call | None, loss: str) -> str | None:
        if loss in self.registered and call is not None:
            return losses.why_not_own(call)
        return losses.why_not(call, loss, self.kind)

    def change(self, setting: str, value: Any) -> None:
        """Use another value from the next step on."""
        match setting:
            case "loss":
                self._use_loss(value)
            case "lr":
                self._use_lr(float(value))
            case "weight-decay":
                self._use_weight_decay(float(value or 0.0))
            case "clip-norm":
                self.clip_norm = value
            case "pace":
                self.pace = value

    def use(self, settings: Mapping[str, Any]) -> None:
        """Use all of these settings: those that stay as they are when the state is restored.

        Of a learning rate, it is the factor that the user set; the rest is the script's.
        """
        for setting, value in settings.items():
            if setting == "lr":
                self.factor = self._left_factor
            elif value != self.settings.get(setting):
                self.change(setting, value)

    def state(self) -> dict[str, Any]:
        """Return the state of the loop's objects, its position and settings."""
        return {
            **self.parts.state(),
            "position": {"step": self.step, "epoch": self.epoch, "batch": self.batch},
            "settings": self.settings,
            "is_swapped": self.is_swapped,
            "factor": self.factor,
            "epoch_loss": self.epoch_loss.state(),
            "last_val_loss": self.last_val_loss,
            "best_val_loss": self.best_val_loss,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore objects, position and settings in place.

        The script's own loss is that which it computes now, whichever it was then.
        """
        self.parts.restore(state)
        if self.on_nonfinite != "alert":
            self.buffers.keep(self.parts.models)
        self.epoch_loss.restore(state["epoch_loss"])
        self.step, self.epoch, self.batch = (
            state["position"][name] for name in ("step", "epoch", "batch")
        )
        self._left_factor, self.factor = self.factor, state["factor"]
        best = state["best_val_loss"]
        self.best_val_loss = math.nan if best is None else best  # None: of earlier versions
        then = state["settings"]
        loss = then["loss"] if state["is_swapped"] else self.own_loss
        self.use({"loss": loss, "clip-norm": then["clip-norm"]})

    def instead(self, call: Call) -> Tensor | None:
        """Return the value of the swapped loss for a call; None for another term of the loss."""
        if self.call is not None and call.function != self.call.function:
            return None
        if self._why_not_loss(call, self.loss_name) is not None:
            return None  # another term than that which it takes the place of
        own = self.registered.get(self.loss_name)
        if own is not None:
            given = call.arguments()
            return own(given["input"], given["target"])
        return losses.replaced(call, self.loss_name, self.kind)

    def clip(self, optimizer: Optimizer) -> None:
        """Clip the gradients of an optimizer, if the user asked for it."""
        if self.clip_norm is not None:
            clip_grad_norm_(parameters_of(optimizer), self.clip_norm)

    def scaled(self, lr: Any) -> Loss:
        """Return the rate that is used for one of the script; on an accelerator a copy.

        0 without one, as of an optimizer that finds its own.
        """
        if isinstance(lr, float):
            return lr * self.factor
        if isinstance(lr, Tensor):
            return copied(lr) * self.factor
        return 0.0 if lr is None else float(lr) * self.factor

    def lend_rates(self, optimizer: Optimizer) -> None:
        """Put the user's learning rate into an optimizer for one step."""
        self.take_back_rates()  # a step may have raised, and the script gone on
        if self.factor != 1:
            groups = filter(_has_rate, optimizer.param_groups)
            self._rates = [(group, group["lr"]) for group in groups]
            for group, lr in self._rates:
                group["lr"] = lr * self.factor

    def take_back_rates(self) -> None:
        """Put the script's own rates back."""
        if self._rates:
            for group, lr in self._rates:
                group["lr"] = lr
            self._rates.clear()

    def _use_loss(self, name: str) -> None:
        self.loss_name = name
        self.is_swapped = name not in (self.own_loss, losses.UNKNOWN)

    def _use_lr(self, lr: float) -> None:
        assert self.optimizer is not None
        own = float(self.optimizer.param_groups[0]["lr"])
        self.factor = lr / own if own else 1.0

    def _use_weight_decay(self, weight_decay: float) -> None:
        """Use it in the groups that decay; groups that the script leaves out, as biases, stay."""
        groups = [group for one in self.parts.optimizers for group in one.param_groups]
        decaying = [group for group in groups if group.get("weight_decay")] or groups
        for group in decaying:
            if "weight_decay" in group:
                group["weight_decay"] = weight_decay


def _has_rate(group: Mapping[str, Any]) -> bool:
    return group.get("lr") is not None


def gradient_norm(optimizer: Optimizer) -> Tensor | None:
    """Return the 2-norm of all gradients of an optimizer together; None without gradients."""
    gradients = [one.grad for one in parameters_of(optimizer) if one.grad is not None]
    if not gradients or any(gradient.is_sparse for gradient in gradients):
        return None
    return get_total_norm(gradients)


def is_finite(loss: float | Tensor, optimizer: Optimizer) -> bool:
    """Return whether loss and gradients are finite; waits for an accelerator."""
    if not math.isfinite(float(loss)):
        return False
    gradients = gradients_of(parameters_of(optimizer))
    return all(bool(torch.isfinite(one).all()) for one in gradients)


def why_wrong(error: BaseException) -> str:
    """Return one sentence on an error, as a warning names it."""
    if isinstance(error, TuitrainError):
        return str(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it is the script's, and may be of any class
        text = "<exception str() failed>"  # as Python says
    return f"{type(error).__name__}: {text}".partition("\n")[0]
