"""What every measurement here trains, and the environment in which it does."""

from __future__ import annotations

import os
from pathlib import Path

TASK = "digits"
SETTINGS = {
    "model": "mlp:hidden=512-128",
    "optimizer": "adam",
    "batch_size": 64,
    "seed": 0,
    "epochs": 1_000_000,  # never reached: measurements end by the clock
    "device": "cpu",
}
STEPS_PER_EPOCH = 23


def options(**changes: object) -> list[str]:
    """Return the settings as `tuitrain run` takes them."""
    settings = {**SETTINGS, "pace": "off", **changes}
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]


def environment(home: Path) -> dict[str, str]:
    """Return the environment for every process that is measured: one torch thread, a terminal.

    Modules are compiled once, as those of an installed program are.
    """
    left_out = ("COLUMNS", "LINES", "NO_COLOR", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    return inherited | {
        "OMP_NUM_THREADS": "1",
        "TUITRAIN_HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
