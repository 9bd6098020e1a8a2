"""How fast training is, alone and watched: every way in turn, and that several times over."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import runs
import workload
from figures import Figure
from terminal import Terminal, capture

Way = Callable[[Path, float], float]
"""From a home and seconds to steps a second."""


def with_screen(home: Path, seconds: float) -> float:
    command, run = runs.new(home)
    with Terminal(command, workload.environment(home)), runs.ending(run):
        return runs.steady_rate(run, seconds)


def plain(home: Path, seconds: float) -> float:
    command, run = runs.new(home, "--plain")
    environment = workload.environment(home)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        threading.Thread(target=lambda: list(process.stdout or ()), daemon=True).start()
        with runs.ending(run):
            return runs.steady_rate(run, seconds)


def detached(home: Path, seconds: float) -> float:
    command, run = runs.new(home, "--detach")
    capture(command, workload.environment(home))
    with runs.ending(run):
        return runs.steady_rate(run, seconds)


def loop(way: str) -> Way:
    script = str(Path(__file__).with_name("bare_loop.py"))

    def rate(home: Path, seconds: float) -> float:
        command = [sys.executable, script, way, str(seconds)]
        return float(capture(command, workload.environment(home)))

    return rate


BARE = "bare loop"
WAYS: dict[str, Way] = {
    BARE: loop("bare"),
    "tuitrain run": with_screen,
    "tuitrain run --plain": plain,
    "tuitrain run --detach": detached,
    "loss.item()": loop("item"),
    "tqdm, postfix": loop("tqdm"),
    "TensorBoard add_scalar": loop("tensorboard"),
}
GOALS = {"tuitrain run": 0.97, "tuitrain run --plain": 0.98, "tuitrain run --detach": 0.98}
NEEDS = {"tqdm, postfix": "tqdm", "TensorBoard add_scalar": "tensorboard"}


def measure(home: Path, *, rounds: int, seconds: float) -> list[Figure]:
    """Return the ratios to the bare loop: medians over the rounds."""
    absent = [way for way, package in NEEDS.items() if find_spec(package) is None]
    rates: dict[str, list[float]] = {way: [] for way in WAYS if way not in absent}
    for number in range(rounds):
        for way, measured in rates.items():
            measured.append(WAYS[way](home, seconds))
            print(f"round {number + 1}, {way}: {measured[-1]:.0f} steps/s", file=sys.stderr)
    return [
        *(_figure(way, rates[way], rates[BARE]) for way in rates),
        *(Figure(f"steps/s / bare: {way}", "not installed") for way in absent),
    ]


def _figure(way: str, rates: list[float], bare: list[float]) -> Figure:
    remark = f"{statistics.median(rates):.0f} steps/s"
    if way == BARE:
        return Figure("steps/s: bare loop", f"{statistics.median(rates):.0f}")
    ratios = [rate / beside for rate, beside in zip(rates, bare, strict=True)]
    return Figure(
        f"steps/s / bare: {way}",
        f"{statistics.median(ratios):.3f}",
        f">= {GOALS[way]}" if way in GOALS else "",
        f"{remark}, {min(ratios):.3f} to {max(ratios):.3f} over {len(ratios)} rounds",
    )
