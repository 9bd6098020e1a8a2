"""A table from a file: its encoding, delimiter and decimal sign are found out and said."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import psutil

from tuitrain.core.csv_text import header, not_gzip
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.tasks.table.lines import row_lines

MEMORY_PER_BYTE = 10
"""Bytes of memory that a byte of text takes, with what is made of it, at the most."""
_SHOWN_LINES = 10
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ENCODINGS = {"cp1252": "Windows-1252", "latin-1": "Latin-1", "utf-16": "UTF-16"}
"""Those that are said to have been assumed."""
_TOO_LONG = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_DECIMAL_POINT = re.compile(r"\s*[+-]?\d+\.\d+\s*")


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a file, by column; numbers are read as such, missing cells are NaN."""

    frame: pd.DataFrame
    sha256: str
    """Of the file as it lies on the disk."""
    notes: tuple[str, ...]
    """How it was read."""
    lines: np.ndarray
    """The line of the file on which each row begins, from 1."""
    left_out: tuple[str, ...] = ()
    """A note on the rows that are not in the frame."""


def read_table(path: Path, as_text: Collection[str] = ()) -> Table:
    """Return the table in a CSV file, which may be compressed; cells of `as_text` stay text.

    Raises WrongUse, in one sentence, for what is no table, Refused for one too large.
    """
    name = safe(path.name, limit=80)
    content = _content(path, name)
    sha256 = hashlib.sha256(content).hexdigest()
    if path.name.lower().endswith(".gz"):
        content = _unpacked(content, name)
    head = header(content, path.name)
    columns = list(head.columns)
    decimal = "," if head.delimiter != "," and _has_decimal_commas(head.rows) else "."
    reading: dict[str, Any] = {
        "encoding": head.encoding, "sep": head.delimiter, "decimal": decimal,
        "dtype": {column: str for column in columns if column in as_text},
    }  # fmt: skip
    frame = _frame(content, columns, name, reading)
    if not len(frame):
        raise WrongUse(f"{name} has a header and no rows")
    lines, is_short = row_lines(content, head, len(frame))
    if is_short.all():
        raise WrongUse(f"{name} has no row with as many cells as its header ({len(columns)})")
    size = f"{name}: {len(frame):,} rows, {len(columns):,} columns"
    left_out = tuple(_omitted(lines[is_short]))
    if left_out:
        frame, lines = frame[~is_short].reset_index(drop=True), lines[~is_short]
    notes = (size, *left_out, *_how(reading), *_of_one_name(head.cells))
    return Table(frame, sha256, notes, lines, left_out)


def _omitted(lines: np.ndarray) -> Iterator[str]:
    """Yield a sentence on the rows that are too short; which cells they lack is unknown."""
    if len(lines):
        shown = ", ".join(f"{line:,}" for line in lines[:_SHOWN_LINES])
        more = f", and {len(lines) - _SHOWN_LINES:,} more" if len(lines) > _SHOWN_LINES else ""
        which = f"line {shown}" if len(lines) == 1 else f"lines {shown}{more}"
        who, left = ("1 row has", "is") if len(lines) == 1 else (f"{len(lines):,} rows have", "are")
        yield f"{who} fewer cells than the header, and {left} left out: {which}"


def _how(reading: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was found out about the file."""
    decimal = ", decimal commas" if reading["decimal"] == "," else ""
    yield f"its cells are between {_DELIMITERS[reading['sep']]}{decimal}"
    if reading["encoding"] in _ENCODINGS:
        yield f"its text is not UTF-8; it was read as {_ENCODINGS[reading['encoding']]}"


def _of_one_name(head: Sequence[str]) -> Iterator[str]:
    for column, count in Counter(map(str.strip, head)).items():
        if count > 1:
            name = repr(safe(column, limit=40)) if column else "nothing"
            yield f"{count} columns are called {name}: they have numbers now"


def _content(path: Path, name: str) -> bytes:
    if not path.is_file():  # opening a FIFO would wait for ever
        raise WrongUse(f"there is no file {safe(path)}")
    try:
        with path.open("rb") as file:
            return _integer(file, name)
    except OSError as error:
        raise WrongUse(f"cannot read {name}: {error.strerror}") from None


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _integer(file, name)
    except (OSError, EOFError, zlib.error):
        raise WrongUse(not_gzip(name)) from None


def _integer(file: BinaryIO | gzip.GzipFile, name: str) -> bytes:
    """Return what is in a file; Refused if there is too little memory to make a table of it."""
    most = psutil.virtual_memory().available // MEMORY_PER_BYTE
    content = file.read(most + 1)
    if len(content) > most:
        raise Refused(
            f"{name} has over {most / (1 << 30):.1f} GiB of text, more than fits into the memory "
            "that is free; a task in a Python file can stream its data"
        )
    return content


def is_with_comma(cell: object) -> bool:
    """Return whether a cell is the text of a number with a decimal comma."""
    return isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) is not None


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell for row in rows for cell in row]
    return any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any(
        map(_DECIMAL_POINT.fullmatch, cells)
    )


def _frame(
    content: bytes, columns: list[str], name: str, reading: Mapping[str, Any]
) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.BytesIO(content), header=0, names=columns, index_col=False, low_memory=False,
                skipinitialspace=reading["sep"] != "\t", **reading,
            )  # fmt: skip
    except pd.errors.ParserWarning:
        raise WrongUse(
            f"the rows of {name} have more cells than its header has columns ({len(columns)})"
        ) from None
    except (pd.errors.ParserError, csv.Error) as error:
        raise WrongUse(f"{name}: {_in_words(str(error))}") from None
    except OverflowError:
        raise WrongUse(f"{name} has a number too large to be read") from None


def _in_words(error: str) -> str:
    if found := _TOO_LONG.search(error):
        expected, line, saw = found.groups()
        return f"line {line} has {saw} cells, and the header has {expected}"
    if "inside string" in error:
        return "a quotation mark is opened and not closed"
    return safe(error.partition("\n")[0], limit=200)
