"""The hooks that a loop calls at every step.

Of a calm step each keeps the numbers itself, so that a step makes few calls of Python. Of any other
step `Watching` is told. For the same reason each catches errors itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from torch import Tensor, is_grad_enabled
from torch._C import _is_tracing
from torch._C._functorch import peek_interpreter_stack as _in_func
from torch.compiler import is_dynamo_compiling
from torch.optim import Optimizer

from tuitrain.watcher.dynamo import apart, is_real, whole_apart
from tuitrain.watcher.propagated import copied
from tuitrain.watcher.times import BACKWARD, FORWARD, LOSS, PARTS, STEP

if TYPE_CHECKING:
    from tuitrain.watcher.hooks import Hooks


def of_loss(  # noqa: C901, PLR0915 - it makes few calls, since it runs at every step
    hooks: Hooks, name: str, original: Callable[..., Any]
) -> Callable[..., Any]:
    """Wrap a function of LOSSES, or the `forward` of a criterion."""
    watching, step = hooks.watching, hooks.watching.in_hand

    @functools.wraps(original)
    def loss(*args: Any, **kwargs: Any) -> Any:  # noqa: C901 - as above
        # Dynamo evaluates the first condition while it compiles, and leaves out the rest
        if is_dynamo_compiling() or hooks.is_inside_loss or _is_tracing() or _in_func():
            return original(*args, **kwargs)
        if hooks.thread != get_ident() and not hooks.looks():
            return original(*args, **kwargs)
        hooks.is_inside_loss = True
        began = perf_counter_ns()
        try:
            value = None
            if step.calm is None and watching.loop.is_swapped:
                value = hooks.swapped(name, args, kwargs)
            if value is None:
                value = original(*args, **kwargs)
            try:
                if (
                    step.calm is not None
                    and not step.samples
                    and type(value) is Tensor
                    and not value.is_meta
                    and is_grad_enabled()
                ):
                    now, spent, sources = perf_counter_ns(), step.spent, step.sources
                    spent[FORWARD] += began - step.last
                    spent[LOSS] += now - began
                    step.last = now
                    target = args[1] if len(args) > 1 else kwargs.get("target")
                    shape = target.shape if isinstance(target, Tensor) else ()
                    step.samples = sources.samples = shape[0] if shape else 1
                    if sources.unused:
                        sources.use(trains=True)
                elif is_real(value):  # a criterion may return several
                    watching.after_loss(name, value, args, kwargs, began)
            except Exception as error:  # noqa: BLE001 - the loop must go on
                hooks.lose("after_loss", error)
            return value
        finally:
            hooks.is_inside_loss = False

    return loss


def of_backward(  # noqa: C901 - as above
    hooks: Hooks, original: Callable[..., Any]
) -> Callable[..., Any]:
    """Wrap `torch.autograd.backward`, which `Tensor.backward` calls."""
    watching, step = hooks.watching, hooks.watching.in_hand

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
        hooks.backward_pass = began, tensors, grad_tensors
        try:
            original(tensors, grad_tensors, *args, **kwargs)
            if hooks.backward_pass is None:  # a step within it is of this pass
                return None
        finally:
            hooks.is_inside_backward, hooks.backward_pass = False, None
        try:
            if step.calm is None or not (
                step.samples
                and step.propagated.is_plain
                and grad_tensors is None
                and type(tensors) is Tensor
                and not tensors.is_meta
            ):
                watching.after_backward(tensors, grad_tensors, began)
                return None
            now, spent, propagated = perf_counter_ns(), step.spent, step.propagated
            spent[LOSS] += began - step.last
            spent[BACKWARD] += now - began
            step.last = now
            propagated.last = propagated.total = (
                tensors.item() if tensors.is_cpu else copied(tensors)
            )
            propagated.passes, propagated.samples, step.samples = 1, step.samples, 0
            propagated.dtype, propagated.is_plain, propagated.has_plain = tensors.dtype, False, True
        except Exception as error:  # noqa: BLE001 - the loop must go on
            hooks.lose("after_backward", error)
        return None

    return apart(backward)


def before(hooks: Hooks) -> Callable[..., Any]:
    """Return the hook that PyTorch calls before each step of any optimizer."""
    step = hooks.watching.in_hand

    def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        if optimizer is step.calm and len(args) == 1 and not kwargs and not step.begun:
            step.begun = True
            return None
        if hooks.thread != get_ident() and not hooks.looks():
            return None
        step.begun = True
        return hooks.before_step(optimizer, args, kwargs)

    return whole_apart(before_step)


def after(hooks: Hooks) -> Callable[..., None]:
    """Return the hook that PyTorch calls after each step of any optimizer."""
    watching, step = hooks.watching, hooks.watching.in_hand

    def after_step(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        if hooks.thread != get_ident() and not hooks.looks():
            return
        step.begun = False
        if optimizer is not step.calm or hooks.is_inside_backward or hooks.nests:
            hooks.after_step(optimizer)
            return
        try:
            now, spent = perf_counter_ns(), step.spent
            spent[STEP] += now - step.last
            step.spent, step.last = [0] * PARTS, now
            loop, propagated = watching.loop, step.propagated
            loss, samples = propagated.total, propagated.samples
            lr = optimizer.param_groups[0].get("lr")
            if propagated.has_plain:
                propagated.passes = propagated.samples = 0
                propagated.is_plain, propagated.has_plain = True, False
            else:
                propagated.take()
            loop.step += 1
            loop.batch += 1
            step.record((
                now / 1e9, loop.take, loop.step, loop.epoch + 1, loss,
                lr if type(lr) is float else loop.scaled(lr), samples, spent, 0.0,
            ))  # fmt: skip
            if now >= step.look_at:
                hooks.look(optimizer)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            hooks.lose("after_step", error)

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
