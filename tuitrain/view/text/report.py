"""The output of `show` and `ls`: JSON with stable keys, or lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tuitrain.core.detail import Confusion
from tuitrain.core.events import Warned
from tuitrain.core.notes import LONGEST, Note
from tuitrain.core.numbers import to_strict
from tuitrain.core.problem import Problem
from tuitrain.core.safe import safe
from tuitrain.core.schedules import initial_schedule
from tuitrain.core.watched import command_of
from tuitrain.store.epochs import Best
from tuitrain.store.series import Summary
from tuitrain.view.panel.advice import after_crash, in_words, nonfinite_pause
from tuitrain.view.panel.diagnosis import findings
from tuitrain.view.panel.forks import made_from
from tuitrain.view.state.metrics import ComparableMetric
from tuitrain.view.state.progress import planned_steps
from tuitrain.view.state.snapshot import Intervention, Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, to_the_right, width_of

_LABEL = 12
_MOST_CLASSES, _LONGEST_CLASS = 10, 12
_NOTE_CELLS = 40
_WIDEST = 64
"""Cells of a column: a longer text moves only what follows it in its line."""


def as_json(run: Snapshot, *, full: bool) -> dict[str, Any]:
    """Return the run under the keys of `show --json`; with its lists only if `full`."""
    last, newest = run.last_epoch, run.checkpoints[-1:]
    spec = run.spec
    report: dict[str, Any] = {
        "name": run.name,
        "state": run.state,
        "task": spec.task or None,
        "kind": run.kind,
        "model": _known(run.model),
        "optimizer": _known(run.optimizer),
        "lr": run.lr,
        "loss": run.loss or None,
        "device": _known(run.device),
        "seed": None if run.is_watched else spec.seed,
        "epoch": run.epoch,
        "epochs": run.planned_epochs or None,
        "step": run.step,
        "take": run.take,
        "steps_per_epoch": run.steps_per_epoch,
        "batch_size": run.settings["batch-size"] or None,
        "schedule": None if run.is_watched else run.settings["schedule"],
        "pace": run.pace,
        "started_at": words.utc(run.created_at),
        "elapsed_s": round(run.elapsed_s, 3),
        "train_loss": run.trained_loss(last),
        "val_loss": last and last.val_loss,
        "metrics": dict(last.metrics) if last else {},
        "best": _best(run),
        "weights_sha256": newest[0].weights_sha256 if newest else None,
        "error": run.error,
        "pid": run.pid,
        "directory": str(run.directory),
        "problem": _problem(run.problem),
        "monitor": run.problem.monitor or None,
        "origin": "watch" if run.is_watched else "task",
        "data_origin": (run.started.card.origin if run.started else "") or None,
        "series": [_series(summary) for summary in run.series],
        "timings": run.timings,
        "tags": list(run.tags),
        "notes": [_note(note) for note in run.notes if note.kind == "note"],
    }
    if full:
        report["data_notes"] = _data_notes(run)
        report["warnings"] = _warnings(run)
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


def as_lines(run: Snapshot, confusion: Confusion | None = None) -> list[str]:
    """Return the lines that `show` prints; `confusion` is that of the best epoch."""
    last = run.last_epoch
    planned = planned_steps(run)
    total = f" of {words.count(planned)}" if planned else ""
    rows = [
        ("state", _state(run)),
        (
            "script" if run.is_watched else "task",
            f"{run.task} ({run.kind})" if run.kind else run.task,
        ),
        *([("about", about)] if (about := _about(run)) not in ("", run.task) else []),
        *([("data from", origin)] if (origin := _origin(run)) else []),
        ("model", run.model),
        ("loss", run.loss or "–"),
        ("optimizer", _optimizer(run)),
        ("device", run.device),
        *([] if run.is_watched else [("seed", str(run.spec.seed))]),
        ("epoch", run.epochs_words.replace("/", " of ")),
        ("step", words.count(run.step) + total),
        ("trained for", words.duration(run.elapsed_s)),
        ("train loss", words.value(run.trained_loss(last))),
        ("val loss", words.value(last.val_loss if last else None)),
        *(
            (name, words.with_unit(number, run.problem.unit_of(name)))
            for name, number in (last.metrics if last else {}).items()
        ),
        ("best", _best_words(run)),
        *(("weights", f"sha256 {safe(saved.weights_sha256)}") for saved in run.checkpoints[-1:]),
        *([("begins as", made_from(run))] if made_from(run) else []),
        *([("again with", command)] if (command := command_of(run.spec.watched)) else []),
        *([("tags", ", ".join(run.tags))] if run.tags else []),
        ("directory", safe(run.directory)),
    ]
    cells = max(_LABEL, *(width_of(name) for name, _ in rows))
    lines = [run.title, *(f"  {padded(name, cells)} {text}" for name, text in rows)]
    if confusion and run.best and (matrix := confusion_lines(confusion, run.problem.classes)):
        lines += [
            "",
            f"  epoch {words.count(run.best.epoch)}: true classes down, predicted ones across",
            *matrix,
        ]
    if advice := [finding.line(run, has_keys=False) for finding in findings(run, confusion)]:
        lines += ["", "  advice", *(f"    {line}" for line in advice)]
    if notes := _data_notes(run):
        title = "script" if run.is_watched else "data"
        lines += ["", f"  {title}", *(f"    {safe(note)}" for note in notes)]
    if warnings := _warnings(run):
        lines += ["", "  warnings", *(f"    {safe(warning)}" for warning in warnings)]
    if written := [note for note in run.notes if note.kind == "note"]:
        rows_of_notes = [
            (words.day(note.at), f"step {words.count(note.step)}", safe(note.text, limit=LONGEST))
            for note in written
        ]
        lines += ["", "  notes", *(f"    {line}" for line in _aligned(rows_of_notes))]
    if run.interventions:
        changes = [_intervention_row(intervention) for intervention in run.interventions]
        lines += ["", "  interventions", *(f"    {line}" for line in _aligned(changes))]
    if run.checkpoints:
        saved_rows = [
            (
                f"step {words.count(saved.step)}", f"epoch {words.count(saved.epoch)}",
                safe(saved.why), safe(saved.file),
            )
            for saved in run.checkpoints
        ]  # fmt: skip
        lines += ["", "  checkpoints", *(f"    {line}" for line in _aligned(saved_rows))]
    return lines


def _state(run: Snapshot) -> str:
    """Return the state and its reason."""
    bad = nonfinite_pause(run)
    reason = run.error or run.why or (in_words(bad) if bad else "")
    if run.state == "crashed" and not run.is_deleted:
        reason = f"{reason}; {after_crash(run)}"
    if run.is_watched and run.state == "starting":
        reason = "waiting for its first step"
    return f"{run.state}: {reason}" if reason else run.state


def _about(run: Snapshot) -> str:
    return safe(run.started.card.title) if run.started else ""


def _origin(run: Snapshot) -> str:
    return safe(run.started.card.origin) if run.started else ""


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


def _data_notes(run: Snapshot) -> list[str]:
    return list(run.started.card.notes) if run.started else []


def _warnings(run: Snapshot) -> list[str]:
    return [recorded.event.text for recorded in run.log if isinstance(recorded.event, Warned)]


def _note(note: Note) -> dict[str, Any]:
    return {
        "id": note.id, "at": words.utc(note.at), "take": note.take, "step": note.step,
        "epoch": note.epoch, "text": note.text,
    }  # fmt: skip


def _known(text: str) -> str | None:
    return None if text == "–" else text


def _optimizer(run: Snapshot) -> str:
    settings = run.settings
    parts = [run.optimizer]
    if run.lr is not None:
        parts.append(f"lr {run.lr:g}")
    if settings["batch-size"]:
        several = f" × {run.spec.accumulate}" if run.spec.accumulate > 1 else ""
        parts.append(f"batch {words.count(settings['batch-size'])}{several}")
    if settings["weight-decay"]:
        parts.append(f"weight decay {settings['weight-decay']:g}")
    if settings["clip-norm"]:
        parts.append(f"gradients clipped to norm {settings['clip-norm']:g}")
    if settings["schedule"] != str(initial_schedule(run.spec.optimizer)):
        parts.append(f"schedule {words.schedule(settings['schedule'])}")
    return ", ".join(parts)


def table(runs: list[Snapshot]) -> list[str]:
    """Return the lines that `ls` prints; tags and newest notes only where there are some."""
    rows = [("NAME", "STATE", "TASK", "LOSS", "EPOCH", "STEP", "VAL LOSS", "BEST", "TAGS", "NOTE")]
    rows += [
        (
            run.title, run.state, run.task, run.loss or "–", run.epochs_words,
            words.count(run.step), words.value(run.last_epoch.val_loss if run.last_epoch else None),
            _best_words(run), ", ".join(run.tags), _newest_note(run),
        )
        for run in runs
    ]  # fmt: skip
    columns = list(zip(*rows, strict=True))
    shown = [*columns[:-2], *(column for column in columns[-2:] if any(column[1:]))]
    return _aligned(list(zip(*shown, strict=True)))


def _newest_note(run: Snapshot) -> str:
    notes = [note.text for note in run.notes if note.kind == "note"]
    return cut(safe(notes[-1]), _NOTE_CELLS) if notes else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines; columns are as wide as their longest text, within reason."""
    widths = [min(_WIDEST, max(map(width_of, column))) for column in zip(*rows, strict=True)]
    return ["  ".join(map(padded, row, widths)).rstrip() for row in rows]


def _best(run: Snapshot) -> dict[str, Any] | None:
    number = run.monitored(run.best)
    if run.best is None or number is None:
        return None
    return {"epoch": run.best.epoch, "metric": run.monitor, "value": number}


def _best_words(run: Snapshot) -> str:
    best = _best(run)
    if best is None:
        return "–"
    value = words.with_unit(best["value"], run.problem.unit_of(best["metric"]))
    return f"{safe(best['metric'])} {value} (epoch {words.count(best['epoch'])})"


def metric_in_words(run: Snapshot, metric: ComparableMetric, best: Mapping[str, Best]) -> str:
    """Return the newest and the best value of a metric, in words."""
    newest = metric.of(run.last_epoch) if run.last_epoch else None
    peak = best.get(metric.name)
    best_text = (
        f", best {words.value(peak.value)} @ epoch {words.count(peak.epoch)}" if peak else ""
    )
    return f"{metric.name} {words.value(newest)}{best_text}"


def series_in_words(run: Snapshot, name: str) -> str:
    """Return the newest value and the extremes of a series, in words."""
    summary = next(summary for summary in run.series if summary.series.name == name)
    unit = f" {safe(summary.series.unit)}" if summary.series.unit else ""
    extremes = f"{words.number(summary.low)} to {words.number(summary.high)}"
    return f"{safe(name)} {words.number(summary.last)}{unit}, {extremes}"


def confusion_lines(confusion: Confusion, classes: Sequence[str]) -> list[str]:
    """Return a confusion matrix as lines; [] if it is empty or too large."""
    size = len(confusion.counts)
    if not 0 < size <= _MOST_CLASSES:
        return []
    names = [cut(safe(name), _LONGEST_CLASS) for name in classes]
    names = names if len(names) == size else [str(number) for number in range(size)]
    cells = max(len(f"{count:,}") for row in confusion.counts for count in row)
    widths = [max(cells, width_of(name)) for name in names]
    rows = [
        (name, [f"{count:,}" for count in row])
        for name, row in zip(names, confusion.counts, strict=True)
    ]
    head = max(map(width_of, names))
    return [
        f"    {to_the_right(name, head)}  " + "  ".join(map(to_the_right, texts, widths))
        for name, texts in (("", names), *rows)
    ]


def _intervention(intervention: Intervention) -> dict[str, Any]:
    row = asdict(intervention)
    row["asked_at"] = words.utc(intervention.asked_at)
    return {
        key: row[key]
        for key in (
            "id", "kind", "detail", "asked_at", "step", "epoch", "take", "state", "reason"
        )
    }  # fmt: skip


def _intervention_row(intervention: Intervention) -> tuple[str, ...]:
    where = [] if intervention.step is None else [f"step {words.count(intervention.step)}"]
    about = ": ".join(where + ([safe(intervention.reason)] if intervention.reason else []))
    what = f"{intervention.kind} {safe(intervention.detail)}".strip()
    return intervention.id, words.clock(intervention.asked_at), what, intervention.state, about
