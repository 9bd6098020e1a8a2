"""Types of option values: which values are valid, and how text becomes a value and back.

Values from a command line, a form, a file or a record are all checked by their type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from tuitrain.core.files import expanded, missing
from tuitrain.core.numbers import is_positive

BALANCED = "balanced"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


class ValueType(Protocol):
    """A type of option values. `read` and `take` raise ValueError for anything else."""

    @property
    def description(self) -> str:
        """The valid values, as a phrase that follows "takes"."""

    @property
    def metavar(self) -> str:
        """The placeholder for a value in help."""

    def read(self, text: str) -> Any:
        """Return the value for a user's text."""

    def take(self, value: Any) -> Any:
        """Return the checked value from a file or a record, as a spec holds it."""

    def write(self, value: Any) -> str:
        """Return the shortest text that `read` turns into this value."""


@dataclass(frozen=True)
class Integer:
    """A whole number in a range."""

    least: int
    most: int
    metavar: str = "N"

    @property
    def description(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def read(self, text: str) -> int:
        return self.take(int(text))

    def take(self, value: Any) -> int:
        if type(value) is not int or not self.least <= value <= self.most:
            _reject()
        return value

    def write(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True)
class Number:
    """A finite number above zero, or from zero with `can_be_zero`, and at most `most`."""

    can_be_zero: bool = False
    metavar: str = "X"
    most: float = math.inf

    @property
    def description(self) -> str:
        most = f"{self.most:g}"
        to = f" and below {most}" if float(most) > self.most else f" to {most}"
        to = "" if math.isinf(self.most) else to
        return f"a number {'from' if self.can_be_zero else 'above'} 0{to}"

    def read(self, text: str) -> float:
        return self.take(float(text))

    def take(self, value: Any) -> float:
        is_zero = type(value) in (int, float) and value == 0
        if not (is_positive(value) or (is_zero and self.can_be_zero)) or value > self.most:
            _reject()
        return float(value)

    def write(self, value: float) -> str:
        return number_text(value)


def number_text(value: float) -> str:
    """Return the shortest text of a number: 1, 0.5, 1e-05."""
    return repr(float(value)).removesuffix(".0")


class Flag:
    """A flag. On a command line it takes no value; its presence means yes."""

    description = "yes or no (in a file: true or false)"
    metavar = ""

    def read(self, text: str) -> bool:
        if text not in ("yes", "no"):
            _reject()
        return text == "yes"

    def take(self, value: Any) -> bool:
        if type(value) is not bool:
            _reject()
        return value

    def write(self, value: bool) -> str:  # noqa: FBT001 - it writes nothing else
        return "yes" if value else "no"


class Text:
    """Any text."""

    def __init__(self, description: str, metavar: str) -> None:
        self.description, self.metavar = description, metavar

    def read(self, text: str) -> str:
        return self.take(text)

    def take(self, value: Any) -> str:
        if not isinstance(value, str):
            _reject()
        return value

    def write(self, value: str) -> str:
        return value


class OneOf(Text):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        super().__init__(either(words), "|".join(words))
        self.words = words

    def take(self, value: Any) -> str:
        return value if isinstance(value, str) and value in self.words else _reject()


class Named(Text):
    """The name of a task, loss, model or optimizer; the catalogue validates it."""

    def __init__(self, what: str, metavar: str = "NAME[:...]") -> None:
        super().__init__("a name", metavar)
        self.what = what


class Weights(Text):
    """A run, or a file with weights."""


class ClassWeights(Text):
    """Weights of classes with commas between them, or the word for those that balance them."""

    def __init__(self) -> None:
        super().__init__(
            f"{BALANCED}, or a weight above 0 for each class, such as 1,2.5", f"{BALANCED}|W,W,..."
        )

    def take(self, value: Any) -> str:
        text = super().take(value)
        if text != BALANCED and not all(map(is_positive, self.numbers(text))):
            _reject()
        return text

    @staticmethod
    def numbers(text: str) -> tuple[float, ...]:
        """Return the weights that a text has; ValueError if it has others."""
        return tuple(map(float, text.split(",")))


class Device(Text):
    """A device as PyTorch names it; PyTorch checks that it exists."""

    def take(self, value: Any) -> str:
        if not isinstance(value, str) or not _DEVICE.fullmatch(value):
            _reject()
        return value


class Folder(Text):
    """A folder. `read` returns its absolute path, and raises WrongUse if it does not exist."""

    def read(self, text: str) -> str:
        path = expanded(text)
        if not path.is_dir():
            raise missing("folder", text)
        return str(path.absolute())


class File(Text):
    """A file. `read` raises WrongUse if the file is for reading and does not exist."""

    def __init__(self, metavar: str, *, is_read: bool) -> None:
        super().__init__("a path", metavar)
        self.is_read = is_read

    def read(self, text: str) -> str:
        path = expanded(text)
        if path.is_dir() or (self.is_read and not path.is_file()):
            raise missing("file", text)
        return str(path)


@dataclass(frozen=True)
class OrNone:
    """A value of another type, or None, for which a user writes `word` unless that is empty."""

    of: ValueType
    word: str = ""

    @property
    def description(self) -> str:
        return f"{self.of.description}, or {self.word}" if self.word else self.of.description

    @property
    def metavar(self) -> str:
        return f"{self.of.metavar}|{self.word}" if self.word else self.of.metavar

    def read(self, text: str) -> Any:
        return None if self.word and text == self.word else self.of.read(text)

    def take(self, value: Any) -> Any:
        is_none = value is None or (self.word and value == self.word)
        return None if is_none else self.of.take(value)

    def write(self, value: Any) -> str:
        return self.word if value is None else self.of.write(value)


class Switch(OrNone):
    """Yes or no, each by a flag of its own; None if the user chose neither."""

    def __init__(self) -> None:
        super().__init__(Flag())


@dataclass(frozen=True)
class ListOf:
    """A tuple of values of another type, with commas between them in text."""

    of: ValueType

    @property
    def description(self) -> str:
        return f"{self.of.description}, or several with commas between them"

    @property
    def metavar(self) -> str:
        return self.of.metavar

    def read(self, text: str) -> tuple[Any, ...]:
        return tuple(map(self.of.read, text.split(",")))

    def take(self, value: Any) -> tuple[Any, ...]:
        return tuple(map(self.of.take, value)) if isinstance(value, list | tuple) else _reject()

    def write(self, value: Sequence[Any]) -> str:
        return ",".join(map(self.of.write, value))


def either(words: Iterable[str]) -> str:
    """Return the words as "a, b or c"."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _reject() -> NoReturn:
    raise ValueError
