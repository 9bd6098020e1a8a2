"""Run specifications: all settings of a run, read from options, TOML or JSON, checked once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Annotated, Any

from tuitrain.core import catalog
from tuitrain.core.choice import Choice, loss_text
from tuitrain.core.commands import SwapLoss
from tuitrain.core.decode import at_most, decoded, parsed
from tuitrain.core.errors import DamagedRecord, Refused, UnknownName, WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.plan import Planned

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
    """A run before it starts. Construct it with `RunSpec.of`, which fills defaults and checks.

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
    data: str | None = None
    init_from: str | None = None
    on_nonfinite: str = "pause"
    pace: float | None = None
    paused: bool = False
    until: int | None = None
    schedule: tuple[Planned, ...] = ()
    """Changes that it makes by itself, each at its place."""
    parent: Parent | None = None

    @classmethod
    def of(cls, task: str = "digits", **settings: Any) -> RunSpec:
        """Return the checked spec: `settings` that are not None over the task's defaults.

        Raises WrongUse for an invalid value, Refused for a loss that does not fit the task.
        """
        entry = catalog.task_named(OPTIONS["task"].take(task))
        names = [field.name for field in fields(cls)]
        if unknown := set(settings) - set(names):
            raise UnknownName("setting", min(unknown), names)
        defaults = {name: OPTIONS[name].default for name in names if name in OPTIONS} | {
            "task": entry.name, "model": entry.model, "epochs": entry.epochs,
            "loss": catalog.fitting_losses(entry.kind)[0].name,
        }  # fmt: skip
        given = {name: value for name, value in settings.items() if value is not None}
        spec = cls(**defaults | _taken(given))
        spec._check_that_it_fits()
        return spec.canonical()

    def canonical(self) -> RunSpec:
        """Return the spec with aliases replaced by catalogue names."""
        return replace(
            self,
            model=str(Choice.read("model", self.model)),
            loss=loss_text(self.loss),
            optimizer=str(Choice.read("optimizer", self.optimizer)),
            schedule=tuple(map(_canonical, self.schedule)),
        )

    def _check_that_it_fits(self) -> None:
        model = catalog.find("model", Choice.read("model", self.model).name)
        if model.needs_images and not catalog.task_named(self.task).has_images:
            raise Refused(f"{model.name} needs images, and {self.task} is a table; try mlp")
        if self.data is not None and not catalog.task_named(self.task).is_downloaded:
            raise WrongUse(f"{self.task} comes with scikit-learn and takes no data folder")
        loss = catalog.loss_named(Choice.read("loss", self.loss).name)
        kind = catalog.task_named(self.task).kind
        for entry in (loss, *(_loss_of(change) for change in self.schedule)):
            if entry is not None and kind not in entry.takes:
                raise Refused(f"{entry.why_not(kind)} (tuitrain losses --task {self.task})")

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
            return cls(**_taken(settings))
        except (WrongUse, Refused, DamagedRecord) as error:
            raise DamagedRecord(f"its spec.json is damaged: {error}") from None


def _taken(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from JSON, TOML or a caller as a spec has them; WrongUse if one cannot be."""
    return {name: _take(name, value) for name, value in settings.items()}


def _take(name: str, value: object) -> Any:
    match name:
        case "schedule":
            return _schedule(value)
        case "parent":
            return _parent(value)
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


def _canonical(change: Planned) -> Planned:
    command = change.command
    if not isinstance(command, SwapLoss):
        return change
    return change._replace(command=SwapLoss(loss_text(command.loss)))


def _loss_of(change: Planned) -> catalog.Loss | None:
    command = change.command
    return catalog.loss_named(command.name) if isinstance(command, SwapLoss) else None
