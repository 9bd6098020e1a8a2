"""The shares of a run's time."""

from __future__ import annotations

from tuitrain.core.series import GPU_MEMORY
from tuitrain.view.panel.reads import Reads
from tuitrain.view.picture import Picture, Span, filled, fitted
from tuitrain.view.state.made_of import device_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.timings import timings
from tuitrain.view.text.cells import bar, padded, to_the_right

_NAME_CELLS, _SHARE_CELLS = 12, 6
_STARVED = 0.5
"""Share of the time spent on waiting for data from which the panel warns."""


def shares(run: Snapshot, _reads: Reads, width: int, height: int) -> Picture:
    """Return the shares of the last second's training time as bars."""
    by_part = timings(run.series)
    lines = []
    if not by_part:
        why = (
            "the record has no shares" if run.has_ended else "no second of training is measured yet"
        )
        lines.append(fitted([Span(f" {why}", "muted")], width))
    bar_cells = max(1, min(60, width - 2 - _NAME_CELLS - _SHARE_CELLS))
    for part, share in by_part.items():
        is_starved = part == "data" and share >= _STARVED
        lines.append(
            fitted(
                [
                    Span(f" {padded(part, _NAME_CELLS)}", "muted"),
                    Span(bar(share, bar_cells), "bad" if is_starved else "bar"),
                    Span(to_the_right(f"{share:.0%}", _SHARE_CELLS)),
                    Span("  it waits for data" if is_starved else "", "bad"),
                ],
                width,
            )
        )
    lines.append(fitted([Span(f" {_gpu(run)}", "muted")], width))
    return filled(lines, width, height)


def _gpu(run: Snapshot) -> str:
    """Return what of a GPU is measured, beside the charts of its series."""
    if any(summary.series == GPU_MEMORY for summary in run.series):
        return "gpu-…: of all programs on the GPU"
    return "no GPU" if device_of(run) == "cpu" else f"nothing is measured of {device_of(run)}"
