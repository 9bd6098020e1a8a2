"""Hooks on PyTorch: what a training loop does is seen without a change of its code.

The loop's own objects stay what they are: an object put in the place of an optimizer would not pass
the checks of its scheduler.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import get_ident
from typing import Any
from weakref import WeakMethod, ref

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from tuitrain.watcher import every_step
from tuitrain.watcher.criterion import OWN, WatchedForward
from tuitrain.watcher.diverted import Diverted, can_be_diverted
from tuitrain.watcher.dynamo import apart, estimates, whole_apart
from tuitrain.watcher.sources import LOADER
from tuitrain.watcher.watching import UNSEEN, Watching

LOSSES = tuple(
    name
    for name in functional.__dict__
    if name.endswith("_loss") or name in ("cross_entropy", "kl_div", "binary_cross_entropy")
    or name == "binary_cross_entropy_with_logits"
)  # fmt: skip
"""The functions of `torch.nn.functional` that return a loss; its modules call them by name."""


class Hooks:
    """The hooks of one watched loop; they are global, so there is at most one.

    The loop is that of the thread of the first backward pass. What other threads do is not seen,
    nor what forked processes do, such as the workers of a loader: they lose the hooks.

    Hooks cannot break the loop: whatever one of them raises is reported, and it does nothing
    afterwards. A KeyboardInterrupt passes, and so does the end that a stop asks for.
    """

    def __init__(self, watching: Watching, lose: Callable[[str, Exception], None]) -> None:
        """`lose` is called with the name of a hook that failed, and the error."""
        self.watching = watching
        self._report = lose
        self._undo = ExitStack()
        self._originals: dict[str, Callable[..., Any]] = {}
        self._diverted: list[tuple[Diverted, Callable[..., Any]]] = []
        self._criteria: list[tuple[nn.Module, WatchedForward]] = []
        self._is_on = False
        self.thread: int | None = None
        """The thread of the loop; None before the first backward pass."""
        self.is_inside_loss = self.is_inside_backward = self.is_inside_step = False
        self.backward_pass: tuple[Any, Any, int] | None = None
        """The backward pass in hand: of what, and when it began; None once it is reported."""
        self.fetched_at = 0
        """When a DataLoader was asked for its newest batch."""
        self.begun = self.nests = False
        """Whether a step began that is not over, and whether another one began within such a step:
        it may be that of the optimizer's base class."""

    def install(self) -> None:
        """Put all hooks in their places; `remove` takes them out."""
        self._is_on = True
        for name in UNSEEN:
            whole_apart(getattr(type(self.watching), name))
        for name in LOSSES:
            of_loss = partial(every_step.of_loss, self, name)
            self._originals[name] = self._divert(functional, name, of_loss)
        self._divert(torch.autograd, "backward", partial(every_step.of_backward, self))
        self._replace(torch.amp.GradScaler, "scale", self._scale(torch.amp.GradScaler.scale))
        self._replace(torch.amp.GradScaler, "step", self._scaler_step(torch.amp.GradScaler.step))
        owner, name = _TORCHSCRIPT
        self._replace(owner, name, self._script(getattr(owner, name)))
        self._replace(DataLoader, "__iter__", self._iter(DataLoader.__iter__))
        self._replace(_BaseDataLoaderIter, "__init__", self._made(_BaseDataLoaderIter.__init__))
        fetch = every_step.of_fetch(self, _BaseDataLoaderIter.__next__)
        self._replace(_BaseDataLoaderIter, "__next__", fetch)
        handles = (
            register_optimizer_step_pre_hook(every_step.before(self)),
            register_optimizer_step_post_hook(every_step.after(self)),
        )
        self._undo.callback(self._remove_handles, handles)
        in_child = WeakMethod(self.remove)
        os.register_at_fork(after_in_child=lambda: (remove := in_child()) and remove())

    def watch_criterion(self, criterion: nn.Module) -> None:
        """See the calls of a criterion of the user's own as those of a loss function."""
        forward = WatchedForward(criterion, partial(every_step.of_loss, self, OWN))
        criterion.forward = forward
        self._criteria.append((criterion, forward))
        self._undo.callback(_plain_again, criterion, forward)

    def remove(self) -> None:
        """Take all hooks out; what others have put over one of them stays."""
        self._is_on, self.thread = False, None
        self._undo.close()
        self._diverted.clear()

    def see(self, hook: str, *args: Any) -> None:
        """Call a hook."""
        try:
            getattr(self.watching, hook)(*args)
        except Exception as error:  # noqa: BLE001 - the loop must go on, whatever it is
            self.lose(hook, error)

    def step_by_hand(self, step: Callable[[Tensor], None], loss: Tensor) -> None:
        """Take a step that the loop itself reports, if it is watched."""
        if not self._is_on:
            return
        try:
            step(loss)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            self.lose("after_step", error)

    def lose(self, hook: str, error: Exception) -> None:
        """Report that a hook failed; it does nothing from now on."""
        setattr(self.watching, hook, _nothing)
        self._report(hook, error)

    def _remove_handles(self, handles: Iterable[Any]) -> None:
        """Remove the hooks on steps; in a step torch iterates over them, so they stay, idle."""
        if not self.is_inside_step:
            for handle in handles:
                handle.remove()

    def looks(self) -> bool:
        """Return whether the caller is the watched loop.

        At every step the thread is compared without this call, which would cost more.
        """
        return self._is_on and (self.thread is None or self.thread == get_ident())

    def _divert(
        self, owner: Any, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> Callable[..., Any]:
        """Let a function's calls go to the one that wraps it; return it as it was."""
        function: Callable[..., Any] = getattr(owner, name)
        if any(known.function is function for known, _ in self._diverted):
            return function  # it has two names, as where a program put one in another's place
        if not can_be_diverted(function):
            self._replace(owner, name, wrapped(function))
            return function
        diverted = Diverted(function, name)
        other = wrapped(diverted.original)
        diverted.divert(other)
        self._diverted.append((diverted, other))
        self._undo.callback(diverted.put_back)
        return diverted.original

    def _replace(self, owner: Any, name: str, wrapped: Any) -> None:
        original = getattr(owner, name)

        def put_back() -> None:
            if getattr(owner, name) is wrapped:
                setattr(owner, name, original)

        setattr(owner, name, wrapped)
        self._undo.callback(put_back)

    def see_step(self, hook: str, optimizer: Optimizer, *args: Any) -> Any:
        """Call a hook on a step, unless the step is part of another one, or only an estimate."""
        if self.nests and _is_within_itself(optimizer):
            return None
        if optimizer is not self.watching.calm and estimates(optimizer):
            return None
        if self.is_inside_backward:
            self._report_pass()
        self.is_inside_step = True
        try:
            return getattr(self.watching, hook)(optimizer, *args)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            self.lose(hook, error)
            return None
        finally:
            self.is_inside_step = False

    def swapped(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        """Return the value of the swapped loss for a call; None if it has its own.

        Raises what the script's own function raises for it.
        """
        try:
            return self.watching.before_loss(name, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the loop must go on
            if name in self._originals:  # it may raise, too: then the call is wrong
                self._originals[name](*args, **kwargs)
            self.lose("before_loss", error)
            return None

    def _report_pass(self) -> None:
        """Report the backward pass in hand: a hook on a gradient takes a step within it."""
        if self.backward_pass is not None:
            found, self.backward_pass = self.backward_pass, None
            self.see("after_backward", *found)

    def _scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(self_: Any, outputs: Any) -> Any:
            scaled = original(self_, outputs)
            if self.looks():
                self.see("scaled", scaled, outputs, self_)
            return scaled

        return apart(scale)

    def _scaler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(*args: Any, **kwargs: Any) -> Any:
            if not self.looks():
                return original(*args, **kwargs)
            self.see("before_scaler_step")
            result = original(*args, **kwargs)
            self.see("after_scaler_step")
            return result

        return apart(step)

    def _iter(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def begin(self_: DataLoader[Any]) -> Any:
            if self.looks():
                self.see("before_epoch", self_)
            return original(self_)

        return apart(begin)

    def _made(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def made(self_: Any, loader: DataLoader[Any], *args: Any, **kwargs: Any) -> None:
            original(self_, loader, *args, **kwargs)
            setattr(self_, LOADER, ref(loader))

        return apart(made)

    def _script(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Give TorchScript the original loss functions and criteria: it compiles their source."""

        @functools.wraps(original)
        def script(*args: Any, _frames_up: int = 0, **kwargs: Any) -> Any:
            with self._original_losses():
                return original(
                    *args, _frames_up=_frames_up + 1, **kwargs
                )  # names are its caller's

        return script

    @contextmanager
    def _original_losses(self) -> Iterator[None]:
        for diverted, _ in self._diverted:
            diverted.put_back()
        plain = [watched for watched in self._criteria if _plain_again(*watched)]
        try:
            yield
        finally:
            for diverted, other in self._diverted:
                diverted.divert(other)
            for criterion, forward in plain:
                criterion.forward = forward


def _plain_again(criterion: nn.Module, forward: WatchedForward) -> bool:
    """Give a watched criterion its own `forward` back; return whether it had the watched one."""
    if criterion.__dict__.get("forward") is not forward:
        return False
    del criterion.forward
    return True


_TORCHSCRIPT: tuple[Any, str] = (
    (torch.jit._script, "_script_impl")
    if hasattr(torch.jit._script, "_script_impl")
    else (torch.jit, "script")
)
"""The function that compiles for TorchScript: that which `torch.jit.script` calls, so that it does
not matter when a program imported that one."""


def _nothing(*_: Any) -> None:
    """Do nothing."""


_STEP = Optimizer.profile_hook_step(_nothing).__code__
"""The code that calls the hooks around a step."""


def _is_within_itself(optimizer: Optimizer) -> bool:
    """Return whether the step that calls a hook was called by another one of the same optimizer."""
    frame = sys._getframe(3).f_back
    while frame is not None:
        if frame.f_code is _STEP and frame.f_locals.get("self") is optimizer:
            return True
        frame = frame.f_back
    return False


def signature(name: str) -> inspect.Signature | None:
    """Return the signature of a function of LOSSES, whatever a script put in its place since.

    None where one that tells nothing was put there before tuitrain was imported.
    """
    found = _SIGNATURES[name]
    return found if "reduction" in found.parameters else None


_SIGNATURES = {name: inspect.signature(getattr(functional, name)) for name in LOSSES}
