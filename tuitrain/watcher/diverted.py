"""Functions of PyTorch that call ours, and stay the objects that a program knows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, TypeGuard

_PREFIX = "_tuitrain_"


class Diverted:
    """A function whose calls go to another one.

    One put in its place would not be the object that a program has already, or keeps for later:
    a model that holds it could not be pickled, and `__torch_function__` would not know it.
    """

    def __init__(self, function: FunctionType, name: str) -> None:
        """`name` tells it from others of its module."""
        self.function, self._code = function, function.__code__
        self._name = f"{_PREFIX}{name}"
        copy = FunctionType(
            self._code, function.__globals__, function.__name__, function.__defaults__
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        self.original: Callable[..., Any] = functools.update_wrapper(copy, function)
        """It does what the function did."""
        del self.original.__wrapped__  # it is the one that is wrapped

    def divert(self, to: Callable[..., Any]) -> None:
        """Let its calls go to another function."""
        function = self.function
        function.__globals__[self._name] = to
        function.__code__ = _code(self._name, function.__name__, function.__qualname__)
        function.__wrapped__ = self.original  # type: ignore[attr-defined]  # its signature

    def put_back(self) -> None:
        """Let it do again what it did."""
        self.function.__code__ = self._code
        vars(self.function).pop("__wrapped__", None)
        self.function.__globals__[self._name] = self.original  # another thread may be on its way


def can_be_diverted(function: Callable[..., Any]) -> TypeGuard[FunctionType]:
    """Return whether it is a plain function that was not wrapped before."""
    is_plain = isinstance(function, FunctionType) and not function.__closure__
    return is_plain and not hasattr(function, "__wrapped__")


@functools.cache
def _code(other: str, name: str, qualname: str) -> CodeType:
    """Return the code that calls the function of a name.

    It is made once: what `torch.compile` made of it in one watched loop serves in the next.
    """
    return _through.__code__.replace(co_names=(other,), co_name=name, co_qualname=qualname)


def _through(*args: Any, **kwargs: Any) -> Any:
    """Call the function of a name that is filled in."""
    return _other(*args, **kwargs)


def _other(*_args: Any, **_kwargs: Any) -> Any:
    """Stand for it."""
