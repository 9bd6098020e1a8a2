"""Each rank has all weights, and gradients are averaged by `DistributedDataParallel`."""

from __future__ import annotations

import cmath
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tuitrain.core.own import own_python
from tuitrain.engine.held import Held
from tuitrain.engine.ranks.strategy import Passed
from tuitrain.engine.training import Training

_ADDING_UP = nullcontext()


class Replicated:
    """The model of a run, with the weights that it has on the first rank."""

    def __init__(self, run: Training) -> None:
        # a model of the user's may not use each of its weights for each batch
        is_own = not run.spec.model or own_python(run.spec.model) is not None
        self._passes = _Passes(run.model, run.device, is_backwards=not is_own)
        self._parallel = DistributedDataParallel(
            self._passes, find_unused_parameters=is_own,
            gradient_as_bucket_view=True,  # else each gradient is copied out of what was sent
        )  # fmt: skip
        # else it orders them anew after its first step: where three or more are added up depends on
        # a gradient's place, and so would the weights of a resumed run on where it was resumed
        self._parallel.reducer._push_all_rebuilt_params()
        run.held = _InBuckets()

    def passing(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Let a forward and a backward pass be made; the last ones of a step add up gradients."""
        return _ADDING_UP if is_last else self._parallel.no_sync()

    def forward(self, run: Training, forward: Callable[[], Passed]) -> Passed:
        """Make a forward pass; the loss returned is the one to propagate."""
        passed: Passed = self._parallel(run, forward)
        return passed

    def mean_loss(self, run: Training) -> Tensor:
        """Return the mean over all ranks of the losses of a step."""
        del run
        loss, self._passes.mean_loss.grad = self._passes.mean_loss.grad, None
        assert loss is not None
        return loss.clone()  # the next step is sent in the same place

    def to_send(self, argument: Any) -> Any:
        """Return an argument of a method of the run as the first rank sends it to the others."""
        return argument


class _Passes(nn.Module):
    """A model's forward passes, and the mean of their losses over all ranks.

    The mean travels with the gradients, as that of one more weight, which stays 0: so it takes no
    message of its own, and a loss that is not finite on one rank is not finite on all.
    """

    def __init__(self, model: nn.Module, device: torch.device, *, is_backwards: bool) -> None:
        super().__init__()
        self._is_backwards = is_backwards
        self.model = model
        self.mean_loss = nn.Parameter(torch.zeros((), device=device))

    def named_modules(self, *arguments: Any, **named: Any) -> Iterator[tuple[str, nn.Module]]:
        """Yield each part; backwards, as their gradients come, so that the first are sent early."""
        modules = list(super().named_modules(*arguments, **named))
        yield from reversed(modules) if self._is_backwards else modules

    def forward(self, run: Training, forward: Callable[[], Passed]) -> Passed:
        output, loss, marks = forward()
        propagated = loss if run.gradient_scale is None else run.gradient_scale.scaled(loss)
        return output, torch.addcmul(propagated, self.mean_loss, loss.detach()), marks


class _InBuckets(Held):
    """Whole; the gradients are parts of the few tensors in which they are sent."""

    def has_finite_sum(self, run: Training, loss: Tensor) -> bool:
        total = loss.item() + sum(sent.sum().item() for sent in sent_gradients(run))
        return cmath.isfinite(total)


def sent_gradients(run: Training) -> list[Tensor]:
    """Return the tensors in which the gradients of a step were sent; the mean loss was, too."""
    parts = [weight.grad for weight in run.weights if weight.grad is not None]
    wholes = [part if part._base is None else part._base for part in parts]
    return list({id(whole): whole for whole in wholes}.values())
