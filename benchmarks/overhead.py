"""What watching costs: tuitrain beside a bare loop and what others do, as one table.

python -m benchmarks.overhead [--rounds N] [--seconds S] [--only PART ...] [--write]

All ratios are medians over rounds in which every way is measured in turn, so that a machine that
slows down slows all of them. Times and shares are this machine's and mean little elsewhere.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks import figures, image_epoch, records, screen, speed, watched_steps, workload
from benchmarks.figures import Figure
from benchmarks.terminal import capture, module

PARTS = (
    "speed", "images", "screen", "keys", "leaving", "starts", "records", "reads", "finiteness",
    "watched",
)  # fmt: skip


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        table = list(_measured(Path(folder), asked))
    print("\n".join(figures.lines(table)))
    if asked.write:
        figures.write(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what tuitrain costs.")
    add = parser.add_argument
    add("--rounds", type=int, default=15, help="how often each way is measured (%(default)s)")
    add("--seconds", type=float, default=2, help="a turn of a way of training (%(default)s)")
    add("--settle", type=float, default=40, help="before the screen is watched (%(default)s)")
    add("--watch", type=float, default=20, help="seconds for the screen's cost (%(default)s)")
    add("--rows", type=int, default=10_000_000, help="batches of the long record (%(default)s)")
    add("--only", choices=PARTS, nargs="+", default=PARTS, help="leave out the rest")
    add("--write", action="store_true", help=f"put the table into {figures.RESULTS.name}")
    return parser.parse_args()


def _measured(home: Path, asked: argparse.Namespace) -> Iterator[Figure]:
    rounds, seconds = asked.rounds, asked.seconds
    parts: dict[str, Callable[[], Iterable[Figure]]] = {
        "speed": lambda: speed.measure(home, rounds=rounds, seconds=seconds),
        "images": lambda: image_epoch.measure(home, rounds=rounds),
        "screen": lambda: screen.cost(home, settle_s=asked.settle, watch_s=asked.watch),
        "keys": lambda: screen.keys(home, times=8 * rounds),
        "leaving": lambda: [screen.leaving(home, times=rounds)],
        "starts": lambda: screen.starts(home, times=rounds),
        "records": lambda: _long_records(home, asked),
        "reads": lambda: _host_reads(home),
        "finiteness": lambda: _finiteness(home),
        "watched": lambda: watched_steps.measure(home, rounds=rounds, seconds=seconds),
    }
    for name in asked.only:
        yield from parts[name]()


def _long_records(home: Path, asked: argparse.Namespace) -> Iterator[Figure]:
    few, _ = records.make(home, records.FEW)
    many, bytes_a_row = records.make(home, asked.rows)
    remark = f"{asked.rows:,} rows, roll-ups included, epochs not"
    yield Figure("disk per batch", f"{bytes_a_row:.1f} bytes", "<= 60", remark)
    yield from records.redraw(few, many, asked.rows)
    yield screen.attaching(home, few, f"{records.FEW:,} batches", times=asked.rounds)
    yield screen.attaching(home, many, f"{asked.rows:,} batches", times=asked.rounds)
    epochs = asked.rows // 10
    short, long = (records.make(home, rows, epoch=1)[0] for rows in (records.FEW, epochs))
    yield records.looks(short, long, epochs)
    yield screen.attaching(home, long, f"{epochs:,} epochs", times=asked.rounds)
    records.copies(few, home / "many", 100)
    yield screen.listing(home / "many", 100, times=asked.rounds)


def _finiteness(home: Path) -> Iterator[Figure]:
    found = _said_by("finiteness", home)
    check, kernel = found["check_us"], found["kernel_us"]
    remark = f"{check:.0f} µs beside a step of {found['step_us']:.0f} µs without it"
    yield Figure("finiteness check / a step of 1 ms", f"{check / 1000:.1%}", "<= 3 %", remark)
    remark = f"the kernel {kernel:.0f} µs"
    yield Figure("finiteness check / the fused kernel", f"{check / kernel:.2f}", "<= 1.2", remark)
    look = found["look_us"]
    remark = f"{look:.0f} µs, before its validation"
    yield Figure(
        "a look at what is kept / 23 steps of 1 ms", f"{look / 23_000:.1%}", "<= 1 %", remark
    )


def _said_by(name: str, home: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads(capture(module(name), workload.environment(home)))
    return found


def _host_reads(home: Path) -> Iterator[Figure]:
    found = _said_by("host_reads", home)
    training = found["steps"] + found["recorder"]
    remark = f"{found['flushes']} flushes; validations: {found['validations']}"
    yield Figure("_local_scalar_dense calls in 1,000 steps", str(training), "0", remark)


if __name__ == "__main__":
    main()
