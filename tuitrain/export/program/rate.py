"""The learning rate of a program: its schedules, and the lines that follow them."""

from __future__ import annotations

from string import Template

from tuitrain.core.schedules import SCHEDULES, RateSchedule
from tuitrain.export.program.part import Part
from tuitrain.export.program.source import function
from tuitrain.export.recipe import Recipe

_WHOLE = """\
        # Decay the learning rate with the share of the run that is done.
        done = (epoch + number / math.ceil(len(train_inputs) / batch_size)) / planned_epochs
        optimizer.param_groups[0]["lr"] = lr * $schedule(done)
"""
"""For one schedule of the whole run."""
_CHANGING = """\
        # Set the learning rate by the share of the schedule that is done.
        trained = epoch + number / math.ceil(len(train_inputs) / batch_size)
        done = share_done(trained, schedule_begin, planned_epochs)
        optimizer.param_groups[0]["lr"] = lr * schedule(done)
"""
_SHARE = "tuitrain.core.schedules:share_done"


def is_scheduled(recipe: Recipe) -> bool:
    """Return whether the program sets the learning rate before every step."""
    return not all(schedule.is_constant for schedule in recipe.schedules)


def settings(recipe: Recipe) -> list[str]:
    """Return the statements before the loop."""
    if not is_scheduled(recipe):
        return []
    lines = [f"planned_epochs = {recipe.setting('epochs')}", f"lr = {recipe.setting('lr')!r}"]
    return [*lines, statement(recipe.schedules[0])] if _changes(recipe) else lines


def statement(schedule: RateSchedule) -> str:
    """Return the statement that begins a schedule."""
    begin = str(schedule.begin).removesuffix(".0")
    return f"schedule, schedule_begin = {_name(schedule)}, {begin}"


def following(recipe: Recipe) -> Part:
    """Return the lines before each step, with the functions that they call."""
    if not is_scheduled(recipe):
        return Part("", (), ())
    places = [f"{SCHEDULES[used.name].__module__}:{_name(used)}" for used in recipe.schedules]
    if _changes(recipe):
        return Part(_CHANGING, (), tuple(map(function, dict.fromkeys([_SHARE, *places]))))
    text = Template(_WHOLE).substitute(schedule=_name(recipe.schedules[0]))
    return Part(text, (), (function(places[0]),))


def _changes(recipe: Recipe) -> bool:
    """Return whether there is more than one schedule of the whole run."""
    return len(recipe.schedules) > 1 or recipe.schedules[0].begin > 0


def _name(schedule: RateSchedule) -> str:
    return SCHEDULES[schedule.name].__name__
