"""A table from a file: its encoding, delimiter and decimal sign are found out and said."""

from __future__ import annotations

import codecs
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

import pandas as pd
import psutil

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe

MEMORY_PER_BYTE = 10
"""Bytes of memory that a byte of text takes, with what is made of it, at the most."""
MOST_COLUMNS = 20_000
"""Each is looked at by itself, for about a millisecond."""
_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 200
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ENCODINGS = {"cp1252": "Windows-1252", "latin-1": "Latin-1", "utf-16": "UTF-16"}
"""Those that are said to have been assumed."""
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
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


def read_table(path: Path, as_text: Collection[str] = ()) -> Table:
    """Return the table in a CSV file, which may be compressed; cells of `as_text` stay text.

    Raises WrongUse, in one sentence, for what is no table, Refused for one too large.
    """
    name = safe(path.name, limit=80)
    content = _content(path, name)
    sha256 = hashlib.sha256(content).hexdigest()
    if path.name.lower().endswith(".gz"):
        content = _unpacked(content, name)
    encoding = _encoding(content, name)
    sample = _sample(content, encoding, name)
    delimiter = _delimiter(sample, is_tabs=".tsv" in path.name.lower())
    head, *rows = _records(sample, delimiter) or [[]]
    if not any(cell.strip() for cell in head):
        raise WrongUse(f"{name} is empty: its first line must have the names of the columns")
    if len(head) > MOST_COLUMNS:
        raise WrongUse(f"{name} has {len(head):,} columns; a table has at most {MOST_COLUMNS:,}")
    columns = _unique(head)
    decimal = "," if delimiter != "," and _has_decimal_commas(rows) else "."
    reading: dict[str, Any] = {
        "encoding": encoding, "sep": delimiter, "decimal": decimal,
        "dtype": {column: str for column in columns if column in as_text},
    }  # fmt: skip
    frame = _frame(content, columns, name, reading)
    if not len(frame):
        raise WrongUse(f"{name} has a header and no rows")
    size = f"{name}: {len(frame):,} rows, {len(columns):,} columns"
    return Table(frame, sha256, (size, *_how(reading), *_of_one_name(head)))


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
            return _whole(file, name)
    except OSError as error:
        raise WrongUse(f"cannot read {name}: {error.strerror}") from None


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _whole(file, name)
    except (OSError, EOFError, zlib.error):
        raise WrongUse(f"{name} is not a whole gzip file") from None


def _whole(file: BinaryIO | gzip.GzipFile, name: str) -> bytes:
    """Return what is in a file; Refused if there is too little memory to make a table of it."""
    most = psutil.virtual_memory().available // MEMORY_PER_BYTE
    content = file.read(most + 1)
    if len(content) > most:
        raise Refused(
            f"{name} has over {most / (1 << 30):.1f} GiB of text, more than fits into the memory "
            "that is free; a task in a Python file can stream its data"
        )
    return content


def _encoding(content: bytes, name: str) -> str:
    """Return the encoding of a text: by its byte order mark, else UTF-8, else Windows-1252."""
    marked = (encoding for mark, encoding in _BOMS.items() if content.startswith(mark))
    encoding = next(marked, "utf-8")
    if encoding != "utf-16" and (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        raise WrongUse(f"{name} is not a text file: there is a NUL byte in line {line}")
    for tried in (encoding, "cp1252", "latin-1"):
        try:
            _decode(content, tried)
        except UnicodeDecodeError:
            continue
        return tried
    raise AssertionError("every byte is a character of Latin-1")


def _decode(content: bytes, encoding: str) -> None:
    """Raise UnicodeDecodeError unless the bytes are text; it is not kept."""
    decoder, view = codecs.getincrementaldecoder(encoding)(), memoryview(content)
    for start in range(0, len(content), _SAMPLE_BYTES):
        decoder.decode(bytes(view[start : start + _SAMPLE_BYTES]))
    decoder.decode(b"", final=True)


def _sample(content: bytes, encoding: str, name: str) -> str:
    """Return whole lines from the beginning of the file."""
    text = content[:_SAMPLE_BYTES].decode(encoding, errors="ignore")
    if len(content) > _SAMPLE_BYTES:
        whole = max(text.rfind("\n"), text.rfind("\r"))
        if whole < 0:
            raise WrongUse(f"the first line of {name} is over {len(text):,} characters long")
        text = text[:whole]
    return text


def _records(sample: str, delimiter: str) -> list[list[str]]:
    """Return the first rows of a sample, each as its cells; fewer where a quote is not closed."""
    found: list[list[str]] = []
    reader = csv.reader(
        io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=delimiter != "\t"
    )
    try:
        for cells in reader:
            if cells:
                found.append(cells)
            if len(found) > _SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    return found


def _delimiter(sample: str, *, is_tabs: bool) -> str:
    """Return the sign between cells: the one by which most rows are as wide as the header."""
    if is_tabs:
        return "\t"

    def fit(delimiter: str) -> tuple[float, int]:
        head, *rows = _records(sample, delimiter) or [[]]
        if len(head) < 2:
            return (0.0, 0)
        return (sum(len(row) == len(head) for row in rows) / max(1, len(rows)), len(head))

    return max(_DELIMITERS, key=fit)


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell for row in rows for cell in row]
    return any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any(
        map(_DECIMAL_POINT.fullmatch, cells)
    )


def _unique(head: Sequence[str]) -> list[str]:
    """Return a name for each column, no two the same: of two called x the second is x.1."""
    uses: dict[str, int] = {}
    for number, cell in enumerate(head, start=1):
        name = stem = cell.strip() or f"column {number}"
        while name in uses:
            uses[stem] += 1
            name = f"{stem}.{uses[stem]}"
        uses[name] = 0
    return list(uses)


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
