"""The metrics that several runs share, and those that one of them lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuitrain.core.safe import safe
from tuitrain.view.state.metrics import ComparableMetric, metrics_of
from tuitrain.view.state.snapshot import Snapshot


def shared(runs: Sequence[Snapshot]) -> list[ComparableMetric]:
    """Return the metrics that all the runs have, the leading metric first.

    Where they have none in common, return those that two or more of them have. Losses are included
    only if the problems of these are of one kind; otherwise their values are not comparable.
    """
    having: dict[ComparableMetric, list[Snapshot]] = {}
    for run in runs:
        for metric in metrics_of(run):
            having.setdefault(metric, []).append(run)
    several = {
        metric: owners for metric, owners in having.items()
        if len(owners) > 1 and (metric.part == "metrics" or _have_one_kind(owners))
    }  # fmt: skip
    of_all = [metric for metric, owners in several.items() if len(owners) == len(runs)]
    return of_all or [*several]


def _have_one_kind(runs: Iterable[Snapshot]) -> bool:
    return len({run.problem.kind for run in runs}) == 1


def nothing_shared(runs: Sequence[Snapshot]) -> str:
    """Return why there is nothing to compare."""
    kinds = ", ".join(
        f"{safe(run.name)} is {run.problem.kind or 'of no kind'} ({run.task})" for run in runs
    )
    unseen = [safe(run.name) for run in runs if run.is_watched and not metrics_of(run)]
    if unseen:
        names = ", ".join(unseen)
        return (
            f"no validation was seen of {names}: tuitrain compare --metric NAME compares a series"
        )
    return f"these runs have no metric in common: {kinds}; compare runs of one kind of problem"


def lack_of(run: Snapshot, metrics: Sequence[ComparableMetric]) -> str:
    """Return which of the metrics that others share a run lacks, and why; "" if it has all."""
    has = metrics_of(run)
    missing = [safe(metric.name) for metric in metrics if metric not in has]
    if not missing:
        return ""
    what = "none of these metrics" if len(missing) == len(metrics) else f"no {', '.join(missing)}"
    kind = f"it is {run.problem.kind or 'of no kind'} ({safe(run.task)})"
    return f"has {what}: {kind if has else 'no validation was seen of it'}"
