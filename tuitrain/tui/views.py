"""The views of a run, and the panels that each of them shows: one entry for each panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tuitrain.view.chart.trends import trends
from tuitrain.view.panel import batch, fit, health, loss_curve, model, ranks, sample, surface
from tuitrain.view.panel.event_log import event_log
from tuitrain.view.panel.layers import layers
from tuitrain.view.panel.line_search import line_search
from tuitrain.view.panel.output import output
from tuitrain.view.panel.reads import Reads
from tuitrain.view.panel.worst import worst
from tuitrain.view.picture import Picture
from tuitrain.view.state.snapshot import Snapshot

Draw = Callable[[Snapshot, Reads, int, int], Picture]
"""From a run, its readers, a width and a height to cells; called in a thread."""


class Panel(NamedTuple):
    """A panel that is read and drawn only while its view is shown."""

    id: str
    title: str
    draw: Draw
    is_fast: bool = False
    """Whether it is drawn again for every batch that the screen shows."""
    is_chart: bool = False
    """Whether it has the steps as its x axis, which the keys of the charts change."""
    title_of_numbers: str = ""
    """The title for a regression, if it has one of its own."""
    applies: Callable[[Snapshot], bool] | None = None
    """If it returns false, the panel is only shown alone; None: it always applies."""

    def title_for(self, run: Snapshot) -> str:
        """Return the title of the panel of a run."""
        is_number = run.problem.kind == "regression"
        return (is_number and self.title_of_numbers) or self.title


def _events(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    return event_log(run, width, height, reads.search().strip())


def _predictions(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    draw = fit.fit if run.problem.kind == "regression" else model.confusion
    return draw(run, reads, width, height)


def _results(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    draw = fit.residuals if run.problem.kind == "regression" else model.classes
    return draw(run, reads, width, height)


class View(NamedTuple):
    """A part of the screen of a run, below its numbers, chosen by a digit."""

    name: str
    question: str
    """The question that the view answers."""
    panels: tuple[Panel, ...] = ()
    """Empty for the first view, whose panels are widgets of their own."""
    searched: str = ""
    """What is typed to search its panels, in words; "": there is nothing to search."""

    @property
    def has_charts(self) -> bool:
        return not self.panels or any(panel.is_chart for panel in self.panels)

    @property
    def id(self) -> str:
        return f"view-{self.name.lower()}"


STEPS = Panel("steps", "what happened in this batch", batch.steps, is_fast=True)
VIEWS = (
    View("Training", "is it learning?"),
    View("Batch", "what did this batch do?", (
        STEPS,
        Panel("sample", "one sample taken apart", sample.sample, applies=sample.applies),
    )),
    View("Loss", "what is this loss, and why that one?", (
        Panel("curve", "the loss over one prediction", loss_curve.curve),
        Panel("lesson", "this loss beside the others", loss_curve.lesson),
        Panel("line", "line search: the loss along the last step", line_search),
    )),
    View("Model", "what does it get wrong?", (
        Panel("surface", "decision surface", surface.surface,
              title_of_numbers="fit over the inputs", applies=surface.applies),
        Panel("confusion", "confusion matrix", _predictions,
              title_of_numbers="predicted against true"),
        Panel("classes", "results of each class, the worst first", _results,
              title_of_numbers="errors: predicted minus true"),
        Panel("worst", "validation samples that it gets wrong", worst),
    )),
    View("Health", "is anything sick or slow?", (
        Panel("shares", "shares of the last second", health.shares),
        Panel("ranks", "ranks: the processes that train it", ranks.ranks, applies=ranks.applies),
        Panel("layers", "layers: log10(update / weight)", layers),
        Panel("trends", "measured about once a second", trends, is_chart=True),
    ), searched="part of a series' name"),
    View("Log", "what happened, what did it print?", (
        Panel("log", "events and notes", _events),
        Panel("output", "output: / searches both", output),
    ), searched="part of a line"),
)  # fmt: skip
"""In the order of their digits."""
