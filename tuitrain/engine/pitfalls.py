"""Losses that train on nonsense without an error, caught where they are computed.

PyTorch calls the mode below before each of its functions, so that it sees the arguments of a loss
in the user's own line, whether it is a module of torch.nn, a function, or written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from tuitrain.core.errors import WrongUse
from tuitrain.engine.batches import dtype_name

_ROUNDING = 1e-3
_PAIRWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")


class Pitfalls(TorchFunctionMode):
    """Raises WrongUse, in one sentence, for arguments that a loss of PyTorch takes and must not."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []
        """The arguments may be intended, but rarely are."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Check the arguments of a function, and call it."""
        del types
        kwargs = kwargs or {}
        self._check(func, *args[:2], **{key: kwargs[key] for key in ("input", "target", "other")
                                        if key in kwargs}, options=kwargs)  # fmt: skip
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and len(args) > 1 and result.dim() == 2:
            _check_columns(func, [part for part in args if isinstance(part, Tensor)], result)
        return result

    def _check(
        self, func: Callable[..., Any], input: Any = None, target: Any = None,  # noqa: A002 - torch's name
        *, other: Any = None, options: Mapping[str, Any],
    ) -> None:  # fmt: skip
        target = other if target is None else target
        if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
            return
        name = getattr(func, "__name__", "")
        if name in _CHECKS:
            _CHECKS[name](input, target, options)
        elif name in _PAIRWISE or (name.endswith("_loss") and _are_columns(input, target)):
            _check_same_shape(name, input, target)
        if name == "cross_entropy" and _are_probabilities(input):
            self.warnings.append(
                "the rows of the output sum to 1, as probabilities do, and cross_entropy takes "
                "logits: leave the softmax out"
            )


def _cross_entropy(logits: Tensor, target: Tensor, options: Mapping[str, Any]) -> None:
    if logits.dim() > 1 and logits.shape[1] == 1:
        raise WrongUse(
            "cross_entropy over one class is always 0: return 2 outputs, or use "
            "binary_cross_entropy_with_logits"
        )
    if target.shape == logits.shape:
        return  # probabilities of each class
    if target.is_floating_point():
        raise WrongUse(
            f"cross_entropy takes class indices, and the targets are {dtype_name(target.dtype)}: "
            "write target.long()"
        )
    _check_classes("cross_entropy", logits, target, options)


def _nll(log_probabilities: Tensor, target: Tensor, options: Mapping[str, Any]) -> None:
    sums = log_probabilities.exp().sum(dim=1 if log_probabilities.dim() > 1 else 0)
    if bool((log_probabilities > _ROUNDING).any()) or bool(((sums - 1).abs() > 0.05).any()):
        raise WrongUse(
            "nll_loss takes log-probabilities, and these are no such: use cross_entropy, or "
            "log_softmax(output, dim=1) before it"
        )
    _check_classes("nll_loss", log_probabilities, target, options)


def _check_classes(name: str, input: Tensor, target: Tensor, options: Mapping[str, Any]) -> None:  # noqa: A002 - torch's name
    ignored = options.get("ignore_index", -100)
    counted = target[target != ignored]
    if not len(counted):
        raise WrongUse(
            f"every target of the batch is {ignored}, which {name} ignores, so that it is NaN"
        )
    classes = input.shape[1] if input.dim() > 1 else input.shape[0]
    low, high = int(counted.min()), int(counted.max())
    if low < 0 or high >= classes:
        raise WrongUse(
            f"{name} of {classes} classes takes the indices 0 to {classes - 1}, and there is a "
            f"target {high if high >= classes else low}"
        )


def _kl_div(input: Tensor, target: Tensor, options: Mapping[str, Any]) -> None:  # noqa: A002 - torch's name
    if bool((input > _ROUNDING).any()):
        raise WrongUse(
            "kl_div takes log-probabilities first, and these are no such: write "
            "log_softmax(output, dim=1)"
        )
    if options.get("log_target"):
        return
    if bool((target < 0).any()):
        raise WrongUse(
            "kl_div takes probabilities as targets, and some are negative: log_target=True"
        )
    if bool((target > 1 + _ROUNDING).any()):
        raise WrongUse(
            "kl_div takes probabilities as targets, and some are above 1: write "
            "softmax(target, dim=1)"
        )


def _bce(input: Tensor, target: Tensor, options: Mapping[str, Any]) -> None:  # noqa: A002 - torch's name
    del options
    name = "binary_cross_entropy"
    if input.shape != target.shape:
        _check_same_shape(name, input, target)
    if not target.is_floating_point():
        given = dtype_name(target.dtype)
        raise WrongUse(f"{name} takes float targets, and these are {given}: target.float()")
    outside = target[(target < 0) | (target > 1)]
    if len(outside):
        raise WrongUse(
            f"{name} takes targets from 0 to 1, and there is a {float(outside[0]):g}: with it the "
            "loss has no lower end"
        )


def _check_same_shape(name: str, input: Tensor, target: Tensor) -> None:  # noqa: A002 - torch's name
    if input.shape == target.shape:
        return
    raise WrongUse(
        f"{name} of an output {tuple(input.shape)} and a target {tuple(target.shape)} compares "
        f"each with each: {_to_one_shape(input, target)}"
    )


def _check_columns(func: Callable[..., Any], parts: Sequence[Tensor], result: Tensor) -> None:
    """Raise WrongUse where (N, 1) outputs and (N,) targets make (N, N).

    Two outputs, or two targets, may be meant to be compared each with each.
    """
    count = len(result)
    if tuple(result.shape) != (count, count):
        return
    for output, target in product(parts, repeat=2):
        if (
            output.requires_grad
            and not target.requires_grad
            and len(output) == count
            and _are_columns(output, target)
        ):
            name = getattr(func, "__name__", "a function").strip("_")
            raise WrongUse(
                f"{name} of an output {tuple(output.shape)} and a target "
                f"{tuple(target.shape)} makes ({count}, {count}): {_to_one_shape(output, target)}"
            )


def _are_columns(one: Tensor, other: Tensor) -> bool:
    """Return whether one is (N, 1) and the other (N,), for N above 1."""
    shapes = sorted((tuple(one.shape), tuple(other.shape)), key=len)
    count = max(map(max, filter(None, shapes)), default=0)
    return count > 1 and shapes == [(count,), (count, 1)]


def _to_one_shape(output: Tensor, target: Tensor) -> str:
    if output.dim() == target.dim() + 1:
        return "write output.squeeze(1)"
    return "write target.squeeze(1)" if target.dim() == output.dim() + 1 else "they must be equal"


def _are_probabilities(output: Tensor) -> bool:
    if output.dim() != 2 or not output.is_floating_point():
        return False
    sums = output.detach().sum(dim=1)
    return bool((output >= 0).all()) and bool(((sums - 1).abs() < _ROUNDING).all())


_CHECKS: Mapping[str, Callable[[Tensor, Tensor, Mapping[str, Any]], None]] = {
    "cross_entropy": _cross_entropy,
    "nll_loss": _nll,
    "kl_div": _kl_div,
    "binary_cross_entropy": _bce,
    "binary_cross_entropy_with_logits": _bce,
}
assert all(hasattr(functional, name) for name in (*_CHECKS, *_PAIRWISE)), torch.__version__
