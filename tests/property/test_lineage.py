"""What the screen shows is what an export writes is what the loop lived.

Runs are made by the engine under random commands, killed and resumed, forked, and recorded as a
trainer records them. What was lived is kept beside: a history that goes back wherever the run does.

`make lives COUNT=1000` makes a thousand runs and forks; without it a few have to do.
"""

import csv
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Shell
from tests.property import drawn
from tests.property.lived import AGAIN, RecordedLife
from tests.property.test_resume import CHANGES, HOLDS, LAST, PER_EPOCH
from tuitrain.connection.client import Client
from tuitrain.connection.follower import snapshot
from tuitrain.connection.parent import curves_of
from tuitrain.core.commands import Change, Command, Request, Rollback, SwapLoss, Undo
from tuitrain.core.events import EpochEnded, LossSwapped, RunStarted, TakeOpened
from tuitrain.export.lineage import RunLineage
from tuitrain.export.tables import write_csv
from tuitrain.history import changes as history
from tuitrain.store.epoch_values import PARTS, EpochValue
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.live import planned
from tuitrain.view.chart.run_charts import readout
from tuitrain.view.chart.x_maps import map_of
from tuitrain.view.form.settings import last_change
from tuitrain.view.panel.diagnosis import present_course
from tuitrain.view.panel.event_log import describe
from tuitrain.view.panel.forks import kept_epochs
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import differences, words

COUNT = int(os.environ.get("LIVES", "2"))
COLUMNS = 8 * LAST
"""Of a chart that has a bucket for each step."""


class Plan(NamedTuple):
    """A run to be: its commands, the moments of its kills, and what becomes of its forks."""

    commands: Sequence[tuple[int, Request]]
    """With the steps, counted from its first one, at which they are asked."""
    kills: Sequence[int] = ()
    fork: "Fork | None" = None


class Fork(NamedTuple):
    """A fork to be, made when its parent was killed for the first time, or has ended."""

    plan: Plan
    which: int = 0
    """Its place among the kept epochs of the parent."""
    epochs: int = 2
    """To train, in addition to those of the parent."""
    changes: Mapping[str, Any] = MappingProxyType({})


BACK = st.builds(Undo) | st.builds(Rollback, st.sampled_from([None, 0, 1, 2, "best"]))
STEPS = st.integers(0, LAST) | st.sampled_from([0, PER_EPOCH, 2 * PER_EPOCH])
COMMANDS = st.tuples(
    STEPS, CHANGES | HOLDS | BACK, st.sampled_from([None, "batch", "epoch"])
).map(lambda drawn: (drawn[0], Request.new(drawn[1], drawn[2])))  # fmt: skip


def plans(fork: st.SearchStrategy[Fork | None], most: int) -> st.SearchStrategy[Plan]:
    commands = st.lists(COMMANDS, max_size=most, unique_by=lambda item: item[1].id)
    return st.builds(Plan, commands, st.lists(st.integers(1, 40), max_size=2), fork)


def forks(fork: st.SearchStrategy[Fork | None]) -> st.SearchStrategy[Fork | None]:
    changes = st.sampled_from([{}, {"loss": "mse"}, {"loss": "focal", "lr": 0.01}])
    made = st.builds(Fork, plans(fork, 4), st.integers(0, 5), st.integers(1, 2), changes)
    return st.none() | made


PLANS = plans(forks(forks(st.none())), 6)


class LivedLife(RecordedLife):
    """A life that is checked after each event."""

    before: Snapshot | None = None

    def followed(self, now: Snapshot) -> None:
        check_snapshot(now, self)
        check_panels(now, self)
        check_undo(self.before, now, self)
        self.before = now


def check_snapshot(now: Snapshot, life: RecordedLife) -> None:
    assert now.epochs == life.lived.epochs
    assert now.best == life.lived.best
    assert (now.take, now.step, now.epoch) == (life.take, *life.place)
    losses = [batch.loss for batch in life.lived.batches]
    summary = [(of.last, of.low, of.high) for of in now.series if of.series == AGAIN]
    assert summary == ([(losses[-1], min(losses), max(losses))] if losses else [])


def check_panels(now: Snapshot, life: RecordedLife) -> None:
    """What the text panels say is what was lived."""
    run, newest, lived = life.run, life.newest, life.lived
    last, best, (step, epoch) = lived.epochs[-1:], lived.best, life.place
    lr = f"{newest.lr:.2g} of {run.base_lr:g}" if newest and not run.schedule.is_constant else None
    assert f" lr {lr or f'{run.base_lr:g}'} · " in drawn.header(now)

    vitals = drawn.vitals(now)
    assert vitals["step"] == words.count(step)
    assert vitals["epoch"] == f"{epoch}/{run.epochs}"
    assert vitals["loss"] == words.value(newest and newest.loss)
    assert vitals["accuracy"] == words.value(last[0].metrics["accuracy"] if last else None)
    in_use = last[0].val_losses.get(run.loss_name) if last else None
    assert vitals["val loss"] == words.value(in_use)
    peak = f"{words.value(best.metrics['accuracy'])} @{best.epoch}" if best else "–"
    assert vitals["best"] == peak

    assert drawn.epochs(now) == [row_of(ended, life) for ended in lived.epochs]
    assert drawn.log(now) == list(lines_of(life))
    if now.started is not None:
        check_settings(now, life)
    course = [ended for ended in lived.epochs if ended.step > lived.changed]
    assert present_course(now) == [ended for ended in course if lived.trained(ended)]


def check_settings(now: Snapshot, life: RecordedLife) -> None:
    """In a comparison, settings go from the first value to the one in use."""
    started = next(event for event in life.events if isinstance(event, RunStarted))
    shown = differences.settings(now)
    for row in ("loss", "lr", "schedule", "batch size", "weight decay", "clip norm"):
        values = [re.split(" @ | after ", value)[0] for value in shown[row].split(" → ")]
        setting = row.replace(" ", "-")
        first, in_use = (typed(of.settings[setting]) for of in (started, life.run))
        assert (values[0], values[-1]) == (first, in_use), row


def typed(value: float | str | None) -> str:
    if isinstance(value, str):
        return value.partition("@")[0]
    return "off" if value is None else f"{value:g}"


def check_undo(before: Snapshot | None, now: Snapshot, life: RecordedLife) -> None:
    """The change that an undo reverted is the one that its dialog would have named."""
    opening = now.lineage.openings.get(now.take)
    if before is None or now.take == before.take or opening is None or opening.why != "undo":
        return
    changes = (event for event in life.events if isinstance(event, history.Change))
    undone = next(event for event in changes if event.command == opening.undone)
    named = last_change(before)
    assert named is not None
    line = describe(undone)
    assert line is not None
    assert named.description == line[0]


def row_of(ended: EpochEnded, life: RecordedLife) -> str:
    """Return the row of an epoch in the table."""
    train_loss = ended.train_loss if life.lived.trained(ended) else None
    numbers = train_loss, ended.val_loss, ended.metrics["accuracy"]
    star = ["★"] if ended == life.lived.best else []
    return " ".join(
        [str(ended.epoch), *map(words.value, numbers), *star, words.loss(ended.loss_name)]
    )


def lines_of(life: RecordedLife) -> Iterator[str]:
    """Yield the lines of the log that swaps and new takes have."""
    for event in life.events:
        if isinstance(event, LossSwapped):
            swap = f"{words.loss(event.previous)} → {words.loss(event.loss)}"
            yield f"loss {swap} after step {event.step}"
        elif isinstance(event, TakeOpened):
            yield f"{event.why}: take {event.take} goes on at step {event.step}"


def check_read_once(life: RecordedLife) -> None:
    """What others read now, and print, and write, is what was lived."""
    client = Client(life.paths.directory)
    now = snapshot(client)
    if now.started is None:
        return  # it was killed before
    check_snapshot(now, life)
    check_panels(now, life)
    assert now.segments == life.follower.look().segments
    assert now.state == ("finished" if life.ended else "crashed")
    if life.ended:
        assert f" {life.place[1]}/{life.run.epochs} epochs" in drawn.bars(now)
    curves = curves_of(client)
    check_exported(life)
    check_charted(now, curves, life)
    check_epochs_on_axes(now, life)
    check_small_charts(now, curves, life)
    check_plotted(life)


def check_exported(life: RecordedLife) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder) / "tables"
        write_csv(RunLineage.read(life.paths), [], tables)
        batches, epochs, series = (rows(tables / f"{name}.csv")
                                   for name in ("batches", "epochs", "series"))  # fmt: skip
    exported = [(int(row["step"]), float(row["loss"]), row["loss_name"]) for row in batches]
    assert exported == life.lived.losses
    again = [(int(row["step"]), float(row["value"])) for row in series if row["name"] == AGAIN.name]
    assert again == [(step, loss) for step, loss, _ in life.lived.losses]
    for row, ended in zip(epochs, life.lived.epochs, strict=True):
        assert (row["step"], row["epoch"]) == (str(ended.step), str(ended.epoch))
        values = {"train_loss": ended.train_loss, "val_loss": ended.val_loss, **ended.metrics}
        assert {name: row[name] for name in values} == {
            name: str(of) for name, of in values.items()
        }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_charted(now: Snapshot, curves: Curves, life: RecordedLife) -> None:
    """Every loss, every validation and what was left behind are in the charts, and no others."""
    segments = curves.losses(now, COLUMNS)
    lineage = [segment for segment in segments if not segment.is_abandoned]
    points = [(bucket.first, bucket.low, segment.loss_name) for segment in lineage
              for bucket in segment.buckets]  # fmt: skip
    assert points == life.lived.losses
    marks = [(*mark, segment.loss_name) for segment in lineage for mark in segment.validations]
    assert marks == [(ended.step, ended.val_loss, ended.loss_name) for ended in life.lived.epochs]
    *_, again = curves.series(now, AGAIN.name, COLUMNS)
    assert list(again.points) == [(step, loss) for step, loss, _ in life.lived.losses]

    reach = max(planned(now), now.step)
    behind = [(bucket.first, bucket.low) for segment in segments if segment.is_abandoned
              for bucket in segment.buckets]  # fmt: skip
    parents = life.parent.lived.batches if life.parent else ()
    left = [*(batch for batch in parents if batch.step <= reach), *life.left]
    assert Counter(behind) == Counter((batch.step, batch.loss) for batch in left)

    by_name: dict[str, dict[str, list[EpochValue]]] = {part: {} for part in PARTS}
    for ended in life.lived.epochs:
        for part in PARTS:
            for name, value in getattr(ended, part).items():
                validation = EpochValue(ended.step, ended.epoch, value)
                by_name[part].setdefault(name, []).append(validation)
    assert curves.validations(now, COLUMNS).lineage == by_name

    for step, loss, name in life.lived.losses:
        text = readout(now, curves, step, None)
        assert text.startswith(f"step {step} · epoch ")
        assert f" · {'' if name == now.loss else f'{words.loss(name)} '}{loss:.6g} · " in text
    assert readout(now, curves, now.step + 1, None).endswith("not recorded")


def check_epochs_on_axes(now: Snapshot, life: RecordedLife) -> None:
    """Epochs end at their numbers on an axis of epochs, and after so many samples."""
    samples = life.run.started().train_samples
    for unit, factor in (("epoch", 1), ("samples", samples)):
        axis = map_of(now, unit, now.take)
        assert axis is not None
        ends = {ended.epoch: round(axis.x(ended.step), 6) for ended in life.lived.epochs}
        assert ends == {epoch: epoch * factor for epoch in ends}


def check_small_charts(now: Snapshot, curves: Curves, life: RecordedLife) -> None:
    signs = {metric.name: metric.sign for metric in now.problem.metrics}
    charts = drawn.small_charts(now, curves)
    for name, numbers in charts.items():
        found = [{**ended.val_losses, **ended.metrics}.get(name) for ended in life.lived.epochs]
        values = [value for value in found if value is not None]
        best = max(values, key=lambda value: signs.get(name, -1) * value, default=None)
        newest = found[-1] if found else None
        assert numbers == (words.value(newest), "" if best is None else words.value(best)), name
    evaluated = {
        name for ended in life.lived.epochs for name in (*ended.metrics, *ended.val_losses)
    }
    assert {name for name in evaluated if ":" not in name} <= set(charts)


def check_plotted(life: RecordedLife) -> None:
    """What `tuitrain plot` prints is what was lived."""
    shell, name = Shell(life.paths.directory.parent.parent), life.paths.name
    check_loss_plot(drawn.plot(shell, name, "--smooth", "0"), life)
    validated = {ended.step for ended in life.lived.epochs}
    accuracy = drawn.plot(shell, name, "--metric", "accuracy")
    assert accuracy.steps_of("●▲▼×") == validated
    values = [ended.metrics["accuracy"] for ended in life.lived.epochs]
    best = f", best {words.value(max(values))} @ epoch " if values else ""
    assert f" accuracy {words.value(values[-1] if values else None)}{best}" in accuracy.title
    if life.lived.batches:
        again = drawn.plot(shell, name, "--metric", AGAIN.name)
        check_rulers(again, life)
        assert again.steps_of("●▲▼×") == {batch.step for batch in life.lived.batches}
        losses = [batch.loss for batch in life.lived.batches]
        last, low, high = map(words.number, (losses[-1], min(losses), max(losses)))
        assert f" {AGAIN.name} {last}, {low} to {high}, " in again.title


def check_loss_plot(plot: drawn.Plot, life: RecordedLife) -> None:
    state = "finished" if life.ended else "crashed"
    assert plot.title.startswith(f"{life.paths.name}: digits, {life.run.loss_name}, {state}")
    check_rulers(plot, life)
    places = list(pairwise([None, *places_of(life)]))
    for step, label in plot.labels.items():
        here = [place for place in places if step == min(place[1].first, plot.numbers[-1])]
        assert any(is_label(label, *place) for place in here), label
    validated, marked = {ended.step for ended in life.lived.epochs}, plot.steps_of("o°", words=1)
    assert marked <= validated <= marked | plot.steps_of("▲▼×", words=1)
    made_from = life.parent and life.parent.lived.batches
    dashed = ["left behind by an undo, a rollback or a crash"] if life.left else []
    dashed += ["the run that it was made from"] if made_from else []
    assert plot.dashed == " and ".join(dashed)


class Place(NamedTuple):
    """Where something may begin in a chart: the step, and the loss and the take from there on."""

    first: int
    loss: str
    take: int


def places_of(life: RecordedLife) -> Iterator[Place]:
    """Yield the places of batches and of validations, in the order in which they were lived."""
    batches = [(batch.step, 0, batch) for batch in life.lived.batches]
    epochs = [(ended.step, 1, ended) for ended in life.lived.epochs]
    for step, is_epoch, item in sorted([*batches, *epochs], key=lambda item: item[:2]):
        yield Place(step + is_epoch, item.loss_name, item.take)


def check_rulers(plot: drawn.Plot, life: RecordedLife) -> None:
    """Before the end of the axis there is a ruler wherever the loss is another one than before."""
    swaps = (after for before, after in pairwise(places_of(life)) if before.loss != after.loss)
    end = plot.numbers[-1]
    assert {step for step in plot.rulers if step < end} == {
        place.first for place in swaps if place.first < end
    }


def is_label(label: str, before: Place | None, place: Place) -> bool:
    """Return whether a chart may say that of a place: its take, if that begins there, or loss."""
    take, loss = f"↶ take {place.take}", words.loss(place.loss)
    if label.endswith("…"):
        return loss.startswith(label[:-1])
    if before is not None and before.take != place.take:
        return label in ("↶", take, f"{take}: {loss}")
    return label.split(" ")[0] == loss


def live(life: LivedLife, plan: Plan) -> Iterator[LivedLife]:
    """Train a run and its fork as planned; yield a run whenever there is more to be seen of it."""
    fork: LivedLife | None = None
    for moments in (*plan.kills, None):
        if life.ended:
            break
        life.live(moments)
        yield life
        if fork is not None:
            yield fork  # the run that is drawn behind it has trained on
        elif plan.fork is not None and (fork := forked(life, plan.fork)):
            yield from live(fork, plan.fork.plan)
    life.writer.close()


def forked(life: LivedLife, fork: Fork) -> LivedLife | None:
    """Return the fork of a run; None if no epoch of it is kept yet."""
    kept = [checkpoint.epoch for checkpoint in kept_epochs(life.follower.look())]
    if not kept:
        return None
    epoch = kept[fork.which % len(kept)]
    return life.fork(epoch, {"epochs": epoch + fork.epochs, **fork.changes}, fork.plan.commands)


def check(plan: Plan) -> Counter[str]:
    """Check a run and its forks; return how many runs and takes there were."""
    with tempfile.TemporaryDirectory() as home:
        life = LivedLife.begin(Path(home), plan.commands)
        lives = set()
        for other in live(life, plan):
            check_read_once(other)
            lives.add(other)
    forks = [life for life in lives if life.parent]
    takes = sum(life.take for life in lives)
    return Counter(lives=1, runs=len(lives), forks=len(forks), takes=takes)


def test_shown_is_exported_is_lived(capsys):
    counts: Counter[str] = Counter()

    def say(end: str) -> None:
        if "LIVES" in os.environ:
            with capsys.disabled():
                said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
                sys.stdout.write(f"{said}{end}\n")

    @given(PLANS)
    @settings(max_examples=COUNT, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    def every(plan: Plan) -> None:
        counts.update(check(plan))
        if counts["lives"] % 50 == 0:
            say(" ...")

    every()
    say(": all are shown and exported as they were lived, 0 otherwise")


def at_batches(*asked: tuple[int, Command]) -> list[tuple[int, Request]]:
    return [(step, Request.new(command, "batch")) for step, command in asked]


def test_a_change_and_an_undo_before_a_validation_lose_no_epoch_and_no_loss():
    lr, swap = Change("lr", 0.01), SwapLoss("mse")
    first, second = PER_EPOCH, 2 * PER_EPOCH
    commands = at_batches((first, lr), (first, Undo()), (second, swap), (second + 2, Undo()))
    fork = at_batches((first, swap), (first, Undo()), (first, lr), (first + 2, Undo()))
    check(Plan(commands, fork=Fork(Plan(fork), which=-1)))


def test_a_loss_that_began_before_a_validation_has_no_mean_and_one_that_came_back_opens_no_take():
    swaps = (PER_EPOCH, "mse"), (2 * PER_EPOCH, "l1"), (2 * PER_EPOCH, "mse")
    check(Plan(at_batches(*((step, SwapLoss(loss)) for step, loss in swaps))))


def test_an_undo_of_an_undo_and_a_rollback_to_the_start_are_shown_in_a_fork_too():
    decay, clip = Change("weight-decay", 0.01), Change("clip-norm", 0.5)
    commands = at_batches(
        (1, decay),
        (2, clip),
        (3, SwapLoss("l1")),
        (8, Undo()),
        (9, Undo()),
        (10, Rollback(0)),
        (4, Undo()),
    )
    fork = at_batches((2, SwapLoss("mse")), (3, Undo()), (8, SwapLoss("l1")), (9, Rollback()))
    check(Plan(commands, [14], Fork(Plan(fork))))


def test_a_loss_that_stays_in_a_rollback_stays_in_a_resumption_from_the_same_checkpoint():
    clip, swap, back = Change("clip-norm", 0.5), SwapLoss("mse"), Rollback(1)
    commands = [
        (5, Request.new(clip, "batch")),
        *((2 * PER_EPOCH, Request.new(command, "epoch")) for command in (swap, back)),
    ]
    check(Plan(commands, [16, 29]))


def test_a_rate_that_stays_in_a_rollback_stays_in_a_resumption_and_the_epoch_before_has_another():
    lr, back = Change("lr", 0.01), Rollback(1)
    at = (8, Request.new(lr, "batch")), (2 * PER_EPOCH, Request.new(back, "epoch"))
    check(Plan(at, [25]))
