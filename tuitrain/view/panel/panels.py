"""The text panels of the run screen: pure functions from a snapshot and a size to cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from tuitrain.core.events import (
    Answer,
    CheckpointGone,
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    EpochEnded,
    Event,
    Failed,
    Finished,
    LossSwapped,
    NotFinite,
    Paused,
    Resumed,
    RunStarted,
    SettingChanged,
    StartupReached,
    Stepped,
    Stopped,
    TakeOpened,
    Warned,
    WeightsCompared,
)
from tuitrain.core.safe import safe
from tuitrain.view.panel.advice import advice
from tuitrain.view.panel.forks import made_from
from tuitrain.view.picture import Line, Picture, Role, Span, fitted
from tuitrain.view.state.progress import epoch_began, planned_steps
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, width_of, wrapped
from tuitrain.view.text.listing import STATE_ROLES

MOST_ACROSS = 5
_FIELD_CELLS = 20
_LABEL_CELLS = 10
_NARROW_TABLE = 48
_LEAST_ROWS = 3
_FAST_EPOCH_S = 1.0

_Field = tuple[str, str, Role]
"""Label, value, and the value's role."""


def header(run: Snapshot, pending: tuple[str, ...], width: int) -> Picture:
    """Return one line: the run on the left, its pending commands and state on the right."""
    commands = [
        f"{command.kind} {command.detail}".strip()
        for command in run.interventions
        if command.state == "pending"
    ] + list(pending)
    badge = [Span(f"● {run.state}", STATE_ROLES[run.state])]
    if commands:
        badge.insert(0, Span(f"asked: {safe(', '.join(commands), limit=width // 2)}  ", "accent"))
    badge_cells = sum(width_of(piece.text) for piece in badge) + 2
    parts = [run.task, f"seed {run.spec.seed}"]
    if run.settings["lr"]:  # else the trainer has not said it yet
        parts[1:1] = [run.model, f"{run.optimizer} lr {_lr(run)}"]
    about = " " + " · ".join(filter(None, [made_from(run), *parts]))
    left = fitted([Span(f" {run.title} ", "strong"), Span(about, "muted")], width - badge_cells)
    return (fitted([*left, Span(" "), *badge, Span(" ")], width),)


def _lr(run: Snapshot) -> str:
    """Return the learning rate; with a schedule, the scheduled rate, too."""
    lr, used = run.settings["lr"], run.latest.lr if run.latest else None
    if used is None or run.settings["schedule"] == "constant":
        return f"{lr:g}"
    return f"{used:.2g} of {lr:g}"


def vitals(fast: Snapshot, slow: Snapshot, width: int) -> Picture:
    """Return rows of fields; step and loss come from `fast`, the other numbers from `slow`."""
    fields = _fields(fast, slow)
    across = min(MOST_ACROSS, max(1, width // _FIELD_CELLS))
    return tuple(
        fitted([piece for field in fields[start : start + across]
                for piece in _field(field, width // across)], width)
        for start in range(0, len(fields), across)
    )  # fmt: skip


def _fields(fast: Snapshot, slow: Snapshot) -> list[_Field]:
    last, best = slow.last_epoch, slow.best
    metric, number, peak = fast.monitor, fast.monitored(last), fast.monitored(best)
    pace = f" ≤{slow.pace:g}" if slow.pace else ""
    return [
        ("step", words.count(fast.step), "strong"),
        ("loss", words.value(fast.latest.loss if fast.latest else None), "smooth"),
        ("val loss", words.value(last.val_loss if last else None), "validation"),
        (metric, words.value(number), "strong"),
        ("epoch", slow.epochs_words, "strong"),
        ("train", words.value(last.train_loss if last else None), "text"),
        (
            "best",
            f"{words.value(peak)} @{words.count(best.epoch)}" if best and peak is not None else "–",
            "good",
        ),
        ("rate", words.rate(slow.rate) + pace, "text"),
        ("trained", words.duration(slow.elapsed_s), "text"),
        ("device", slow.started.device if slow.started else slow.spec.device, "text"),
    ]


def _field(field: _Field, cells: int) -> list[Span]:
    label, text, role = field
    room = max(1, cells - _LABEL_CELLS)
    name = cut(f" {label}", _LABEL_CELLS)
    return [Span(padded(name, _LABEL_CELLS), "muted"), Span(padded(cut(text, room), room), role)]


def progress(run: Snapshot, width: int) -> Picture:
    """Return two bars, of this epoch and of the whole run, with the remaining time.

    If the run waits for a decision, return advice instead.
    """
    if (advised := advice(run)) is not None:
        ways = " · ".join(advised.ways)
        return (
            fitted([Span(" ✗ ", "bad"), Span(advised.trouble, "bad")], width),
            fitted([Span("   "), Span(ways, "warn")], width),
        )
    per_epoch, planned = run.steps_per_epoch or 0, planned_steps(run) or 0
    in_epoch = min(per_epoch, max(0, run.step - epoch_began(run)))
    if run.state == "finished":
        in_epoch = per_epoch
    ended = run.has_ended or run.state == "paused"
    rate = None if ended else run.rate
    epoch_s = per_epoch / rate if rate else None
    if epoch_s is not None and epoch_s < _FAST_EPOCH_S:
        done, words_of_epoch = 1.0, f"{words.rate(1 / epoch_s)}".replace("/s", " epochs/s")
    else:
        done = in_epoch / per_epoch if per_epoch else 0.0
        epoch_left_s = words.remaining(in_epoch, per_epoch, per_second=rate)
        total = words.count(per_epoch) if per_epoch else "–"
        words_of_epoch = f"{words.count(in_epoch)}/{total}  {_time_left(epoch_left_s)}"
    run_left_s = words.remaining(run.step, planned, per_second=rate)
    words_of_run = f"{run.epochs_words} epochs  {_time_left(run_left_s)}"
    return (
        _bar("epoch", done, words_of_epoch, width),
        _bar("run", run.step / planned if planned else 0.0, words_of_run, width),
    )


def _time_left(seconds: float | None) -> str:
    return "" if seconds is None else f"{words.duration(seconds)} left"


def _bar(label: str, done: float, text: str, width: int) -> Line:
    cells = max(0, width - 8 - 30)
    halves = round(min(1.0, max(0.0, done)) * cells * 2)
    full, half = divmod(halves, 2)
    return fitted(
        [
            Span(f" {label:<6} ", "muted"),
            Span("━" * full + "╸" * half, "bar"),
            Span("━" * (cells - full - half), "trough"),
            Span(f"  {text}", "text"),
        ],
        width,
    )


def epochs(run: Snapshot, width: int, height: int) -> Picture:
    """Return the newest epochs that fit and the best one, marked; every kth if they end fast."""
    metric = cut(safe(words.loss(run.monitor)), 8)
    heading = f"{'epoch':>6} {'train':>8} {'val':>8} {' ' * (8 - width_of(metric))}{metric}  "
    stride = epoch_stride(run, height - 1)
    shown = [epoch for epoch in run.epochs if epoch.epoch % stride == 0]
    if run.last_epoch and run.last_epoch.epoch % stride:
        shown.append(run.last_epoch)
    rows = [
        fitted(
            [Span(heading, "muted"), Span(" loss" if width > _NARROW_TABLE else "", "muted")],
            width,
        )
    ]
    rows += [_epoch_row(run, epoch, width) for epoch in _with_best(run, shown, height - 1)]
    blank = fitted([], width)
    return tuple((rows + [blank] * height)[:height])


def _with_best(run: Snapshot, epochs: list[EpochEnded], rows: int) -> list[EpochEnded]:
    """Return the last epochs for so many rows, with the best one among them, in order."""
    newest = epochs[-rows:] if rows > 0 else []
    best = run.best
    if rows < _LEAST_ROWS or best is None or best.epoch in {one.epoch for one in newest}:
        return newest
    return sorted([best, *newest[len(newest) == rows :]], key=lambda epoch: epoch.epoch)


def epoch_stride(run: Snapshot, rows: int) -> int:
    """Return the k of "every kth epoch": 1 while all fit or nothing moves, else one each 2 s."""
    if run.epoch <= rows or run.state != "running":
        return 1
    per_second = run.rate / run.steps_per_epoch if run.rate and run.steps_per_epoch else 0.0
    stride, ladder = 1, (2, 2.5, 2)
    for turn in range(18):
        if per_second / stride <= 0.5:
            break
        stride = int(stride * ladder[turn % 3])
    return stride


def _epoch_row(run: Snapshot, epoch: EpochEnded, width: int) -> Line:
    number = run.monitored(epoch)
    is_best = run.best is not None and epoch.epoch == run.best.epoch
    return fitted(
        [
            Span(f"{epoch.epoch:>6} {words.value(epoch.train_loss):>8} ", "text"),
            Span(f"{words.value(epoch.val_loss):>8} ", "validation"),
            Span(f"{words.value(number):>8}", "good" if is_best else "text"),
            Span(" ★" if is_best else "  ", "good"),
            *([Span(f" {words.loss(epoch.loss_name)}", "muted")] if width > _NARROW_TABLE else []),
        ],
        width,
    )


def events(run: Snapshot, width: int, height: int) -> Picture:
    """Return the newest events that fit, the newest at the bottom."""
    described = [
        (words.clock(recorded.at), *line)
        for recorded in run.log
        for line in _lines_of(recorded.event)
    ]
    rows = [
        fitted([Span(f" {at} ", "muted"), Span(safe(text), role)], width)
        for at, text, role in described[-height:]
    ]
    return tuple((rows + [fitted([], width)] * height)[:height])


def _lines_of(event: Event) -> Iterator[tuple[str, Role]]:
    """Yield an event's lines: of a start also what was found out about the data."""
    if isinstance(event, RunStarted):
        for note in event.card.notes:
            yield note, "muted"
    if (line := describe(event)) is not None:
        yield line


def describe(event: Event) -> tuple[str, Role] | None:
    """Return the line of an event in the log, or None if it has none."""
    match event:
        case CommandAccepted() | CommandRefused() | CommandDropped():
            return _describe_reply(event)
        case Paused() | Resumed() | Stepped() | Stopped():
            return _describe_answer(event)
        case LossSwapped() | SettingChanged() | TakeOpened():
            return _describe_answer(event)
        case EpochEnded():
            return None
        case NotFinite() | Warned() | CheckpointGone() | Failed():
            return _describe_trouble(event)
        case _:
            return _describe_milestone(event)


def _describe_milestone(
    event: StartupReached | RunStarted | CheckpointSaved | WeightsCompared | Finished,
) -> tuple[str, Role] | None:
    match event:
        case StartupReached(stage=stage, done=done):
            return None if done else (f"{stage} …", "muted")
        case RunStarted(parameters=parameters, device=device):
            return f"{words.count(parameters)} parameters on {device}", "muted"
        case CheckpointSaved():
            return _describe_checkpoint(event)
        case WeightsCompared(with_run=name, is_same=True):
            return f"the same weights as {name}, to the last bit", "good"
        case WeightsCompared(with_run=name):
            return f"other weights than {name}'s", "bad"
        case Finished(step=step, why=why):
            return f"finished at step {words.count(step)}{f': {why}' if why else ''}", "accent"
        case other:
            assert_never(other)


def _describe_checkpoint(saved: CheckpointSaved) -> tuple[str, Role] | None:
    match saved.why:
        case "epoch":
            return None
        case "best":
            return f"epoch {words.count(saved.epoch)} is the best so far", "good"
        case why:
            return f"checkpoint ({why}) at step {words.count(saved.step)}", "muted"


def _describe_trouble(
    event: NotFinite | Warned | CheckpointGone | Failed,
) -> tuple[str, Role] | None:
    match event:
        case NotFinite(step=step, what=what):
            return f"{what} not finite at step {words.count(step)}: weights untouched", "bad"
        case Warned(text=text):
            return text, "warn"
        case CheckpointGone(file=file, why=why):
            return (f"checkpoint {file} is damaged", "bad") if why == "damaged" else None
        case Failed(error=error):
            return f"failed: {error}", "bad"
        case other:
            assert_never(other)


def _describe_reply(
    event: CommandAccepted | CommandRefused | CommandDropped,
) -> tuple[str, Role] | None:
    match event:
        case CommandAccepted(asks=asks, detail=detail, at=at):
            text = f"{asks} {detail}".strip()
            return (f"asked: {text}, between epochs", "text") if at == "epoch" else None
        case CommandRefused(asks=asks, detail=detail, reason=reason):
            return f"{f'{asks} {detail}'.strip()} refused: {reason}", "warn"
        case CommandDropped(reason=reason):
            return f"a command was dropped: {reason}", "warn"
        case other:
            assert_never(other)


def _describe_answer(
    event: Answer,
) -> tuple[str, Role]:
    at = f"at step {words.count(event.step)}"
    match event:
        case LossSwapped(loss=loss, previous=before):
            swap = f"{words.loss(before)} → {words.loss(loss)}"
            return f"loss {swap} after step {words.count(event.step)}", "swap"
        case SettingChanged(setting=setting, value=value, previous=previous):
            return f"{setting} {_setting(previous)} → {_setting(value)} {at}", "text"
        case TakeOpened(why=why, take=take):
            return f"{why}: take {take} goes on {at}", "swap"
        case Paused():
            return f"paused {at}", "warn"
        case Resumed():
            return f"went on {at}", "good"
        case Stepped(count=count):
            return f"{count} batch{'es' if count > 1 else ''} trained", "text"
        case Stopped(why=why):
            return f"stopped {at}{f' ({why})' if why else ''}", "warn"
        case other:
            assert_never(other)


def _setting(value: float | str | None) -> str:
    if isinstance(value, str):
        return words.schedule(value)
    return "off" if value is None else f"{value:.6g}"


def waiting(run: Snapshot, waited_s: float, width: int, height: int) -> Picture:
    """Return the picture shown in place of the chart before the first batch."""
    if run.error:
        error_lines = wrapped(f"{run.state}: {safe(run.error)}", max(10, width - 4))
        lines = [Span(line, "bad") for line in error_lines]
    elif run.has_ended:
        how = f"{run.state} before the first batch: tuitrain resume {run.title} goes on"
        lines = [Span(line, "warn") for line in wrapped(how, max(10, width - 4))]
    elif run.state == "paused":
        lines = [Span("paused before the first batch: space goes on, l chooses a loss", "warn")]
    else:
        lines = [Span(f"{safe(run.stage)} … {waited_s:.0f} s", "accent")]
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
