"""The learning problem of a run, as the run records it: kind, metrics, losses, classes.

Code that displays, compares or exports a run reads this instead of the installed catalogue, so that
it works for custom data and for catalogue entries that no longer exist.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.safe import safe

Kind = Literal["multiclass", "binary", "multilabel", "regression"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of problems that there are losses and metrics for."""
OF_ONE_TARGET = tuple(kind for kind in KINDS if kind != "multilabel")
"""Those with one target a sample, such as a column of a table."""
Direction = Literal["max", "min"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A validation metric."""

    name: str
    direction: Direction
    """Whether higher or lower is better."""
    unit: str = ""
    """The unit of its values, such as that of the target; empty if it is unknown or has none."""

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True, slots=True)
class LossOption:
    """An option of a loss, as in `focal:gamma=2`."""

    key: str
    default: str
    takes: str = ""
    """Its valid values, as a phrase that follows "takes"; empty if only the trainer knows."""
    description: str = ""
    """Its effect, in a few words."""
    within: tuple[float, ...] = ()
    """The lowest and the highest valid number; empty where it takes no number."""

    def read(self, text: str) -> str:
        """Return a value as the text of a loss has it: 0.10 becomes 0.1; WrongUse if invalid."""
        if not self.within:
            return text
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        low, high = self.within[0], self.within[-1]
        if not low <= number <= high:  # NaN fails, too
            about = f" ({self.description})" if self.description else ""
            raise WrongUse(f"{self.key} takes {self.takes}{about}, not {safe(text, limit=40)}")
        return repr(number).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Problem:
    """The learning problem of a run."""

    kind: str | None = None
    """One of `KINDS`, or a word of the run's own; None if unknown."""
    metrics: tuple[Metric, ...] = ()
    """The metrics of a validation, in the order in which screens show them."""
    monitor: str = ""
    """The metric that decides which epoch is the best."""
    losses: tuple[str, ...] = ()
    """The losses that fit, the default first."""
    classes: tuple[str, ...] = ()
    """Class names in the order of their indices; empty for regression."""
    input_shape: tuple[int, ...] = ()
    """The shape of one sample; empty if unknown."""
    own_losses: tuple[str, ...] = ()
    """Those of `losses` that are the user's, whatever the catalogue calls by their names."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The names of losses by their other names, such as CrossEntropyLoss."""
    own_metrics: tuple[str, ...] = ()
    """Those of `metrics` that are the user's."""
    options: Mapping[str, tuple[LossOption, ...]] = field(default_factory=dict)
    """The options of `losses` by the name of the loss."""
    misfits: Mapping[str, str] = field(default_factory=dict)
    """Other losses by name, with the reason why they do not fit."""

    @property
    def outputs(self) -> int:
        """The outputs of a model per sample."""
        return outputs_of(self.kind, self.classes)

    def unit_of(self, name: str) -> str:
        """Return the unit of a metric; empty for one without, and for a loss."""
        return next((metric.unit for metric in self.metrics if metric.name == name), "")

    def loss_text(self, text: str) -> str:
        """Return the one text of a loss: its name, and the options that are not the default.

        Raises UnknownName for a loss or an option that the run does not state, WrongUse for a value
        out of range; whether the loss can be used now is for the trainer to say.
        """
        given, _, rest = text.partition(":")
        name = self.aliases.get(given, given)
        if name not in self.losses:
            raise UnknownName("loss", given, self.losses)
        options = {option.key: option for option in self.options.get(name, ())}
        changed = {}
        for key, equals, value in (pair.partition("=") for pair in rest.split(",") if rest):
            if not equals or not value:
                raise WrongUse(f"cannot read {safe(text, limit=80)!r}; write NAME:key=value")
            if key not in options:
                raise UnknownName("option", key, options, where=f"of {name}")
            if (changed_to := options[key].read(value)) != options[key].default:
                changed[key] = changed_to
        pairs = ",".join(f"{key}={changed[key]}" for key in options if key in changed)
        return f"{name}:{pairs}" if pairs else name

    def parameters(self, loss: str) -> list[str]:
        """Return every `key=value` of a loss, defaults included; empty where none are stated."""
        name, _, rest = loss.partition(":")
        given = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
        return [f"{option.key}={given.get(option.key, option.default)}"
                for option in self.options.get(name, ())]  # fmt: skip


def outputs_of(kind: str | None, classes: Collection[str]) -> int:
    """Return the outputs of a model per sample: one for each class or label, else 1."""
    return len(classes) if kind in ("multiclass", "multilabel") else 1


@dataclass(frozen=True, slots=True)
class Card:
    """The data of a run, described for people."""

    title: str = ""
    """A line on the data; empty where the name of the task says it all."""
    notes: tuple[str, ...] = ()
    """Notes on the data, a line each: columns used, dropped and filled."""
    origin: str = ""
    """Where the data come from: a file, a folder, a library; empty if that is unknown."""
