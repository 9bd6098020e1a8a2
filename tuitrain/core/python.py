"""Run a module of this package in a separate Python that user files cannot shadow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parents[2]
"""The folder that contains this package."""


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this package.

    `-P`: without it, `-m` looks in the working folder first, and a `types.py` there is imported.
    Processes that multiprocessing starts get it, too.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which `command` finds the same package as this process.

    PYTHONPATH names the package's folder only where Python would not find it by itself: where it
    was found in the working folder, or by a path that this process added.
    """
    if is_installed():
        return dict(os.environ)
    paths = [str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def is_installed() -> bool:
    """Return whether the package is found without the first entry of `sys.path`.

    That entry is the working folder, or the folder of the script that was started.
    """
    return any(Path(entry).resolve() == _HOME for entry in sys.path[1:])
