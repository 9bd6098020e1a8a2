"""Hooks on PyTorch: what a training loop does is seen without a change of its code.

The loop's own objects stay what they are: an object put in the place of an optimizer would not pass
the checks of its scheduler.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol
from weakref import ref

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

from tuitrain.watcher.criterion import OWN, WatchedForward

LOSSES = tuple(
    name
    for name in functional.__dict__
    if name.endswith("_loss") or name in ("cross_entropy", "kl_div", "binary_cross_entropy")
    or name == "binary_cross_entropy_with_logits"
)  # fmt: skip
"""The functions of `torch.nn.functional` that return a loss; its modules call them by name."""

LOADER = "_tuitrain_loader"
"""Attribute of a loader's iterator: a weak reference to the loader."""


class Watching(Protocol):
    """What hooks call. Whatever it raises ends up in the watched loop."""

    def before_loss(self) -> None:
        """A function of LOSSES is called."""

    def loss_instead(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        """Return the value that the call shall return; None: its own."""

    def after_loss(self, name: str, value: Tensor, args: tuple[Any, ...], kwargs: Any) -> None:
        """It returned."""

    def before_backward(self, loss: Tensor) -> None:
        """`loss.backward()` is called."""

    def after_backward(self) -> None:
        """It returned."""

    def scaled(self, scaled: Any, loss: Any, scaler: Any) -> None:
        """A GradScaler multiplied a loss by its scale."""

    def before_scaler_step(self) -> None:
        """A GradScaler may take a step of the optimizer, or skip it."""

    def after_scaler_step(self) -> None:
        """It took or skipped the step."""

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments with which the optimizer shall take its step; None: these."""

    def after_step(self, optimizer: Optimizer) -> None:
        """The optimizer took a step."""

    def before_epoch(self, loader: Any) -> None:
        """A loader begins to yield its batches."""

    def before_fetch(self) -> None:
        """The loop waits for a batch of a loader."""

    def after_fetch(self, iterator: Any) -> None:
        """It has the batch."""


class Hooks:
    """The hooks of one watched loop; they are global, so there is at most one."""

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._undo = ExitStack()
        self._originals: dict[str, Callable[..., Any]] = {}
        self._is_inside_loss = False

    def install(self) -> None:
        """Put all hooks in their places; `remove` takes them out."""
        for name in LOSSES:
            self._originals[name] = getattr(functional, name)
            self._replace(functional, name, self._loss(name, self._originals[name]))
        self._replace(torch.Tensor, "backward", self._backward(torch.Tensor.backward))
        self._replace(torch.amp.GradScaler, "scale", self._scale(torch.amp.GradScaler.scale))
        self._replace(torch.amp.GradScaler, "step", self._scaler_step(torch.amp.GradScaler.step))
        self._replace(torch.jit, "script", self._script(torch.jit.script))
        self._replace(DataLoader, "__iter__", self._iter(DataLoader.__iter__))
        self._replace(_BaseDataLoaderIter, "__next__", self._next(_BaseDataLoaderIter.__next__))
        watching = self._watching
        for handle in (
            register_optimizer_step_pre_hook(lambda *given: watching.before_step(*given)),
            register_optimizer_step_post_hook(lambda optimizer, *_: watching.after_step(optimizer)),
        ):
            self._undo.callback(handle.remove)

    def watch_criterion(self, criterion: nn.Module) -> None:
        """See the calls of a criterion of the user's own as those of a loss function."""
        forward = WatchedForward(criterion, partial(self._loss, OWN))
        criterion.forward = forward

        def put_back() -> None:
            if criterion.__dict__.get("forward") is forward:
                del criterion.forward

        self._undo.callback(put_back)

    def remove(self) -> None:
        """Take all hooks out; what others have put over one of them stays."""
        self._undo.close()

    def _replace(self, owner: Any, name: str, wrapped: Any) -> None:
        original = getattr(owner, name)

        def put_back() -> None:
            if getattr(owner, name) is wrapped:
                setattr(owner, name, original)

        setattr(owner, name, wrapped)
        self._undo.callback(put_back)

    def _loss(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        watching = self._watching

        @functools.wraps(original)
        def loss(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling() or self._is_inside_loss:
                return original(*args, **kwargs)
            self._is_inside_loss = True
            try:
                watching.before_loss()
                value = watching.loss_instead(name, args, kwargs)
                if value is None:
                    value = original(*args, **kwargs)
                watching.after_loss(name, value, args, kwargs)
                return value
            finally:
                self._is_inside_loss = False

        return loss

    def _backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watching = self._watching

        @functools.wraps(original)
        def backward(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            watching.before_backward(self)
            result = original(self, *args, **kwargs)
            watching.after_backward()
            return result

        return backward

    def _scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watching = self._watching

        @functools.wraps(original)
        def scale(self: Any, outputs: Any) -> Any:
            scaled = original(self, outputs)
            watching.scaled(scaled, outputs, self)
            return scaled

        return scale

    def _scaler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watching = self._watching

        @functools.wraps(original)
        def step(*args: Any, **kwargs: Any) -> Any:
            watching.before_scaler_step()
            result = original(*args, **kwargs)
            watching.after_scaler_step()
            return result

        return step

    def _iter(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watching = self._watching

        @functools.wraps(original)
        def begin(self: DataLoader[Any]) -> Any:
            watching.before_epoch(self)
            iterator = original(self)
            setattr(iterator, LOADER, ref(self))
            return iterator

        return begin

    def _next(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watching = self._watching

        @functools.wraps(original)
        def fetch(self: Any) -> Any:
            watching.before_fetch()
            batch = original(self)
            watching.after_fetch(self)
            return batch

        return fetch

    def _script(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Give TorchScript the original loss functions: it compiles their source."""

        @functools.wraps(original)
        def script(*args: Any, **kwargs: Any) -> Any:
            with self._original_losses():
                return original(*args, **kwargs)

        return script

    @contextmanager
    def _original_losses(self) -> Iterator[None]:
        wrapped = {name: getattr(functional, name) for name in self._originals}
        for name, function in self._originals.items():
            setattr(functional, name, function)
        try:
            yield
        finally:
            for name, function in wrapped.items():
                setattr(functional, name, function)


@functools.cache
def signature(name: str) -> inspect.Signature:
    """Return the signature of a function of LOSSES."""
    return inspect.signature(inspect.unwrap(getattr(functional, name)))
