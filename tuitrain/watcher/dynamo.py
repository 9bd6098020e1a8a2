"""`torch.compile` is kept out of the hooks: traced, they would see no numbers, and break in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any, TypeVar

from torch import Tensor
from torch.optim import Optimizer

_Function = TypeVar("_Function", bound=Callable[..., Any])
_STAND_INS = ("FakeTensor", "FunctionalTensor")
"""Names of the classes of tensors that a compiler traces."""


def apart(function: _Function) -> _Function:
    """Let a function run as it is, also within what is compiled; what it calls may be compiled."""
    function._torchdynamo_disable = True  # type: ignore[attr-defined]  # an attribute that Dynamo reads
    _skip(function.__code__, together=False)
    return function


def whole_apart(function: _Function) -> _Function:
    """Let a function run as it is, also within what is compiled, and all that it calls."""
    with suppress(AttributeError):  # a method
        function._torchdynamo_disable = True  # type: ignore[attr-defined]  # an attribute that Dynamo reads
    _skip(function.__code__, together=True)
    return function


def is_real(value: Any) -> bool:
    """Return whether a value is a tensor that has numbers."""
    return isinstance(value, Tensor) and not is_simulated(value)


def is_simulated(value: Any) -> bool:
    """Return whether a value is a tensor without numbers: of a compiler, or of an estimate."""
    return isinstance(value, Tensor) and (type(value).__name__ in _STAND_INS or value.is_meta)


def estimates(optimizer: Optimizer) -> bool:
    """Return whether an optimizer trains weights without numbers, to estimate what they need."""
    with suppress(Exception):  # it may have groups of its own kind
        return any(map(is_simulated, optimizer.param_groups[0]["params"][:1]))
    return False


def _skip(code: CodeType, *, together: bool) -> None:
    with suppress(ImportError):  # an earlier PyTorch may have no such call
        from torch._C._dynamo.eval_frame import (
            _FrameAction,
            _FrameExecStrategy,
            set_code_exec_strategy,
        )

        others = _FrameAction.SKIP if together else _FrameAction.DEFAULT
        set_code_exec_strategy(code, _FrameExecStrategy(_FrameAction.SKIP, others))
