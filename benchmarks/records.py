"""Long records, written as a trainer would, and what it takes to draw them."""

from __future__ import annotations

import itertools
import math
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks import workload
from benchmarks.figures import Figure
from tuitrain.catalog import new_spec
from tuitrain.connection.client import Client
from tuitrain.core.events import EpochEnded, Finished, RunStarted
from tuitrain.store.delta import Cursor
from tuitrain.store.paths import RunPaths
from tuitrain.store.schema import BatchRow
from tuitrain.store.writer import RunWriter, Stamped
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.plot import canvas_columns
from tuitrain.view.chart.run_charts import loss_chart
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Snapshot

FEW = 10_000
WIDTH, HEIGHT = 150, 30
REPEATS = 9

_EPOCH = workload.STEPS_PER_EPOCH
_ROWS_A_WRITE = 4096 * _EPOCH


def make(home: Path, rows: int, *, epoch: int = _EPOCH) -> tuple[Path, float]:
    """Write a finished run of so many batches, `epoch` an epoch.

    Return where it is, and its bytes per batch, without epochs.
    """
    paths = RunPaths(home / "runs" / f"record-{rows}-{epoch}")
    paths.directory.mkdir(parents=True)
    settings = {**workload.SETTINGS, "epochs": -(-rows // epoch)}
    paths.write_spec(new_spec(workload.TASK, **settings))
    parts = [range(first, min(first + _ROWS_A_WRITE, rows + 1))
             for first in range(1, rows + 1, _ROWS_A_WRITE)]  # fmt: skip
    began = RunStarted("cpu", epoch, 100_682, 1437, 360, {})
    empty = _size_after(paths, [([], [Stamped(0, 0, began)])])
    size = _size_after(paths, ((list(_batches(part, rows, epoch)), []) for part in parts))
    _size_after(paths, (([], list(_epochs(part, epoch))) for part in parts))
    _size_after(paths, [([], [Stamped(0, rows, Finished(1, rows, rows // epoch))])])
    return paths.directory, (size - empty) / rows


def redraw(few: Path, many: Path, rows: int) -> list[Figure]:
    """Compare a long record's chart and first look with a short one's."""
    return [
        _compared(f"redraw of the loss chart, {WIDTH}x{HEIGHT}", rows, "<= 1.3",
                  few=_drawing(few), many=_drawing(many)),
        _compared("of that, reading", rows, few=_reading(few), many=_reading(many)),
        _compared("first look at a run", rows, few=_looking(few), many=_looking(many)),
        _compared("a write of 100 batches", rows,
                  few=_writing(few, FEW), many=_writing(many, rows)),
    ]  # fmt: skip


def looks(few: Path, many: Path, epochs: int) -> Figure:
    """Compare the first look at a run of many epochs with that at one of few."""
    return _compared(
        "first look at a run of one batch an epoch", epochs,
        few=_looking(few), many=_looking(many),
    )  # fmt: skip


def copies(directory: Path, home: Path, count: int) -> None:
    """Let a home have so many runs, all copies of one."""
    for number in range(count):
        shutil.copytree(directory, home / "runs" / f"run-{number}")


def _size_after(paths: RunPaths, parts: Iterable[tuple[list[BatchRow], list[Stamped]]]) -> int:
    """Append the parts to the record and return the size of its file."""
    writer = RunWriter(paths.record)
    for batches, events in parts:
        writer.write(batches, events)
    writer.close()
    return paths.record.stat().st_size


def _batches(steps: range, rows: int, epoch: int) -> Iterator[BatchRow]:
    """Yield batches whose losses make the same picture, however many there are."""
    draw = random.Random(steps[0])
    us = draw.randrange
    timings = [
        (us(15, 40), us(5, 20), us(100, 300), us(30, 90), us(200, 500), us(100, 400))
        for _ in range(997)
    ]
    for step in steps:
        loss = draw.random() + 2 * math.exp(-5 * step / rows)
        yield BatchRow(step, (step - 1) // epoch + 1, loss, 0.001, 64, step, *timings[step % 997])


def _epochs(steps: range, epoch: int) -> Iterator[Stamped]:
    draw = random.Random(steps[0])
    for step in range(steps[0] + epoch - 1, steps[-1] + 1, epoch):
        loss, found = draw.random(), {"accuracy": draw.random()}
        event = EpochEnded(
            1, step, step // epoch, "cross-entropy", loss, loss, found, improved=step == epoch
        )
        yield Stamped(0, step, event)


def _drawing(directory: Path) -> Callable[[], object]:
    run, client = _opened(directory)
    return lambda: loss_chart(run, Curves(client.record), WIDTH, HEIGHT)


def _reading(directory: Path) -> Callable[[], object]:
    run, client = _opened(directory)
    return lambda: Curves(client.record).losses(run, canvas_columns(WIDTH))


def _looking(directory: Path) -> Callable[[], object]:
    client = Client(directory)
    return lambda: client.look(Cursor())


def _writing(directory: Path, rows: int) -> Callable[[], object]:
    writer = RunWriter(RunPaths(directory).record)
    steps = itertools.count(rows + 1, 100)

    def write() -> None:
        first = next(steps)
        writer.write(list(_batches(range(first, first + 100), rows, _EPOCH)), [])

    return write


def _opened(directory: Path) -> tuple[Snapshot, Client]:
    client = Client(directory)
    begin = Snapshot.begin(client.name, directory, client.spec(), client.created_at())
    look = client.look(Cursor())
    return fold(begin, look.delta, alive=look.alive, pid=look.pid), client


def _compared(
    what: str, rows: int, goal: str = "", *, few: Callable[[], object], many: Callable[[], object]
) -> Figure:
    """Time both in turn and compare their medians."""
    pairs = [(_seconds(few), _seconds(many)) for _ in range(REPEATS)]
    few_s, many_s = map(statistics.median, zip(*pairs, strict=True))
    name = f"{what}: {rows:,} / {FEW:,} batches"
    remark = f"{1000 * many_s:.1f} ms / {1000 * few_s:.1f} ms"
    return Figure(name, f"{many_s / few_s:.2f}", goal, remark)


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began
