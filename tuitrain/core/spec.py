"""What to train: everything that decides a run, read from options, TOML or JSON, checked once."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tuitrain.core import catalog
from tuitrain.core.errors import Refused, TuitrainError, UnknownName, WrongUse
from tuitrain.core.numbers import is_positive
from tuitrain.core.safe import safe

NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
ON_NONFINITE = ("pause", "stop", "skip")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Choice:
    """A catalogue name with its options: `mlp:hidden=256-128`."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, what: str, text: str) -> Choice:
        """Read `NAME[:key=value,...]`; the name may be an alias, the options are checked."""
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


def loss_text(text: str) -> str:
    """Return the one text for a loss: its name, and the parameters that differ from the usual ones.

    So two losses are the same if their texts are.
    """
    choice = Choice.read("loss", text)
    options = catalog.loss_named(choice.name).options
    given = catalog.read_options(catalog.loss_named(choice.name), choice.options)
    own = {key: options[key].write(value) for key, value in given.items()
           if value != options[key].default}  # fmt: skip
    return str(Choice(choice.name, own))


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
        given = {key: value for key, value in settings.items() if value is not None}
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
        )

    def _check(self) -> None:
        self._check_types()
        _number("lr", self.lr)
        _whole("batch-size", self.batch_size, 1, 1 << 24)
        _whole("epochs", self.epochs, 1, 1 << 31)
        _whole("seed", self.seed, 0, (1 << 63) - 1)
        if self.patience is not None:
            _whole("patience", self.patience, 1, 1 << 31)
        if self.pace is not None:
            _number("pace", self.pace)
        if self.on_nonfinite not in ON_NONFINITE:
            raise UnknownName("way to meet bad numbers", self.on_nonfinite, ON_NONFINITE)
        if not _DEVICE.fullmatch(self.device):
            raise WrongUse(f"device {self.device!r} is none of auto, cpu, cuda, cuda:N, mps")
        model = catalog.find("model", Choice.read("model", self.model).name)
        if model.needs_images and not catalog.task_named(self.task).has_images:
            raise Refused(f"{model.name} needs images, and {self.task} is a table; try mlp")
        if self.data is not None and not catalog.task_named(self.task).is_downloaded:
            raise WrongUse(f"{self.task} comes with scikit-learn and takes no data folder")
        loss = catalog.loss_named(Choice.read("loss", self.loss).name)
        kind = catalog.task_named(self.task).kind
        if kind not in loss.takes:
            raise Refused(f"{loss.why_not(kind)} (tuitrain losses --task {self.task})")

    def _check_types(self) -> None:
        for name in ("model", "loss", "optimizer", "device", "on_nonfinite"):
            if not isinstance(getattr(self, name), str):
                raise WrongUse(f"{name} must be a name, not {getattr(self, name)!r:.40}")
        for name in ("data", "init_from"):
            if not isinstance(getattr(self, name), str | None):
                raise WrongUse(f"{name} must be a path, not {getattr(self, name)!r:.40}")
        if not isinstance(self.paused, bool):
            raise WrongUse(f"paused must be true or false, not {self.paused!r:.40}")

    def to_json(self) -> str:
        """Return the spec as `spec.json` keeps it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """Return the spec that `to_json` wrote, checked again."""
        try:
            settings = json.loads(text)
            task = settings.pop("task")
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            raise TuitrainError("its spec.json is damaged") from None
        return cls.of(task, **settings)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, whose keys are the options of `tuitrain run`.

    Raises WrongUse for what is no TOML, holds a table, or sets what is no option.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise WrongUse(f"cannot read {safe(path)}: {safe(error)}") from None
    known = {"name": "name", **{each.name.replace("_", "-"): each.name for each in fields(RunSpec)}}
    settings: dict[str, Any] = {}
    for key, value in found.items():
        option = key.replace("_", "-")
        if option not in known:
            raise UnknownName(f"setting (in {safe(path.name)})", key, known)
        settings[known[option]] = value
    if settings.get("pace") == "off":
        settings["pace"] = None
    if isinstance(settings.get("lr"), int):
        settings["lr"] = float(settings["lr"])
    return settings


def check_name(name: str) -> str:
    """Return `name` if a run may have it."""
    if not NAME.fullmatch(name):
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
