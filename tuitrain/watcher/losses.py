"""Another loss in the place of a call of a function of `torch.nn.functional`.

The replacement takes the call's input and target, keeps its reduction, and leaves out the targets
that the call ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn._reduction import legacy_get_string

from tuitrain import catalog
from tuitrain.catalog import loss_text
from tuitrain.core.errors import TuitrainError
from tuitrain.engine.losses import criterion_for
from tuitrain.watcher.criterion import OWN
from tuitrain.watcher.hooks import signature

KINDS_BY_LOSS: Mapping[str, str] = {
    "cross_entropy": "multiclass",
    "nll_loss": "multiclass",
    "binary_cross_entropy_with_logits": "binary",
    "binary_cross_entropy": "binary",
    "mse_loss": "regression",
    "l1_loss": "regression",
    "smooth_l1_loss": "regression",
    "huber_loss": "regression",
}
"""The problem of a function whose loss can be swapped."""
_NAMES: Mapping[str, str] = {
    "cross_entropy": "cross-entropy",
    "binary_cross_entropy_with_logits": "bce-with-logits",
    "mse_loss": "mse",
    "l1_loss": "l1",
}
_NO_PAIR = "{} has no input and target tensors, which another loss takes"
UNKNOWN = "its own loss"
"""The name of a loss that no function of `torch.nn.functional` returned."""
_MOST_CLASSES = 4096
"""A one-hot target of more classes takes too much memory."""
_OVER_CLASSES = ("bce-with-logits", "mse", "l1")
"""The losses whose mean over a batch is one over its samples and classes, not over its samples."""
_OF_THE_USER = (OWN, "triplet_margin_with_distance_loss")
"""Functions that call code of the user, which may draw random numbers or count its calls."""
_WITH_ONE_HOT = (*_OVER_CLASSES, "brier")

Own = Callable[[Tensor, Tensor], Tensor]
"""A loss function that the user registered."""


class Call(NamedTuple):
    """A call of a loss function, with the facts that decide whether it can be replaced."""

    function: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the loss: that of the catalogue, or the function's."""
        if self.function == OWN:
            return OWN
        return _NAMES.get(self.function) or self.function.removesuffix("_loss").replace("_", "-")

    @property
    def kind(self) -> str | None:
        """The kind of problem that it is for; None if that is unknown."""
        return KINDS_BY_LOSS.get(self.function)

    def arguments(self) -> dict[str, Any]:
        """Return its arguments by name, with their defaults."""
        known = None if self.function == OWN else signature(self.function)
        if known is None:
            named = dict(zip(("input", "target"), self.args, strict=False))
            return {"reduction": "mean", **named, **self.kwargs}
        bound = known.bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        given = bound.arguments
        old = given.get("size_average"), given.get("reduce")
        if old != (None, None):
            given["reduction"] = legacy_get_string(*old, emit_warning=False)
        return given

    @property
    def has_pair(self) -> bool:
        """Whether it has an input and a target, as another loss takes them."""
        given = self.arguments()
        return all(isinstance(given.get(name), Tensor) for name in ("input", "target"))

    def without_data(self) -> Call:
        """Return the call with the shapes and types of its tensors alone, for `why_not`."""
        return Call(
            self.function,
            tuple(map(_empty, self.args)),
            {name: _empty(value) for name, value in self.kwargs.items()},
        )


def fitting(call: Call, kind: str | None) -> list[str]:
    """Return the names of the losses that can take the place of a call, its own one first."""
    names = [entry.name for entry in catalog.fitting_losses(kind or call.kind)]
    others = (name for name in names if name != call.name)
    return [call.name, *(name for name in others if not why_not(call, name, kind))]


def why_not(call: Call | None, loss: str, kind: str | None = None) -> str | None:
    """Return why a loss cannot take the place of a call; None if it can."""
    if call is None:
        return (
            "no loss function of torch.nn.functional was called in training, or only within what "
            "torch.compile made: a loss written out by hand cannot be swapped"
        )
    if loss == call.name:
        return None
    entry = catalog.LOSSES.get(loss.partition(":")[0])
    if entry is not None and entry.only_counts:
        return f"{entry.name} needs targets of 0 or more, which those of a script need not be"
    kind = kind or call.kind
    if not call.has_pair:
        return _NO_PAIR.format(call.function)
    if kind is None:
        return f"{call.function} has an input of its own kind, which no other loss takes"
    try:
        _criterion(loss, kind)
    except TuitrainError as error:
        return str(error)
    return _why_not_arguments(call, call.arguments(), loss, kind)


def _why_not_arguments(call: Call, given: Mapping[str, Any], loss: str, kind: str) -> str | None:
    """Return the argument of a call that a replacement could not honour."""
    prediction, target = given["input"], given["target"]
    weights = [name for name in ("weight", "pos_weight") if given.get(name) is not None]
    if weights or given.get("size_average") is not None or given.get("reduce") is not None:
        what = weights[0] if weights else "size_average"
        return f"{call.function} is called with {what}, which {loss} would leave out"
    if given["reduction"] == "none":
        return _reduced_by_script(call)
    if prediction.is_complex():
        return f"{call.function} has complex numbers, which {loss} does not take"
    if kind == "multiclass":
        return _why_not_classes(call, prediction, target, loss)
    if prediction.shape != target.shape:
        return (
            f"its input {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape"
        )
    return None


def why_not_own(call: Call) -> str | None:
    """Return why no loss that the user registered can take the place of a call; None if one can."""
    if not call.has_pair:
        return _NO_PAIR.format(call.function)
    return _reduced_by_script(call) if call.arguments()["reduction"] == "none" else None


def _reduced_by_script(call: Call) -> str:
    return f"{call.function} is called with reduction='none': the script reduces it itself"


def _why_not_classes(call: Call, prediction: Tensor, target: Tensor, loss: str) -> str | None:
    if prediction.dim() != 2 or target.dim() != 1 or target.is_floating_point():
        return (
            f"{call.function} has an input {tuple(prediction.shape)} and a target "
            f"{tuple(target.shape)}: only (N, C) and class indices (N,) can be swapped"
        )
    if prediction.shape[1] > _MOST_CLASSES and loss.partition(":")[0] in _WITH_ONE_HOT:
        return f"{loss} needs one-hot targets, too large for {prediction.shape[1]:,} classes"
    return None


def replaced(call: Call, loss: str, kind: str | None = None) -> Tensor:
    """Return the value of a loss of the catalogue for a call's input and target."""
    given, kind = call.arguments(), kind or str(call.kind)
    prediction, target = given["input"], given["target"]
    if kind == "multiclass":
        is_used = target != given.get("ignore_index", -100)
        if not is_used.all():
            prediction, target = prediction[is_used], target[is_used]
    else:
        if call.function == "binary_cross_entropy":  # its input is probabilities
            prediction = torch.logit(prediction, eps=torch.finfo(prediction.dtype).eps)
        prediction, target = prediction.reshape(-1, 1), target.reshape(-1).to(prediction.dtype)
    value: Tensor = _criterion(loss, kind)(prediction, target)
    if given["reduction"] != "sum":
        return value
    is_of_samples = kind != "multiclass" or loss.partition(":")[0] not in _OVER_CLASSES
    count = target.numel() if is_of_samples else prediction.numel()
    return value * count  # type: ignore[no-any-return]  # torch says Any


def own(call: Call) -> Tensor:
    """Return the value that the script's own function returns for a call."""
    value: Tensor = getattr(functional, call.function)(*call.args, **call.kwargs)
    return value


_criterion = cache(criterion_for)


def has_value(call: Call, name: str) -> bool:
    """Return whether a loss can be evaluated for a call without a side effect, as a scalar."""
    if name != call.name:
        return is_in_catalogue(name)
    return call.function not in _OF_THE_USER and call.arguments()["reduction"] != "none"


def is_in_catalogue(name: str) -> bool:
    """Return whether a loss is one of the catalogue."""
    return name.partition(":")[0] in catalog.LOSSES


def canonical(text: str) -> str:
    """Return the one text of a loss of the catalogue; WrongUse if it has no such loss."""
    return loss_text(text)


def _empty(value: Any) -> Any:
    """Return a tensor without its data; of a container, which may keep a graph alive, its class."""
    if isinstance(value, Tensor):
        return torch.empty_like(value, device="meta")
    return value if isinstance(value, str | float | int | None) else type(value)
