"""The loop that a person writes without tuitrain, and three usual ways of logging its losses.

python benchmarks/bare_loop.py bare|item|tqdm|tensorboard FILE: writes its progress to the file.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import torch
import workload
from torch import Tensor

from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.data import Samples, shuffled
from tuitrain.engine.metrics import metrics_of
from tuitrain.engine.training import Training

EVERY = 10
Log = Callable[[Tensor], object]


def main(way: str, progress: str) -> None:
    """Train until killed, and write "seconds step" to a file now and then."""
    assert torch.get_num_threads() == 1, "set OMP_NUM_THREADS=1"
    run = build(new_spec(workload.TASK, **workload.SETTINGS))
    with LOGS[way]() as log, Path(progress).open("w", buffering=1) as file:
        for step in train(run, log):
            if step % EVERY == 0:
                file.write(f"{time.perf_counter()} {step}\n")


def train(run: Training, log: Log) -> Iterator[int]:
    """Yield after each step; the same weights at each as tuitrain has."""
    model, optimizer, criterion, data = run.model, run.optimizer, run.criterion, run.data.train
    step = 0
    for epoch in count():
        model.train()
        order = shuffled(len(data), seed=run.seed, epoch=epoch)
        for index in order.split(run.batch_size):  # type: ignore[no-untyped-call]  # torch's has no types
            inputs, targets = data.inputs.index_select(0, index), data.targets[index]  # type: ignore[attr-defined]  # held as tensors
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
            optimizer.step()
            log(loss)
            step += 1
            yield step
        validate(run)


@torch.no_grad()
def validate(run: Training) -> tuple[float, dict[str, float]]:
    """Return loss and metrics: the same as tuitrain's, since both have to do that work."""
    run.model.eval()
    data = run.data.val
    assert isinstance(data, Samples)
    output = run.model(data.inputs)
    return run.criterion(output, data.targets).item(), metrics_of(
        run.data.kind, output, data.targets
    )


@contextmanager
def bare() -> Iterator[Log]:
    yield lambda _loss: None


@contextmanager
def item() -> Iterator[Log]:
    losses: list[float] = []
    yield lambda loss: losses.append(loss.item())


@contextmanager
def with_tqdm() -> Iterator[Log]:
    from tqdm import tqdm

    with tqdm() as bar:

        def log(loss: Tensor) -> None:
            bar.set_postfix(loss=loss.item())
            bar.update()

        yield log


@contextmanager
def with_tensorboard() -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        step = count(1)
        yield lambda loss: writer.add_scalar("loss", loss.item(), next(step))


LOGS = {"bare": bare, "item": item, "tqdm": with_tqdm, "tensorboard": with_tensorboard}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
