"""What watching costs on an accelerator, and what its promises are worth there: one table.

python -m benchmarks.accelerator [--device cuda:0] [--quick]: at most four minutes. Three models
are trained by a bare loop, by the engine's loop alone (plain), and with its recorder (watched), in
turn; plain and watched are shares of the bare loop's steps a second, medians over rounds. Then it
counts how often a step makes the host wait, and trains each model again, once in one piece with a
change half way (replay) and once by way of a checkpoint (resume): the weights must be the same to
the bit. What did not run says so.

--ways: another table instead, of ways to compute a step, each as a share of the steps a second of
the engine's loop without it: in 16 bits, with channels last, and compiled (on CUDA with graphs),
which takes minutes more on a slow processor.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torchvision.models import resnet18

from tuitrain.catalog import new_spec
from tuitrain.core.events import BatchDone
from tuitrain.engine import device as devices
from tuitrain.engine.criteria import Losses
from tuitrain.engine.data import Dataset, Samples
from tuitrain.engine.evaluation import Metrics
from tuitrain.engine.forward import DTYPES, compile_model, compute_in
from tuitrain.engine.gradient_scale import GradientScale
from tuitrain.engine.loop import train_epoch
from tuitrain.engine.losses import criterion_for
from tuitrain.engine.models import cnn, mlp
from tuitrain.engine.monitor import Monitor, Monitored
from tuitrain.engine.optim import build_optimizer
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import StepProbe
from tuitrain.engine.training import Training
from tuitrain.engine.user_code import UserCode
from tuitrain.record.recorder import Recorder
from tuitrain.store.writer import RunWriter

LIMIT_S, WARM_STEPS, STEPS = 220.0, 10, 20
COLUMNS = ("model", "batch", "bare steps/s", "plain", "watched", "waits/step", "waits/watched step",
           "replay", "resume")  # fmt: skip
NOT_RUN = "not run"


class Way(NamedTuple):
    """How a step is computed."""

    name: str
    precision: str = "fp32"
    layout: torch.memory_format = torch.contiguous_format
    is_compiled: bool = False


PLAIN = Way("steps/s")
WAYS = (
    PLAIN, Way("bf16", "bf16"), Way("fp16", "fp16"),
    Way("channels last", layout=torch.channels_last), Way("compiled", is_compiled=True),
    Way("compiled, bf16", "bf16", is_compiled=True),
)  # fmt: skip


@dataclass(frozen=True)
class Workload:
    name: str
    made: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch_size: int

    def training(self, device: torch.device, way: Way = PLAIN) -> Training:
        """Return a run of it on the device, the same each time."""
        devices.use(device)
        devices.repeat_exactly(device, asked=None, is_exact=True)  # as a run does by default
        torch.manual_seed(0)
        model: nn.Module = self.made().to(device, memory_format=way.layout)  # type: ignore[call-overload]  # torch's lacks it
        has_graphs = way.is_compiled and device.type == "cuda"
        if way.precision in DTYPES:
            compute_in(model, device.type, DTYPES[way.precision])
        if way.is_compiled:
            compile_model(model, "reduce-overhead" if has_graphs else None)
        weights = tuple(model.parameters())
        optimizer = build_optimizer("adam", model, 1e-3, device)
        return Training(
            model=model, weights=weights, optimizer=optimizer,
            criterion=criterion_for("cross-entropy", "multiclass"), data=self._data().to(device),
            device=device, stopwatch=devices.stopwatch(device),
            is_synchronous=device.type == "cpu", loss_name="cross-entropy", base_lr=1e-3,
            gradient_scale=GradientScale(device) if way.precision == "fp16" else None,
            has_graphs=has_graphs, batch_size=self.batch_size, epochs=1_000_000, seed=0,
            losses=Losses("multiclass"), metrics=Metrics("multiclass", 10),
            monitor=Monitor(Monitored("accuracy", 1)), spec=new_spec("digits"), code=UserCode(),
        )  # fmt: skip

    def _data(self) -> Dataset:
        count = self.batch_size * (WARM_STEPS + STEPS + 2)  # what is looked at is one epoch
        generator = torch.Generator().manual_seed(0)
        few = torch.randn(self.batch_size, *self.shape, generator=generator)
        inputs = few.repeat(count // self.batch_size, *(1 for _ in self.shape))
        targets = torch.randint(10, (count,), generator=generator)
        samples = Samples(inputs, targets)
        return Dataset("multiclass", samples, Samples(inputs[:1], targets[:1]), 10)


def workloads(*, quick: bool) -> list[Workload]:
    network = partial(resnet18, weights=None, num_classes=10)
    small = partial(mlp, (784,), 10, hidden=(512, 128))
    images = partial(cnn, (3, 32, 32), 10, channels=(32, 64, 128), norm="batch")
    sizes = (16, 4, 2) if quick else (128, 128, 64)
    side = 32 if quick else 224
    return [
        Workload("MLP 784-512-128-10", small, (784,), sizes[0]),
        Workload("CNN 32-64-128, batch norm", images, (3, 32, 32), sizes[1]),
        Workload(f"resnet18, {side}×{side}", network, (3, side, side), sizes[2]),
    ]


def bare(run: Training) -> Iterator[object]:
    """Yield after each step of the loop that a person writes."""
    run.model.train()
    while True:
        for data, target in run.batches():
            run.optimizer.zero_grad()
            loss = run.criterion(run.model(data), target)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
            run.optimizer.step()
            yield loss
        run.epoch += 1


def plain(run: Training) -> Iterator[BatchDone]:
    """Yield each step of the engine's loop; epochs without their validation, as the bare loop."""
    steering, measures = Steering(run), StepProbe(time.monotonic)
    while True:
        yield from _epoch(run, steering, measures)


def watched(run: Training, folder: Path) -> Iterator[BatchDone]:
    """Yield each step of the loop, recorded as the trainer records it."""
    writer = RunWriter(folder / f"{time.monotonic_ns()}.db")
    recorder, steering, measures = Recorder(writer), Steering(run), StepProbe(time.monotonic)
    recorder.time_with(run.stopwatch.microseconds)
    try:
        while True:
            for done in _epoch(run, steering, measures):
                recorder.take(done)
                if recorder.newest_read is not None:
                    steering.has_read(recorder.newest_read, recorder.nonfinite_batches())
                yield done
    finally:
        writer.close()


def _epoch(run: Training, steering: Steering, measures: StepProbe) -> Iterator[BatchDone]:
    facts = train_epoch(run, steering, measures)
    yield from (fact for fact in facts if isinstance(fact, BatchDone))
    run.epoch, run.batch = run.epoch + 1, 0


def speeds(
    workload: Workload, device: torch.device, folder: Path, *, rounds: int, seconds: float
) -> list[str]:
    """Return the steps a second of the bare loop, and the other two's shares of it."""
    ways = (bare, plain, partial(watched, folder=folder))
    loops = [way(workload.training(device)) for way in ways]
    for loop in loops:
        list(islice(loop, WARM_STEPS))
    rates = [[_rate(loop, device, seconds) for loop in loops] for _ in range(rounds)]
    shares = [statistics.median(rate[way] / rate[0] for rate in rates) for way in (1, 2)]
    return [f"{statistics.median(rate[0] for rate in rates):.1f}", *(f"{s:.3f}" for s in shares)]


def ways_of(
    workload: Workload, device: torch.device, *, rounds: int, seconds: float
) -> list[str]:  # fmt: skip
    """Return the steps a second of the engine's loop, and each way's share of them."""
    loops = [plain(workload.training(device, way)) for way in WAYS]
    for loop in loops:
        list(islice(loop, WARM_STEPS))
    rates = [[_rate(loop, device, seconds) for loop in loops] for _ in range(rounds)]
    shares = [statistics.median(rate[at] / rate[0] for rate in rates) for at in range(len(WAYS))]
    return [
        f"{statistics.median(rate[0] for rate in rates):.1f}",
        *(f"{s:.3f}" for s in shares[1:]),
    ]


def _rate(loop: Iterator[object], device: torch.device, seconds: float) -> float:
    _wait_for(device)
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        next(loop)
        steps += 1
    _wait_for(device)
    return steps / (time.perf_counter() - began)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def waits(workload: Workload, device: torch.device, folder: Path) -> list[str]:
    """Return how often a step makes the host wait, alone and with its share of the flushes."""
    if device.type != "cuda":
        return [NOT_RUN, NOT_RUN]
    return [_waits_of(plain(workload.training(device)), mode="error"),
            _waits_of(watched(workload.training(device), folder), mode="warn")]  # fmt: skip


def _waits_of(loop: Iterator[object], *, mode: str) -> str:
    list(islice(loop, WARM_STEPS))
    torch.cuda.set_sync_debug_mode(mode)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in islice(loop, STEPS):
                pass
    except RuntimeError as error:
        return f"waits: {str(error).partition(chr(10))[0]}"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return f"{sum('synchroniz' in str(warning.message) for warning in caught) / STEPS:g}"


def equality(workload: Workload, device: torch.device) -> list[str]:
    """Return whether a run trained again, and one resumed half way, has the same weights."""
    expected = _trained(workload, device)
    again = _trained(workload, device)
    resumed = _trained(workload, device, by_checkpoint=True)
    return ["equal" if weights == expected else "DIFFERS" for weights in (again, resumed)]


def _trained(workload: Workload, device: torch.device, *, by_checkpoint: bool = False) -> str:
    run = workload.training(device)
    list(islice(plain(run), STEPS // 2))
    if by_checkpoint:
        file = io.BytesIO()
        torch.save(run.state(), file)
        file.seek(0)
        run = workload.training(device)
        run.restore(torch.load(file, map_location="cpu", weights_only=True))
    run.change("lr", 3e-4)
    list(islice(plain(run), STEPS // 2))
    return weights_sha256(run.model)


def row(
    workload: Workload, device: torch.device, folder: Path, *, rounds: int, seconds: float
) -> list[str]:
    return [
        workload.name, str(workload.batch_size),
        *speeds(workload, device, folder, rounds=rounds, seconds=seconds),
        *waits(workload, device, folder), *equality(workload, device),
    ]  # fmt: skip


def table(device: torch.device, *, quick: bool, of_ways: bool) -> Iterator[list[str]]:
    began = time.monotonic()
    yield ["model", "batch", *(way.name for way in WAYS)] if of_ways else list(COLUMNS)
    rounds, seconds = (1, 0.3) if quick else (5, 1.5)
    with tempfile.TemporaryDirectory() as folder:
        for workload in workloads(quick=quick):
            if time.monotonic() - began > LIMIT_S * 2 / 3:
                yield [workload.name, str(workload.batch_size), f"{NOT_RUN}: out of time"]
                continue
            try:
                if of_ways:
                    shares = ways_of(workload, device, rounds=rounds, seconds=seconds)
                    yield [workload.name, str(workload.batch_size), *shares]
                    continue
                yield row(workload, device, Path(folder), rounds=rounds, seconds=seconds)
            except (RuntimeError, MemoryError) as error:
                said = str(error).partition("\n")[0]
                yield [workload.name, str(workload.batch_size), f"{NOT_RUN}: {said}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what tuitrain costs on an accelerator.")
    parser.add_argument("--device", default="auto", help="cuda:0, mps, cpu (default: the fastest)")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--ways", action="store_true", help="a table of ways to compute a step")
    asked = parser.parse_args()
    device = devices.choose(asked.device).device
    print(f"device: {devices.environment(device)['device']}, torch {torch.__version__}")
    if device.type != "cuda" and not asked.ways:
        print("waits per step: not run, since torch can tell of them on CUDA only")
    for cells in table(device, quick=asked.quick, of_ways=asked.ways):
        print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
