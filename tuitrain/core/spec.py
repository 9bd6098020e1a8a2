"""Run specifications: all settings of a run, and their form in `spec.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Annotated, Any

from tuitrain.core.commands import SETTINGS
from tuitrain.core.decode import at_most, decoded, parsed
from tuitrain.core.errors import DamagedRecord, Refused, WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.own import own_python, source_of
from tuitrain.core.plan import Planned
from tuitrain.core.safe import safe
from tuitrain.core.schedules import initial_schedule

FILLED_IN_STRINGS = ("model", "loss", "optimizer")
FILLED_IN_NUMBERS = ("lr", "batch_size", "epochs")
"""Settings that a spec may leave, empty or 0, to a task of the user's own; an empty model or
optimizer stays so where the task has one of its own."""
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that a fork or a replay was made from; charts can draw it behind its child."""

    directory: str
    """Its run directory; the child only reads it."""
    take: Annotated[int, at_most(1 << 22, least=1)] = 1
    step: Annotated[int, at_most((1 << 40) - 1)] = 0
    epoch: Annotated[int, at_most(1 << 31)] = 0
    """`take`, `step` and `epoch` are the position at which the child begins; 0: at the start."""
    sha256: str | None = None
    """SHA-256 of the checkpoint that the child begins with, in its own copy; None: it begins with
    weights from its seed."""
    keeps_optimizer: bool = True
    """True if the child also begins with the optimizer state in that checkpoint."""
    expects: str | None = None
    """For a replay, the expected digest of its final weights, if known."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """For a replay, its parent's `RunStarted.conditions`; for a fork, those of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """All settings of a run. `catalog.new_spec` makes one: it fills in defaults and checks.

    `core.options` describes each option. The defaults here apply to a `spec.json` that lacks it.
    """

    task: str
    model: str
    loss: str
    optimizer: str
    lr: float
    batch_size: int
    epochs: int
    seed: int
    accumulate: int = 1
    precision: str = "fp32"
    compile: bool = False
    device: str = "auto"
    nproc: int | None = 1
    """Processes that train together, the ranks; None: one for each GPU, or processor."""
    strategy: str = "ddp"
    """How they share the weights."""
    max_restarts: int = 3
    nnodes: int = 1
    rdzv_endpoint: str | None = None
    rdzv_id: str | None = None
    deterministic: bool | None = None
    patience: int | None = None
    monitor: str | None = None
    val_losses: tuple[str, ...] = ()
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
    data_sha256: str | None = None
    """Of a table or images, which the trainer fills in: other data are another run's."""
    data: str | None = None
    init_from: str | None = None
    init_given: str | None = None
    """The file or run that the user named for it; `init_from` becomes a copy of the run's own."""
    on_nonfinite: str = "pause"
    pace: float | None = None
    paused: bool = False
    until: int | None = None
    schedule: tuple[Planned, ...] = ()
    """Changes that the run makes on its own, each at its place."""
    parent: Parent | None = None
    watched: tuple[str, ...] = ()
    """The command of a script that is watched, SCRIPT ARGS... or -m MODULE ARGS...; or the name of
    a loop that a program watches itself. Such a run has no model, data and epochs of its spec."""
    in_torchrun: bool = False
    """Whether torchrun, or its like, started the processes of a script that is watched."""

    @property
    def began_at(self) -> tuple[int, int]:
        """The step and the completed epochs at which the run begins; not zero for a fork."""
        return (self.parent.step, self.parent.epoch) if self.parent else (0, 0)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The loss and those that can change, as the run begins; None for those left open here."""
        settings = {key: getattr(self, option.name, None) for key, option in SETTINGS.items()}
        return {
            **settings, "loss": self.loss, "schedule": str(initial_schedule(self.optimizer)),
        }  # fmt: skip

    @property
    def is_complete(self) -> bool:
        """Whether the trainer has filled in what was left to a task of the user's own."""
        return bool(self.watched or (self.loss and self.lr and self.batch_size and self.epochs))

    @property
    def is_distributed(self) -> bool:
        """Whether several ranks train it, which torch's launcher starts."""
        return (self.nproc, self.nnodes) != (1, 1)

    @property
    def is_sharded(self) -> bool:
        """Whether no process has the whole model."""
        return self.strategy == "fsdp" and self.is_distributed

    @property
    def is_deterministic(self) -> bool:
        """Whether operations that differ from run to run are replaced by others on a GPU."""
        if self.deterministic is not None:
            return self.deterministic
        return source_of(self.task) != "python" and own_python(self.model) is None

    def to_json(self) -> str:
        """Return the spec as the text of `spec.json`."""
        body = asdict(self) | {"schedule": [change.as_row() for change in self.schedule]}
        return json.dumps(body, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """Return the spec that `to_json` wrote.

        Its names are not looked up, since its task, model or loss may not be installed here. Raises
        DamagedRecord for anything that is not a spec, or that has a key of a newer version.
        """
        try:
            settings = parsed(text)
            _check_known(settings)
            left = {
                name: value for name, value in settings.items() if _is_for_the_task(settings, name)
            }
            given = {name: value for name, value in settings.items() if name not in left}
            return cls(**checked(given), **left)
        except (WrongUse, Refused, DamagedRecord) as error:
            raise DamagedRecord(f"its spec.json is damaged: {error}") from None


def _is_for_the_task(settings: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting is left to a task, or a rate to an optimizer, of the user's own."""
    value = settings[name]
    if settings.get("watched"):
        return name in (*FILLED_IN_STRINGS, *FILLED_IN_NUMBERS) and not value
    if source_of(str(settings["task"])) == "catalog":
        is_own = own_python(str(settings["optimizer"])) is not None
        return name == "lr" and is_own and type(value) in (int, float) and value == 0
    if name in FILLED_IN_STRINGS:
        return bool(value == "")
    return name in FILLED_IN_NUMBERS and type(value) in (int, float) and value == 0


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from JSON, TOML or a caller as a spec holds them; WrongUse if invalid."""
    return {name: _take(name, value) for name, value in settings.items()}


def _take(name: str, value: object) -> Any:
    match name:
        case "schedule":
            return _schedule(value)
        case "parent":
            return _parent(value)
        case "init_given":
            return OPTIONS["init_from"].take(value)
        case "watched":
            return _command(value)
        case "in_torchrun":
            return _flag(value)
        case "on_nonfinite" if value == "alert":
            return value  # of a watched script
        case "data_sha256":
            return _digest(value)
        case _:
            return OPTIONS[name].take(value)


def _check_known(settings: Mapping[str, object]) -> None:
    if unknown := set(settings) - {field.name for field in fields(RunSpec)}:
        raise DamagedRecord(f"it has {min(unknown)!r:.60}: a newer tuitrain may read it")
    needed = {field.name for field in fields(RunSpec) if field.default is MISSING}
    if missing := needed - set(settings):
        raise DamagedRecord(f"it has no {min(missing)}")


def check_name(name: str) -> str:
    """Return `name` if a run may have it; WrongUse if not."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WrongUse(
            f"{safe(repr(name), limit=80)} cannot name a run: a name has 1 to 64 of the letters "
            "A-Z a-z 0-9 . _ - and no leading dot"
        )
    return name


def _digest(value: object) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
        return value
    raise WrongUse(f"data_sha256 must be a SHA-256 in hexadecimal digits, not {value!r:.40}")


def _command(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(
        isinstance(word, str) and "\0" not in word for word in value
    ):
        return tuple(value)
    raise WrongUse("watched must be a list of words")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise WrongUse(f"in_torchrun must be true or false, not {value!r:.40}")


def _schedule(rows: object) -> tuple[Planned, ...]:
    if not isinstance(rows, list | tuple):
        raise WrongUse("schedule must be a list of changes")
    return tuple(
        row if isinstance(row, Planned) else Planned.of_row(row, number)
        for number, row in enumerate(rows, start=1)
    )


def _parent(value: object) -> Parent | None:
    if value is None or isinstance(value, Parent):
        return value
    if not isinstance(value, Mapping):
        raise WrongUse(f"parent must be a run, not {value!r:.40}")
    try:
        return decoded(Parent, value)
    except DamagedRecord as error:
        raise WrongUse(f"its parent is damaged: {error}") from None
