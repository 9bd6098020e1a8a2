"""The five steps that every training of a neural network repeats."""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_, get_total_norm

from tuitrain.core.events import BatchDone
from tuitrain.engine.optim import take_step
from tuitrain.engine.training import Training


def zero_grad(weights: Iterable[Parameter]) -> None:
    """Forget the gradients of the last batch.

    As `optimizer.zero_grad()`, without the profiler's hook around it: 0.5 instead of 12 µs.
    """
    for each in weights:
        each.grad = None


def check_finite(loss: Tensor, weights: Iterable[Parameter]) -> Tensor:
    """Return 1 if the loss or a gradient is NaN or infinite, else 0, without reading a value.

    A float32 scalar on the loss's device, whatever dtypes and layouts the gradients have.
    """
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for numbers in (loss, *_gradients(weights)):
        groups.setdefault((numbers.device, numbers.dtype), []).append(numbers)
    bad, *more = (_found_in(numbers, *kind) for kind, numbers in groups.items())
    for other in more:
        bad = torch.maximum(bad, other.to(bad.device, non_blocking=True))
    return bad


def _gradients(weights: Iterable[Parameter]) -> Iterator[Tensor]:
    """Yield the numbers of each gradient; of a sparse one those that it holds."""
    for parameter in weights:
        gradient = parameter.grad
        if gradient is not None:
            yield gradient._values() if gradient.is_sparse else gradient


def _found_in(numbers: list[Tensor], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return 1 if one of them is not finite: by one kernel over all of them, where torch has it."""
    if not _has_kernel(device, dtype):
        finite = torch.stack([each.isfinite().all() for each in numbers])
        return 1 - finite.all().float()
    bad = torch.zeros((), dtype=torch.float32, device=device)
    torch._amp_foreach_non_finite_check_and_unscale_(numbers, bad, _one(device))
    return bad


@cache
def _has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernel behind `torch.amp.GradScaler` takes such tensors; by trying."""
    bad = torch.zeros((), dtype=torch.float32, device=device)
    tried = [torch.zeros(1, dtype=dtype, device=device)]
    try:
        torch._amp_foreach_non_finite_check_and_unscale_(tried, bad, _one(device))
    except RuntimeError:
        return False
    return True


@cache
def _one(device: torch.device) -> Tensor:
    """Return the scale that leaves gradients as they are; made once, since it is never changed."""
    return torch.ones((), dtype=torch.float32, device=device)


def gradient_norm(run: Training) -> Tensor:
    """Return the 2-norm of all gradients of the last batch together, before they were clipped.

    A device scalar; one kernel computes the norms of all of them.
    """
    if run.clip_norm is not None and run.unclipped_norm is not None:
        return run.unclipped_norm
    gradients = (each.grad for each in run.weights if each.grad is not None)
    return get_total_norm([_dense(gradient) for gradient in gradients])


def _dense(gradient: Tensor) -> Tensor:
    """Return a tensor with the same norm that foreach kernels take."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def check_finite_fast(run: Training, loss: Tensor) -> Tensor:
    """Return what `check_finite` does, in the way that costs least on the run's device."""
    if run.reads_at_once and _has_finite_sums(loss, run.weights):
        return _zero(loss.device)
    return check_finite(loss, run.weights)


def _has_finite_sums(loss: Tensor, weights: Iterable[Parameter]) -> bool:
    """Return whether the sums of all gradients are finite; then every number in them is.

    Not the other way round: large numbers may have no finite sum. Reads each sum.
    """
    total = loss.item()
    for each in weights:
        if each.grad is not None:
            total += each.grad.sum().item()
    return cmath.isfinite(total)  # of complex weights, the sum is complex


@cache
def _zero(device: torch.device) -> Tensor:
    return torch.zeros((), dtype=torch.float32, device=device)


def optimizer_step(run: Training, bad: Tensor) -> None:
    """Let the optimizer change the weights; a bad batch changes neither them nor the buffers.

    Where reading that would make the host wait, fused optimizers take it as `found_inf`, and skip
    the step on the device itself.
    """
    optimizer = run.optimizer
    if not run.reads_at_once and optimizer.defaults.get("fused"):
        run.buffers.put_back_if(bad)
        optimizer.found_inf, optimizer.grad_scale = bad, None  # type: ignore[attr-defined]
        take_step(optimizer)
    elif bad:
        run.buffers.put_back()
    else:
        take_step(optimizer)


def train_step(run: Training, data: Tensor, target: Tensor, began: Any) -> BatchDone:
    """Train on one batch and say what came of it; `began` is the mark from before it was fetched.

    Data and target are on the device already. Nothing here reads a value from there: that would
    make it wait at every batch.
    """
    mark = run.stopwatch.mark
    after_fetch = mark()
    zero_grad(run.weights)
    after_zero_grad = mark()
    run.buffers.keep()
    output = run.model(data)
    after_forward = mark()
    loss = run.criterion(output, target)
    after_loss = mark()
    loss.backward()  # type: ignore[no-untyped-call]
    after_backward = mark()
    loss, samples = loss.detach(), target.shape[0]  # len() of a tensor takes ten times as long
    bad = check_finite_fast(run, loss)
    if run.clip_norm is not None:
        run.unclipped_norm = clip_grad_norm_(run.weights, run.clip_norm)
    run.follow_schedule()
    optimizer_step(run, bad)
    after_step = mark()

    run.newest_batch = output.detach(), target
    run.epoch_loss.add(loss, samples, bad)
    run.step += 1
    run.batch += 1
    marks = (
        began,
        after_fetch,
        after_zero_grad,
        after_forward,
        after_loss,
        after_backward,
        after_step,
    )
    return BatchDone(run.take, run.step, run.epoch + 1, loss, run.lr, samples, marks, bad)
