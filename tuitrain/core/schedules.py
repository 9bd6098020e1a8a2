"""Schedules: a factor for the learning rate, by the epochs that are trained.

A schedule begins at some place of a run and ends with its last epoch. An exported program copies
its functions, so they use only the standard library. They take the epochs since the schedule began,
and how many it has in all; fractions are shares of an epoch. Their values are those of
`torch.optim.lr_scheduler`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.own import own_python
from tuitrain.core.safe import safe
from tuitrain.core.values import Integer, Number, OneOf, Text, ValueType, either

Schedule = Callable[[float], float]
"""A schedule of the user's own: maps the share that is done, 0 to 1, to a factor."""


def constant_schedule(_trained: float, _planned: float) -> float:
    """Return 1: the learning rate stays as it is set."""
    return 1.0


def linear_schedule(trained: float, planned: float) -> float:
    """Return a factor that decays linearly from 1 to 0."""
    return 1 - share_done(trained, planned)


def cosine_schedule(trained: float, planned: float) -> float:
    """Return a factor that decays from 1 to 0 along a cosine (I. Loshchilov, F. Hutter, 2017)."""
    return (1 + math.cos(math.pi * share_done(trained, planned))) / 2


def step_schedule(trained: float, _planned: float, *, size: float, gamma: float) -> float:
    """Return a factor that is multiplied by `gamma` after every `size` epochs."""
    return gamma ** math.floor(trained / size + 1e-9)  # a sum of batches may be a bit below


def one_cycle_schedule(trained: float, planned: float) -> float:
    """Return a factor that rises from 1/25 to 1, then decays to almost 0 (L. N. Smith, 2018)."""
    done, peak = share_done(trained, planned), 0.3
    if done <= peak:
        return along_cosine(1 / 25, 1, done / peak)
    return along_cosine(1, 1 / 25e4, (done - peak) / (1 - peak))


def along_cosine(start: float, end: float, done: float) -> float:
    """Return the number between two others on half a period of a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


def share_done(trained: float, planned: float) -> float:
    """Return the share of a schedule that is done; it is 0 up to its beginning."""
    return trained / planned if trained > 0 else 0.0


def rate_factor(
    schedule: Callable[[float, float], float],
    trained: float,
    epochs: int,
    begin: float = 0.0,
    warmup: float = 0.0,
) -> float:
    """Return the factor after `trained` of `epochs` epochs, for a schedule that begins at `begin`.

    It is 1 before the beginning, where a rollback can lead, and then first rises linearly from
    0.01 to 1 within `warmup` epochs.
    """
    since = min(trained, epochs) - begin
    if since < 0:
        return 1.0
    if since < warmup:
        return 0.01 + 0.99 * since / warmup
    return schedule(max(since - warmup, 0.0), epochs - begin - warmup)


class Shape(NamedTuple):
    """A schedule that there is: its function, and the options besides `warmup`."""

    function: Callable[..., float]
    summary: str
    options: Mapping[str, tuple[ValueType, Any]] = {}
    """The type and the default of each."""
    has_end: bool = False
    """True if its factors depend on the last epoch of the run."""

    @property
    def all_options(self) -> Mapping[str, tuple[ValueType, Any]]:
        """Its own options, and the one of all."""
        return {**self.options, "warmup": (Number(can_be_zero=True), 0.0)}


PLATEAU = "plateau"
SCHEDULES: Mapping[str, Shape] = {
    "constant": Shape(constant_schedule, "stays at lr"),
    "cosine": Shape(cosine_schedule, "decays to 0 along a cosine", has_end=True),
    "linear": Shape(linear_schedule, "decays to 0 along a line", has_end=True),
    "step": Shape(
        step_schedule,
        "is multiplied by gamma after every size epochs",
        {"size": (Number(), 10.0), "gamma": (Number(most=1.0), 0.1)},
    ),
    "one-cycle": Shape(
        one_cycle_schedule,
        "rises from lr/25 to lr in 30 % of the run, then decays to almost 0",
        has_end=True,
    ),
    PLATEAU: Shape(
        constant_schedule,
        "is multiplied by factor after more than patience epochs without a better monitor",
        {"factor": (Number(most=math.nextafter(1, 0)), 0.1), "patience": (Integer(0, 1 << 31), 10)},
    ),
}
"""By name. What `plateau` multiplies follows from validations, not from the place in the run."""
OWN = "own"
"""The name of a schedule that a task of the user's own brings."""
_LAST = 1 << 31


class RateSchedule(NamedTuple):
    """A schedule by its name, the epochs that are trained when it begins, and its options.

    Its text is `NAME[:key=value...][@EPOCHS]`, such as `cosine@4` or `step:size=5:warmup=1@0`; a
    constant rate without warm-up is just `constant`.
    """

    name: str
    begin: float = 0.0
    given: tuple[tuple[str, Any], ...] = ()
    """The options that do not have their default."""

    @classmethod
    def read(cls, text: str, *, now: float = 0.0) -> RateSchedule:
        """Return the schedule of a text, which begins `now` if the text does not say when.

        Raises ValueError for any other text.
        """
        head, at, epochs = text.partition("@")
        name, colon, options = head.partition(":")
        if name == OWN and at and not colon:
            return cls(OWN, _epochs(epochs))
        if name not in SCHEDULES:
            raise ValueError(text)
        schedule = cls(name, 0.0, _given(name, options) if colon else ())
        if schedule.is_constant:
            if at:
                raise ValueError(text)
            return schedule
        return schedule._replace(begin=_epochs(epochs) if at else now)

    @property
    def is_constant(self) -> bool:
        return self.name == "constant" and not self.given

    @property
    def has_end(self) -> bool:
        """True if its factors depend on the last epoch of the run."""
        return self.name in SCHEDULES and SCHEDULES[self.name].has_end

    @property
    def options(self) -> dict[str, Any]:
        """The options of its function by name."""
        shape = SCHEDULES[self.name]
        return {
            key: dict(self.given).get(key, default) for key, (_, default) in shape.options.items()
        }

    @property
    def warmup(self) -> float:
        """The epochs in which the rate rises first."""
        return float(dict(self.given).get("warmup", 0.0))

    def factor(self, trained: float, epochs: int) -> float:
        """Return the factor after `trained` of `epochs` epochs; 1 for a plateau, but for warm-up.

        It must be a schedule of `SCHEDULES`.
        """
        function = SCHEDULES[self.name].function
        if self.options and self.name != PLATEAU:
            function = partial(function, **self.options)
        return rate_factor(function, trained, epochs, self.begin, self.warmup)

    def doubt(self, epochs: int) -> str:
        """Return what to warn of in a run of so many epochs; "" if there is nothing."""
        if not self.warmup or self.begin + self.warmup < epochs:
            return ""
        return (
            f"the warm-up of {self.head} lasts to the end of the run, epoch {epochs}, so that the "
            "learning rate stays below lr: a smaller warmup or more epochs let it get there"
        )

    @property
    def head(self) -> str:
        """Its name and options."""
        types = SCHEDULES[self.name].all_options if self.given else {}
        return ":".join([self.name, *(f"{k}={types[k][0].write(v)}" for k, v in self.given)])

    def __str__(self) -> str:
        begin = repr(self.begin).removesuffix(".0")
        return self.head if self.is_constant else f"{self.head}@{begin}"


def initial_schedule(optimizer: str, *, has_own: bool = False) -> RateSchedule:
    """Return the schedule with which a run begins, by its optimizer's text.

    Where the text names none that is known here, a task that `has_own` brings one; else the rate
    is constant.
    """
    _, _, options = ("", "", "") if own_python(optimizer) else optimizer.partition(":")
    text = dict(part.partition("=")[::2] for part in options.split(",")).get("schedule")
    if text:
        with suppress(ValueError):
            return RateSchedule.read(text)
    return RateSchedule(OWN) if has_own else RateSchedule("constant")


class ScheduleText(OneOf):
    """The name of a schedule with its options, or the text of a `RateSchedule`."""

    def __init__(self) -> None:
        super().__init__(*SCHEDULES)
        self.metavar = "NAME[:...]"
        self.description = f"{either(self.words)}, or with options as in step:size=5:warmup=1"

    def take(self, value: Any) -> str:
        try:
            schedule = RateSchedule.read(Text.take(self, value))
        except _UnfitOption as error:
            raise WrongUse(str(error)) from None
        return str(schedule) if "@" in value else schedule.head


class _UnfitOption(ValueError):
    """An option that a schedule does not take; the message says what it does."""


def _epochs(text: str) -> float:
    epochs = float(text)
    if not 0 <= epochs <= _LAST:  # NaN fails, too
        raise ValueError(text)
    return epochs


def _given(name: str, text: str) -> tuple[tuple[str, Any], ...]:
    """Return the options in `key=value:key=value`, in the order in which the schedule has them."""
    shape = SCHEDULES[name]
    pairs = dict(part.partition("=")[::2] for part in re.split("[:,]", text))
    for key in pairs.keys() - shape.all_options.keys():
        where = f"of the schedule {name}"
        raise _UnfitOption(UnknownName("option", key, shape.all_options, where=where))
    values = {
        key: (_value(f"{name}:{key}", type_, pairs[key]), default)
        for key, (type_, default) in shape.all_options.items()
        if key in pairs
    }
    return tuple((key, value) for key, (value, default) in values.items() if value != default)


def _value(place: str, type_: ValueType, text: str) -> Any:
    try:
        return type_.read(text)
    except ValueError:
        said = safe(text, limit=40)
        raise _UnfitOption(f"schedule {place} takes {type_.description}, not {said}") from None
