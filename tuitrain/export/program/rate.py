"""The learning rate of a program: its schedules, and the lines that follow them."""

from __future__ import annotations

from string import Template

from tuitrain.core.events import RateReduced
from tuitrain.core.schedules import PLATEAU, SCHEDULES, RateSchedule
from tuitrain.export.program.part import PARTIAL, Part, indented, keywords
from tuitrain.export.program.source import function
from tuitrain.export.recipe import Recipe

_FOLLOWING = Template("""\
        # Set the learning rate by the epochs that are trained.
        trained = epoch + number / math.ceil(len(train_inputs) / $samples)
        factor = rate_factor($arguments)
$rate""")


def is_scheduled(recipe: Recipe) -> bool:
    """Return whether the program sets the learning rate before every step."""
    return not all(schedule.is_constant for schedule in recipe.schedules)


def settings(recipe: Recipe) -> list[str]:
    """Return the statements before the loop."""
    if not is_scheduled(recipe):
        return []
    first = recipe.schedules[0]
    lines = [f"planned_epochs = {recipe.setting('epochs')}", f"lr = {recipe.setting('lr')!r}"]
    if _changes(recipe):
        lines += statements(recipe, first)
    elif first.name == PLATEAU:
        lines.append(_SCALE)
    if recipe.origin is not None and first.name == PLATEAU:
        lines += [f'if origin["settings"]["schedule"] == "{first}":',
                  '    lr_scale = origin["plateau"][0]']  # fmt: skip
    return lines


def statements(recipe: Recipe, schedule: RateSchedule) -> list[str]:
    """Return the statements that begin a schedule."""
    begin = str(schedule.begin).removesuffix(".0")
    lines = [f"schedule, schedule_begin = {_callable(schedule)}, {begin}"]
    lines += [f"warmup = {schedule.warmup!r}"] if _warms_up(recipe) else []
    return [*lines, *([_SCALE] if _may_reduce(recipe) else [])]


def reduction(reduced: RateReduced) -> str:
    """Return the statement for what a plateau did to the rate."""
    return f"lr_scale = {reduced.scale!r}  # {reduced.why}"


def setting(name: str, value: str) -> list[str]:
    """Return the lines that set an option of the optimizer."""
    return ["for group in optimizer.param_groups:", f'    group["{name}"] = {value}']


def following(recipe: Recipe) -> Part:
    """Return the lines before each step, with the functions that they call."""
    if not is_scheduled(recipe):
        return Part("")
    first = recipe.schedules[0]
    used = ["schedule" if _changes(recipe) else _callable(first), "trained", "planned_epochs"]
    if _changes(recipe):
        used += ["schedule_begin"] + ["warmup"] * _warms_up(recipe)
    elif first.warmup:
        used.append(f"warmup={first.warmup!r}")
    scale = " * lr_scale" if _may_reduce(recipe) else ""
    text = _FOLLOWING.substitute(
        samples="batch_size" if recipe.spec.accumulate == 1 else "(batch_size * accumulate)",
        arguments=", ".join(used),
        rate=indented(setting("lr", f"lr * factor{scale}"), 2),
    )
    places = [f"{SCHEDULES[used.name].function.__module__}:{_name(used)}"
              for used in recipe.schedules]  # fmt: skip
    called = ["tuitrain.core.schedules:rate_factor", *dict.fromkeys(places)]
    imports = (PARTIAL,) if any(map(_is_partial, recipe.schedules)) else ()
    return Part(text, imports, tuple(map(function, called)))


_SCALE = "lr_scale = 1.0"


def _changes(recipe: Recipe) -> bool:
    """Return whether there is more than one schedule of the whole run."""
    return len(recipe.schedules) > 1 or recipe.schedules[0].begin > 0


def _warms_up(recipe: Recipe) -> bool:
    return any(schedule.warmup for schedule in recipe.schedules)


def _may_reduce(recipe: Recipe) -> bool:
    return any(schedule.name == PLATEAU for schedule in recipe.schedules)


def _is_partial(schedule: RateSchedule) -> bool:
    return bool(schedule.options) and schedule.name != PLATEAU


def _callable(schedule: RateSchedule) -> str:
    if not _is_partial(schedule):
        return _name(schedule)
    return f"partial({', '.join((_name(schedule), *keywords(**schedule.options)))})"


def _name(schedule: RateSchedule) -> str:
    return SCHEDULES[schedule.name].function.__name__
