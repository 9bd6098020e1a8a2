"""The table that comes out."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).with_name("RESULTS.md")


class Figure(NamedTuple):
    """One line of the table. A peer has no goal."""

    name: str
    measured: str
    goal: str = ""
    remark: str = ""


HEAD = Figure("figure", "measured", "goal", "in this run")


def lines(figures: Iterable[Figure]) -> list[str]:
    """Return the table as aligned Markdown."""
    rows = [HEAD, *figures]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = Figure(*("-" * width for width in widths))
    return [
        "| "
        + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        + " |"
        for row in (HEAD, rule, *rows[1:])
    ]


def write(figures: Iterable[Figure]) -> None:
    """Put the table into RESULTS.md, with what it was measured on; what is said below it stays."""
    about = (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"torch {version('torch')}, textual {version('textual')}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}, no GPU used."
    )
    below = RESULTS.read_text().partition("\n\nHow to read it")[2] if RESULTS.exists() else ""
    text = "\n".join(["# Measured by `make bench`", "", about, "", *lines(figures)])
    RESULTS.write_text(text + (f"\n\nHow to read it{below}" if below else "\n"))
