"""Diagnoses of a run's training by its own numbers, each with what to do about it.

The thresholds err on the side of silence: advice on a healthy run teaches to overlook advice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, takewhile
from typing import NamedTuple

from tuitrain.core.detail import Confusion
from tuitrain.core.events import EpochEnded
from tuitrain.core.safe import safe
from tuitrain.core.series import DEAD_UNITS, GRADIENT_NORM
from tuitrain.history.changes import last_changed
from tuitrain.view.state.metrics import monitor_of, monitored
from tuitrain.view.state.rate import lr_at, lr_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.timings import timings
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text import words

_GUESSING = {"multiclass": "cross-entropy", "binary": "bce-with-logits"}
"""The loss whose value is known for a model that guesses: the entropy of the classes."""
_FAR_FROM_GUESSING = 3.0
_LEAST_EPOCHS = 5
"""Epochs under the present settings before the course of the losses says anything."""
_LITTLE = 0.01
"""A relative fall of the loss that is none."""
_RISEN = 2.0
_OVERFITTED, _STILL_OVERFITTED = 1.15, 1.07
"""The validation loss over its least value; the training loss fell meanwhile by as much. A loss
that has risen so far and goes up and down there has not come back."""
_PLATEAU_EPOCHS = 12
_CLEARLY = 0.02
"""A relative fall in so many epochs that ends a plateau; one begins where it is little. A loss that
falls by about as much as that does not come and go as one."""
_WAITING = 0.5
"""The share of the time spent waiting for data."""
_LEAST_EPOCHS_WAITING, _LEAST_S_WAITING = 3, 2.0
"""The first batches wait for what is set up only once; and of a few milliseconds the shares are
those of the machine's other work. After two seconds the newest share is of one second."""
_DEAD = 1e-8
"""A gradient norm below this moves no weight, whatever the learning rate."""
_DEAD_LAYER = 0.95
"""With so many dead units, a layer passes hardly any gradient to those before it."""


class Way(NamedTuple):
    """Something to do about it, as each place says it."""

    key: str
    """On the screen of a live run."""
    command: str
    """In a shell, with the run's name for NAME."""
    afterwards: str
    """Once the run has ended, in a shell."""
    key_afterwards: str = ""
    """The same on its screen, where that has a key for it."""


class Finding(NamedTuple):
    """Something wrong with a run."""

    kind: str
    """A name for it: diverging, overfitting, ..."""
    text: str
    """The problem in numbers."""
    ways: tuple[Way, ...] = ()

    def line(self, run: Snapshot, *, has_keys: bool) -> str:
        """Return what is wrong and what to do, on a screen with keys or in a shell."""
        return " · ".join(self.parts(run, has_keys=has_keys))

    def parts(self, run: Snapshot, *, has_keys: bool) -> list[str]:
        """Return what is wrong, and each thing to do, on a screen with keys or in a shell."""
        if run.has_ended:
            ways = [(has_keys and way.key_afterwards) or way.afterwards for way in self.ways]
        elif has_keys:
            ways = [way.key for way in self.ways]
        else:
            ways = [way.command for way in self.ways]
        return [part.replace("NAME", safe(run.name)) for part in (self.text, *dict.fromkeys(ways))]


_NEXT_TIME = "the next run"


def _back(run: Snapshot) -> Way:
    live = "b goes back", "tuitrain ctl NAME rollback best"
    if run.is_watched:
        return Way(*live, "tuitrain export NAME --format weights --which best has its best weights")
    return Way(
        *live, "tuitrain fork NAME --epoch best goes on from it", "f forks from its best epoch"
    )


def _lower(run: Snapshot, what: str = "lowers") -> Way:
    verb, lr = what.removesuffix("s"), f"({lr_of(run) or 0:g})"
    return Way(
        f"r {what} the rate {lr}",
        f"tuitrain ctl NAME lr X {what} the rate {lr}",
        f"{verb} the rate {lr} in its script"
        if run.is_watched
        else f"{verb} --lr {lr} in {_NEXT_TIME}",
        "" if run.is_watched else f"{verb} the rate {lr} in {_NEXT_TIME}",
    )


def _at_the_next_start(what: str, on_screen: str = "") -> Way:
    """Return a way that is the same before the end and after it; `on_screen` without options."""
    return Way(on_screen or what, what, what, on_screen)


def findings(run: Snapshot, confusion: Confusion | None = None) -> list[Finding]:
    """Return what is wrong with a run, the most urgent first; of its course only the first sign.

    `confusion` is that of the best epoch. Those of an ended run are of its end.
    """
    course = present_course(run)
    signs = (sign(run, course) for sign in _OF_COURSE)
    of_course = next(filter(None, signs), None) or _never_predicts(run, confusion)
    found = [of_course or _starts_high(run), _waits_for_data(run)]
    return [finding for finding in found if finding is not None]


def present_course(run: Snapshot) -> list[EpochEnded]:
    """Return the epochs since the last change of the training on the lineage, oldest first.

    Of a long run these are the best one and the newest ones.
    """
    changed = last_changed(run.lineage)
    best = [run.best] if run.best and run.best.step < run.epochs[0].step else []
    since = takewhile(
        lambda epoch: epoch.loss_name == run.loss and epoch.step > changed,
        reversed([*best, *run.epochs]),
    )
    return [epoch for epoch in reversed(list(since)) if trained_loss(run, epoch) is not None]


def _nonfinite(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    """Return advice on a training loss that is not finite.

    Where such steps are taken, the weights are as bad, for good: there the newest step tells it
    before the epoch ends, and a lower rate alone mends nothing.
    """
    is_taken = run.spec.on_nonfinite == "alert"
    newest = run.latest.loss if is_taken and run.latest is not None else 0.0
    losses = [newest, *(epoch.train_loss for epoch in course[-1:])]
    bad = next((loss for loss in losses if not math.isfinite(loss)), None)
    if bad is None:
        return None
    ways: tuple[Way, ...] = (_lower(run),)
    if run.best:
        ways += (_back(run),)
    elif is_taken:
        ways = _from_the_start(run)
    return Finding("diverging", f"diverging: the training loss is {words.value(bad)}", ways)


def _from_the_start(run: Snapshot, again: str = "begin again with a lower rate") -> tuple[Way, ...]:
    if not any(saved.is_between_epochs and not saved.epoch for saved in run.checkpoints):
        return (_at_the_next_start(again),)
    back = Way("b goes back to the start", "tuitrain ctl NAME rollback 0", again)
    if _is_lowered(run):
        return (back,)
    return _lower(run)._replace(afterwards=again), back._replace(key=f"then {back.key}")


def _is_lowered(run: Snapshot) -> bool:
    """Return whether the next step has a lower rate than the newest one: half of what to do."""
    return (lr_of(run) or 0.0) < (lr_at(run, run.step) or 0.0)


def _not_validated(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    """Return advice on validations that say nothing, while the training loss is finite."""
    del run
    val_loss = course[-1].val_loss if course else None
    if val_loss is None or math.isfinite(val_loss):
        return None
    return Finding(
        "not validated",
        f"not validated: the validation loss is {words.value(val_loss)}, the training loss is not",
        (
            _at_the_next_start("are its inputs and running statistics finite?"),
            _at_the_next_start("has each of its batches a target that counts?"),
        ),
    )


def _diverging(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    if not course:
        return None
    last = course[-1]
    before = [epoch for epoch in course[:-1] if math.isfinite(epoch.train_loss)]
    if len(before) < 2:
        return None
    least = min(before, key=lambda epoch: epoch.train_loss)
    rises = last.train_loss > before[-1].train_loss or last.train_loss > before[0].train_loss
    if not (rises and _grew(least, last, before[0])):
        return None
    ways = (_lower(run), _back(run)) if run.best else (_lower(run),)
    return Finding(
        "diverging",
        f"diverging: training loss {words.value(least.train_loss)} in epoch {least.epoch:,}, "
        f"{words.value(last.train_loss)} now",
        ways,
    )


def _worse_since_change(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    """Return advice on a loss that has risen far above that before the last change."""
    if not course:
        return None
    began = course[0].epoch
    earlier = [epoch for epoch in run.epochs if epoch.epoch < began and epoch.loss_name == run.loss]
    if not earlier or trained_loss(run, earlier[-1]) is None:
        return None
    before, now = earlier[-1].train_loss, course[-1].train_loss
    if not _grew(earlier[-1], course[-1], earlier[0]):
        return None
    return Finding(
        "worse since a change",
        f"diverging since the change: training loss {words.value(before)} in epoch "
        f"{earlier[-1].epoch:,}, {words.value(now)} now",
        (
            _back(run)._replace(key="u undoes it", command="tuitrain ctl NAME undo"),
            _lower(run),
        ),
    )


def _grew(before: EpochEnded, now: EpochEnded, first: EpochEnded) -> bool:
    """Return whether the training loss rose by more than the noise of one that is nearly zero.

    The first epoch of a long run is not at hand: the validation says, too, what is nearly zero.
    """
    risen = now.train_loss - before.train_loss
    scale = max(abs(first.train_loss), abs(before.val_loss or 0.0))
    return now.train_loss > _RISEN * before.train_loss and risen > 0.25 * scale


def _dead(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    last = {summary.series.name: summary.last for summary in run.series}
    norm, dead = last.get(GRADIENT_NORM.name, math.inf), last.get(DEAD_UNITS.name, 0.0)
    newest = course[-1] if course else run.last_epoch  # a change alone moves no weight
    if newest is None or newest.loss_name != run.loss or not abs(newest.train_loss) > _LITTLE:
        return None
    if dead >= _DEAD_LAYER:
        said = f"{dead:.0%} of the units of a layer (5 Health) are 0 for a whole batch"
    elif norm < _DEAD:
        said = f"their norm is {f'{norm:.0e}' if norm else 0}, so no weight moves"
    else:
        return None
    ways = _from_the_start(run, "a new run with a lower rate or another initialisation")
    if run.best is not None and _was_alive(run.best, newest):
        ways = (_back(run),) if _is_lowered(run) else (_lower(run), _back(run))
    return Finding("dead gradients", f"dead gradients: {said}", ways)


def _was_alive(best: EpochEnded, last: EpochEnded) -> bool:
    """Return whether training had come far at the best epoch, and lost it since."""
    return best.loss_name == last.loss_name and best.train_loss < 0.5 * last.train_loss


def _unfit(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    """Return advice on a loss, not the usual one, that hardly beats guessing the classes."""
    usual = run.problem.losses[0] if run.problem.losses else ""
    classes = len(run.problem.classes)
    name = run.loss.partition(":")[0]
    if len(course) < _LEAST_EPOCHS or classes < 2 or name == usual:
        return None
    accuracy = course[-1].metrics.get("accuracy", math.nan)
    has_learned = course[-1].train_loss < 0.5 * course[0].train_loss
    if has_learned or not accuracy < 0.5 * (1 + 1 / classes):
        return None
    return Finding(
        "unfit loss",
        f"{name} teaches classes slowly: accuracy {words.value(accuracy)} after "
        f"{course[-1].epoch:,} epochs",
        (
            Way(
                f"l swaps to {safe(usual)}", f"tuitrain ctl NAME loss {safe(usual)}",
                f"--loss {safe(usual)} in {_NEXT_TIME}", f"f forks it with {safe(usual)}",
            ),
        ),
    )  # fmt: skip


def _not_learning(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    losses = [epoch.train_loss for epoch in course]
    if len(losses) < _LEAST_EPOCHS or course[0].epoch != 1:
        return None
    if losses[0] - min(losses) > _LITTLE * abs(losses[0]) or max(losses) < _LITTLE:
        return None
    return Finding(
        "not learning",
        f"not learning: training loss {words.value(losses[0])} in epoch 1, "
        f"{words.value(losses[-1])} in epoch {course[-1].epoch:,}",
        (_lower(run, "raises"), _at_the_next_start("do inputs and targets belong together?")),
    )


def _overfitting(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    validated = [epoch for epoch in course if epoch.val_loss is not None]
    if len(validated) < _LEAST_EPOCHS:
        return None
    least = min(validated, key=lambda epoch: epoch.val_loss or 0.0)
    after = [epoch for epoch in validated if epoch.epoch > least.epoch]
    losses = [epoch.val_loss or 0.0 for epoch in after]
    if not (least.val_loss and _has_risen(losses, least.val_loss)):
        return None
    if min(epoch.train_loss for epoch in after) * _OVERFITTED >= least.train_loss:
        return None
    best, peak = run.best, monitored(run, run.best)
    at = f"; best {monitor_of(run)} {words.value(peak)} @{best.epoch:,}" if best and peak else ""
    return Finding(
        "overfitting",
        f"overfitting since epoch {least.epoch:,}: val loss {words.value(least.val_loss)} then, "
        f"{words.value(losses[-1])} now{at}",
        (_back(run),),
    )


def _has_risen(losses: Sequence[float], least: float) -> bool:
    """Return whether three losses in a row were well above the least, and have not come back."""
    three = [min(losses[at : at + 3]) / least for at in range(len(losses) - 2)]
    return max(three, default=0) > _OVERFITTED and three[-1] > _STILL_OVERFITTED


def _plateau(run: Snapshot, course: Sequence[EpochEnded]) -> Finding | None:
    train, val = (_falls([loss(epoch) for epoch in course]) for loss in (_train_loss, _val_loss))
    falls = map(max, train, val)
    last_sign = next((fall for fall in falls if not _LITTLE < fall <= _CLEARLY), math.inf)
    if not last_sign <= _LITTLE:
        return None
    return Finding(
        "plateau",
        f"plateau: no loss fell by 2 % in {_PLATEAU_EPOCHS} epochs",
        (_lower(run), Way("S stops", "tuitrain ctl NAME stop", "more epochs change little")),
    )


def _falls(losses: Sequence[float]) -> Iterator[float]:
    """Yield, from the last epoch back to the 13th, by which share the least loss fell in 12."""
    before = [*accumulate(losses[:-_PLATEAU_EPOCHS], min)]
    for at in range(len(before), 0, -1):
        earlier, recent = before[at - 1], min(losses[at : at + _PLATEAU_EPOCHS])
        yield (earlier - recent) / (abs(earlier) or 1.0) if math.isfinite(earlier) else math.inf


def _train_loss(epoch: EpochEnded) -> float:
    return epoch.train_loss


def _val_loss(epoch: EpochEnded) -> float:
    return epoch.train_loss if epoch.val_loss is None else epoch.val_loss


def _never_predicts(run: Snapshot, confusion: Confusion | None) -> Finding | None:
    if confusion is None or run.epoch < _LEAST_EPOCHS:
        return None
    true = [sum(row) for row in confusion.counts]
    predicted = [sum(column) for column in zip(*confusion.counts, strict=True)]
    never = [number for number, count in enumerate(predicted) if not count and true[number]]
    if not never:
        return None
    names = [safe(run.problem.classes[number], limit=24) for number in never]
    more = "more samples of it"
    way = _at_the_next_start(
        f"--class-weights balanced in a new run, or {more}",
        f"balanced class weights in the form of a new run, or {more}",
    )
    if run.spec.class_weights:
        way = _at_the_next_start(more)
    return Finding("never predicted", f"never predicted: {', '.join(names)}", (way,))


def _starts_high(run: Snapshot) -> Finding | None:
    """Return advice on a first epoch that was much worse than guessing."""
    first = run.epochs[0] if run.epochs else None
    classes = len(run.problem.classes)
    usual = _GUESSING.get(run.problem.kind or "")
    if first is None or first.epoch != 1 or first.loss_name != usual:
        return None
    if not classes:  # those of a script are unknown
        return None
    guessing = math.log(classes)
    if not first.train_loss > _FAR_FROM_GUESSING * guessing:
        return None
    return Finding(
        "high start",
        f"high start: loss {words.value(first.train_loss)} in epoch 1, where guessing gives "
        f"ln {classes} = {guessing:.2f}",
        (_at_the_next_start(f"are the inputs normalised, and {_rate_in(run, first)} right?"),),
    )


def _rate_in(run: Snapshot, epoch: EpochEnded) -> str:
    """Return words for the learning rate of an epoch, which may have been changed since."""
    lr = lr_at(run, epoch.step)
    return f"{'is' if lr == lr_of(run) else 'was'} the rate ({lr or 0:g})"


def _waits_for_data(run: Snapshot) -> Finding | None:
    share = timings(run.series).get("data", 0.0)
    has_settled = run.epoch >= _LEAST_EPOCHS_WAITING and run.elapsed_s >= _LEAST_S_WAITING
    if share < _WAITING or not has_settled:
        return None
    way = _at_the_next_start("more workers for its DataLoader")
    if not run.is_watched:
        way = _at_the_next_start("more --workers at the next start", "f forks it with more workers")
    text = f"waiting for data: {share:.0%} of the time goes into it"
    return Finding("waiting for data", text, (way,))


_OF_COURSE: tuple[Callable[[Snapshot, Sequence[EpochEnded]], Finding | None], ...] = (
    _nonfinite, _not_validated, _diverging, _dead, _worse_since_change, _unfit, _not_learning,
    _overfitting, _plateau,
)  # fmt: skip
"""The course of a run has one cause: the first of these signs."""
