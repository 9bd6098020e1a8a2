"""What it costs to find a loss or gradient that is not finite before the optimizer step.

python benchmarks/finiteness.py: prints medians over 2,000 steps as JSON, in microseconds: of a
whole step without the check, and of the check, its result read, as on a CPU.
"""

from __future__ import annotations

import json
import statistics
from time import perf_counter_ns

import workload
from torch import Tensor

from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.step import check_finite_fast, zero_grad
from tuitrain.engine.training import Training

STEPS, COLD = 2000, 200


def main() -> None:
    run = build(new_spec(workload.TASK, **workload.SETTINGS))
    took: list[tuple[int, int]] = []
    run.model.train()
    while len(took) < STEPS + COLD:
        took += [_step(run, *batch) for batch in run.batches()]
        run.epoch += 1
    steps, checks = zip(*took[COLD:], strict=True)
    print(json.dumps({"step_us": _median(steps), "check_us": _median(checks)}))


def _step(run: Training, data: Tensor, target: Tensor) -> tuple[int, int]:
    """Train a batch; return what it took without the check, and what the check took."""
    began = perf_counter_ns()
    zero_grad(run.weights)
    loss = run.criterion(run.model(data), target)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
    traced = perf_counter_ns()
    bad = bool(check_finite_fast(run, loss.detach()))
    checked = perf_counter_ns()
    assert not bad
    run.optimizer.step()
    return perf_counter_ns() - checked + traced - began, checked - traced


def _median(nanoseconds: tuple[int, ...]) -> float:
    return statistics.median(nanoseconds) / 1000


if __name__ == "__main__":
    main()
