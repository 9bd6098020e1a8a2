"""The five steps of training on one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import get_total_norm

from tuitrain.core.events import BatchDone
from tuitrain.engine.batches import rows
from tuitrain.engine.device import on_device
from tuitrain.engine.gradient_scale import GradientScale, gradients_of
from tuitrain.engine.training import Training


def zero_grad(run: Training) -> None:
    """Clear the gradients of the last step; CUDA graphs may overwrite what it left from here on.

    Does what `optimizer.zero_grad()` does without its profiler hook: 0.5 instead of 12 µs.
    """
    for parameter in run.weights:
        parameter.grad = None
    if run.has_graphs:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch's has no types


def check_finite(loss: Tensor, weights: Iterable[Parameter]) -> Tensor:
    """Return 1 if the loss or a gradient is NaN or infinite, else 0, without reading a value.

    The result is a float32 scalar on the loss's device. Gradients may have any dtype and layout.
    """
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for numbers in (loss, *gradients_of(weights)):
        groups.setdefault((numbers.device, numbers.dtype), []).append(numbers)
    nonfinite, *others = (_check_group(numbers, *kind) for kind, numbers in groups.items())
    for other in others:
        nonfinite = torch.maximum(nonfinite, on_device(other, nonfinite.device))
    return nonfinite


def _check_group(numbers: list[Tensor], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return 1 if any value is nonfinite, else 0; one fused kernel checks all, if torch has it."""
    if not _has_kernel(device, dtype):
        finite = torch.stack([tensor.isfinite().all() for tensor in numbers])
        return 1 - finite.all().float()
    nonfinite = torch.zeros((), dtype=torch.float32, device=device)
    torch._amp_foreach_non_finite_check_and_unscale_(numbers, nonfinite, _one(device))
    return nonfinite


@cache
def _has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernel behind `torch.amp.GradScaler` takes such tensors; calls it once."""
    nonfinite = torch.zeros((), dtype=torch.float32, device=device)
    tensors = [torch.zeros(1, dtype=dtype, device=device)]
    try:
        torch._amp_foreach_non_finite_check_and_unscale_(tensors, nonfinite, _one(device))
    except RuntimeError:
        return False
    return True


@cache
def _one(device: torch.device) -> Tensor:
    """Return the scale 1, which leaves gradients unchanged; cached, since it never changes."""
    return torch.ones((), dtype=torch.float32, device=device)


def gradient_norm(run: Training) -> Tensor:
    """Return the 2-norm of all gradients of the last batch together, before clipping.

    The result is a device scalar; one kernel computes all norms.
    """
    if run.unclipped_norm is not None:
        return run.unclipped_norm
    gradients = (weight.grad for weight in run.weights if weight.grad is not None)
    return get_total_norm([dense(gradient) for gradient in gradients])


def dense(gradient: Tensor) -> Tensor:
    """Return a tensor of the same norm in a layout that foreach kernels accept."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def check_finite_fast(run: Training, loss: Tensor) -> Tensor:
    """Return what `check_finite` returns, by the cheapest way on the run's device."""
    if run.is_synchronous and run.held.has_finite_sum(run, loss):
        return _zero(loss.device)
    return check_finite(loss, run.weights)


def unscale(run: Training, scale: GradientScale, loss: Tensor) -> tuple[Tensor, Tensor]:
    """Unscale the gradients; return whether they are not finite, and whether to leave them out.

    They are left out, too, where only the scale was too large.
    """
    overflow = run.held.agreed(run, scale.unscale(run.weights))
    is_loss_finite = loss.isfinite().float()
    nonfinite = torch.maximum(1 - is_loss_finite, overflow * scale.is_at_end())
    left_out = torch.maximum(nonfinite, overflow)
    scale.update(overflow * is_loss_finite)  # of a loss that is NaN, no scale is the reason
    return nonfinite, left_out


@cache
def _zero(device: torch.device) -> Tensor:
    return torch.zeros((), dtype=torch.float32, device=device)


def optimizer_step(run: Training, nonfinite: Tensor) -> None:
    """Update the weights; where `nonfinite` is 1, leave weights and buffers as they were.

    Where reading it would synchronise, fused optimizers take it as `found_inf` and skip the
    step on the device; of others, the step is taken back there.
    """
    optimizer = run.optimizer
    if not run.is_synchronous and optimizer.defaults.get("fused"):
        run.buffers.restore_if(nonfinite)
        optimizer.found_inf, optimizer.grad_scale = nonfinite, None  # type: ignore[attr-defined]  # read by fused ones
        run.steps.take(optimizer)
    elif not run.is_synchronous and (backup := run.step_backup()) is not None:
        run.buffers.restore_if(nonfinite)
        backup.keep()
        run.steps.take(optimizer)
        backup.restore_if(nonfinite)
    elif nonfinite:
        run.buffers.restore()
    else:
        run.steps.take(optimizer)


class Added(NamedTuple):
    """The results of a forward and a backward pass, or of several, one after the other."""

    output: Tensor
    loss: Tensor
    marks: tuple[Any, ...]
    """Readings after forward, loss and backward, of each pass."""


def _add_gradients(
    run: Training,
    call: Callable[[Any], Tensor],
    data: Any,
    target: Tensor,
    share: float | None = None,
) -> Added:
    """Add the gradients of the loss of a batch, or of its share of a mean loss, to the weights'."""
    mark = run.stopwatch.mark
    output = call(data)
    if run.has_graphs:
        output = output.clone()  # the next step overwrites it
    after_forward = mark()
    loss = run.criterion(output, target)
    if share is not None:
        loss = loss * share
    after_loss = mark()
    propagated = loss if run.gradient_scale is None else run.gradient_scale.scaled(loss)
    propagated.backward()  # type: ignore[no-untyped-call]  # torch's has no types
    return Added(output.detach(), loss.detach(), (after_forward, after_loss, mark()))


def _add_gradients_of_parts(
    run: Training, call: Callable[[Any], Tensor], data: Any, target: Tensor
) -> Added:
    """Add the gradients of the mean loss of several batches, weighted by their samples."""
    passes = [_add_gradients(run, call, *part) for part in parts_of(run, data, target)]
    outputs, losses, marks = zip(*passes, strict=True)
    return Added(torch.cat(outputs), torch.stack(losses).sum(), sum(marks, ()))


def parts_of(run: Training, data: Any, target: Tensor) -> Iterator[tuple[Any, Tensor, float]]:
    """Yield the batches of one step, and the share of its samples that each of them has."""
    samples = target.shape[0]
    for start in range(0, samples, run.batch_size):
        part = slice(start, start + run.batch_size)
        part_target = target[part]
        yield rows(data, part), part_target, part_target.shape[0] / samples


def train_step(
    run: Training,
    data: Tensor,
    target: Tensor,
    began: Any,
    forward: Callable[[Any], Tensor] | None = None,
) -> BatchDone:
    """Train one step and return the result; `began` is the mark from before the fetch.

    The data may be those of several batches, whose gradients are added up.

    `forward` calls the model in a way that is watched; None: it is not.

    Data and target are on the device already. No value is read from an accelerator, since that
    would synchronise at every batch.
    """
    mark = run.stopwatch.mark
    after_fetch = mark()
    zero_grad(run)
    run.unclipped_norm = None
    after_zero_grad = mark()
    run.buffers.keep()
    call = run.model if forward is None else forward
    if run.team is None:
        add_gradients = _add_gradients if run.accumulate == 1 else _add_gradients_of_parts
        output, loss, marks = add_gradients(run, call, data, target)
        samples = target.shape[0]  # len() of a tensor takes ten times as long
    else:
        (output, loss, marks), samples = run.team.add_gradients(run, call, data, target)
    if run.gradient_scale is None:
        nonfinite = check_finite_fast(run, loss)
        nonfinite = left_out = nonfinite if run.team is None else run.held.agreed(run, nonfinite)
    else:
        nonfinite, left_out = unscale(run, run.gradient_scale, loss)
    if run.clip_norm is not None:
        run.unclipped_norm = run.held.clip(run, run.clip_norm)
    run.follow_schedule()
    optimizer_step(run, left_out)
    after_step = mark()

    run.newest_batch = output, target
    run.epoch_loss.add(loss, samples, nonfinite)
    run.step += 1
    run.batch += 1
    marks = (began, after_fetch, after_zero_grad, *marks, after_step)
    return BatchDone(run.take, run.step, run.epoch + 1, loss, run.lr, samples, marks, nonfinite)
