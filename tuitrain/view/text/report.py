"""The JSON that `show --json` and `ls --json` print. Its keys are stable."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tuitrain.core.detail import Ranks
from tuitrain.core.events import Warned
from tuitrain.core.notes import Note
from tuitrain.core.numbers import to_strict
from tuitrain.core.problem import Problem
from tuitrain.store.series import Summary
from tuitrain.view.state.made_of import device_of, model_of, optimizer_of, tags_of
from tuitrain.view.state.metrics import monitor_of, monitored
from tuitrain.view.state.progress import planned_epochs
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Intervention, Snapshot
from tuitrain.view.state.timings import timings
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text import words


def as_json(run: Snapshot, *, full: bool, ranks: Ranks | None = None) -> dict[str, Any]:
    """Return the run under the keys of `show --json`; with its lists only if `full`."""
    last, newest = run.last_epoch, run.checkpoints[-1:]
    spec = run.spec
    report: dict[str, Any] = {
        "name": run.name,
        "state": run.state,
        "task": spec.task or None,
        "kind": run.problem.kind,
        "model": _known(model_of(run)),
        "optimizer": _known(optimizer_of(run)),
        "lr": lr_of(run),
        "loss": run.loss or None,
        "device": _known(device_of(run)),
        "seed": None if run.is_watched else spec.seed,
        "epoch": run.epoch,
        "epochs": planned_epochs(run) or None,
        "step": run.step,
        "take": run.take,
        "steps_per_epoch": run.steps_per_epoch,
        "batch_size": run.settings["batch-size"] or None,
        "schedule": None if run.is_watched else run.settings["schedule"],
        "pace": run.settings["pace"],
        "started_at": words.utc(run.created_at),
        "elapsed_s": round(run.elapsed_s, 3),
        "train_loss": trained_loss(run, last),
        "val_loss": last and last.val_loss,
        "metrics": dict(last.metrics) if last else {},
        "best": best_of(run),
        "weights_sha256": newest[0].weights_sha256 if newest else None,
        "error": run.error,
        "pid": run.pid,
        "directory": str(run.directory),
        "problem": _problem(run.problem),
        "monitor": run.problem.monitor or None,
        "origin": "watch" if run.is_watched else "task",
        "data_origin": (run.started.card.origin if run.started else "") or None,
        "series": [_series(summary) for summary in run.series],
        "timings": timings(run.series),
        "tags": list(tags_of(run)),
        "notes": [_note(note) for note in run.notes if note.kind == "note"],
    }
    if full:
        if ranks is not None:
            report["ranks"] = [asdict(rank) for rank in ranks.ranks]
        report["data_notes"] = data_notes(run)
        report["warnings"] = warnings(run)
        report["interventions"] = [
            _intervention(intervention) for intervention in run.interventions
        ]
        report["checkpoints"] = [
            {key: asdict(saved)[key] for key in
             ("epoch", "step", "take", "why", "file", "bytes", "sha256")}
            for saved in run.checkpoints
        ]  # fmt: skip
    strict: dict[str, Any] = to_strict(report)
    return strict


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "metrics": [
            {
                "name": metric.name,
                "direction": metric.direction,
                **({"unit": metric.unit} if metric.unit else {}),
            }
            for metric in problem.metrics
        ],
        "losses": list(problem.losses),
        "classes": list(problem.classes),
        "input_shape": list(problem.input_shape),
    }


def _series(summary: Summary) -> dict[str, Any]:
    of = summary.series
    return {
        "name": of.name, "last": summary.last, "min": summary.low, "max": summary.high,
        "unit": of.unit,
    }  # fmt: skip


def data_notes(run: Snapshot) -> list[str]:
    """Return what the run says of its data, a line each."""
    return list(run.started.card.notes) if run.started else []


def warnings(run: Snapshot) -> list[str]:
    """Return the texts of all warnings, oldest first."""
    return [recorded.event.text for recorded in run.log if isinstance(recorded.event, Warned)]


def _note(note: Note) -> dict[str, Any]:
    return {
        "id": note.id, "at": words.utc(note.at), "take": note.take, "step": note.step,
        "epoch": note.epoch, "text": note.text,
    }  # fmt: skip


def _known(text: str) -> str | None:
    return None if text == "–" else text


def best_of(run: Snapshot) -> dict[str, Any] | None:
    """Return epoch, metric and value of the best epoch; None before the first validation."""
    number = monitored(run, run.best)
    if run.best is None or number is None:
        return None
    return {"epoch": run.best.epoch, "metric": monitor_of(run), "value": number}


def _intervention(intervention: Intervention) -> dict[str, Any]:
    row = asdict(intervention)
    row["asked_at"] = words.utc(intervention.asked_at)
    return {
        key: row[key]
        for key in (
            "id", "kind", "detail", "asked_at", "step", "epoch", "take", "state", "reason"
        )
    }  # fmt: skip
