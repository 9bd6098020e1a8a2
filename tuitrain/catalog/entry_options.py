"""The options of a catalogue entry: the `key=value` in `mlp:hidden=256-128,dropout=0.1`.

Their types are those of `core/values.py`, and some whose texts contain no comma.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuitrain.core.values import Flag, ValueType, number_text


@dataclass(frozen=True)
class Option:
    """An option of an entry. Its key is the name of the builder's keyword argument."""

    type: ValueType
    default: Any
    description: str = ""
    """Its effect, in a few words."""
    kinds: tuple[str, ...] = ()
    """The problem kinds that it is for; empty: all."""

    def is_for(self, kind: str | None) -> bool:
        """Return whether problems of that kind have it."""
        return not self.kinds or kind in self.kinds

    def read(self, text: str) -> Any:
        """Return the value for `text`; ValueError if it is invalid."""
        return self.type.read(text)

    def write(self, value: Any) -> str:
        """Return the shortest text that `read` turns into this value."""
        return self.type.write(value)


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    metavar: str = "X"

    @property
    def description(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def read(self, text: str) -> float:
        return self.take(float(text))

    def take(self, value: Any) -> float:
        if type(value) not in (int, float) or not self.low <= value <= self.high:  # NaN fails, too
            raise ValueError
        return float(value)

    def write(self, value: float) -> str:
        return number_text(value)


class YesOrNo(Flag):
    """Yes or no, written out."""

    description = "yes or no"
    metavar = "yes|no"


@dataclass(frozen=True)
class Joined:
    """A tuple of numbers with dashes between them: 256-128; 1e-3--0.5 are 0.001 and -0.5."""

    of: ValueType
    count: int | None = None
    """How many there must be; None: any number."""

    @property
    def description(self) -> str:
        if self.count is None:
            return f"{self.of.description}, or several with - between them"
        return f"{self.of.description}, {self.count} of them with - between them"

    @property
    def metavar(self) -> str:
        if self.count is None:
            return f"{self.of.metavar}-{self.of.metavar}..."
        return "-".join([self.of.metavar] * self.count)

    def read(self, text: str) -> tuple[Any, ...]:
        return self.take([self.of.read(number) for number in re.split(r"(?<=[\d.])-", text)])

    def take(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not value:
            raise ValueError
        if self.count not in (None, len(value)):
            raise ValueError
        return tuple(map(self.of.take, value))

    def write(self, value: Sequence[Any]) -> str:
        return "-".join(map(self.of.write, value))
