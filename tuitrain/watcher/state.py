"""The state of a watched loop: of models, optimizers, schedulers, scalers, and random numbers."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuitrain.core.errors import Damaged
from tuitrain.core.every import Every
from tuitrain.engine.state import rng
from tuitrain.watcher import objects
from tuitrain.watcher.objects import model_of, parameters_of

_SEARCH_EVERY_S = 1.0
"""A search looks at all objects of the process."""


class Parts:
    """The objects of a loop that a step changes; each is restored in place."""

    def __init__(self) -> None:
        self.optimizers: list[Optimizer] = []
        self.models: list[nn.Module | None] = []
        self.scalers: list[Any] = []
        self.kept: list[Any] = []
        """Further objects with `state_dict` and `load_state_dict` that the user named."""
        self._schedulers: list[ref[Any]] = []
        self._searches = Every(_SEARCH_EVERY_S)

    def meet(self, optimizer: Optimizer, model: nn.Module | None = None) -> int:
        """Return the number of an optimizer, from 0; at first, find the model it trains if needed.

        It has the number of one that the script has let go, as in a loop over folds.
        """
        if optimizer in self.optimizers:
            return self.optimizers.index(optimizer)
        self._drop_unused(optimizer)
        if optimizer not in self.optimizers:
            self.optimizers.append(optimizer)
            self.models.append(None)
        number = self.optimizers.index(optimizer)
        self.models[number] = model if model is not None else model_of(optimizer)
        return number

    def _drop_unused(self, optimizer: Optimizer) -> None:
        """Drop the optimizers that only this list has; the new one takes the place of the first.

        The garbage is collected first, since an optimizer and its scheduler have one another.
        """
        known = [ref(one) for one in self.optimizers]
        models = [None if one is None else ref(one) for one in self.models]
        self.optimizers.clear()
        self.models.clear()
        if known:
            gc.collect()
        for one, model in zip(known, models, strict=True):
            if (alive := one()) is None and optimizer in self.optimizers:
                continue
            self.optimizers.append(alive or optimizer)
            self.models.append(None if model is None else model())

    @property
    def is_training(self) -> bool:
        """Whether the first model is in training mode; true without a model."""
        model = self.models[0] if self.models else None
        return model is None or model.training

    def add_scaler(self, scaler: Any) -> None:
        """Add a GradScaler, once."""
        if all(scaler is not known for known in self.scalers):
            self.scalers.append(scaler)

    def schedulers_of(self, optimizer: Optimizer) -> list[Any]:
        """Return the schedulers of an optimizer, those that were found first in front.

        So a state is restored into the objects that it is of, whatever else there is by then.
        """
        known = [scheduler for alive in self._schedulers if (scheduler := alive()) is not None]
        if self._searches.is_due():
            new = [one for one in objects.schedulers() if all(one is not old for old in known)]
            known += new
            self._schedulers = [ref(one) for one in known]
        return [one for one in known if _has_groups_of(optimizer, one)]

    @property
    def device(self) -> torch.device:
        """The device of the first parameter."""
        parameters = (one for owner in self.optimizers for one in parameters_of(owner))
        return next((parameter.device for parameter in parameters), torch.device("cpu"))

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        sizes = {id(one): one.numel() for owner in self.optimizers for one in parameters_of(owner)}
        return sum(sizes.values())

    def weights(self) -> dict[str, Tensor]:
        """Return the models' weights by name; with several models, each name has its number."""
        models = list(zip(self.models, self.optimizers, strict=True))
        if len(models) == 1:
            return _weights(*models[0])
        return {
            f"{number}.{name}": tensor
            for number, pair in enumerate(models)
            for name, tensor in _weights(*pair).items()
        }

    def state(self) -> dict[str, Any]:
        """Return the state as tensors and plain values, which `weights_only` can load."""
        return {
            "model": self.weights(),
            "optimizers": [_plain(one.state_dict()) for one in self.optimizers],
            "schedulers": [
                [_plain(scheduler.state_dict()) for scheduler in self.schedulers_of(one)]
                for one in self.optimizers
            ],
            "scalers": [_plain(scaler.state_dict()) for scaler in self.scalers],
            "kept": [_plain(one.state_dict()) for one in self.kept],
            "rng": rng.state(self.device),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state in place; random numbers go on if it has none. So does the order of data.

        Raises Damaged for the state of another model, which the script had before.
        """
        weights, saved = self.weights(), state["model"]
        if _shapes(weights) != _shapes(saved):
            raise Damaged("the checkpoint is of another model, which the script does not train now")
        if any(map(_is_of_another, self.optimizers, state["optimizers"])):
            raise Damaged("the checkpoint is of an optimizer with other settings than now")
        if any(map(_has_other_groups, self.optimizers, state["optimizers"])):
            raise Damaged("the checkpoint is of an optimizer with other parameter groups than now")
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(saved[name])
        self._restore_optimizers(state)
        others = [*self.scalers, *self.kept]
        for one, of_it in zip(others, [*state["scalers"], *state["kept"]], strict=False):
            if of_it:
                one.load_state_dict(of_it)
        if "rng" in state:
            rng.restore(state["rng"], self.device)

    def _restore_optimizers(self, state: Mapping[str, Any]) -> None:
        for optimizer, of_it in zip(self.optimizers, state["optimizers"], strict=False):
            now = optimizer.param_groups
            optimizer.load_state_dict(of_it)
            for group, before in zip(optimizer.param_groups, now, strict=True):
                for name, value in before.items():  # as of a scheduler that began since
                    group.setdefault(name, value)
        for optimizer, of_it in zip(self.optimizers, state["schedulers"], strict=False):
            for scheduler, saved in zip(self.schedulers_of(optimizer), of_it, strict=False):
                scheduler.load_state_dict(saved)


def _weights(model: nn.Module | None, optimizer: Optimizer) -> dict[str, Tensor]:
    if model is not None:
        own: dict[str, Tensor] = {}
        own |= dict(model.named_parameters(remove_duplicate=False))
        own |= dict(model.named_buffers(remove_duplicate=False))
        return {  # a model may have a `state_dict` of its own, which copies
            name: own.get(name, value).detach()
            for name, value in model.state_dict().items()
            if isinstance(value, Tensor)
        }
    return {f"{index}": one for index, one in enumerate(parameters_of(optimizer))}


def _has_groups_of(optimizer: Optimizer, scheduler: Any) -> bool:
    """Return whether a scheduler sets the rates of an optimizer: itself, or through a wrapper.

    That of Transformers has the optimizer that accelerate put around the one that steps.
    """
    owner = getattr(scheduler, "optimizer", None)
    return getattr(owner, "param_groups", None) is optimizer.param_groups


def _is_of_another(optimizer: Optimizer, state: Mapping[str, Any]) -> bool:
    """Return whether a state lacks what the optimizer needs: that which left it was another one."""
    needed = {name for name, value in optimizer.defaults.items() if _is_plain(value)}
    return any(not group.keys() >= needed for group in state["param_groups"])


def _has_other_groups(optimizer: Optimizer, state: Mapping[str, Any]) -> bool:
    """Return whether an optimizer has parameters in other groups than one whose state it is."""
    now = [len(group["params"]) for group in optimizer.param_groups]
    return now != [len(group["params"]) for group in state["param_groups"]]


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _plain(value: Any) -> Any:
    """Return a copy of a state without what is no tensor, number, text or container of these."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if _is_plain(item)}
    if isinstance(value, list | tuple):
        return (
            type(value)(_plain(item) for item in value)
            if type(value) in (list, tuple)
            else [_plain(item) for item in value]
        )
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, Tensor | bool | int | float | str)
