"""The hooks that a loop calls at every step: they leave early what is none of the loop's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch._C import _is_tracing
from torch._C._functorch import peek_interpreter_stack as _in_func
from torch.compiler import is_dynamo_compiling
from torch.optim import Optimizer

from tuitrain.watcher.dynamo import apart, is_real, whole_apart

if TYPE_CHECKING:
    from tuitrain.watcher.hooks import Hooks


def of_loss(hooks: Hooks, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of LOSSES, or the `forward` of a criterion."""
    watching = hooks.watching

    @functools.wraps(original)
    def loss(*args: Any, **kwargs: Any) -> Any:
        # Dynamo evaluates the first condition while it compiles, and leaves out the rest
        if is_dynamo_compiling() or hooks.is_inside_loss or _is_tracing() or _in_func():
            return original(*args, **kwargs)
        if hooks.thread != get_ident() and not hooks.looks():
            return original(*args, **kwargs)
        hooks.is_inside_loss = True
        began = perf_counter_ns()
        try:
            value = hooks.swapped(name, args, kwargs) if watching.loop.is_swapped else None
            if value is None:
                value = original(*args, **kwargs)
            try:
                if (type(value) is Tensor and not value.is_meta) or is_real(value):  # else several
                    watching.after_loss(name, value, args, kwargs, began)
            except Exception as error:  # noqa: BLE001 - the loop must go on
                hooks.lose("after_loss", error)
            return value
        finally:
            hooks.is_inside_loss = False

    return loss


def of_backward(hooks: Hooks, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `torch.autograd.backward`, which `Tensor.backward` calls."""
    watching = hooks.watching

    @functools.wraps(original)
    def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> Any:
        if hooks.is_inside_backward:  # a checkpointed part has its own
            return original(tensors, grad_tensors, *args, **kwargs)
        if hooks.thread != get_ident():
            if not hooks.looks():
                return original(tensors, grad_tensors, *args, **kwargs)
            hooks.thread = get_ident()
        if type(tensors) is not Tensor and isinstance(tensors, Iterator):
            tensors = tuple(tensors)
        hooks.is_inside_backward = True
        began = perf_counter_ns()
        hooks.backward_pass = tensors, grad_tensors, began
        try:
            original(tensors, grad_tensors, *args, **kwargs)
            is_reported = hooks.backward_pass is None  # a step within it is of this pass
        finally:
            hooks.is_inside_backward, hooks.backward_pass = False, None
        if is_reported:
            return None
        try:
            watching.after_backward(tensors, grad_tensors, began)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            hooks.lose("after_backward", error)

    return apart(backward)


def before(hooks: Hooks) -> Callable[..., Any]:
    """Return the hook that PyTorch calls before each step of any optimizer."""
    watching = hooks.watching

    def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        if hooks.thread != get_ident() and not hooks.looks():
            return None
        hooks.nests, hooks.begun = hooks.nests or hooks.begun, True
        if optimizer is watching.calm and len(args) == 1 and not kwargs and not hooks.nests:
            return None
        return hooks.see_step("before_step", optimizer, args, kwargs)

    return whole_apart(before_step)


def after(hooks: Hooks) -> Callable[..., None]:
    """Return the hook that PyTorch calls after each step of any optimizer."""
    watching = hooks.watching

    def after_step(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        if hooks.thread != get_ident() and not hooks.looks():
            return
        hooks.begun = False
        if optimizer is not watching.calm or hooks.nests or hooks.is_inside_backward:
            hooks.see_step("after_step", optimizer)
            return
        hooks.is_inside_step = True
        try:
            watching.after_step(optimizer)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            hooks.lose("after_step", error)
        finally:
            hooks.is_inside_step = False

    return whole_apart(after_step)


def of_fetch(hooks: Hooks, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the `__next__` of a loader's iterator."""
    watching = hooks.watching

    @functools.wraps(original)
    def fetch(self: Any) -> Any:
        if hooks.thread != get_ident() and not hooks.looks():
            return original(self)
        hooks.fetched_at = began = perf_counter_ns()
        try:
            batch = original(self)
        except StopIteration:
            hooks.see("after_fetch", None, began)
            raise
        try:
            watching.after_fetch(self, began)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            hooks.lose("after_fetch", error)
        return batch

    return apart(fetch)
