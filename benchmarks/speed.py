"""How fast training is, alone and watched: all ways side by side, one of them awake at a time.

Every way runs in processes of its own that are stopped (SIGSTOP) but for its turn of a second or
two. So start-up costs nothing, and ratios are of neighbours in time: a machine that slows down
for a while slows all of them.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from benchmarks import runs, workload
from benchmarks.figures import Figure
from benchmarks.terminal import Terminal, capture, module
from tuitrain.connection.client import Client
from tuitrain.store.delta import Cursor

COLD_S = 0.3
"""Left out of every turn: caches and clocks have to come back."""


class Rate(NamedTuple):
    """How fast a way trained in a turn."""

    steps: float
    """Steps a second."""
    per_cpu: float
    """Steps per second of CPU time of the processes that train, whatever else used their cores."""


class Way(Protocol):
    """Something that trains, and can be put to sleep."""

    pids: list[int]
    """The processes that train."""
    watchers: list[int]
    """Those that watch it."""

    def progress(self) -> list[tuple[float, int]]:
        """Return (seconds, step) of what was trained since the last call."""
        ...


class Run:
    """A run of tuitrain, by its own record."""

    def __init__(self, client: Client, *watchers: int) -> None:
        runs.wait_for_batch(client)
        self._client = client
        self._key = 0
        trainer = client.look(Cursor()).pid
        assert trainer is not None
        self.pids, self.watchers = [trainer], list(watchers)

    def progress(self) -> list[tuple[float, int]]:
        rows = self._client.record.batches(self._key, 1)
        self._key = rows[-1].key if rows else self._key
        return [(row.elapsed_ms / 1000, row.step) for row in rows]


class Loop:
    """A process of bare_loop.py, by the lines that it writes."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._log = log
        self._read = 0
        self.pids, self.watchers = [process.pid], list[int]()
        runs.wait_until(lambda: log.exists() and log.stat().st_size > 0)

    def progress(self) -> list[tuple[float, int]]:
        text = self._log.read_text()
        lines, self._read = text[self._read : text.rfind("\n") + 1].split("\n"), len(text)
        pairs = [line.split() for line in lines if " " in line]
        return [(float(at), int(step)) for at, step in pairs]


@contextmanager
def with_screen(home: Path) -> Iterator[Way]:
    command, client = runs.new(home)
    with Terminal(command, workload.environment(home)) as terminal, runs.killing(client):
        yield Run(client, terminal.process.pid)


@contextmanager
def plain(home: Path) -> Iterator[Way]:
    command, client = runs.new(home, "--plain")
    environment = workload.environment(home)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        threading.Thread(target=lambda: list(process.stdout or ()), daemon=True).start()
        with runs.killing(client):
            yield Run(client, process.pid)


@contextmanager
def detached(home: Path) -> Iterator[Way]:
    command, client = runs.new(home, "--detach")
    capture(command, workload.environment(home))
    with runs.killing(client):
        yield Run(client)


@contextmanager
def loop(home: Path, kind: str) -> Iterator[Way]:
    log = home / f"{kind}.txt"
    command = [*module("bare_loop"), kind, str(log)]
    process = subprocess.Popen(command, env=workload.environment(home), stderr=subprocess.DEVNULL)
    try:
        yield Loop(process, log)
    finally:
        process.kill()
        process.wait()


BARE = "bare loop"
LOOPS = {
    BARE: "bare", "Adam not fused": "unfused", "its kernel called directly": "direct",
    "loss.item()": "item", "tqdm": "tqdm", "TensorBoard": "tensorboard",
    "W&B, offline": "wandb", "Lightning": "lightning",
}  # fmt: skip
RUNS = {
    "tuitrain run": with_screen,
    "tuitrain run --plain": plain,
    "tuitrain run --detach": detached,
}
GOALS = {"tuitrain run": 0.97, "tuitrain run --plain": 0.98, "tuitrain run --detach": 0.98}
NEEDS = {
    "tqdm": "tqdm", "TensorBoard": "tensorboard", "W&B, offline": "wandb",
    "Lightning": "lightning",
}  # fmt: skip


def measure(home: Path, *, rounds: int, seconds: float) -> list[Figure]:
    """Return the ratios to the bare loop: medians over the rounds."""
    absent = [way for way, package in NEEDS.items() if find_spec(package) is None]
    with ExitStack() as stack:
        ways: dict[str, Way] = {}
        for name in [*LOOPS, *RUNS]:
            if name not in absent:
                opened = loop(home, LOOPS[name]) if name in LOOPS else RUNS[name](home)
                ways[name] = stack.enter_context(opened)
                tell(ways[name], signal.SIGSTOP)
        rates = taken_in_turns(ways, rounds, seconds)
        for way in ways.values():
            tell(way, signal.SIGCONT)
    return [
        *(_figure(way, rates[way], rates[BARE]) for way in rates),
        *(Figure(f"steps/s / bare: {way}", "not installed") for way in absent),
    ]


def taken_in_turns(ways: Mapping[str, Way], rounds: int, seconds: float) -> dict[str, list[Rate]]:
    """Return how fast each way was in each round, the first round left out as a warm-up."""
    rates: dict[str, list[Rate]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            rate = turn(way, seconds)
            if number:
                rates[name].append(rate)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return rates


def turn(way: Way, seconds: float) -> Rate:
    """Let it train for so long, alone, and return how fast it was."""
    way.progress()
    tell(way, signal.SIGCONT)
    time.sleep(COLD_S)
    at, cpu = time.monotonic(), cpu_s(way)
    time.sleep(seconds)
    cpu, at = cpu_s(way) - cpu, time.monotonic() - at
    tell(way, signal.SIGSTOP)
    seen = way.progress()
    # the first reading may be from before the sleep: it came to the record only now
    warm = [pair for pair in seen if pair[0] >= seen[-1][0] - seconds + COLD_S]
    (began, first), (ended, last) = warm[0], warm[-1]
    steps = (last - first) / (ended - began)
    return Rate(steps, steps * at / cpu)


def cpu_s(way: Way) -> float:
    """Return the seconds of CPU time that the processes that train have used."""
    used = [psutil.Process(pid).cpu_times() for pid in way.pids]
    return sum(one.user + one.system for one in used)


def tell(way: Way, number: signal.Signals) -> None:
    for pid in (*way.pids, *way.watchers):
        os.kill(pid, number)


def _figure(way: str, rates: list[Rate], bare: list[Rate]) -> Figure:
    if way == BARE:
        steps = statistics.median(rate.steps for rate in rates)
        return Figure(
            "steps/s: bare loop, fused Adam", f"{steps:.0f}", "",
            f"per CPU second {statistics.median(rate.per_cpu for rate in rates):.0f}",
        )  # fmt: skip
    return compared(f"steps/s / bare: {way}", rates, bare, GOALS.get(way))


def compared(name: str, rates: list[Rate], others: list[Rate], goal: float | None) -> Figure:
    """Return how fast a way is beside another one: medians of the ratios of their turns."""
    pairs = list(zip(rates, others, strict=True))
    median, half = _quartiles([ours.steps / other.steps for ours, other in pairs])
    of_cpu, half_of_cpu = _quartiles([ours.per_cpu / other.per_cpu for ours, other in pairs])
    return Figure(
        name, median, f">= {goal}" if goal else "",
        f"half of {len(pairs)} rounds: {half}; per CPU second {of_cpu}: {half_of_cpu}",
    )  # fmt: skip


def _quartiles(ratios: list[float]) -> tuple[str, str]:
    """Return the median, and between which values half of them are."""
    low, median, high = statistics.quantiles(ratios, n=4)
    return f"{median:.3f}", f"{low:.3f} to {high:.3f}"
