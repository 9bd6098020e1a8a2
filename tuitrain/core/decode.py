"""Decode untrusted JSON into values of a declared type.

A record's values are used as file names, numbers and keys. Each is checked once, against the type
of its field, when it is read.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.numbers import from_strict

MOST_CHARACTERS = 1 << 20
"""Length limit of a JSON text, and so of every string in it."""
_MOST_ENTRIES, _LONGEST_KEY = 1_000, 500
"""Limits of a mapping; the first one also limits a list."""
_LARGEST = 1 << 53
"""Every integer up to this one is exact as a float."""

Rule = Callable[[Any], bool]
"""Part of an `Annotated` type: returns whether a value of the type is allowed."""
_Read = Callable[[Any], Any]
_T = TypeVar("_T")


class _Wrong(Exception):
    """The value is not of the type."""


def at_most(most: float, least: float = 0) -> Rule:
    """Return a rule that allows the numbers from `least` to `most`."""
    return lambda value: least <= value <= most


def parsed(text: object, *, most: int = MOST_CHARACTERS) -> dict[str, Any]:
    """Return the JSON object in `text`; DamagedRecord for anything else."""
    if not isinstance(text, str) or len(text) > most:
        raise DamagedRecord("it is not text, or is too long")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedRecord("it is not JSON, or nested too deeply") from None
    if not isinstance(value, dict):
        raise DamagedRecord("it is not a JSON object")
    return value


def decoded(made: type[_T], values: Mapping[str, Any]) -> _T:
    """Return an instance of the dataclass `made`; each value is checked against its field's type.

    Values without a field are ignored: a newer version may have written them.
    Raises DamagedRecord, which names the field, for a missing value or one of another type.
    """
    checked: dict[str, Any] = {}
    try:
        for name, read, is_required in _plan(made):  # type: ignore[arg-type]  # classes are hashable
            if name in values:
                checked[name] = read(values[name])
            elif is_required:
                raise DamagedRecord(f"it has no {name}")
    except _Wrong:
        raise DamagedRecord(f"its {name} is {values[name]!r:.60}") from None
    return made(**checked)


def value_of(hint: Any, name: str, value: object) -> Any:
    """Return `value` decoded as the type `hint`; DamagedRecord, with `name`, for another type."""
    try:
        return _reader(hint)(value)
    except _Wrong:
        raise DamagedRecord(f"its {name} is {value!r:.60}") from None


@cache
def _plan(made: Any) -> tuple[tuple[str, _Read, bool], ...]:
    hints = get_type_hints(made, include_extras=True)
    return tuple(
        (field.name, _reader(hints[field.name]),
         field.default is MISSING and field.default_factory is MISSING)
        for field in fields(made)
    )  # fmt: skip


@cache
def _reader(hint: Any) -> _Read:
    """Return a function that decodes a value of that type and raises _Wrong for any other.

    It turns "nan", "inf" and "-inf" into floats, lists into tuples, objects into dataclasses.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return partial(_ruled, _reader(arguments[0]), arguments[1:])
    if origin is Literal:
        return partial(_one_of, arguments)
    if origin in (Union, types.UnionType):
        return partial(_first, [_reader(argument) for argument in sorted(arguments, key=_is_float)])
    if origin is tuple:
        return partial(_sequence, _reader(arguments[0]))
    if is_dataclass(hint):
        return partial(_nested, hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return partial(_mapping, _reader(arguments[1]))
    return _READERS[hint]


def _is_float(hint: Any) -> bool:
    return hint is float  # tried last in a union, so that an int stays an int


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Wrong
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise _Wrong
    return value


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    try:
        if type(value) in (int, str):
            return from_strict(value)
    except (KeyError, OverflowError):
        pass
    raise _Wrong


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _Wrong
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise _Wrong


def _anything(value: Any) -> Any:
    return value  # its rules check more


_READERS: Mapping[Any, _Read] = {
    str: _text, int: _integer, float: _float, bool: _truth, type(None): _nothing, Any: _anything,
}  # fmt: skip


def _ruled(read: _Read, rules: tuple[Rule, ...], value: Any) -> Any:
    decoded_value = read(value)
    for rule in rules:  # `all` of a generator takes twice as long
        if not rule(decoded_value):
            raise _Wrong
    return decoded_value


def _one_of(known: tuple[Any, ...], value: Any) -> Any:
    if type(value) is not str or value not in known:
        raise _Wrong
    return value


def _first(reads: list[_Read], value: Any) -> Any:
    for read in reads:
        try:
            return read(value)
        except _Wrong:
            continue
    raise _Wrong


def _mapping(read: _Read, value: Any) -> dict[str, Any]:
    if type(value) is not dict or len(value) > _MOST_ENTRIES:
        raise _Wrong
    if any(len(key) > _LONGEST_KEY for key in value):
        raise _Wrong
    return {key: read(item) for key, item in value.items()}


def _sequence(read: _Read, value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) > _MOST_ENTRIES:
        raise _Wrong
    return tuple(map(read, value))


def _nested(made: Any, value: Any) -> Any:
    if type(value) is not dict:
        raise _Wrong
    return decoded(made, value)


def holds_scalars(values: Mapping[str, Any]) -> bool:
    """Return whether every value is None, a bool, a number or a string."""
    return all(value is None or type(value) in (bool, int, float, str) for value in values.values())


def is_time(value: float) -> bool:
    """Return whether it is finite and from 0 to 1e11: a time in seconds since 1970."""
    return math.isfinite(value) and 0 <= value <= 1e11
