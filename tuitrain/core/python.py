"""Run a module of this package in another Python process, where user files cannot shadow it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parents[2]
"""The folder that contains this package."""


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this package.

    Without `-P`, `-m` searches the working folder first and would import a `types.py` there.
    Processes that multiprocessing starts inherit `-P`.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which `command` finds the same package as this process.

    It adds the package's folder to PYTHONPATH only if the package is not installed: if this process
    found it through the first entry of `sys.path`.
    """
    if is_installed():
        return dict(os.environ)
    paths = [str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def is_installed() -> bool:
    """Return whether an entry of `sys.path` other than the first one has the package.

    The first entry is the working folder, or the folder of the script that was started.
    """
    return any(Path(entry).resolve() == _HOME for entry in sys.path[1:])
