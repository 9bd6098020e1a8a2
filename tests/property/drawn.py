"""The text of panels and charts, taken apart: what a person reads there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tests.conftest import Shell
from tuitrain.view.chart import multiples
from tuitrain.view.chart.curves import Curves
from tuitrain.view.panel import event_log, panels
from tuitrain.view.panel.vitals import vitals as vitals_of
from tuitrain.view.picture import plain
from tuitrain.view.state.snapshot import Snapshot

_FIELD_CELLS, _LABEL_CELLS = 40, 10
_IN_LOG = re.compile(r"loss \S+ → |\w+: take \d+ goes on at ")
_LABEL = re.compile(r"↶( take \d+(: [^\s│]+)?)?|(?<![▲▼] )[a-z][^\s│]+")
_CHART = re.compile(r"[ ▸](\S+) +(\S+)(?: ★(\S+))?$")


def header(run: Snapshot) -> str:
    return plain(panels.header(run, (), 200))


def vitals(run: Snapshot) -> dict[str, str]:
    """Return the fields by their labels."""
    lines = plain(vitals_of(run, 5 * _FIELD_CELLS)).splitlines()
    fields = [
        line[at : at + _FIELD_CELLS]
        for line in lines
        for at in range(0, len(line), _FIELD_CELLS)
    ]  # fmt: skip
    return {field[:_LABEL_CELLS].strip(): field[_LABEL_CELLS:].strip() for field in fields}


def epochs(run: Snapshot) -> list[str]:
    """Return the rows of the table, with one blank between two cells."""
    lines = plain(panels.epochs(run, 100, 40)).splitlines()
    return [" ".join(line.split()) for line in lines[1:] if line.strip()]


def bars(run: Snapshot) -> str:
    return plain(panels.progress(run, 120))


def log(run: Snapshot) -> list[str]:
    """Return the lines of the log of swaps and of new takes, without their times."""
    lines = plain(event_log.events(run, 200, 400)).splitlines()
    texts = [line.split(maxsplit=1)[1] for line in lines if line.strip()]
    return [text for text in texts if _IN_LOG.match(text)]


def small_charts(run: Snapshot, curves: Curves) -> dict[str, tuple[str, str]]:
    """Return the newest and the best value in the title of each small chart."""
    width, height = 600, multiples.LEAST_HEIGHT
    across, down = multiples.places(len(multiples.chosen(run, width, height)), width, height)
    lines = plain(multiples.of_run(run, curves, width, height)).splitlines()
    titles = [lines[height * row // down] for row in range(down)]
    cells = [title[at : at + width // across].rstrip() for title in titles
             for at in range(0, len(title), width // across)]  # fmt: skip
    found = [match for match in map(_CHART.match, cells) if match]
    return {match[1]: (match[2], match[3] or "") for match in found}


class Plot(NamedTuple):
    """The output of `tuitrain plot`."""

    title: str
    canvas: tuple[str, ...]
    """Its lines from the top, without the axes."""
    axis: str
    numbers: tuple[int, ...]
    """The steps at the ticks of the axis."""
    dashed: str

    def steps_of(self, signs: str, *, words: int = 0) -> set[int]:
        """Return the steps above which one of the signs is drawn, below so many lines of words."""
        lines = self.canvas[words:]
        return self._steps(at for line in lines for at, sign in enumerate(line) if sign in signs)

    @property
    def rulers(self) -> set[int]:
        """The steps of the rulers that cross the axis."""
        return self._steps(at for at, sign in enumerate(self.axis) if sign in "┴┼")

    @property
    def labels(self) -> dict[int, str]:
        """The words of the topmost line, by the steps at which they begin."""
        return {self.step(word.start()): word[0] for word in _LABEL.finditer(self.canvas[0])}

    def step(self, column: int) -> int:
        """Return the step that is nearest to a column."""
        first, *_, last = (at for at, sign in enumerate(self.axis) if sign in "┬┼")
        steps = self.numbers[-1] - self.numbers[0]
        return self.numbers[0] + round((column - first) * steps / (last - first))

    def _steps(self, columns: Iterable[int]) -> set[int]:
        return set(map(self.step, columns))


def plot(shell: Shell, run: str, *options: str, height: int = 10) -> Plot:
    """Return what is printed of a run."""
    output = shell("plot", run, *options, "--width", "208", "--height", str(height)).stdout
    title, *rest = output.splitlines()
    *canvas, axis, numbers = rest[:height]
    gutter = axis.index("└") + 1
    dashed = [line for line in rest[height:] if line.startswith("dashed: ")]
    return Plot(
        title, tuple(line[gutter:] for line in canvas), axis[gutter:],
        tuple(map(int, numbers.replace(",", "").split())),
        dashed[0].removeprefix("dashed: ") if dashed else "",
    )  # fmt: skip
