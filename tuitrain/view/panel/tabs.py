"""The line that names the views of a run, with their keys."""

from __future__ import annotations

from collections.abc import Sequence

from tuitrain.view.picture import Picture, Span, fitted
from tuitrain.view.text.cells import width_of

_WAY_BACK = "esc: all panels "


def tabs(names: Sequence[str], current: str, width: int, *, is_alone: bool = False) -> Picture:
    """Return one line; if there is no room for all names, it has that of the current view only.

    `is_alone`: one panel of the view is shown alone; the line says how the others come back.
    """
    long = [f" {number} {name} " for number, name in enumerate(names, 1)]
    texts = long
    if sum(map(width_of, long)) > width:
        texts = [
            text if name == current else f" {number} "
            for number, (name, text) in enumerate(zip(names, long, strict=True), 1)
        ]
    spans = [
        Span(text, "accent" if name == current else "muted")
        for name, text in zip(names, texts, strict=True)
    ]
    room = width - sum(width_of(text) for text in texts)
    if is_alone and room >= len(_WAY_BACK):
        spans.append(Span(_WAY_BACK.rjust(room), "muted"))
    return (fitted(spans, width),)
