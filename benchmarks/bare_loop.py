"""The loop that a person writes without tuitrain, and usual ways of logging its losses.

python -m benchmarks.bare_loop bare|unfused|direct|item|tqdm|tensorboard|wandb|lightning FILE:
writes its progress to the file. Adam is fused, as tuitrain's is, but for "unfused", and is called
by its methods, but for "direct", which does as tuitrain's loop does. Lightning has a loop of its
own, which trains the same batches.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from benchmarks import workload
from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.data import Samples, shuffled
from tuitrain.engine.metrics import metrics_of
from tuitrain.engine.step import zero_grad
from tuitrain.engine.training import Training

EVERY = 10
Log = Callable[[Tensor], object]


def main(way: str, progress: str) -> None:
    """Train until killed, and write "seconds step" to a file now and then."""
    assert torch.get_num_threads() == 1, "set OMP_NUM_THREADS=1"
    run = build(new_spec(workload.TASK, **workload.SETTINGS))
    with Path(progress).open("w", buffering=1) as file:

        def note(step: int) -> None:
            if step % EVERY == 0:
                file.write(f"{time.perf_counter()} {step}\n")

        if way == "lightning":
            train_by_lightning(run, note)
        optimizer = OPTIMIZERS[way](run) if way in OPTIMIZERS else run.optimizer
        with LOGS.get(way, bare)() as log:
            for step in train(run, log, optimizer):
                note(step)


class Steps(Protocol):
    """What a loop calls of an optimizer."""

    def zero_grad(self) -> None: ...

    def step(self) -> object: ...


class Direct:
    """Calls the kernel of a fused Adam as tuitrain's loop does, without what is around it."""

    def __init__(self, run: Training) -> None:
        self._run = run

    def zero_grad(self) -> None:
        zero_grad(self._run)

    def step(self) -> None:
        self._run.steps.take(self._run.optimizer)


OPTIMIZERS: dict[str, Callable[[Training], Steps]] = {
    "unfused": lambda run: torch.optim.Adam(run.weights, lr=run.base_lr),
    "direct": Direct,
}


def train(run: Training, log: Log, optimizer: Steps) -> Iterator[int]:
    """Yield after each step; the same weights at each as tuitrain has."""
    model, criterion = run.model, run.criterion
    step = 0
    for epoch in count():
        model.train()
        for inputs, targets in batches(run, epoch):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
            optimizer.step()
            log(loss)
            step += 1
            yield step
        validate(run)


def batches(run: Training, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch, in tuitrain's order."""
    data = run.data.train
    assert isinstance(data, Samples)
    order = shuffled(len(data), seed=run.seed, epoch=epoch)
    for index in order.split(run.batch_size):  # type: ignore[no-untyped-call]  # torch's has no types
        yield data.inputs.index_select(0, index), data.targets[index]


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


@contextmanager
def with_wandb() -> Iterator[Log]:
    import wandb

    settings = wandb.Settings(silent=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        wandb.init(mode="offline", dir=folder, settings=settings) as run,
    ):
        yield lambda loss: run.log({"loss": loss.item()})


def train_by_lightning(run: Training, note: Callable[[int], object]) -> None:
    """Train as Lightning does, with its progress bar and a row of CSV for each batch."""
    import lightning
    from lightning.pytorch.loggers import CSVLogger

    class Module(lightning.LightningModule):  # type: ignore[misc]  # has no types where it is absent
        def __init__(self) -> None:
            super().__init__()
            self.model = run.model

        def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> Tensor:
            inputs, targets = batch
            loss = run.criterion(self.model(inputs), targets)
            self.log("loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return run.optimizer

        def on_train_batch_end(self, *_: object) -> None:
            note(self.global_step)

        def on_train_epoch_end(self) -> None:
            validate(run)
            run.model.train()

    class Epochs:
        """Restarts with the batches of the next epoch."""

        def __init__(self) -> None:
            self.number = count()

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            return batches(run, next(self.number))

    with tempfile.TemporaryDirectory() as folder:
        lightning.Trainer(
            max_epochs=-1, accelerator="cpu", logger=CSVLogger(folder), log_every_n_steps=1,
            enable_checkpointing=False, enable_model_summary=False,
        ).fit(Module(), Epochs())  # fmt: skip


LOGS = {
    "item": item, "tqdm": with_tqdm, "tensorboard": with_tensorboard, "wandb": with_wandb,
}  # fmt: skip

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
