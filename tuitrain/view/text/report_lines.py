"""The lines that `show` and `ls` print for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tuitrain.core.detail import Confusion, Ranks
from tuitrain.core.notes import LONGEST
from tuitrain.core.safe import safe
from tuitrain.core.watched import command_of
from tuitrain.store.epoch_values import Best
from tuitrain.view.panel.advice import after_crash, in_words, nonfinite_pause
from tuitrain.view.panel.diagnosis import findings
from tuitrain.view.panel.forks import made_from
from tuitrain.view.state.made_of import batch_of, device_of, model_of, optimizer_of, tags_of
from tuitrain.view.state.metrics import ComparableMetric
from tuitrain.view.state.progress import epochs_words, planned_steps
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Intervention, Snapshot
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, to_the_right, width_of
from tuitrain.view.text.rank_table import lines_of
from tuitrain.view.text.report import best_of, data_notes, warnings

_LABEL = 12
_MOST_CLASSES, _LONGEST_CLASS = 10, 12
_NOTE_CELLS = 40
_WIDEST = 64
"""Cells of a column: a longer text moves only what follows it in its line."""
_Rows = Iterator[tuple[str, str]]
"""Labels and texts."""


def as_lines(
    run: Snapshot, confusion: Confusion | None = None, ranks: Ranks | None = None
) -> list[str]:
    """Return the lines that `show` prints; `confusion` is that of the best epoch."""
    rows = [*_rows_of_setup(run), *_rows_of_results(run), *_rows_of_files(run)]
    cells = max(_LABEL, *(width_of(name) for name, _ in rows))
    lines = [run.title, *(f"  {padded(name, cells)} {text}" for name, text in rows)]
    of_ranks = lines_of(ranks, is_sharded=run.spec.is_sharded) if ranks else []
    sections = [("ranks", of_ranks), *_sections(run, confusion)]
    for title, section in sections:
        if section:
            lines += ["", f"  {title}", *(f"    {line}" for line in section)]
    return lines


def _rows_of_setup(run: Snapshot) -> _Rows:
    """Yield the state, and what is trained with what."""
    yield "state", _state(run)
    kind = f" ({run.problem.kind})" if run.problem.kind else ""
    yield "script" if run.is_watched else "task", f"{run.task}{kind}"
    if (about := _about(run)) not in ("", run.task):
        yield "about", about
    if origin := _origin(run):
        yield "data from", origin
    yield "model", model_of(run)
    yield "loss", run.loss or "–"
    yield "optimizer", _optimizer(run)
    yield "device", device_of(run)
    if not run.is_watched:
        yield "seed", str(run.spec.seed)


def _rows_of_results(run: Snapshot) -> _Rows:
    """Yield how far it has come, and the values of its last validation and of the best."""
    last, planned = run.last_epoch, planned_steps(run)
    yield "epoch", epochs_words(run).replace("/", " of ")
    yield "step", words.count(run.step) + (f" of {words.count(planned)}" if planned else "")
    yield "trained for", words.duration(run.elapsed_s)
    yield "train loss", words.value(trained_loss(run, last))
    yield "val loss", words.value(last.val_loss if last else None)
    for name, number in (last.metrics if last else {}).items():
        yield name, words.with_unit(number, run.problem.unit_of(name))
    yield "best", _best_words(run)


def _rows_of_files(run: Snapshot) -> _Rows:
    """Yield its weights, where it comes from, and where it is."""
    for saved in run.checkpoints[-1:]:
        yield "weights", f"sha256 {safe(saved.weights_sha256)}"
    if begins := made_from(run):
        yield "begins as", begins
    if command := command_of(run.spec):
        yield "again with", command
    if tags_of(run):
        yield "tags", ", ".join(tags_of(run))
    yield "directory", safe(run.directory)


def _sections(run: Snapshot, confusion: Confusion | None) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield title and lines of each section below the rows; one without lines is left out."""
    if confusion and run.best:
        title = f"epoch {words.count(run.best.epoch)}: true classes down, predicted ones across"
        yield title, confusion_lines(confusion, run.problem.classes)
    yield "advice", [finding.line(run, has_keys=False) for finding in findings(run, confusion)]
    yield "script" if run.is_watched else "data", list(map(safe, data_notes(run)))
    yield "warnings", list(map(safe, warnings(run)))
    yield "notes", _aligned([
        (words.day(note.at), f"step {words.count(note.step)}", safe(note.text, limit=LONGEST))
        for note in run.notes if note.kind == "note"
    ])  # fmt: skip
    yield "interventions", _aligned(list(map(_intervention_row, run.interventions)))
    yield "checkpoints", _aligned([
        (f"step {words.count(saved.step)}", f"epoch {words.count(saved.epoch)}",
         safe(saved.why), safe(saved.file))
        for saved in run.checkpoints
    ])  # fmt: skip


def _state(run: Snapshot) -> str:
    """Return the state and its reason."""
    nonfinite = nonfinite_pause(run)
    reason = run.error or run.why or (in_words(nonfinite) if nonfinite else "")
    if run.state == "crashed" and not run.is_deleted:
        reason = f"{reason}; {after_crash(run)}"
    if run.state == "starting":
        reason = "waiting for its first step" if run.is_watched else safe(run.stage, limit=80)
    return f"{run.state}: {reason}" if reason else run.state


def _about(run: Snapshot) -> str:
    return safe(run.started.card.title) if run.started else ""


def _origin(run: Snapshot) -> str:
    return safe(run.started.card.origin) if run.started else ""


def _optimizer(run: Snapshot) -> str:
    settings = run.settings
    parts = [optimizer_of(run)]
    if lr_of(run) is not None:
        parts.append(f"lr {lr_of(run):g}")
    if settings["batch-size"]:
        parts.append(batch_of(run))
    if settings["weight-decay"]:
        parts.append(f"weight decay {settings['weight-decay']:g}")
    if settings["clip-norm"]:
        parts.append(f"gradients clipped to norm {settings['clip-norm']:g}")
    if settings["schedule"] != run.spec.settings["schedule"]:
        parts.append(f"schedule {words.schedule(settings['schedule'])}")
    return ", ".join(parts)


def table(runs: list[Snapshot]) -> list[str]:
    """Return the lines that `ls` prints; tags and newest notes only where there are some."""
    rows = [("NAME", "STATE", "TASK", "LOSS", "EPOCH", "STEP", "VAL LOSS", "BEST", "TAGS", "NOTE")]
    rows += [
        (
            run.title, run.state, run.task, run.loss or "–", epochs_words(run),
            words.count(run.step), words.value(run.last_epoch.val_loss if run.last_epoch else None),
            _best_words(run), ", ".join(tags_of(run)), _newest_note(run),
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


def _best_words(run: Snapshot) -> str:
    best = best_of(run)
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
        f"{to_the_right(name, head)}  " + "  ".join(map(to_the_right, texts, widths))
        for name, texts in (("", names), *rows)
    ]


def _intervention_row(intervention: Intervention) -> tuple[str, ...]:
    where = [] if intervention.step is None else [f"step {words.count(intervention.step)}"]
    about = ": ".join(where + ([safe(intervention.reason)] if intervention.reason else []))
    what = f"{intervention.kind} {safe(intervention.detail)}".strip()
    return intervention.id, words.clock(intervention.asked_at), what, intervention.state, about
