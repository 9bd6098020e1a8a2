"""What to train: everything that decides a run, read from options, TOML or JSON, checked once."""

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
from tuitrain.core.numbers import is_positive
from tuitrain.core.plan import Planned

NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
ON_NONFINITE = ("pause", "stop", "skip")
WAYS = ("detach", "plain", "log_interval")
"""How a run is watched: what a config may say besides what is trained."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that another one was made from, by a fork or a replay; drawn behind it."""

    directory: str
    """Only ever read, as a run like any other."""
    take: Annotated[int, at_most(1 << 22, least=1)] = 1
    step: Annotated[int, at_most((1 << 40) - 1)] = 0
    epoch: Annotated[int, at_most(1 << 31)] = 0
    """Where the child leaves its parent's line; 0: at the beginning."""
    sha256: str | None = None
    """Of the child's copy of the parent's checkpoint, with which it begins; None: by its seed."""
    keeps_optimizer: bool = True
    """Begin with the optimizer's state in that checkpoint, too."""
    expects: str | None = None
    """Of a replay: the digest of the weights that it should end with, where that is known."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of a replay: what bit-for-bit repetition depends on, as its parent had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A run before it starts. Construct it with `RunSpec.of`, which fills defaults and checks."""

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
    """End when the validation loss has not improved for so many epochs."""
    data: str | None = None
    """Folder that has the task's data; None: where downloads are kept."""
    init_from: str | None = None
    """File of the weights to begin with: a checkpoint, or a saved `state_dict`."""
    on_nonfinite: str = "pause"
    """What a loss or gradient that is not finite leads to: pause, stop or skip (the batch)."""
    pace: float | None = None
    """At most so many batches a second; None: as fast as it goes. Changes no weights."""
    paused: bool = False
    """Wait before the first batch."""
    schedule: tuple[Planned, ...] = ()
    """Changes that it makes by itself, each at its place."""
    until: int | None = None
    """End after this step, wherever in an epoch it is."""
    parent: Parent | None = None

    @classmethod
    def of(cls, task: str = "digits", **settings: Any) -> RunSpec:
        """Return the checked spec: `settings` that are not None over the task's defaults.

        Raises WrongUse for a value that cannot be, Refused for a loss that does not fit the task.
        """
        if not isinstance(task, str):
            raise WrongUse(f"task must be a name, not {task!r:.40}")
        entry = catalog.task_named(task)
        unknown = set(settings) - {each.name for each in fields(cls)}
        if unknown:
            name = min(unknown)
            raise UnknownName("setting", name, [each.name for each in fields(cls)])
        defaults = {
            "model": entry.model,
            "loss": catalog.fitting_losses(entry.kind)[0].name,
            "optimizer": "adam",
            "lr": 0.001,
            "batch_size": 64,
            "epochs": entry.epochs,
            "seed": 0,
        }
        given = _with_parts({key: value for key, value in settings.items() if value is not None})
        spec = cls(task=entry.name, **{**defaults, **given})
        spec._check()
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

    def _check(self) -> None:
        self._check_types()
        self._check_numbers()
        if self.on_nonfinite not in ON_NONFINITE:
            raise UnknownName("way to meet bad numbers", self.on_nonfinite, ON_NONFINITE)
        if not _DEVICE.fullmatch(self.device):
            raise WrongUse(f"device {self.device!r} is none of auto, cpu, cuda, cuda:N, mps")
        self._check_that_it_fits()

    def _check_numbers(self) -> None:
        _number("lr", self.lr)
        _whole("batch-size", self.batch_size, 1, 1 << 24)
        _whole("epochs", self.epochs, 1, 1 << 31)
        _whole("seed", self.seed, 0, (1 << 63) - 1)
        if self.patience is not None:
            _whole("patience", self.patience, 1, 1 << 31)
        if self.until is not None:
            _whole("until", self.until, 0, 1 << 40)
        if self.pace is not None:
            _number("pace", self.pace)

    def _check_that_it_fits(self) -> None:
        model = catalog.find("model", Choice.read("model", self.model).name)
        if model.needs_images and not catalog.task_named(self.task).has_images:
            raise Refused(f"{model.name} needs images, and {self.task} is a table; try mlp")
        if self.data is not None and not catalog.task_named(self.task).is_downloaded:
            raise WrongUse(f"{self.task} comes with scikit-learn and takes no data folder")
        loss = catalog.loss_named(Choice.read("loss", self.loss).name)
        kind = catalog.task_named(self.task).kind
        for each in (loss, *(_loss_of(change) for change in self.schedule)):
            if each is not None and kind not in each.takes:
                raise Refused(f"{each.why_not(kind)} (tuitrain losses --task {self.task})")

    def _check_types(self) -> None:
        for name in ("task", "model", "loss", "optimizer", "device", "on_nonfinite"):
            if not isinstance(getattr(self, name), str):
                raise WrongUse(f"{name} must be a name, not {getattr(self, name)!r:.40}")
        for name in ("data", "init_from"):
            if not isinstance(getattr(self, name), str | None):
                raise WrongUse(f"{name} must be a path, not {getattr(self, name)!r:.40}")
        if not isinstance(self.parent, Parent | None):
            raise WrongUse(f"parent must be a run, not {self.parent!r:.40}")
        if not isinstance(self.paused, bool):
            raise WrongUse(f"paused must be true or false, not {self.paused!r:.40}")

    def to_json(self) -> str:
        """Return the spec as `spec.json` keeps it."""
        body = asdict(self) | {"schedule": [each.as_row() for each in self.schedule]}
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
            spec = cls(**_with_parts(settings))
            spec._check_types()
            spec._check_numbers()
        except (WrongUse, Refused, DamagedRecord) as error:
            raise DamagedRecord(f"its spec.json is damaged: {error}") from None
        return spec


def _with_parts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with a schedule and a parent made of what JSON or TOML has for them."""
    made = dict(settings)
    if "schedule" in made:
        made["schedule"] = _schedule(made["schedule"])
    if isinstance(made.get("parent"), Mapping):
        made["parent"] = _parent(made["parent"])
    return made


def _check_known(settings: Mapping[str, object]) -> None:
    if unknown := set(settings) - {each.name for each in fields(RunSpec)}:
        raise DamagedRecord(f"it has {min(unknown)!r:.60}: a newer tuitrain may read it")
    needed = {each.name for each in fields(RunSpec) if each.default is MISSING}
    if missing := needed - set(settings):
        raise DamagedRecord(f"it has no {min(missing)}")


def check_name(name: str) -> str:
    """Return `name` if a run may have it."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WrongUse(
            "a run's name has 1 to 64 of the letters A-Z a-z 0-9 . _ - and no leading dot"
        )
    return name


def _number(name: str, value: object) -> None:
    if not is_positive(value):
        raise WrongUse(f"{name} must be a number above 0, not {value!r:.40}")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise WrongUse(f"{name} must be a whole number from {low} to {high}, not {value!r:.40}")


def _schedule(rows: object) -> tuple[Planned, ...]:
    if not isinstance(rows, list | tuple):
        raise WrongUse("schedule must be a list of changes")
    return tuple(
        row if isinstance(row, Planned) else Planned.of_row(row, number)
        for number, row in enumerate(rows, start=1)
    )


def _parent(found: Mapping[str, Any]) -> Parent:
    try:
        return decoded(Parent, found)
    except DamagedRecord as error:
        raise WrongUse(f"its parent is damaged: {error}") from None


def _canonical(change: Planned) -> Planned:
    wish = change.wish
    if not isinstance(wish, SwapLoss):
        return change
    return change._replace(wish=SwapLoss(loss_text(wish.loss)))


def _loss_of(change: Planned) -> catalog.Loss | None:
    wish = change.wish
    return catalog.loss_named(wish.name) if isinstance(wish, SwapLoss) else None
