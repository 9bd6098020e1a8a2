"""The beginning of a table in text: its encoding, delimiter and header, without pandas."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe

MOST_COLUMNS = 20_000
"""Each is looked at by itself, for about a millisecond."""
_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 200
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True)
class CsvHeader:
    """The encoding and the delimiter of a text, and the names of its columns."""

    encoding: str
    delimiter: str
    cells: Sequence[str]
    """The first line as it is."""
    columns: Sequence[str]
    """A name for each column, no two the same."""
    rows: Sequence[Sequence[str]]
    """The first rows."""


def columns_of(path: Path) -> Sequence[str]:
    """Return the names of the columns of a CSV file, by its beginning alone; WrongUse if none."""
    name = safe(path.name, limit=80)
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            content = file.read(_SAMPLE_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise WrongUse(not_gzip(name)) from None
    except OSError as error:
        raise WrongUse(f"cannot read {name}: {error.strerror}") from None
    is_whole = len(content) <= _SAMPLE_BYTES
    return header(content, path.name, is_whole=is_whole).columns


def not_gzip(name: str) -> str:
    """Return the sentence on a compressed file that cannot be unpacked."""
    return f"{name} is not a whole gzip file"


def header(content: bytes, file: str, *, is_whole: bool = True) -> CsvHeader:
    """Return how the text of a file is written, and its header; WrongUse for no table."""
    name = safe(file, limit=80)
    encoding = _encoding(content, name, is_whole=is_whole)
    sample = _sample(content, encoding, name)
    delimiter = "\t" if ".tsv" in file.lower() else _delimiter(sample)
    head, *rows = _records(sample, delimiter) or [[]]
    if not any(cell.strip() for cell in head):
        raise WrongUse(f"{name} is empty: its first line must have the names of the columns")
    if len(head) > MOST_COLUMNS:
        raise WrongUse(f"{name} has {len(head):,} columns; a table has at most {MOST_COLUMNS:,}")
    return CsvHeader(encoding, delimiter, head, _unique(head), rows)


def _encoding(content: bytes, name: str, *, is_whole: bool) -> str:
    """Return the encoding of a text: by its byte order mark, else UTF-8, else Windows-1252."""
    marked = (encoding for mark, encoding in _BOMS.items() if content.startswith(mark))
    encoding = next(marked, "utf-8")
    if encoding != "utf-16" and (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        raise WrongUse(f"{name} is not a text file: there is a NUL byte in line {line}")
    for tried in ("utf-16",) if encoding == "utf-16" else (encoding, "cp1252", "latin-1"):
        try:
            _decode(content, tried, is_whole=is_whole)
        except UnicodeDecodeError:
            continue
        if tried != "utf-16" or "\0" not in content[:_SAMPLE_BYTES].decode(tried, "ignore"):
            return tried
    if encoding == "utf-16":
        raise WrongUse(f"{name} begins as UTF-16 does and is none: save it as UTF-8")
    raise AssertionError("every byte is a character of Latin-1")


def _decode(content: bytes, encoding: str, *, is_whole: bool) -> None:
    """Raise UnicodeDecodeError unless the bytes are text; it is not kept."""
    decoder, view = codecs.getincrementaldecoder(encoding)(), memoryview(content)
    for start in range(0, len(content), _SAMPLE_BYTES):
        decoder.decode(bytes(view[start : start + _SAMPLE_BYTES]))
    decoder.decode(b"", final=is_whole)


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
    rows: list[list[str]] = []
    reader = csv.reader(
        io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=delimiter != "\t"
    )
    try:
        for cells in reader:
            if cells:
                rows.append(cells)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    return rows


def _delimiter(sample: str) -> str:
    """Return the sign between cells: the one by which most rows are as wide as the header."""

    def fit(delimiter: str) -> tuple[float, int]:
        head, *rows = _records(sample, delimiter) or [[]]
        if len(head) < 2:
            return (0.0, 0)
        return (sum(len(row) == len(head) for row in rows) / max(1, len(rows)), len(head))

    return max(_DELIMITERS, key=fit)


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
