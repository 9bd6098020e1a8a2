"""What several ranks cost: runs of tuitrain beside a DDP script under torchrun, as one table.

python -m benchmarks.scale [--rounds N] [--launches N] [--seconds S] [--ranks N ...]
[--batch-size N]

Both train the same model on the same batches, in turns, as in `benchmarks.speed`; ratios are
medians over rounds. Both are launched anew every few rounds, since one process is by some percent
faster than another with the same code, for as long as it lives. What a step sends is counted at
the loopback interface, which only they use.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import figures, runs, speed, workload
from benchmarks.figures import Figure
from benchmarks.terminal import capture

GOAL = 0.97


class Sent(NamedTuple):
    """What went over the loopback interface during some steps."""

    steps: int = 0
    bytes: int = 0
    packets: int = 0


class OnTheNetwork:
    """A way of training whose bytes and packets on the loopback interface are counted."""

    def __init__(self, way: speed.Way) -> None:
        self.pids, self.watchers = way.pids, way.watchers
        self._way = way
        self._before = self._now()
        self._is_turn = False
        self._step = 0
        self.sent = Sent()

    def progress(self) -> list[tuple[float, int]]:
        """Return what the way says; it is asked at the begin of a turn, and at its end."""
        seen, now = self._way.progress(), self._now()
        last = seen[-1][1] if seen else self._step
        if self._is_turn:
            seen_now = (last - self._step, now[0] - self._before[0], now[1] - self._before[1])
            self.sent = Sent(*map(sum, zip(self.sent, seen_now, strict=True)))
        self._is_turn, self._before, self._step = not self._is_turn, now, last
        return seen

    @staticmethod
    def _now() -> tuple[int, int]:
        counted = psutil.net_io_counters(pernic=True)["lo"]
        return counted.bytes_sent, counted.packets_sent


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what several ranks cost.")
    add = parser.add_argument
    add("--rounds", type=int, default=15, help="how often each way is measured (%(default)s)")
    add("--launches", type=int, default=5, help="how often each is started anew (%(default)s)")
    add("--seconds", type=float, default=2, help="a turn of a way of training (%(default)s)")
    add("--ranks", type=int, nargs="+", default=[1, 2], help="how many train (1 2)")
    add("--batch-size", type=int, default=8, help="of each rank: 90 steps an epoch of 2 (8)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = [figure for ranks in asked.ranks for figure in measured(Path(folder), ranks, asked)]
    print("\n".join(figures.lines(table)))


def measured(home: Path, ranks: int, asked: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of that many ranks."""
    launches = min(asked.launches, asked.rounds)
    rates: dict[str, list[speed.Rate]] = {}
    sent: dict[str, list[Sent]] = {}
    for number in range(launches):
        rounds = len(range(number, asked.rounds, launches))
        of_launch, ways = launched(home / f"{ranks}-{number}", ranks, rounds, asked)
        for name, way in ways.items():
            rates.setdefault(name, []).extend(of_launch[name])
            sent.setdefault(name, []).append(way.sent)
    alone = statistics.median(rate.steps for rate in rates["script"])
    yield Figure(f"steps/s: DDP under torchrun, {ranks} ranks", f"{alone:.0f}")
    name = f"steps/s / that: tuitrain run --nproc {ranks}"
    yield speed.compared(name, rates["run"], rates["script"], GOAL)
    for name, of_launches in sent.items():
        steps, size, packets = map(sum, zip(*of_launches, strict=True))
        yield Figure(f"sent in a step of {ranks} ranks: {name}", f"{size / steps:,.0f} bytes", "",
                     f"in {packets / steps:.1f} packets")  # fmt: skip


def launched(
    home: Path, ranks: int, rounds: int, asked: argparse.Namespace
) -> tuple[dict[str, list[speed.Rate]], dict[str, OnTheNetwork]]:
    """Return how fast each way was in each round, and the ways, of one launch of each."""
    home.mkdir()
    with ExitStack() as stack:
        ways: dict[str, OnTheNetwork] = {}
        for name, opened in (("script", script), ("run", run)):
            ways[name] = OnTheNetwork(stack.enter_context(opened(home, ranks, asked.batch_size)))
            speed.tell(ways[name], signal.SIGSTOP)
        rates = speed.taken_in_turns(ways, rounds, asked.seconds)
        for way in ways.values():
            speed.tell(way, signal.SIGCONT)
    return rates, ways


@contextmanager
def script(home: Path, ranks: int, batch_size: int) -> Iterator[speed.Way]:
    log = home / f"script-{ranks}.txt"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks),
        "-m", "benchmarks.ddp_loop", str(log), str(batch_size),
    ]  # fmt: skip
    torchrun = subprocess.Popen(command, env=workload.environment(home), stderr=subprocess.DEVNULL)
    try:
        way = speed.Loop(torchrun, log)
        # only these sleep between their turns: torchrun itself does nothing but look after them
        way.pids = children(torchrun.pid)
        yield way
    finally:
        for pid in children(torchrun.pid):
            psutil.Process(pid).kill()
        torchrun.kill()
        torchrun.wait()


@contextmanager
def run(home: Path, ranks: int, batch_size: int) -> Iterator[speed.Way]:
    command, client = runs.new(home, "--detach", nproc=ranks, batch_size=batch_size)
    capture(command, workload.environment(home))
    with runs.killing(client):
        way = speed.Run(client)
        way.pids = children(way.pids[0]) or way.pids  # one alone has no launcher
        yield way


def children(pid: int) -> list[int]:
    return [process.pid for process in psutil.Process(pid).children()]


if __name__ == "__main__":
    main()
