"""The readers of a run that a panel may use, besides the snapshot that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tuitrain.view.chart.chart_view import USUAL, ChartView
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words

if TYPE_CHECKING:
    from tuitrain.view.chart.curves import Curves


class Details(Protocol):
    """A reader of details: the record of a run."""

    def detail(self, key: int, name: str) -> dict[str, Any] | None:
        """Return the detail `name` of the step with that key, or None."""
        ...

    def newest_detail(self, take: int, step: int, name: str) -> tuple[int, dict[str, Any]] | None:
        """Return the newest detail `name` of a take up to a step, after its step; or None."""
        ...

    def latest_batch_losses(self, take: int) -> tuple[int, Mapping[str, float]]:
        """Return the step of a recent batch of a take, and every fitting loss on that batch."""
        ...


def not_recorded(run: Snapshot, what: str) -> str:
    """Return why there is none of what a validation records: predictions, confusion matrix."""
    if run.last_epoch is None:
        return "no epoch is validated yet"
    if run.is_watched:
        return f"of a watched script no {what} is recorded"
    if run.problem.kind == "multilabel":
        return f"several labels have no {what}; the results of each label are recorded"
    return f"no {what} of the last epoch is in the record"


def no_batch(run: Snapshot) -> str:
    """Return that no batch is trained, and which key trains one."""
    after = f" after step {words.count(run.step)}" if run.step else ""
    return f"no batch is trained yet{after}" + ("" if run.has_ended else ": . trains one")


class Reads(NamedTuple):
    """The readers of one run."""

    details: Details
    curves: Curves
    output: Callable[[], list[str]]
    """Returns the last lines that the trainer and the user's code printed."""
    search: Callable[[], str]
    """Returns what the user searches for; empty for nothing."""
    chart_view: Callable[[], ChartView] = lambda: USUAL
    """Returns how the user looks at the charts."""
    sample: Callable[[], int] = lambda: 0
    """Returns which sample of a batch is shown: a number from any range, taken cyclically."""
