"""What it costs to find a loss or gradient that is not finite before the optimizer step.

python -m benchmarks.finiteness: prints medians over 2,000 steps as JSON, in microseconds: of a
whole step without the check, of the check, its result read, as on a CPU, and of PyTorch's fused
kernel alone; and of a look at what the run keeps. Steps have the one and the other in turn, so that
each reads gradients that are cold.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from itertools import cycle
from time import perf_counter_ns

import torch
from torch import Tensor

from benchmarks import workload
from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.step import check_finite_fast, zero_grad
from tuitrain.engine.training import Training

STEPS, COLD = 2000, 200
ONE = torch.ones(())
Check = Callable[[Training, Tensor], Tensor]


def main() -> None:
    run = build(new_spec(workload.TASK, **workload.SETTINGS))
    took: list[tuple[int, int]] = []
    check = cycle((check_finite_fast, kernel))
    run.model.train()
    while len(took) < STEPS + COLD:
        took += [_step(run, *batch, next(check)) for batch in run.batches()]
        run.epoch += 1
    steps, checks = zip(*took[COLD:], strict=True)
    looks = tuple(_look(run) for _ in range(STEPS))
    found = {"step": steps, "check": checks[0::2], "kernel": checks[1::2], "look": looks}
    print(json.dumps({f"{name}_us": _median(values) for name, values in found.items()}))


def kernel(run: Training, loss: Tensor) -> Tensor:
    """Return 1 if a value is not finite, by a call of the kernel and nothing else."""
    numbers = [loss, *(weight.grad for weight in run.weights if weight.grad is not None)]
    nonfinite = torch.zeros(())
    torch._amp_foreach_non_finite_check_and_unscale_(numbers, nonfinite, ONE)
    return nonfinite


def _step(run: Training, data: Tensor, target: Tensor, check: Check) -> tuple[int, int]:
    """Train a batch; return what it took without the check, and what the check took."""
    began = perf_counter_ns()
    zero_grad(run)
    loss = run.criterion(run.model(data), target)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
    traced = perf_counter_ns()
    bad = bool(check(run, loss.detach()))
    checked = perf_counter_ns()
    assert not bad
    run.optimizer.step()
    return perf_counter_ns() - checked + traced - began, checked - traced


def _look(run: Training) -> int:
    """Look at weights, buffers and the state of the optimizer; return what it took."""
    began = perf_counter_ns()
    assert run.nonfinite() is None
    return perf_counter_ns() - began


def _median(nanoseconds: tuple[int, ...]) -> float:
    return statistics.median(nanoseconds) / 1000


if __name__ == "__main__":
    main()
