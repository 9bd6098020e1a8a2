"""Histograms as bars of blocks, each filled to an eighth of a cell."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def bars(counts: Sequence[int], most: int, rows: int) -> list[str]:
    """Return a bar a cell wide for each count, the topmost row first; `most` fills all rows.

    A count above zero is seen, however small.
    """
    full = 8 * rows
    heights = [min(full, max(1, round(count / max(1, most) * full))) if count else 0
               for count in counts]  # fmt: skip
    return [
        "".join(_EIGHTHS[min(8, max(0, height - 8 * row))] for height in heights)
        for row in range(rows - 1, -1, -1)
    ]
