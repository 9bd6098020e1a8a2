"""The form for a new run: defaults, choices, hints, errors, and the size of the run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tuitrain import catalog
from tuitrain.core.errors import TuitrainError
from tuitrain.core.options import OPTIONS, at
from tuitrain.core.own import source_of
from tuitrain.core.problem import Kind
from tuitrain.core.spec import FILLED_IN_NUMBERS, FILLED_IN_STRINGS, RunSpec
from tuitrain.core.values import Flag, Named, OneOf, Switch
from tuitrain.view.text import words

OF_THE_START = ("name", "notify")
"""Fields that say how a run is started, and not what is trained."""
FIELDS = tuple(option.name for option in at("form"))
OF_A_FORK = tuple(name for name in FIELDS if not OPTIONS[name].is_of_weights)
"""The fields that a fork may change: it keeps the data and the weights of its parent."""
_MOST_CHOICES = 13
"""In a hint; up and down go through all of them."""


def is_shown(name: str, task: str) -> bool:
    """Return whether a task has that option: tables and images have some of their own."""
    sources = OPTIONS[name].sources
    return not sources or source_of(task) in sources


def filled(task: str) -> dict[str, str]:
    """Return the default texts of all fields for a task; raise UnknownName if there is none."""
    pace = catalog.task_named(task).pace if source_of(task) == "catalog" else None
    return texts_of(catalog.new_spec(task, pace=pace)) | {"task": task}


def texts_of(spec: RunSpec) -> dict[str, str]:
    """Return the texts of all fields for a spec."""
    values = {name: getattr(spec, name, OPTIONS[name].default) for name in FIELDS}
    left = [name for name in (*FILLED_IN_STRINGS, *FILLED_IN_NUMBERS) if not values[name]]
    texts = {name: OPTIONS[name].type.write(value) for name, value in values.items()}
    return texts | dict.fromkeys(left, "")


def choices(name: str, values: Mapping[str, str]) -> Sequence[str]:
    """Return the choices of a field; empty if it takes free text."""
    match OPTIONS[name].type:
        case Named(what="loss"):
            kind = _kind(values)
            return tuple(loss.name for loss in catalog.fitting_losses(kind)) if kind else ()
        case Named(what=what):
            return tuple(catalog.CATALOG[what])
        case Flag() | Switch():
            return ("no", "yes")
        case OneOf(words=words):
            return words
        case _:
            return ()


def hint(name: str, values: Mapping[str, str], *, has_focus: bool) -> str:
    """Return the hint of a field; its choices while it has the focus."""
    if has_focus and (options := _options(name, values[name])):
        return options
    if has_focus and (allowed := choices(name, values)):
        rest = len(allowed) - _MOST_CHOICES
        more = [f"{rest} more"] if rest > 0 else []
        return " · ".join([*allowed[:_MOST_CHOICES], *more])
    option = OPTIONS[name]
    if isinstance(option.type, Named):
        entry = catalog.CATALOG[option.type.what].get(values[name].partition(":")[0])
        return entry.summary if entry else option.help
    return option.help_and_default


def _options(name: str, text: str) -> str:
    """Return the options of a catalogue entry, once a colon after its name is typed."""
    entry_name, colon, _ = text.partition(":")
    entry = catalog.CATALOG.get(name, {}).get(entry_name) if colon else None
    options = entry.options if entry else {}
    return " · ".join(f"{key}: {option.type.description}" for key, option in options.items())


def checked(values: Mapping[str, str]) -> tuple[RunSpec | None, dict[str, str]]:
    """Return the spec of the texts, or None, and the errors by field."""
    errors: dict[str, str] = {}
    settings: dict[str, Any] = {}
    task = values["task"]
    for name in FIELDS:
        try:
            value = OPTIONS[name].read(values[name]) if values[name] else None
            if name == "task":
                catalog.new_spec(task)
            elif name not in OF_THE_START and value is not None and is_shown(name, task):
                settings[name] = value
                catalog.new_spec(task if "task" not in errors else "digits", **{name: value})
        except TuitrainError as error:
            errors[name] = in_fields(str(error))
    if errors:
        return None, errors
    try:
        return catalog.new_spec(task, **settings), {}
    except TuitrainError as error:  # each value is valid, but not their combination
        return None, {"task": in_fields(str(error))}


def in_fields(text: str) -> str:
    """Return a text about options of the command line with the names of their fields."""
    return re.sub(r"--([a-z-]+)", _field_of, text)


def _field_of(option: re.Match[str]) -> str:
    return option[1].replace("-", " ") if option[1].replace("-", "_") in FIELDS else option[0]


def same_sizes(one: RunSpec, other: RunSpec) -> bool:
    """Return whether two specs have the same data and model."""
    names = ("task", "model", "data", *(name for name in FIELDS if OPTIONS[name].sources))
    return all(getattr(one, name) == getattr(other, name) for name in names)


def data_words(facts: Mapping[str, Any] | str) -> str:
    """Return the numbers of samples and classes in words."""
    if isinstance(facts, str):
        return facts
    if not facts["known"]:
        return str(facts.get("why", "known once it is downloaded"))
    kinds = f"{facts['classes']} classes" if facts["classes"] else "a number each"
    shape = "×".join(map(str, facts["sample_shape"]))
    return (
        f"{words.count(facts['train_samples'])} to train on, "
        f"{words.count(facts['val_samples'])} to validate, each {shape}; {kinds}"
    )


def model_words(facts: Mapping[str, Any] | str, spec: RunSpec) -> str:
    """Return the numbers of parameters and steps in words."""
    if isinstance(facts, str) or not facts["known"]:
        return "–"
    defaults = facts.get("defaults", {})
    batch_size = spec.batch_size or defaults["batch_size"]
    epochs = spec.epochs or defaults["epochs"]
    samples = batch_size * spec.accumulate * (spec.nproc or 1) * spec.nnodes
    steps = -(-facts["train_samples"] // samples)
    return (
        f"{words.count(facts['parameters'])} parameters; {words.count(steps)} steps an epoch, "
        f"{words.count(steps * epochs)} in all"
    )


def losses_words(kind: str | None) -> str:
    """Return the fitting losses, the usual one first, and the number of the others, in words."""
    fitting = [loss.name for loss in catalog.fitting_losses(kind)]
    others = len(catalog.LOSSES) - len(fitting)
    return f"{fitting[0]} (usual), {', '.join(fitting[1:])}; {others} do not fit {kind} problems"


def explained(spec: RunSpec, facts: Mapping[str, Any] | str) -> list[tuple[str, str]]:
    """Return the rows below the form: what is known of data, model and loss."""
    rows = [("data", data_words(facts)), ("model", model_words(facts, spec))]
    if source_of(spec.task) == "catalog":
        kind: str | None = catalog.task_named(spec.task).kind
        loss = spec.loss
    elif isinstance(facts, str) or not facts["known"]:
        return rows[:1]
    else:
        kind, loss = facts["kind"], spec.loss or facts["defaults"]["loss"]
    rows.append(("losses", losses_words(kind)))
    entry = catalog.LOSSES.get(loss.partition(":")[0])
    if entry is not None:
        rows.append((entry.name, f"{entry.formula}   {entry.when}"))
    notes = () if isinstance(facts, str) else facts.get("notes", ())
    return rows + [("found" if number == 0 else "", note) for number, note in enumerate(notes)]


def _kind(values: Mapping[str, str]) -> Kind | None:
    task = catalog.TASKS.get(values.get("task", "digits"))
    return task.kind if task else None
