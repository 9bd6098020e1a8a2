"""Describe the settings of a run, and find those in which runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuitrain.core.safe import safe
from tuitrain.history.plan import plan_of
from tuitrain.view.panel.forks import made_from
from tuitrain.view.state.made_of import device_of, model_of, optimizer_of
from tuitrain.view.state.progress import planned_epochs
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words


def settings(run: Snapshot) -> dict[str, str]:
    """Return the settings that affect training, with their changes and epochs."""
    spec, began = run.spec, run.lineage.initial_settings
    texts = {
        "task": run.task,
        "model": model_of(run),
        "loss": _history(run, "loss", began["loss"] or "–"),
        "optimizer": _without_schedule(optimizer_of(run)),
        "lr": _history(run, "lr", _number(began["lr"] or None)),
        "schedule": "–" if run.is_watched else _schedules(run),
        "batch size": _history(run, "batch-size", str(began["batch-size"] or "–")),
        "accumulate": "–" if run.is_watched else str(spec.accumulate),
        "seed": "–" if run.is_watched else str(spec.seed),
        "weight decay": _history(run, "weight-decay", _number(began["weight-decay"] or 0.0)),
        "clip norm": _history(run, "clip-norm", _number(began["clip-norm"], "off")),
        "device": device_of(run),
        "epochs": str(planned_epochs(run) or "–"),
        "begins as": made_from(run) or "new",
    }
    return {name: safe(text) for name, text in texts.items()}


def differing(runs: Sequence[Snapshot]) -> Mapping[str, tuple[str, ...]]:
    """Return the settings in which the runs differ, each with one text per run."""
    by_run = [settings(run) for run in runs]
    rows = {name: tuple(texts[name] for texts in by_run) for name in by_run[0]}
    return {name: row for name, row in rows.items() if len(set(row)) > 1}


def changes(run: Snapshot, kind: str) -> list[tuple[int, str]]:
    """Return (completed epochs, value) of the changes of that kind on the lineage."""
    plan = plan_of(run.lineage)
    return [(entry.epoch, entry.command.detail) for entry in plan if entry.command.kind == kind]


def _history(run: Snapshot, kind: str, first: str) -> str:
    """Return the first value and its changes, such as `cross-entropy → mse @ epoch 10`."""
    later = [f"{value} @ epoch {epoch}" for epoch, value in changes(run, kind)]
    return " → ".join([first, *later])


def _schedules(run: Snapshot) -> str:
    """Return the schedules of the learning rate, such as `constant → cosine @ epoch 4`."""
    first = run.lineage.initial_settings["schedule"]
    later = [
        f"{schedule.partition('@')[0]} @ epoch {epoch}"
        for epoch, schedule in changes(run, "schedule")
    ]
    return " → ".join([words.schedule(first), *later])


def _without_schedule(optimizer: str) -> str:
    """Return the text of an optimizer without its schedule, which has a row of its own."""
    name, _, options = optimizer.partition(":")
    kept = [option for option in options.split(",") if not option.startswith("schedule=")]
    return f"{name}:{','.join(kept)}".removesuffix(":")


def _number(value: float | None, missing: str = "–") -> str:
    return f"{value:g}" if value is not None else missing
