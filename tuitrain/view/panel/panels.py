"""The text panels of the run screen: pure functions from a snapshot and a size to cells."""

from __future__ import annotations

from tuitrain.core.events import EpochEnded
from tuitrain.core.safe import safe
from tuitrain.view.panel.forks import made_from
from tuitrain.view.picture import Line, Picture, Span, filled, fitted
from tuitrain.view.state.made_of import model_of, optimizer_of
from tuitrain.view.state.metrics import monitor_of, monitored
from tuitrain.view.state.progress import epoch_began, epochs_words, planned_steps
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, to_the_right, width_of, wrapped
from tuitrain.view.text.listing import STATE_ROLES

_NARROW_TABLE = 48
_LEAST_CELLS = (6, 8, 8, 8)
"""Cells of the columns of epochs; more where a number needs more."""
_LEAST_ROWS = 3
_FAST_EPOCH_S = 1.0
_LEAST_BESIDE = 30
"""Cells kept for the text beside a bar, so that its length seldom changes."""


def header(run: Snapshot, pending: tuple[str, ...], width: int) -> Picture:
    """Return one line: the run on the left, its pending commands and state on the right."""
    commands = [
        f"{command.kind} {command.detail}".strip()
        for command in run.interventions
        if command.state == "pending"
    ] + list(pending)
    badge = [Span(f"● {run.condition}", STATE_ROLES[run.state])]
    if run.state == "starting" and run.latest is not None:  # anew: no chart says what it waits for
        badge.insert(0, Span(f"{safe(run.stage, limit=width // 2)} …  ", "accent"))
    if commands:
        badge.insert(0, Span(f"asked: {safe(', '.join(commands), limit=width // 2)}  ", "accent"))
    badge_cells = sum(width_of(piece.text) for piece in badge) + 2
    parts = [run.task, *_trained(run)]
    if not run.is_watched:
        parts.append(f"seed {run.spec.seed}")
    about = " " + " · ".join(filter(None, [made_from(run), *parts]))
    left = fitted([Span(f" {run.title} ", "strong"), Span(about, "muted")], width - badge_cells)
    return (fitted([*left, Span(" "), *badge, Span(" ")], width),)


def _trained(run: Snapshot) -> list[str]:
    """Return the model, and the optimizer with its rate, as far as the trainer has said them."""
    if lr_of(run) is not None:
        return [model_of(run), f"{optimizer_of(run)} lr {_lr(run)}"]
    if run.started is None or not run.is_watched:
        return []
    return [*filter(None, [run.started.model]), "no optimizer"]


def _lr(run: Snapshot) -> str:
    """Return the learning rate; with a schedule, the scheduled rate, too."""
    lr, used = lr_of(run), run.latest.lr if run.latest else None
    if used is None or run.settings.get("schedule", "constant") == "constant":
        return f"{lr:g}"
    return f"{used:.2g} of {lr:g}"


def progress(run: Snapshot, width: int) -> Picture:
    """Return two bars, of this epoch and of the whole run, with the remaining time."""
    per_epoch, planned = run.steps_per_epoch or 0, planned_steps(run) or 0
    in_epoch = min(per_epoch, max(0, run.step - epoch_began(run)))
    if run.state == "finished":
        in_epoch = per_epoch
    ended = run.has_ended or run.state == "paused"
    rate = None if ended else run.rate
    epoch_s = per_epoch / rate if rate and per_epoch else None
    if epoch_s is not None and epoch_s < _FAST_EPOCH_S:
        done, words_of_epoch = 1.0, f"{words.rate(1 / epoch_s)}".replace("/s", " epochs/s")
    else:
        done = in_epoch / per_epoch if per_epoch else 0.0
        epoch_left_s = words.remaining(in_epoch, per_epoch, per_second=rate)
        total = words.count(per_epoch) if per_epoch else "–"
        words_of_epoch = f"{words.count(in_epoch)}/{total}  {_time_left(epoch_left_s)}"
    if run.is_watched:
        return _so_far(run, done, words_of_epoch, width)
    run_left_s = words.remaining(run.step, planned, per_second=rate)
    words_of_run = f"{epochs_words(run)} epochs  {_time_left(run_left_s)}"
    of_run = run.step / planned if planned else 0.0
    return _bars(width, ("epoch", done, words_of_epoch), ("run", of_run, words_of_run))


def _so_far(run: Snapshot, done: float, words_of_epoch: str, width: int) -> Picture:
    """Return the bar of an epoch if its length is known, and what a watched script has trained."""
    steps = f"{words.count(run.step)} step{'' if run.step == 1 else 's'}"
    epochs = f"{words.count(run.epoch)} epoch{'' if run.epoch == 1 else 's'}"
    if not run.steps_per_epoch:
        text = f"{steps}, no epochs seen" if run.started else "no step seen"
        return *_bars(width, ("run", None, text)), fitted([], width)
    return _bars(width, ("epoch", done, words_of_epoch), ("run", None, f"{epochs}, {steps}"))


def _time_left(seconds: float | None) -> str:
    return "" if seconds is None else f"{words.duration(seconds)} left"


def _bars(width: int, *bars: tuple[str, float | None, str]) -> Picture:
    """Return bars of one length, each with a label, how far it is done, and a text beside it.

    They are as long as the longest text leaves room for.
    """
    beside = max(_LEAST_BESIDE, *(width_of(text) + 2 for _, _, text in bars))
    cells = max(0, width - 8 - beside)
    return tuple(
        fitted(
            [Span(f" {label:<6} ", "muted"), *_bar(done, cells), Span(f"  {text}", "text")], width
        )
        for label, done, text in bars
    )


def _bar(done: float | None, cells: int) -> tuple[Span, Span]:
    """Return a bar that is filled as far as it is done, dotted where no end is known."""
    halves = round(min(1.0, max(0.0, done or 0.0)) * cells * 2)
    full, half = divmod(halves, 2)
    trough = "━" if done is not None else "·"
    return Span("━" * full + "╸" * half, "bar"), Span(trough * (cells - full - half), "trough")


def epochs(run: Snapshot, width: int, height: int) -> Picture:
    """Return the newest epochs that fit and the best one, marked; every kth if they end fast."""
    stride = epoch_stride(run, height - 1)
    shown = [epoch for epoch in run.epochs if epoch.epoch % stride == 0]
    if run.last_epoch and run.last_epoch.epoch % stride:
        shown.append(run.last_epoch)
    shown = _with_best(run, shown, height - 1)
    name = _last_column(run)
    heading = ("epoch", "train", "val", cut(safe(words.loss(name)), _LEAST_CELLS[-1]))
    numbers = [heading, *(_numbers(run, epoch, name) for epoch in shown)]
    cells = [
        max(least, *map(width_of, column))
        for least, column in zip(_LEAST_CELLS, zip(*numbers, strict=True), strict=True)
    ]
    head, *columns = [tuple(map(to_the_right, texts, cells)) for texts in numbers]
    loss = "   loss" if width > _NARROW_TABLE else ""
    rows = [fitted([Span(" ".join(head) + loss, "muted")], width)]
    rows += [_epoch_row(run, *row, width) for row in zip(shown, columns, strict=True)]
    return filled(rows, width, height)


def _last_column(run: Snapshot) -> str:
    """Return the name of the monitored metric.

    Of a watched script, that is its own loss: while this is the one in use, the validations show it
    already, and the column is of the first metric that the script logged, if any.
    """
    last = run.last_epoch
    if not run.is_watched or any(epoch.loss_name != monitor_of(run) for epoch in run.epochs):
        return monitor_of(run)
    return next(iter(last.metrics), "") if last else ""


def _numbers(run: Snapshot, epoch: EpochEnded, name: str) -> tuple[str, ...]:
    losses = map(words.value, (trained_loss(run, epoch), epoch.val_loss))
    number = monitored(run, epoch) if name == monitor_of(run) else epoch.metrics.get(name)
    return words.count(epoch.epoch), *losses, words.value(number) if name else ""


def _with_best(run: Snapshot, epochs: list[EpochEnded], rows: int) -> list[EpochEnded]:
    """Return the last epochs for so many rows, with the best one among them, in order."""
    newest = epochs[-rows:] if rows > 0 else []
    best = run.best
    if rows < _LEAST_ROWS or best is None or best.epoch in {epoch.epoch for epoch in newest}:
        return newest
    return sorted([best, *newest[len(newest) == rows :]], key=lambda epoch: epoch.epoch)


def epoch_stride(run: Snapshot, rows: int) -> int:
    """Return the k of "every kth epoch": 1 while nothing moves, or epochs last 2 s and longer.

    Of shorter ones, such that all that are trained fit, or that a row is added every 2 s.
    """
    if run.epoch <= rows or run.state != "running":
        return 1
    per_second = run.rate / run.steps_per_epoch if run.rate and run.steps_per_epoch else 0.0
    stride, ladder = 1, (2, 2.5, 2)
    for turn in range(18):
        if per_second / stride <= 0.5 or run.epoch // stride < rows:
            break
        stride = int(stride * ladder[turn % 3])
    return stride


def _epoch_row(run: Snapshot, epoch: EpochEnded, columns: tuple[str, ...], width: int) -> Line:
    number, train_loss, val_loss, monitored = columns
    is_best = run.best is not None and epoch.epoch == run.best.epoch
    return fitted(
        [
            Span(f"{number} {train_loss} ", "text"),
            Span(f"{val_loss} ", "validation"),
            Span(monitored, "good" if is_best else "text"),
            Span(" ★" if is_best else "  ", "good"),
            *([Span(f" {words.loss(epoch.loss_name)}", "muted")] if width > _NARROW_TABLE else []),
        ],
        width,
    )


def waiting(run: Snapshot, waited_s: float, width: int, height: int) -> Picture:
    """Return the picture shown in place of the chart before the first batch."""
    if run.error:
        error_lines = wrapped(f"{run.condition}: {safe(run.error)}", max(10, width - 4))
        lines = [Span(line, "bad") for line in error_lines]
    elif run.has_ended:
        how = f"{run.state} before the first batch: R goes on"
        if run.is_watched:
            how = f"{run.state} without a step: 6 has what it printed"
        lines = [Span(line, "warn") for line in wrapped(how, max(10, width - 4))]
    elif run.state == "paused":
        how = "paused before the first batch: space goes on, l chooses a loss"
        lines = [Span(line, "warn") for line in wrapped(how, max(10, width - 4))]
    else:
        stage = f"{safe(run.stage)} … {waited_s:.0f} s"
        lines = [Span(line, "accent") for line in wrapped(stage, max(10, width - 4))]
        done, total = run.loaded
        if total:
            cells = min(40, width - 4)
            full = round(cells * done / total)
            lines.append(Span("━" * full + " " * (cells - full), "bar"))
            lines.append(Span(f"{done / 1e6:.1f} of {total / 1e6:.1f} MB, {done / total:.0%}"))
    blank = fitted([], width)
    middle = [
        fitted([Span(" " * max(0, (width - width_of(text)) // 2)), Span(text, role)], width)
        for text, role in lines
    ]
    above = max(0, (height - len(middle)) // 2)
    return tuple(([blank] * above + middle + [blank] * height)[:height])
