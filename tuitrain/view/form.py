"""What the form for a new run says: defaults, choices, hints, errors, and how large a run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from tuitrain.core import catalog
from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.core.spec import ON_NONFINITE, RunSpec
from tuitrain.view import words

FIELDS = (
    "task", "loss", "model", "optimizer", "lr", "batch_size", "epochs", "patience", "seed",
    "device", "pace", "paused", "on_nonfinite", "data", "init_from", "name",
)  # fmt: skip
_WHOLE = ("batch_size", "epochs", "patience", "seed")
_HINTS = {
    "task": "a built-in task", "lr": "learning rate, above 0", "batch_size": "samples a step",
    "epochs": "passes over the data", "patience": "epochs without a lower val loss; empty: never",
    "seed": "decides weights and order", "pace": "batches a second at most; off: all there is",
    "paused": "yes: wait before the first batch", "on_nonfinite": "when a number is not finite",
    "data": "folder with the task's data; empty: downloads",
    "init_from": "a run or a file with weights", "name": "empty: task and time",
}  # fmt: skip


OF_A_FORK = tuple(name for name in FIELDS if name not in ("task", "model", "data", "init_from"))
"""The fields that a fork leaves open: it keeps its parent's data and weights."""


def filled(task: str) -> dict[str, str]:
    """Return the texts of all fields as the task has them; UnknownName for no task."""
    entry = catalog.task_named(task)
    return texts_of(RunSpec.of(entry.name, pace=entry.pace))


def texts_of(spec: RunSpec) -> dict[str, str]:
    """Return the texts of all fields as a spec has them."""
    values = {each.name: getattr(spec, each.name) for each in fields(spec)}
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    pace = "off" if spec.pace is None else f"{spec.pace:g}"
    return texts | {"pace": pace, "paused": "no", "lr": f"{spec.lr:g}", "name": ""}


def choices(name: str, values: Mapping[str, str]) -> Sequence[str]:
    """Return what a field may hold, where that is a list; nothing elsewhere."""
    match name:
        case "task":
            return tuple(catalog.TASKS)
        case "loss":
            kind = _kind(values)
            return tuple(each.name for each in catalog.fitting_losses(kind)) if kind else ()
        case "model":
            return tuple(catalog.MODELS)
        case "optimizer":
            return tuple(catalog.OPTIMIZERS)
        case "paused":
            return ("no", "yes")
        case "on_nonfinite":
            return ON_NONFINITE
        case _:
            return ()


def hint(name: str, values: Mapping[str, str], *, has_focus: bool) -> str:
    """Return what may stand in a field; the choices while it has the focus."""
    if has_focus and (options := _options(name, values[name])):
        return options
    several = choices(name, values)
    if has_focus and several:
        return " · ".join(several)
    if name == "task" and values["task"] in catalog.TASKS:
        return catalog.TASKS[values["task"]].summary
    if name in ("loss", "model", "optimizer"):
        found = catalog.CATALOG[name].get(values[name].partition(":")[0])
        return found.summary if found else ""
    return _HINTS.get(name, "")


def _options(name: str, text: str) -> str:
    """Return what the options of a catalogue entry take, once a colon after its name is typed."""
    entry, colon, _ = text.partition(":")
    found = catalog.CATALOG.get(name, {}).get(entry) if colon else None
    options = found.options if found else {}
    return " · ".join(f"{key}: {option.type.says}" for key, option in options.items())


def checked(values: Mapping[str, str]) -> tuple[RunSpec | None, dict[str, str]]:
    """Return the spec that the texts make, or None, and what is wrong with which field."""
    errors: dict[str, str] = {}
    settings: dict[str, Any] = {}
    task = values["task"]
    for name in FIELDS:
        try:
            value = _read(name, values[name])
            if name == "task":
                catalog.task_named(task)
            elif name != "name" and value is not None:
                settings[name] = value
                RunSpec.of(task if "task" not in errors else "digits", **{name: value})
        except TuitrainError as error:
            errors[name] = str(error)
    if errors:
        return None, errors
    try:
        return RunSpec.of(task, **settings), {}
    except TuitrainError as error:  # each will do, but not together
        return None, {"task": str(error)}


def same_sizes(one: RunSpec, other: RunSpec) -> bool:
    """Return whether data and model are the same."""
    return (one.task, one.model, one.data) == (other.task, other.model, other.data)


def data_words(facts: Mapping[str, Any] | str) -> str:
    """Return how many samples and classes there are."""
    if isinstance(facts, str):
        return facts
    if not facts["known"]:
        return "known once it is downloaded"
    kinds = f"{facts['classes']} classes" if facts["classes"] else "a number each"
    shape = "×".join(map(str, facts["sample_shape"]))
    return (
        f"{words.count(facts['train_samples'])} to train on, "
        f"{words.count(facts['val_samples'])} to validate, each {shape}; {kinds}"
    )


def model_words(facts: Mapping[str, Any] | str, spec: RunSpec) -> str:
    """Return how many parameters and steps there are."""
    if isinstance(facts, str) or not facts["known"]:
        return "–"
    steps = -(-facts["train_samples"] // spec.batch_size)
    return (
        f"{words.count(facts['parameters'])} parameters; {words.count(steps)} steps an epoch, "
        f"{words.count(steps * spec.epochs)} in all"
    )


def losses_words(kind: catalog.Kind) -> str:
    """Return the losses that fit, the usual one first, and those that do not."""
    fitting = [loss.name for loss in catalog.fitting_losses(kind)]
    unfit = [loss.name for loss in catalog.LOSSES.values() if loss.name not in fitting]
    missing = f"; unfit for {kind}: {', '.join(unfit)}" if unfit else ""
    return f"{fitting[0]} (usual), {', '.join(fitting[1:])}{missing}"


def _kind(values: Mapping[str, str]) -> catalog.Kind | None:
    task = catalog.TASKS.get(values.get("task", "digits"))
    return task.kind if task else None


def _read(name: str, text: str) -> Any:
    """Return the setting that a field's text stands for; None where it is left to the default."""
    if name == "paused":
        if text not in ("no", "yes", ""):
            raise WrongUse("paused is yes or no")
        return text == "yes" or None
    if not text or (name == "pace" and text == "off"):
        return None
    try:
        if name in _WHOLE:
            return int(text)
        if name in ("lr", "pace"):
            return float(text)
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise WrongUse(f"{name.replace('_', ' ')} takes {kind}") from None
    return text
