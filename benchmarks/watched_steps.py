"""What watching a loop costs a step, beside TensorBoard: CPU time of the loop's whole process.

python benchmarks/watched_steps.py bare|tensorboard|watch SECONDS: prints the CPU time of a step, in
microseconds, for each block of steps, as JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import workload
from figures import Figure
from terminal import capture
from torch import Tensor, nn

BLOCK = 50
WAYS = ("bare", "watch", "tensorboard")


def measure(home: Path, *, rounds: int, seconds: float) -> Iterator[Figure]:
    """Yield what each way costs beside the bare loop; they take turns."""
    environment = workload.environment(home)
    costs: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            said = capture([sys.executable, __file__, way, str(seconds)], environment)
            costs[way].append(statistics.median(json.loads(said.splitlines()[-1])))
    bare = statistics.median(costs["bare"])
    remark = f"beside a step of {bare:.0f} µs, CPU time of the process, {rounds} rounds"
    for way, name, goal in (
        ("watch", "a watched step", "<= 15 µs"),
        ("tensorboard", "a step with loss.item() to TensorBoard", ""),
    ):
        extra = statistics.median(
            cost - alone for cost, alone in zip(costs[way], costs["bare"], strict=True)
        )
        yield Figure(f"cost of {name}", f"{extra:.0f} µs", goal, remark)


def main(way: str, seconds: float) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, LOGS[way](folder) as log:
        step, blocks = steps(log), []
        for _ in range(4 * BLOCK):
            next(step)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            began = time.process_time_ns()
            for _ in range(BLOCK):
                next(step)
            blocks.append((time.process_time_ns() - began) / BLOCK / 1000)
    print(json.dumps(blocks))


def steps(log: Callable[[Tensor], object]) -> Iterator[None]:
    """Train a step at a time: about a thousand a second."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 64), torch.randint(0, 10, (64,))
    model = nn.Sequential(
        nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    while True:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        log(loss)
        yield


@contextmanager
def bare(_folder: str) -> Iterator[Callable[[Tensor], object]]:
    yield lambda _loss: None


@contextmanager
def watched(folder: str) -> Iterator[Callable[[Tensor], object]]:
    import tuitrain

    with tuitrain.watch("watched", home=folder):
        yield lambda _loss: None


@contextmanager
def with_tensorboard(folder: str) -> Iterator[Callable[[Tensor], object]]:
    from itertools import count

    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        number = count()
        yield lambda loss: writer.add_scalar("loss", loss.item(), next(number))


LOGS = {"bare": bare, "watch": watched, "tensorboard": with_tensorboard}

if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
