"""What the screen costs while it watches, and how soon it is there."""

from __future__ import annotations

import statistics
import sys
import time
from itertools import cycle, islice
from pathlib import Path

import psutil

from benchmarks import runs, workload
from benchmarks.figures import Figure
from benchmarks.terminal import Terminal, capture, module, tuitrain
from tuitrain.connection.client import Client
from tuitrain.core.commands import Pause
from tuitrain.core.events import Paused
from tuitrain.store.delta import Cursor

PACE = 92
_NUMBERS = b"val loss"
"""What only the app paints, above the charts."""
_VIEW = b"Training"
"""The name of view 2, whose colours change with the view."""
_BETWEEN_KEYS_S = 0.7
_LINK = 20_000
"""Bytes a second."""
_WHOLE_AFTER_S = 8
"""The first screen has come through it."""


def cost(home: Path, *, settle_s: float, watch_s: float) -> list[Figure]:
    """Watch a run at a pace that a person can follow: CPU, bytes and memory of the screen."""
    # as long as its charts usually are: one that crept along an endless axis would paint less
    epochs = round(2 * PACE * (settle_s + watch_s + 10) / workload.STEPS_PER_EPOCH)
    command, run = runs.new(home, pace=PACE, epochs=epochs)
    with Terminal(command, workload.environment(home)) as terminal, runs.ending(run):
        runs.wait_for_batch(run)
        time.sleep(settle_s)
        app = psutil.Process(terminal.process.pid)
        share, bytes_per_s = _load(app, terminal, watch_s)
        memory = app.memory_info().rss
        _pause(run)
        idle_share, idle_bytes_per_s = _load(app, terminal, min(watch_s, 5.0))
    return [
        Figure(f"the screen's CPU at {PACE} steps/s", f"{share:.1%}", "<= 5 %", "of one core"),
        Figure("bytes/s to the terminal, same", f"{bytes_per_s:.0f}", "<= 1536"),
        Figure("bytes/s while paused", f"{idle_bytes_per_s:.0f}", "0", f"CPU {idle_share:.1%}"),
        Figure("the screen's memory", f"{memory / 1e6:.0f} MB", "<= 80 MB", "resident"),
    ]


def keys(home: Path, *, times: int) -> list[Figure]:
    """Press a key that shows another view, beside a trainer at full speed: the first of it.

    An app of Textual alone does so beside the same trainer: what takes longer is ours.
    """
    command, run = runs.new(home, "--detach")
    capture(command, workload.environment(home))
    apps = {
        "key to screen at full speed": [tuitrain(), "attach", run.paths.name],
        "key to screen: Textual alone, as many cells": module("plain_textual"),
    }
    with runs.killing(run):
        took = {name: _by_key(home, app, times) for name, app in apps.items()}
    return [
        Figure(
            name,
            f"{statistics.quantiles(each, n=20)[-1]:.0f} ms",
            "<= 50 ms" if name in list(apps)[:1] else "",
            f"p95 of {times}; median {statistics.median(each):.0f} ms",
        )
        for name, each in took.items()
    ]


def leaving(home: Path, *, times: int) -> Figure:
    """Leave the screen of a run at full speed over a slow link: the question, and the end."""
    command, run = runs.new(home, "--detach")
    capture(command, workload.environment(home))
    attach = [tuitrain(), "attach", run.paths.name]
    asked, ended = [], []
    with runs.killing(run):
        for _ in range(times):
            with Terminal(attach, workload.environment(home), _LINK) as terminal:
                terminal.first_s(_VIEW)
                time.sleep(_WHOLE_AFTER_S)
                asked.append(terminal.press(b"q", b"Detach"))
                ended.append(terminal.press_to_end(b"d"))
    whole = statistics.median(map(sum, zip(asked, ended, strict=True)))
    remark = (
        f"it asks after {statistics.median(asked):.2f} s, and has ended "
        f"{statistics.median(ended):.2f} s after the answer; {times} times"
    )
    return Figure(f"leaving over {_LINK // 1000} kB/s", f"{whole:.2f} s", "<= 1 s", remark)


def _by_key(home: Path, command: list[str], times: int) -> list[float]:
    """Return how many milliseconds each of so many keys took."""
    with Terminal(command, workload.environment(home)) as terminal:
        terminal.first_s(_VIEW)
        took = []
        for key in islice(cycle((b"2", b"1")), times + 2):  # the first two import what they draw
            time.sleep(_BETWEEN_KEYS_S)
            took.append(1000 * terminal.press(key, _VIEW))
    return took[2:]


def _load(app: psutil.Process, terminal: Terminal, seconds: float) -> tuple[float, float]:
    """Return CPU share and bytes a second over the seconds to come."""
    before, began = app.cpu_times(), time.perf_counter()
    time.sleep(seconds)
    after, ended = app.cpu_times(), time.perf_counter()
    cpu_s = after.user + after.system - before.user - before.system
    return cpu_s / (ended - began), terminal.bytes_between(began, ended) / (ended - began)


def _pause(run: Client) -> None:
    """Pause it, and give the screen the time to say so."""
    run.send(Pause())
    runs.wait_until(
        lambda: any(
            isinstance(recorded.event, Paused) for recorded in run.look(Cursor()).delta.events
        )
    )
    time.sleep(2.5)


def starts(home: Path, *, times: int) -> list[Figure]:
    """Time how long help takes, and a new run's screen."""
    commands = ([tuitrain(), "--help"], [sys.executable, "-c", "import click"])
    took = [[_took_s(command, home) for command in commands] for _ in range(times)]
    help_s, click_s = (statistics.median(column) for column in zip(*took, strict=True))
    samples = [_run_s(home) for _ in range(times)]
    return [
        Figure(
            "tuitrain --help",
            f"{help_s:.3f} s",
            "<= 0.12 s",
            f"Python that imports click and ends: {click_s:.3f} s",
        ),
        _painted("tuitrain run", samples),
    ]


def attaching(home: Path, directory: Path, batches: str, *, times: int) -> Figure:
    """Time how long the screen of a recorded run takes."""
    samples = [_attach_s(home, directory) for _ in range(times)]
    return _painted(f"tuitrain attach, {batches}", samples)


def listing(home: Path, runs_there: int, *, times: int) -> Figure:
    """Time how long a home's list of runs takes."""
    took = [_took_s([tuitrain(), "ls"], home) for _ in range(times)]
    return Figure(f"tuitrain ls, {runs_there} runs", f"{statistics.median(took):.2f} s")


def _painted(what: str, samples: list[tuple[float, float]]) -> Figure:
    frame_s, numbers_s = (statistics.median(column) for column in zip(*samples, strict=True))
    return Figure(
        f"first frame: {what}",
        f"{frame_s:.2f} s",
        "<= 0.2 s",
        f"numbers after {numbers_s:.2f} s (goal: <= 1 s)",
    )


def _took_s(command: list[str], home: Path) -> float:
    began = time.perf_counter()
    capture(command, workload.environment(home))
    return time.perf_counter() - began


def _run_s(home: Path) -> tuple[float, float]:
    command, run = runs.new(home)
    with runs.killing(run), Terminal(command, workload.environment(home)) as terminal:
        return terminal.first_s(b""), terminal.first_s(_NUMBERS)


def _attach_s(home: Path, directory: Path) -> tuple[float, float]:
    command = [tuitrain(), "attach", str(directory)]
    with Terminal(command, workload.environment(home)) as terminal:
        return terminal.first_s(b""), terminal.first_s(_NUMBERS)
