"""An epoch over 10,000 images, beside the two loops that people write: seconds, in turns.

python -m benchmarks.image_epoch FOLDER ROUNDS: prints the seconds of each way in each round as
JSON. The images are random pixels in MNIST's format, written into the folder.
"""

from __future__ import annotations

import json
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import workload
from benchmarks.figures import Figure
from benchmarks.terminal import capture, module
from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.loop import train_epoch
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import StepProbe
from tuitrain.record.recorder import Recorder
from tuitrain.store.writer import RunWriter

IMAGES = {"train": 10_000, "t10k": 1_000}
BATCH = 64
OURS, TRANSFORMS, TENSORS = "tuitrain", "transforms", "TensorDataset"
GOALS = {TRANSFORMS: "<= 0.13", TENSORS: "<= 0.6"}
NAMES = {
    TRANSFORMS: "DataLoader, ToTensor, Normalize",
    TENSORS: "DataLoader of a TensorDataset",
}


def measure(home: Path, *, rounds: int) -> Iterator[Figure]:
    """Yield the time of an epoch over that of the usual loops: medians over the rounds."""
    command = [*module("image_epoch"), str(home / "images"), str(rounds)]
    taken: dict[str, list[float]] = json.loads(capture(command, workload.environment(home)))
    for way, name in NAMES.items():
        pairs = zip(taken[OURS], taken[way], strict=True)
        low, median, high = statistics.quantiles([ours / usual for ours, usual in pairs], n=4)
        usual_s = statistics.median(taken[way])
        yield Figure(
            f"epoch of 10,000 images / {name}", f"{median:.2f}", GOALS[way],
            f"half of {rounds} rounds: {low:.2f} to {high:.2f}; {usual_s:.2f} s",
        )  # fmt: skip


def main(folder: Path, rounds: int) -> None:
    torch.set_num_threads(1)
    write_images(folder / "MNIST" / "raw")
    ways = {OURS: ours(folder), TRANSFORMS: usual(folder), TENSORS: tensors(folder)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, train in ways.items():
            began = time.perf_counter()
            train()
            if number:  # the first round is a warm-up
                seconds[way].append(time.perf_counter() - began)
    print(json.dumps(seconds))


def write_images(folder: Path) -> None:
    """Write random images and classes as MNIST's files."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in IMAGES.items():
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        classes = generator.integers(0, 10, count, dtype=np.uint8)
        header = struct.pack(">4I", 2051, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">2I", 2049, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + classes.tobytes())


def ours(folder: Path) -> Callable[[], None]:
    """Return what trains an epoch as tuitrain does, with everything recorded."""
    settings = {"model": "mlp:hidden=128", "batch_size": BATCH, "device": "cpu", "seed": 0}
    run = build(new_spec("mnist", data=str(folder), epochs=1_000, **settings))
    recorder = Recorder(RunWriter(folder / "run.db"))
    recorder.time_with(run.stopwatch.microseconds)
    steering, measures = Steering(run), StepProbe(time.monotonic)

    def train() -> None:
        for event in train_epoch(run, steering, measures):
            recorder.take(event)
        assert run.has_seen_epoch
        run.epoch, run.batch = run.epoch + 1, 0

    return train


def usual(folder: Path) -> Callable[[], None]:
    from torchvision import transforms
    from torchvision.datasets import MNIST

    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    data = MNIST(folder, train=True, transform=transforms.Compose(steps))
    return loop(DataLoader(data, batch_size=BATCH, shuffle=True))


def tensors(folder: Path) -> Callable[[], None]:
    from torchvision.datasets import MNIST

    data = MNIST(folder, train=True)
    inputs = (data.data[:, None] / 255 - 0.1307) / 0.3081
    return loop(DataLoader(TensorDataset(inputs, data.targets), batch_size=BATCH, shuffle=True))


def loop(batches: Iterable[tuple[Tensor, Tensor]]) -> Callable[[], None]:
    """Return what trains an epoch as a tutorial has it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer, criterion = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()

    def train() -> None:
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()

    return train


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
