"""A user's choice of a catalogue entry: its name and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuitrain import catalog
from tuitrain.core.errors import WrongUse
from tuitrain.core.own import own_python
from tuitrain.core.schedules import OWN


@dataclass(frozen=True, slots=True)
class Choice:
    """A catalogue name with its options, such as `mlp:hidden=256-128`."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, what: str, text: str) -> Choice:
        """Return the choice of a `what` (task, loss, ...) from `NAME[:key=value,...]`.

        The name may be an alias. Raises WrongUse for an unknown name or an invalid option.
        """
        name = text.partition(":")[0]
        pairs = _pairs(text)
        if not all(key and value for key, value in pairs):
            raise WrongUse(
                f"cannot read {text!r}; write NAME or NAME:key=value,key=value{_hint(what, text)}"
            )
        entry = catalog.find(what, name)
        options = dict(pairs)
        catalog.read_options(entry, options)
        return cls(entry.name, options)

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return f"{self.name}:{','.join(f'{k}={v}' for k, v in self.options.items())}"


def shares_state(optimizer: str, other: str) -> bool:
    """Return whether one optimizer can go on with the state of the other.

    They may differ in the schedule of the learning rate, which has no state.
    """
    if optimizer == other:
        return True
    if not optimizer or not other or own_python(optimizer) or own_python(other):
        return False
    return _without_schedule(optimizer) == _without_schedule(other)


def with_schedule(optimizer: str, schedule: str) -> str:
    """Return the text of an optimizer with another initial schedule.

    An optimizer of the user's own, or of the task, has no schedule in its text.
    """
    if not optimizer or own_python(optimizer):
        return optimizer
    choice = Choice.read("optimizer", optimizer)
    options = {key: value for key, value in choice.options.items() if key != "schedule"}
    if not schedule.startswith(OWN):
        options["schedule"] = schedule
    return str(Choice(choice.name, options))


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the keys and values in the text of a choice, as they stand there."""
    _, colon, rest = text.partition(":")
    parts = [part.partition("=") for part in rest.split(",")] if colon else []
    return [(key, value) for key, _, value in parts]


def _hint(what: str, text: str) -> str:
    """Return what the last option with a value takes: the rest may belong to it, as in 256,128."""
    name, options = text.partition(":")[0], catalog.CATALOG[what].get(text.partition(":")[0])
    keys = [key for key, value in _pairs(text) if value]
    option = options.options.get(keys[-1]) if options and keys else None
    return f"; {name}:{keys[-1]} takes {option.type.description}" if option else ""


def _without_schedule(optimizer: str) -> tuple[str, Mapping[str, object]]:
    choice = Choice.read("optimizer", optimizer)
    options = catalog.read_options(catalog.find("optimizer", choice.name), choice.options)
    return choice.name, {key: value for key, value in options.items() if key != "schedule"}


def loss_text(text: str) -> str:
    """Return the canonical text of a loss: its name, and its parameters that are not the default.

    Two losses are equal if and only if their texts are.
    """
    choice = Choice.read("loss", text)
    options = catalog.loss_named(choice.name).options
    values = catalog.read_options(catalog.loss_named(choice.name), choice.options)
    changed = {key: options[key].write(value) for key, value in values.items()
               if value != options[key].default}  # fmt: skip
    return str(Choice(choice.name, changed))
