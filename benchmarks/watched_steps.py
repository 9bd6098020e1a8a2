"""What watching a loop costs a step, beside TensorBoard and W&B: CPU time of the loop's process.

python -m benchmarks.watched_steps watch|hooks|numbers|tensorboard|wandb SECONDS: prints pairs of
the CPU time of a step, without and with it in the next block of steps, in microseconds, as JSON.
With "own" it prints the microseconds that each step was in the code of its hooks.

Both blocks of a pair are of one loop in one process: two processes differ by more than this costs.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from benchmarks import workload
from benchmarks.figures import Figure
from benchmarks.terminal import capture, module

STEP_US = 1000
"""About what a step of the loop takes."""
BLOCK, WARM_UP = 100, 20
"""Steps that are measured, about as long as from one write of the record to the next, and those
before them: whatever waited since the last block is done in these."""
WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
NAMES = {
    "watch": "a watched step",
    "hooks": "a step with hooks that do nothing",
    "numbers": "a step with hooks that keep its numbers",
    "tensorboard": "a step with loss.item() to TensorBoard",
    "wandb": "a step with loss.item() to W&B, offline",
}
GOALS = {"watch": "<= 15 µs"}
NEEDS = {"tensorboard": "tensorboard", "wandb": "wandb"}

Log = Callable[[Tensor], object]
Turn = Callable[[bool], Log]
"""Switches between with and without; returns what is called with the loss of each step."""


def measure(home: Path, *, rounds: int, seconds: float) -> Iterator[Figure]:
    """Yield what each way adds to a step: the median over pairs of blocks."""
    environment = workload.environment(home)
    said = capture([*module("watched_steps"), "own", str(rounds * seconds)], environment)
    own: list[float] = json.loads(said.splitlines()[-1])
    low, median, high = statistics.quantiles(own, n=4)
    yield Figure(
        "within the hooks of a watched step", f"{median:.0f} µs", GOALS["watch"],
        f"median of {len(own):,}; half: {low:.0f} to {high:.0f}; mean, with writes and commands, "
        f"{statistics.fmean(own):.0f}",
    )  # fmt: skip
    for way, name in NAMES.items():
        if way in NEEDS and find_spec(NEEDS[way]) is None:
            yield Figure(f"cost of {name}", "not installed")
            continue
        said = capture([*module("watched_steps"), way, str(rounds * seconds)], environment)
        pairs: list[tuple[float, float]] = json.loads(said.splitlines()[-1])
        bare = statistics.median(alone for alone, _ in pairs)
        low, median, high = statistics.quantiles([cost - alone for alone, cost in pairs], n=4)
        yield Figure(
            f"cost of {name}", f"{median:.0f} µs", GOALS.get(way, ""),
            f"half of {len(pairs)} pairs: {low:.0f} to {high:.0f}; a bare step {bare:.0f} µs",
        )  # fmt: skip


def main(way: str, seconds: float) -> None:
    torch.set_num_threads(1)
    if way == "own":
        print(json.dumps(own_times(seconds)))
        return
    losses = steps(width())
    with tempfile.TemporaryDirectory() as folder, TURNS[way](folder) as turn:
        pair(losses, turn)
        ends_at, pairs = time.monotonic() + seconds, []
        while time.monotonic() < ends_at:
            pairs.append(pair(losses, turn))
    print(json.dumps(pairs))


def pair(losses: Iterator[Tensor], turn: Turn) -> tuple[float, float]:
    """Return the CPU time of a step without and with it, in microseconds."""
    alone, logged = (measured(losses, turn(is_on)) for is_on in (False, True))
    return alone, logged


def measured(losses: Iterator[Tensor], log: Log) -> float:
    """Return the CPU time of a step of a block."""
    for _ in range(WARM_UP):
        log(next(losses))
    began = time.process_time_ns()
    for _ in range(BLOCK):
        log(next(losses))
    return (time.process_time_ns() - began) / BLOCK / 1000


def width() -> int:
    """Return the width of a model whose step takes about STEP_US here."""
    return min(WIDTHS, key=lambda width: abs(measured(steps(width), ignore) - STEP_US))


def steps(width: int) -> Iterator[Tensor]:
    """Train a step at a time, and yield its loss."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 64), torch.randint(0, 10, (64,))
    model = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width // 4), nn.ReLU(),
        nn.Linear(width // 4, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    while True:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        yield loss


def ignore(_loss: Tensor) -> None:
    """Log nothing."""


@contextmanager
def watched(folder: str) -> Iterator[Turn]:
    import tuitrain
    from tuitrain.watcher import session

    with tuitrain.watch("watched", home=folder):
        assert session.current is not None
        hooks = session.current.hooks

        def turn(is_on: bool) -> Log:  # noqa: FBT001 - called with one alone
            (hooks.install if is_on else hooks.remove)()
            return ignore

        yield turn


def own_times(seconds: float) -> list[float]:
    """Return the microseconds that each step of a loop was within its hooks, in code of ours.

    That leaves out what is lost outside of them, as caches that they filled.
    """
    import tuitrain
    from tuitrain.watcher import every_step

    spent = 0
    now = time.perf_counter_ns

    def timed(function: Callable[..., Any], sign: int) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal spent
            began = now()
            try:
                return function(*args, **kwargs)
            finally:
                spent += sign * (now() - began)

        return call

    def around(wrap: Callable[..., Any]) -> Callable[..., Any]:
        """Time a hook that wraps a function, which is its last argument, without this one."""
        return lambda *args: timed(wrap(*args[:-1], timed(args[-1], -1)), 1)

    with tempfile.TemporaryDirectory() as folder, ExitStack() as undo:
        for name in ("of_loss", "of_backward"):
            wrap = getattr(every_step, name)
            undo.enter_context(patch.object(every_step, name, around(wrap)))
        for name in ("before", "after"):
            make = getattr(every_step, name)
            undo.enter_context(
                patch.object(every_step, name, lambda hooks, make=make: timed(make(hooks), 1))
            )
        undo.enter_context(tuitrain.watch("own", home=folder))
        losses, found = steps(width()), []
        for _ in range(BLOCK):
            next(losses)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            spent = 0
            next(losses)
            found.append(spent / 1000)
        return found


@contextmanager
def with_idle_hooks(_folder: str) -> Iterator[Turn]:
    """Wrap what a watched step calls, and do nothing: the least that seeing it can cost here."""
    with hooked(idle, idle, lambda *_: None) as turn:
        yield turn


@contextmanager
def with_numbers_kept(_folder: str) -> Iterator[Turn]:
    """Keep loss, rate, samples and times of each step in a list: the least that knowing it costs.

    Nothing is checked, written or read, and no command is looked for.
    """
    kept: list[tuple[object, ...]] = []
    step: dict[str, Any] = {}

    def losing(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def loss(*args: Any, **kwargs: Any) -> Tensor:
            step["began"], value = time.perf_counter_ns(), original(*args, **kwargs)
            step["lost"], step["samples"] = time.perf_counter_ns(), len(args[1])
            return value

        return loss

    def propagating(original: Callable[..., object]) -> Callable[..., None]:
        def backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            original(loss, *args, **kwargs)
            step["propagated"], step["loss"] = time.perf_counter_ns(), loss.item()

        return backward

    def after_step(optimizer: torch.optim.Optimizer, *_: object) -> None:
        kept.append((*step.values(), time.perf_counter_ns(), optimizer.param_groups[0]["lr"]))

    with hooked(losing, propagating, after_step) as turn:
        yield turn


@contextmanager
def hooked(
    losing: Callable[..., Any], propagating: Callable[..., Any], after_step: Callable[..., None]
) -> Iterator[Turn]:
    """Wrap the loss and the backward pass, and call something after each step."""
    with ExitStack() as undo:

        def turn(is_on: bool) -> Log:  # noqa: FBT001 - as the other turns are called
            undo.close()
            if is_on:
                loss, backward = functional.cross_entropy, torch.autograd.backward
                undo.enter_context(patch.object(functional, "cross_entropy", losing(loss)))
                undo.enter_context(patch.object(torch.autograd, "backward", propagating(backward)))
                undo.callback(register_optimizer_step_pre_hook(lambda *_: None).remove)
                undo.callback(register_optimizer_step_post_hook(after_step).remove)
            return ignore

        yield turn


def idle(original: Callable[..., object]) -> Callable[..., object]:
    """Return a function that only calls another one."""
    return lambda *args, **kwargs: original(*args, **kwargs)


@contextmanager
def with_tensorboard(folder: str) -> Iterator[Turn]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        number = count()

        def log(loss: Tensor) -> None:
            writer.add_scalar("loss", loss.item(), next(number))

        yield lambda is_on: log if is_on else ignore


@contextmanager
def with_wandb(folder: str) -> Iterator[Turn]:
    import wandb

    with wandb.init(mode="offline", dir=folder, settings=wandb.Settings(silent=True)) as run:
        yield lambda is_on: (lambda loss: run.log({"loss": loss.item()})) if is_on else ignore


TURNS = {
    "watch": watched, "hooks": with_idle_hooks, "numbers": with_numbers_kept,
    "tensorboard": with_tensorboard, "wandb": with_wandb,
}  # fmt: skip

if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
