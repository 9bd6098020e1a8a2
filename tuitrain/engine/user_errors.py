"""Errors of the user's own code, in one sentence with the file and line that led to them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.local_modules import loaded_files


class UserCodeFailed(TuitrainError):
    """The user's own code raised an error, or returned what it must not."""


_PLAIN = (WrongUse, Refused, UserCodeFailed)
"""Errors that are made of a sentence alone."""
_LINE = ", line "


def user_code_message(error: BaseException, of: object = None) -> str:
    """Return one sentence on an error, with the file and line of the user's code that led to it.

    Where no line of it was reached, it is where `of`, the user's function, is defined: the call
    itself failed.
    """
    if isinstance(error, SyntaxError) and error.filename in loaded_files():
        name = safe(Path(error.filename or "").name)
        return f"{name}, line {error.lineno}: {type(error).__name__}: {safe(error.msg)}"
    where = _where(error) or place_of(of)
    said = safe(str(error).strip().partition("\n")[0], limit=300)
    if isinstance(error, TuitrainError):
        return f"{where}{said}"
    return f"{where}{type(error).__name__}: {said}" if said else where + type(error).__name__


def has_user_line(error: BaseException) -> bool:
    """Return whether the error went through the user's own code."""
    return bool(_where(error))


@contextmanager
def failing_as(what: str, of: object = None) -> Iterator[None]:
    """Raise UserCodeFailed, which begins with `what`, for any error; memory errors pass.

    `of` is the user's function that is called, if it is one.
    """
    try:
        yield
    except (MemoryError, UserCodeFailed):
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise UserCodeFailed(f"{what}: {user_code_message(error, of)}") from error


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Begin the sentence of an error with a place, `task.py, line 7: `, unless it names a line."""
    try:
        yield
    except (WrongUse, Refused, UserCodeFailed) as error:
        kind = WrongUse if isinstance(error, WrongUse) else type(error)
        if not place or _LINE in str(error) or kind not in _PLAIN:
            raise
        raise kind(f"{place}{error}") from error


def line_in_user_code(frame: FrameType) -> str:
    """Return `FILE, line N, in FUNCTION` of the user's code that a frame is in, or nothing."""
    known = loaded_files()
    for inner, line in traceback.walk_stack(frame):
        if inner.f_code.co_filename in known:
            return _line(inner.f_code.co_filename, line, inner.f_code.co_name)
    return ""


def place_of(function: object) -> str:
    """Return `FILE, line N: ` of the definition of a user's function or class, or nothing."""
    if not isinstance(function, type):
        function = getattr(function, "func", function)  # of a partial
        function = getattr(function, "forward", function)  # of a module
    own_code = getattr(function, "__code__", None)
    code = own_code or getattr(getattr(function, "__init__", None), "__code__", None)
    if not isinstance(code, CodeType) or code.co_filename not in loaded_files():
        return ""
    return f"{safe(Path(code.co_filename).name)}, line {code.co_firstlineno}: "


def _where(error: BaseException) -> str:
    """Return `FILE, line N, in FUNCTION: ` of the user's code nearest to an error, or nothing."""
    known = loaded_files()
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in known
    ]
    if not frames:
        return ""
    return _line(frames[-1].filename, frames[-1].lineno, frames[-1].name) + ": "


def _line(file: str, line: int | None, function: str) -> str:
    where = "" if function == "<module>" else f", in {function}"
    return f"{safe(Path(file).name)}, line {line}{where}"
