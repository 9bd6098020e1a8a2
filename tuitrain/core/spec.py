"""Run specifications: all settings of a run, and how `spec.json` keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Annotated, Any

from tuitrain.core.decode import at_most, decoded, parsed
from tuitrain.core.errors import DamagedRecord, Refused, WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.own import source_of
from tuitrain.core.plan import Planned

FILLED_IN_STRINGS = ("model", "loss", "optimizer")
FILLED_IN_NUMBERS = ("lr", "batch_size", "epochs")
"""Settings that a spec may leave, empty or 0, to a task of the user's own; an empty model or
optimizer stays so where the task has one of its own."""
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that another one was made from, by a fork or a replay; drawn behind it."""

    directory: str
    """Its run directory, which is only read."""
    take: Annotated[int, at_most(1 << 22, least=1)] = 1
    step: Annotated[int, at_most((1 << 40) - 1)] = 0
    epoch: Annotated[int, at_most(1 << 31)] = 0
    """Where the child branches off its parent's lineage; 0: at the start."""
    sha256: str | None = None
    """Of the child's copy of the parent's checkpoint, with which it begins; None: by its seed."""
    keeps_optimizer: bool = True
    """Begin with the optimizer's state in that checkpoint, too."""
    expects: str | None = None
    """Of a replay: the expected digest of its final weights, if known."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of a replay: what bit-for-bit repetition depends on, as its parent had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A run before it starts. `catalog.new_spec` makes one: it fills defaults and checks.

    `core.options` says what each option is. The defaults here are those of a record without it.
    """

    task: str
    model: str
    loss: str
    optimizer: str
    lr: float
    batch_size: int
    epochs: int
    seed: int
    device: str = "auto"
    patience: int | None = None
    monitor: str | None = None
    workers: int | None = None
    kind: str | None = None
    target: str | None = None
    group: str | None = None
    split: str | None = None
    drop: tuple[str, ...] = ()
    as_number: tuple[str, ...] = ()
    as_category: tuple[str, ...] = ()
    as_date: tuple[str, ...] = ()
    image_size: int | None = None
    augment: tuple[str, ...] = ()
    class_weights: str | None = None
    data: str | None = None
    init_from: str | None = None
    init_given: str | None = None
    """The file or run that the user named for it; `init_from` becomes a copy of the run's own."""
    on_nonfinite: str = "pause"
    pace: float | None = None
    paused: bool = False
    until: int | None = None
    schedule: tuple[Planned, ...] = ()
    """Changes that it makes by itself, each at its place."""
    parent: Parent | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the trainer has filled in what was left to a task of the user's own."""
        return bool(self.loss and self.lr and self.batch_size and self.epochs)

    def to_json(self) -> str:
        """Return the spec as `spec.json` keeps it."""
        body = asdict(self) | {"schedule": [change.as_row() for change in self.schedule]}
        return json.dumps(body, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """Return the spec that `to_json` wrote.

        Its names are not looked up: the run may be of a task, a model or a loss that is not
        installed here. Raises DamagedRecord for what is no spec, or not one of this version.
        """
        try:
            settings = parsed(text)
            _check_known(settings)
            left = {name: value for name, value in settings.items() if _is_left(settings, name)}
            given = {name: value for name, value in settings.items() if name not in left}
            return cls(**taken(given), **left)
        except (WrongUse, Refused, DamagedRecord) as error:
            raise DamagedRecord(f"its spec.json is damaged: {error}") from None


def _is_left(settings: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting is left to a task of the user's own."""
    if source_of(str(settings["task"])) == "catalog":
        return False
    value = settings[name]
    if name in FILLED_IN_STRINGS:
        return bool(value == "")
    return name in FILLED_IN_NUMBERS and type(value) in (int, float) and value == 0


def taken(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from JSON, TOML or a caller as a spec has them; WrongUse if one cannot be."""
    return {name: _take(name, value) for name, value in settings.items()}


def _take(name: str, value: object) -> Any:
    match name:
        case "schedule":
            return _schedule(value)
        case "parent":
            return _parent(value)
        case "init_given":
            return OPTIONS["init_from"].take(value)
        case _:
            return OPTIONS[name].take(value)


def _check_known(settings: Mapping[str, object]) -> None:
    if unknown := set(settings) - {field.name for field in fields(RunSpec)}:
        raise DamagedRecord(f"it has {min(unknown)!r:.60}: a newer tuitrain may read it")
    needed = {field.name for field in fields(RunSpec) if field.default is MISSING}
    if missing := needed - set(settings):
        raise DamagedRecord(f"it has no {min(missing)}")


def check_name(name: str) -> str:
    """Return `name` if a run may have it."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WrongUse(
            "a run's name has 1 to 64 of the letters A-Z a-z 0-9 . _ - and no leading dot"
        )
    return name


def _schedule(rows: object) -> tuple[Planned, ...]:
    if not isinstance(rows, list | tuple):
        raise WrongUse("schedule must be a list of changes")
    return tuple(
        row if isinstance(row, Planned) else Planned.of_row(row, number)
        for number, row in enumerate(rows, start=1)
    )


def _parent(found: object) -> Parent | None:
    if found is None or isinstance(found, Parent):
        return found
    if not isinstance(found, Mapping):
        raise WrongUse(f"parent must be a run, not {found!r:.40}")
    try:
        return decoded(Parent, found)
    except DamagedRecord as error:
        raise WrongUse(f"its parent is damaged: {error}") from None
