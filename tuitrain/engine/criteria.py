"""The losses that a run can use: those of the catalogue that fit, the task's own, and files'."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tuitrain import catalog
from tuitrain.catalog import LOSSES, Loss, fitting_losses, loss_named, read_options
from tuitrain.catalog.choice import Choice, loss_text
from tuitrain.catalog.losses import loss_aliases
from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.options import ALL
from tuitrain.core.own import OwnPython, own_python
from tuitrain.core.problem import LossOption
from tuitrain.core.safe import safe
from tuitrain.engine.losses import Criterion, criterion_for
from tuitrain.engine.user_calls import unknown_option
from tuitrain.engine.user_code import UserCode
from tuitrain.engine.user_errors import place_of, user_code_message


class Losses:
    """The losses of one run, each under one text.

    `own` are those of the task; `usual` is the one to begin with, of the task or the catalogue;
    `no_counts` says why losses for counts do not fit the targets, None if they do.
    """

    def __init__(
        self,
        kind: str | None,
        own: Mapping[str, Any] | None = None,
        *,
        usual: str = "",
        code: UserCode | None = None,
        device: torch.device | None = None,
        no_counts: str | None = "its targets may be negative",
    ) -> None:
        self.kind = kind
        self._no_counts = no_counts
        self._own = dict(own or {})
        self._code = code or UserCode()
        self._device = device
        self._class_weights: Tensor | None = None
        fitting = [loss.name for loss in fitting_losses(kind, has_counts=no_counts is None)]
        names = [*self._own, *(name for name in fitting if name not in self._own)]
        self.usual = usual or next(iter(fitting or self._own), "")
        self.names = tuple(sorted(names, key=lambda name: name != self.usual))
        """Those that fit the problem, the usual one first."""

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the task's own losses."""
        return tuple(self._own)

    @property
    def aliases(self) -> dict[str, str]:
        """The names of the catalogue's losses by their other names."""
        return loss_aliases(name for name in self.names if name not in self._own)

    @property
    def options(self) -> dict[str, tuple[LossOption, ...]]:
        """The options of those that fit, by name."""
        built_in = [name for name in self.names if name not in self._own]
        own = {
            name: tuple(LossOption(key, str(value)) for key, value in _options(function).items())
            for name, function in self._own.items()
            if name in self.names
        }
        return catalog.loss_options(built_in, self.kind) | {
            name: options for name, options in own.items() if options
        }

    @property
    def misfits(self) -> dict[str, str]:
        """The losses of the catalogue that do not fit, with the reason."""
        return catalog.misfits(self.names, self.kind)

    def weigh(self, class_weights: Sequence[float]) -> None:
        """Give each class its weight in every loss; losses of the user take none."""
        self._class_weights = torch.tensor(class_weights, device=self._device)
        self.names = tuple(name for name in self.names if name not in self._own)

    def canonical(self, text: str) -> str:
        """Return the one text of a loss: its name, and the options that are not the default.

        Raises WrongUse for a loss that does not exist, and for options that it does not have.
        """
        own = self._read_own(text)
        if own is None:
            try:
                return loss_text(text)
            except UnknownName as error:
                raise self._unknown(text) if self._own else error from None
        name, function, options = own
        defaults = _options(function)
        given = {key: value for key, value in options.items() if value != defaults[key]}
        return str(Choice(name, {key: str(value) for key, value in given.items()}))

    def criterion(self, text: str) -> Criterion:
        """Return the criterion of a loss; Refused if it does not fit the problem."""
        own = self._read_own(text)
        if own is None:
            self._check_counts(text)
            return criterion_for(text, self.kind, self._class_weights)
        name, function, options = own
        if self._class_weights is not None:
            raise Refused(
                f"{safe(name)} is a loss of your own, which takes no --class-weights: weigh the "
                "classes in it, or leave them out"
            )
        if isinstance(function, type):
            try:
                return self._placed(function(**options))
            except Exception as error:
                said = user_code_message(error, function)
                raise WrongUse(f"the loss {safe(name)}: {said}") from error
        return partial(function, **options) if options else self._placed(function)

    def _check_counts(self, text: str) -> None:
        """Raise Refused for a loss for counts where the targets are none."""
        loss = LOSSES.get(Choice.read("loss", text).name)
        if loss is not None and loss.only_counts and self.kind in loss.takes and self._no_counts:
            raise Refused(f"{loss.name} does not fit this task: {self._no_counts}")

    def to_record(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the one text of each loss that a user wants recorded; `all` adds all that fit.

        Raises WrongUse for a loss that is not one of the run's, Refused for one that does not fit.
        """
        named = [text for text in texts if text != ALL]
        for text in named:
            if own_python(text) is not None:
                raise WrongUse(
                    f"--val-losses takes names, not {safe(text)}: a loss in a file is recorded as "
                    "soon as it is used"
                )
            self.criterion(text)
        fitting = self.names if ALL in texts else ()
        return tuple(dict.fromkeys((*fitting, *map(self.canonical, named))))

    def predictions(self, text: str, output: Tensor) -> Tensor:
        """Return what the outputs of a model predict that is trained with a loss.

        They are the outputs, unless the loss takes them for logarithms.
        """
        return output.exp() if self._takes_logarithms(text) else output

    def read_by(self, text: str, trained: str, output: Tensor) -> Tensor | None:
        """Return what a loss reads of the outputs of a model that is trained with another.

        It reads what they predict; None where it takes logarithms, and they are none.
        """
        if self._takes_logarithms(text):
            return output if self._takes_logarithms(trained) else None
        return self.predictions(trained, output)

    def way_out(self, text: str, output: Tensor) -> str:
        """Return what to do about a loss that is nonfinite for such outputs; "" if not known."""
        if self.is_own(text):
            return ""
        entry, options = _entry_and_options(text)
        only = entry.positive_with.items()
        if not only or not only <= options.items() or bool((output > 0).all()):
            return ""
        return (
            "its predictions must be positive: let the model end with nn.Softplus(), or use "
            f"{entry.name}, whose outputs may be any"
        )

    def _takes_logarithms(self, text: str) -> bool:
        return not self.is_own(text) and bool(_entry_and_options(text)[1].get("log_input"))

    def is_own(self, text: str) -> bool:
        """Return whether a loss is the user's."""
        return own_python(text) is not None or text.partition(":")[0] in self._own

    def _placed(self, criterion: Any) -> Criterion:
        """Return a criterion whose own tensors, such as weights of classes, are on the device."""
        if isinstance(criterion, nn.Module) and self._device is not None:
            criterion = criterion.to(self._device)
        placed: Criterion = criterion
        return placed

    def _read_own(self, text: str) -> tuple[str, Any, dict[str, Any]] | None:
        """Return name, function and options of a loss of the user; None for another one."""
        file = own_python(text)
        if file is not None:
            function, kept_name = self._code.object(file)
            return f"{kept_name}:{file.name}", function, _given(function, file)
        name, _, rest = text.partition(":")
        if name not in self._own:
            return None
        as_file = own_python(f"own.py:{name}:{rest}" if rest else f"own.py:{name}")
        assert as_file is not None
        return name, self._own[name], _given(self._own[name], as_file)

    def _unknown(self, text: str) -> UnknownName:
        fitting = (loss.name for loss in fitting_losses(self.kind))
        return UnknownName("loss", text.partition(":")[0], [*self._own, *fitting])


def _entry_and_options(text: str) -> tuple[Loss, dict[str, Any]]:
    """Return the entry of a loss of the catalogue, and the values of its options."""
    choice = Choice.read("loss", text)
    entry = loss_named(choice.name)
    return entry, dict(read_options(entry, choice.options))


def name_of(criterion: Any) -> str:
    """Return the name of a criterion: that of its function or of its class."""
    return getattr(criterion, "__name__", None) or type(criterion).__name__


_OTHERS = ("NLLLoss", "SoftMarginLoss", "PoissonNLLLoss")
"""Modules whose catalogue entry converts or checks what they are given."""


def same_as(criterion: Any) -> str | None:
    """Return the catalogue's name of a module of torch.nn whose parameters are the defaults."""
    entry: Loss | None = next(
        (loss for loss in LOSSES.values() if type(criterion).__name__ in loss.aliases), None
    )
    if entry is None or type(criterion).__name__ in _OTHERS:
        return None
    if type(criterion) is not getattr(nn, type(criterion).__name__, None):
        return None
    plain = type(criterion)()
    return entry.name if repr(plain.__getstate__()) == repr(criterion.__getstate__()) else None


def _options(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the options of an own loss: its keyword parameters with simple defaults."""
    if isinstance(function, nn.Module):
        return {}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if isinstance(parameter.default, bool | int | float | str)
    }


def _given(function: Callable[..., Any], own: OwnPython) -> dict[str, Any]:
    """Return the values of the options that a text has, read as their defaults are."""
    known, values = _options(function), {}
    for key, text in own.options.items():
        if key not in known:
            raise _no_option(own.name, function, key, known)
        values[key] = _read(key, text, known[key])
    return values


def _no_option(name: str, function: Any, key: str, known: Iterable[str]) -> WrongUse:
    with suppress(TypeError, ValueError):
        if key in inspect.signature(function).parameters:
            where = f"{place_of(function)}{key} of {name}"
            return WrongUse(f"{where} has no number or text as its default, as an option must")
    return unknown_option(name, function, key, known)


def _read(key: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    try:
        if isinstance(default, bool):
            return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]
        return (
            int(text) if isinstance(default, int) and text.lstrip("+-").isdigit() else float(text)
        )
    except (KeyError, ValueError):
        raise WrongUse(f"{key} takes a value such as {default}, not {text!r:.40}") from None


def scalar(loss: Any, name: str) -> Tensor:
    """Return the value of a loss if it is a scalar that can be differentiated; Refused if not."""
    if not isinstance(loss, Tensor):
        raise Refused(f"{name} returns {type(loss).__name__}, not a tensor")
    if loss.dim() != 0:
        raise Refused(
            f"{name} returns a tensor of shape {tuple(loss.shape)}, not one number: "
            'use reduction="mean", or .mean()'
        )
    if not loss.is_floating_point():
        raise Refused(f"{name} returns {loss.dtype}, not a floating-point number")
    return loss


def copied(value: Any) -> Any:
    """Return a copy of a loss or of metrics; what cannot be copied is used itself."""
    try:
        return copy.deepcopy(value)
    except (RuntimeError, TypeError, NotImplementedError):
        return value
