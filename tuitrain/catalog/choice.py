"""A user's choice of a catalogue entry: its name and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuitrain import catalog
from tuitrain.core.errors import WrongUse
from tuitrain.core.own import own_python


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
        name, colon, rest = text.partition(":")
        pairs = [part.partition("=") for part in rest.split(",")] if colon else []
        if not all(key and value for key, _, value in pairs):
            raise WrongUse(f"cannot read {text!r}; write NAME or NAME:key=value,key=value")
        entry = catalog.find(what, name)
        options = {key: value for key, _, value in pairs}
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


def schedule_of(optimizer: str) -> str:
    """Return the name of an optimizer's schedule; constant where its text names none."""
    pairs = [part.partition("=") for part in optimizer.partition(":")[2].split(",")]
    return next((value for key, _, value in pairs if key == "schedule"), "constant")


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
