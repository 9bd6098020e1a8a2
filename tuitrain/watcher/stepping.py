"""What the user's settings change in a step of a watched loop, on each rank that takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.optim import Optimizer

from tuitrain.watcher.losses import Call
from tuitrain.watcher.objects import parameters_of
from tuitrain.watcher.watched import Watched


class Stepping:
    """The hooks on a step, as `Watching` has them."""

    loop: Watched
    optimizer: Optimizer | None = None
    """The one that steps, or stepped last."""
    calm: Optimizer | None = None
    """As `Watching` has it."""

    def meet(self, optimizer: Optimizer) -> None:
        """Another optimizer than that of the step before takes its step."""
        raise NotImplementedError

    def is_finite(self, optimizer: Optimizer) -> bool:
        """Return whether a step can be taken: whether its loss and gradients are finite."""
        raise NotImplementedError

    def evaluates(self) -> None:
        """A closure is called."""

    def leave_out(self, optimizer: Optimizer) -> None:
        """Let the optimizer take a step that changes nothing."""
        for parameter in parameters_of(optimizer):
            parameter.grad = None

    def before_loss(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        return self.loop.instead(Call(name, args, kwargs)) if is_grad_enabled() else None

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        loop = self.loop
        if optimizer is not self.optimizer:
            self.meet(optimizer)
        if loop.factor != 1:
            loop.lend_rates(optimizer)
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if callable(closure) and not isinstance(closure, nn.Module):  # else it is another argument
            return self._with_closure(optimizer, closure, args, kwargs)
        if loop.clip_norm is not None or loop.on_nonfinite != "alert":
            self._before_update(optimizer)
        return None

    def _with_closure(
        self, optimizer: Optimizer, closure: Callable[..., Any], args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
        """Check and clip the gradients that a closure has just computed."""

        def checked(*given: Any, **named: Any) -> Any:
            self.evaluates()
            value = closure(*given, **named)
            self._before_update(optimizer)
            return value

        if len(args) > 1:
            return (args[0], checked, *args[2:]), kwargs
        return args, {**kwargs, "closure": checked}

    def _before_update(self, optimizer: Optimizer) -> None:
        """Clip gradients, and leave out a step with a nonfinite one if the user asked for that."""
        loop = self.loop
        if loop.on_nonfinite != "alert":
            if self.is_finite(optimizer):
                loop.buffers.keep(loop.parts.models)
            else:
                loop.buffers.restore(loop.parts.models)
                self.leave_out(optimizer)
        loop.clip(optimizer)
