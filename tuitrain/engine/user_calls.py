"""Calls of the user's functions and classes, whose options come as text."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.own import OwnPython
from tuitrain.core.safe import safe
from tuitrain.engine.user_code import UserCode
from tuitrain.engine.user_errors import place_of, user_code_message


def call_own(own: OwnPython, code: UserCode, **arguments: Any) -> Any:
    """Call a function or class of a user's file with those of the arguments that it names.

    Its options come as keyword arguments, numbers as numbers. Raises WrongUse with the line where
    it fails.
    """
    function, _ = code.object(own)
    if not callable(function):
        raise WrongUse(f"{safe(own.name)} in {safe(own.file)} is no function and no class")
    try:
        wanted = inspect.signature(function).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values())
        given = {key: value for key, value in arguments.items() if key in wanted}
        given |= {key: _literal(text) for key, text in own.options.items()}
        is_first = "params" in arguments and "params" not in wanted and not takes_any
        first = (arguments["params"],) if is_first else ()
        _check_parameters(own, function, list(wanted.values())[len(first) :], given)
        return function(*first, **given)
    except UnknownName:
        raise
    except Exception as error:
        raise WrongUse(f"{safe(own.name)}: {user_code_message(error, function)}") from error


def _check_parameters(
    own: OwnPython, function: Any, wanted: list[inspect.Parameter], given: Mapping[str, Any]
) -> None:
    """Raise UnknownName for an option that is no parameter, WrongUse for a missing value."""
    kinds = [parameter.kind for parameter in wanted]
    is_rest = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = {
        parameter.name: parameter.default for parameter in wanted if parameter.kind not in is_rest
    }
    unknown = [key for key in own.options if key not in named]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise unknown_option(own.name, function, unknown[0], named)
    missing = [
        name for name, default in named.items()
        if default is inspect.Parameter.empty and name not in given
    ]  # fmt: skip
    if missing:
        name = f"{Path(own.file).name}:{own.name}"
        raise WrongUse(f"{missing[0]} has no default; write {safe(name)}:{missing[0]}=VALUE")


def unknown_option(name: str, function: Any, option: str, known: Iterable[str]) -> UnknownName:
    """Return the error of an option that a user's function does not have."""
    place = place_of(function).removesuffix(": ")
    what = f"parameter of {safe(name)} ({place})" if place else f"parameter of {safe(name)}"
    return UnknownName(what, option, list(known) or ("(none)",))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
