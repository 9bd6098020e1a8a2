"""Print a run as lines on stdout, for pipes, logs and plain terminals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType

from tuitrain.cli.common import how_it_died, print_safe, was_refused
from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.commands import Stop
from tuitrain.core.events import (
    CheckpointGone,
    EpochEnded,
    Event,
    LossSwapped,
    NotFinite,
    Paused,
    Resumed,
    SettingChanged,
    StartupReached,
    TakeOpened,
    Warned,
)
from tuitrain.core.safe import safe
from tuitrain.store.delta import Cursor, Delta
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.trainer import supervisor
from tuitrain.view.panel.advice import after_crash
from tuitrain.view.panel.event_log import describe
from tuitrain.view.state.made_of import batch_of, model_of, optimizer_of
from tuitrain.view.state.metrics import brief
from tuitrain.view.state.progress import planned_epochs, samples_seen
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text import words

_PULL_S = 0.1


def own(started: supervisor.Started, *, every: int) -> int:
    """Follow a run that ends with this process, and return the exit code.

    The first Ctrl-C stops it after this batch with a checkpoint, the second one kills it.
    """
    client, interrupts = Client(started.paths.directory), 0

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 1:
            client.send(Stop())
            print_safe("stopping after this batch; Ctrl-C again ends it at once", err=True)
        else:
            supervisor.kill(started.paths)

    signal.signal(signal.SIGINT, interrupt)
    end = follow(
        client, every=every, idle=started.process.poll, since=started.since,
        how_to_end="Ctrl-C twice ends it at once, without the batches since its last checkpoint",
    )  # fmt: skip
    code = started.process.wait()  # it has said its last word, and then releases the run
    if was_refused(end):
        print_safe(f"tuitrain: {safe(end.error)}", err=True)
        supervisor.delete_refused(started.paths)
    elif interrupts > 1 and end.state == "crashed":
        print_safe(f"tuitrain: ended at once, as asked; {after_crash(end)}", err=True)
    elif end.error:
        is_crash = end.state == "crashed"
        how = how_it_died(code) if is_crash else ""
        never_began = is_crash and end.started is None
        then = after_crash(end) if never_began else f"see {started.paths.log}"
        print_safe(f"tuitrain: {safe(end.error)}{how}; {then}", err=True)
    if interrupts:
        return 130
    if end.same_weights is False:
        print_safe(f"tuitrain: {_comparison(end)}; its log tells what differs", err=True)
        return 1
    return {"finished": end.exit_code, "stopped": 0, "failed": end.exit_code}.get(end.state, 1)


def follow(
    client: Client,
    *,
    every: int,
    idle: Callable[[], object] = lambda: None,
    since: Cursor | None = None,
    how_to_end: str = "",
) -> Snapshot:
    """Print the events of the run until it ends, and return its last snapshot.

    Of a resumed run, leave out what was recorded until `since`. `how_to_end` says how to end one
    that hangs.
    """
    follower = Follower(client)
    run, newest = follower.run, 0
    said: list[Event] = []
    if since is not None:
        run, newest = follower.look_at_a_restart(since), since.batch
        said = [entry.event for entry in follower.delta.events if entry.id > since.event]
    print_safe(_heading(run), *_in_order(run, said, []))
    before, cursor = run, follower.delta.cursor
    for run in follower.until_ended(every_s=_PULL_S):
        delta = follower.delta
        if _is_silent(run) and not _is_silent(before):
            _say_it_hangs(run, how_to_end)
        for line in (*_loading(before, delta), *_notes(before, run)):
            print_safe(line)
        keys = (newest, delta.latest.key if delta.latest else newest)
        batches = client.record.batches_of_epochs(keys, every, begin=run.lineage.step)
        newest = max(keys)
        epochs = [epoch for epoch in delta.epochs if key_of(epoch.take, epoch.step) > cursor.epoch]
        for line in _in_order(run, [*epochs, *(entry.event for entry in delta.events)], batches):
            print_safe(line)
        before, cursor = run, delta.cursor
        idle()
    if not was_refused(run):  # then nothing was trained
        print_safe(*_last_words(run))
    return run


def _heading(run: Snapshot) -> str:
    spec = run.spec
    if run.is_watched:
        return f"{run.title}: {run.task}"
    if not spec.is_complete:
        return f"{run.title}: {run.task}, seed {spec.seed}"
    precision = "" if spec.precision == "fp32" else f"{spec.precision}, "
    return (
        f"{run.title}: {run.task}, {model_of(run)}, {run.loss}, "
        f"{optimizer_of(run)} lr {spec.lr:g}, "
        f"{batch_of(run)}, {precision}seed {spec.seed}"
    )


def _notes(before: Snapshot, run: Snapshot) -> tuple[str, ...]:
    return run.started.card.notes if run.started and not before.started else ()


def _is_silent(run: Snapshot) -> bool:
    return run.busy is not None and run.busy.is_long


def _say_it_hangs(run: Snapshot, how_to_end: str) -> None:
    if run.busy is not None:
        way_out = how_to_end or words.how_to_kill(run.pid or 0)
        print_safe(f"{words.busy(**run.busy._asdict())}; {way_out}", err=True)


def _in_order(
    run: Snapshot, events: Iterable[Event], batches: Iterable[tuple[int, BatchRow]]
) -> Iterator[str]:
    newest = key_of(run.take, run.step)
    lines = [((row.key, 0), _batch(run, row, number)) for number, row in batches]
    for event in events:
        match event:
            case EpochEnded():
                lines.append(((key_of(event.take, event.step), 1), _epoch(run, event)))
            case LossSwapped() | Paused() | Resumed():
                lines.append(((key_of(event.take, event.step), 2), _change(event)))
            case SettingChanged() | TakeOpened() | NotFinite() | Warned() | CheckpointGone():
                if description := describe(event):
                    step = getattr(event, "step", 0)
                    place = key_of(getattr(event, "take", 1), step) if step else newest
                    lines.append(((place, 2), safe(description[0])))
            case _:
                pass
    return (line for _, line in sorted(lines, key=lambda pair: pair[0]))


def _loading(before: Snapshot, delta: Delta) -> Iterator[str]:
    """Yield a line for each new stage of the start, and for each tenth of a download."""
    stage, tenth = before.stage, _tenth(*before.loaded)
    for recorded in delta.events:
        event = recorded.event
        if not isinstance(event, StartupReached):
            continue
        reached = _tenth(event.done, event.total)
        if (event.stage, reached) != (stage, tenth):
            share = f" {10 * reached} %" if event.total else ""
            yield f"{safe(event.stage)} ...{share}"
        stage, tenth = event.stage, reached


def _tenth(done: int, total: int) -> int:
    return 10 * done // total if total else 0


def _batch(run: Snapshot, row: BatchRow, number: int) -> str:
    if run.is_watched:
        epoch = f"Epoch: {row.epoch}  " if run.steps_per_epoch else ""
        return f"{epoch}Step: {row.step}  Loss: {row.loss:.6f}"
    seen, samples = samples_seen(run, number)
    share = f"{seen / samples:.0%}" if samples else "–"
    return (
        f"Epoch: {row.epoch}/{planned_epochs(run)} [{seen}/{samples} ({share})]  "
        f"Loss: {row.loss:.6f}"
    )


def _epoch(run: Snapshot, event: EpochEnded) -> str:
    shown = brief(run, event.metrics)
    metrics = "  ".join(f"{name} {words.value(value)}" for name, value in shown.items())
    return (
        f"{_of_epochs(run, event.epoch)}  train loss {words.value(trained_loss(run, event))}"
        f"  val loss {words.value(event.val_loss)}  {metrics}"
    )


def _of_epochs(run: Snapshot, epoch: int) -> str:
    if not planned_epochs(run):
        return f"epoch {words.count(epoch)}"
    total = words.count(planned_epochs(run))
    return f"epoch {words.count(epoch):>{len(total)}}/{total}"


def _change(event: LossSwapped | Paused | Resumed) -> str:
    if isinstance(event, LossSwapped):
        return f"loss {event.previous} -> {event.loss} after step {words.count(event.step)}"
    return f"{event.kind} at step {words.count(event.step)}"


def _last_words(run: Snapshot) -> list[str]:
    why = f" ({safe(run.why)})" if run.why else ""
    planned = planned_epochs(run)
    total = f" of {words.count(planned)}" if planned else ""
    lines = [
        f"{run.condition}{why}: epoch {words.count(run.epoch)}{total}, "
        f"step {words.count(run.step)}, trained for {words.duration(run.elapsed_s)}"
    ]
    if run.checkpoints:
        last = run.checkpoints[-1]
        lines += [f"checkpoint {last.file}", f"weights sha256 {last.weights_sha256}"]
    if run.same_weights:
        lines.append(_comparison(run))
    return lines


def _comparison(run: Snapshot) -> str:
    name = safe(Path(run.spec.parent.directory).name) if run.spec.parent else ""
    if run.same_weights:
        return f"the same weights as {name}, to the last bit"
    return f"{run.name} ended with other weights than {name}"
