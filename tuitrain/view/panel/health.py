"""The shares of a run's time."""

from __future__ import annotations

from tuitrain.core.series import GPU_MEMORY
from tuitrain.view.panel.reads import Reads
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose
from tuitrain.view.state.made_of import device_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.timings import timings
from tuitrain.view.text.cells import bar, padded, to_the_right

_NAME_CELLS, _SHARE_CELLS = 12, 6
_LEAST_BAR, _MOST_BAR = 16, 60
_WAITS = "  it waits for data"
_STARVED = 0.5
"""Share of the time spent on waiting for data from which the panel warns."""


def shares(run: Snapshot, _reads: Reads, width: int, height: int) -> Picture:
    """Return the shares of the last second's training time as bars."""
    by_part = timings(run.series)
    lines: list[Line] = []
    if not by_part:
        why = (
            "the record has no shares" if run.has_ended else "no second of training is measured yet"
        )
        lines += prose(why, width)
    lines += [_part(part, share, width) for part, share in by_part.items()]
    return filled([*lines, *prose(_gpu(run), width)], width, height)


def _part(part: str, share: float, width: int) -> Line:
    """Return the bar of a part, with a warning where there is room for one beside it."""
    is_starved = part == "data" and share >= _STARVED
    room = width - 2 - _NAME_CELLS - _SHARE_CELLS
    is_wide = room >= _LEAST_BAR + len(_WAITS)
    name = "data: waits" if is_starved and not is_wide else part
    cells = max(1, min(_MOST_BAR, room - len(_WAITS) if is_wide else room))
    return fitted(
        [
            Span(f" {padded(name, _NAME_CELLS)}", "bad" if name != part else "muted"),
            Span(bar(share, cells), "bad" if is_starved else "bar"),
            Span(to_the_right(f"{share:.0%}", _SHARE_CELLS)),
            Span(_WAITS if is_starved and is_wide else "", "bad"),
        ],
        width,
    )


def _gpu(run: Snapshot) -> str:
    """Return what of a GPU is measured, beside the charts of its series."""
    if any(summary.series == GPU_MEMORY for summary in run.series):
        return "gpu-…: of all programs on the GPU"
    if run.started is None:
        return "its device is not known yet"
    return "no GPU" if device_of(run) == "cpu" else f"nothing is measured of {device_of(run)}"
