"""The lines of a table: where each row stands in its file, and which rows are too short."""

from __future__ import annotations

import csv
import io

import numpy as np

from tuitrain.core.csv_text import CsvHeader


def row_lines(content: bytes, header: CsvHeader, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the line (rows,) int64 on which each row begins, and whether it is too short (rows,).

    pandas fills short rows as if their last cells were empty.
    """
    plain = np.arange(2, rows + 2), np.zeros(rows, dtype=bool)
    if _is_plain(content, header, rows):
        return plain
    counted = _counted(content, header)
    if len(counted) != rows:  # csv and pandas read stray quotation marks in different ways
        return plain
    lines, cells = np.array(counted, dtype=np.int64).T
    return lines, cells < len(header.cells)


def _is_plain(content: bytes, header: CsvHeader, rows: int) -> bool:
    """Return whether a line is a row, and has a delimiter for each column but the last.

    Rows that are too long were refused, so that their delimiters cannot make up for missing ones.
    """
    if header.encoding == "utf-16" or b'"' in content:
        return False
    delimiters = content.count(header.delimiter.encode())
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    return lines == rows + 1 and delimiters == lines * (len(header.cells) - 1)


def _counted(content: bytes, header: CsvHeader) -> list[tuple[int, int]]:
    """Return the first line and the number of cells of each row; blank lines are none."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding=header.encoding, newline="")
    reader = csv.reader(text, delimiter=header.delimiter, skipinitialspace=header.delimiter != "\t")
    found, line = [], 1
    try:
        for cells in reader:
            if cells and (len(header.cells) == 1 or cells != [""]):
                found.append((line, len(cells)))
            line = reader.line_num + 1
    except (csv.Error, UnicodeError):
        return []
    return found[1:]
