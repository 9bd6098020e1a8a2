"""The newest batch: the five steps, with their times, shapes and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.detail import BATCH, Batch
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.series import GRADIENT_NORM, SHARES
from tuitrain.store.schema import BatchRow
from tuitrain.view.panel.line_search import search_at
from tuitrain.view.panel.reads import Details, Reads, no_batch
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose
from tuitrain.view.state.made_of import rank_count
from tuitrain.view.state.progress import epoch_began
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.training_loss import loss_at
from tuitrain.view.text import words
from tuitrain.view.text.cells import bar, first_fitting, padded, to_the_right, width_of

_NAME_CELLS, _TIME_CELLS, _SHARE_CELLS, _RESULT_CELLS = 13, 7, 6, 46
_LEAST_NAME, _LEAST_RESULT = 11, 20
_LEAST_BAR, _MOST_BAR = 6, 30
_EARLIER = "*"
"""Marks what was measured at an earlier step than the newest."""
_FEW, _LEAST_LIST = 8, 6
"""Samples in one line, and least rows for a list of them."""

_NAMES: Mapping[str, str] = {
    "data": "  data", "zero_grad": "1 zero_grad", "forward": "2 forward", "loss": "3 loss",
    "backward": "4 backward", "step": "5 step",
}  # fmt: skip
_DOES: Mapping[str, str] = {
    "data": "the next samples x and their targets y are fetched",
    "zero_grad": "the gradients of the last batch are cleared",
    "forward": "the model computes its outputs from x",
    "loss": "one number says how wrong the outputs are for y",
    "backward": "the chain rule gives each weight its gradient",
    "step": "the optimizer moves each weight to lower the loss",
}


class _Look(NamedTuple):
    """A batch that the trainer looked at, and its step."""

    step: int
    batch: Batch


def steps(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the parts of the newest step with bars of their times, in width x height cells."""
    row = run.latest
    if row is None:
        return filled(prose(no_batch(run), width), width, height)
    look = _newest_look(reads.details, row)
    below = [*_footnote(row, look, width), *_again(run, reads.details, row, width)]
    below += _by_others(run, reads.details, row, width)
    below += _below(run, row, look, width, height - 1 - 2 * len(SHARES) - len(below))
    is_high = height >= 1 + 2 * len(SHARES) + len(below)
    parts = _parts(run, row, look, width, explained=is_high)
    return filled([_heading(run, row, width), *parts, *below], width, height)


def _newest_look(details: Details, row: BatchRow) -> _Look | None:
    newest = details.newest_detail(row.take, row.step, BATCH)
    try:
        return _Look(newest[0], decoded(Batch, newest[1])) if newest else None
    except DamagedRecord:  # the times can still be shown
        return None


def _heading(run: Snapshot, row: BatchRow, width: int) -> Line:
    parts = [f" step {words.count(row.step)}"]
    number = row.step - epoch_began(run) or run.steps_per_epoch
    if run.steps_per_epoch and number and number <= run.steps_per_epoch:
        of = f"{words.count(number)}/{words.count(run.steps_per_epoch)}"
        parts.append(f"batch {of} of epoch {words.count(row.epoch)}")
    samples = f"{words.count(row.samples)} sample{'' if row.samples == 1 else 's'}"
    parts.append(f"{samples}, below rank 0's" if rank_count(run) > 1 else samples)
    total = f" · {words.microseconds(sum(_times(row)))}"
    texts = [" · ".join(parts[:count]) for count in range(len(parts), 0, -1)]
    about = first_fitting(texts, width - width_of(total))
    return fitted([Span(about, "strong"), Span(total, "smooth")], width)


def _times(row: BatchRow) -> tuple[int, ...]:
    return row.data_us, row.zero_us, row.forward_us, row.loss_us, row.backward_us, row.step_us


def _parts(
    run: Snapshot, row: BatchRow, look: _Look | None, width: int, *, explained: bool
) -> Iterator[Line]:
    times = _times(row)
    total = sum(times)
    columns = _Columns.of(width)
    results = _results(run, row, look)
    for part, microseconds in zip(SHARES, times, strict=True):
        share = microseconds / total if total else 0.0
        spans = [
            Span(f" {padded(_NAMES[part], columns.name)}", "accent"),
            Span(padded(bar(share, max(0, columns.bar - 1)), columns.bar), "bar"),
            Span(to_the_right(words.microseconds(microseconds), _TIME_CELLS)),
            Span(to_the_right(f"{share:.0%}", _SHARE_CELLS - 1) if columns.bar else "", "text"),
        ]
        result = first_fitting(results.get(part, [""]), columns.result)
        yield fitted([*spans, Span(f"{'  ' if columns.bar else ' '}{result}")], width)
        if explained:
            yield fitted([Span(f" {'':<{_NAME_CELLS}}{_DOES[part]}", "muted")], width)


class _Columns(NamedTuple):
    """Cells of the columns; without room for a bar it has none, and there is no share."""

    name: int
    bar: int
    result: int

    @classmethod
    def of(cls, width: int) -> _Columns:
        room = width - 1 - _NAME_CELLS - _TIME_CELLS - _SHARE_CELLS - 1
        bar_cells = min(_MOST_BAR, max(_LEAST_BAR, room + 1 - _RESULT_CELLS))
        if room - bar_cells >= _LEAST_RESULT:
            return cls(_NAME_CELLS, bar_cells, room - bar_cells)
        return cls(_LEAST_NAME, 0, width - 1 - _LEAST_NAME - _TIME_CELLS - 1)


def _results(run: Snapshot, row: BatchRow, look: _Look | None) -> Mapping[str, Sequence[str]]:
    """Return what each part gave in this batch, in full and in shorter ways."""
    lr, loss = f"lr {row.lr:.4g}", words.value(row.loss)
    results = {"loss": [f"{words.loss(loss_at(run, row.step))} {loss}", loss], "step": [lr]}
    if look is None:
        norms = [summary.last for summary in run.series if summary.series == GRADIENT_NORM]
        norm = words.value(norms[0]) if norms else ""
        last = {"backward": [f"gradient norm {norm} lately", f"norm {norm} lately"]}
        return results | last if norms else results
    batch, at = look.batch, "" if look.step == row.step else _EARLIER
    of_other_size = "" if _samples_in(batch) == row.samples else at
    target, inputs = f"y {batch.target}{of_other_size}", f"x {batch.input}"
    results |= {
        "data": _shapes(f"{inputs} · {target}", inputs) if batch.input else _shapes(target),
        "forward": _shapes(f"outputs {batch.output}{of_other_size}"),
    }
    if batch.gradient_norm is not None:
        norm = f"norm {words.value(batch.gradient_norm)}{at}"
        results["backward"] = [f"gradient {norm}", norm]
    if batch.update_ratio is not None:
        results["step"] = [f"{lr} · weights moved {100 * batch.update_ratio:.2g} %{at}", lr]
    return results


def _footnote(row: BatchRow, look: _Look | None, width: int) -> Iterator[Line]:
    """Yield where the marked numbers are from, if they are of an earlier batch."""
    if look is not None and look.step != row.step:
        text = f"{_EARLIER} at step {words.count(look.step)}: measured about once a second"
        yield from prose(text, width)


def _again(run: Snapshot, details: Details, row: BatchRow, width: int) -> Iterator[Line]:
    """Yield the loss of the same batch after its step, where the run rests and it was measured."""
    if not is_still(run) or rank_count(run) > 1:  # it is measured of the first rank's samples
        return
    try:
        search = search_at(details, row.take, row.step)
    except DamagedRecord:
        return
    if search is not None:
        after = search.after
        losses = f"{words.value(row.loss)} → {words.value(after)}"
        said = Span(f"{losses} ▼", "good") if after < row.loss else Span(f"{losses} ▲", "bad")
        yield fitted([Span(" the same batch again: ", "muted"), said], width)


def is_still(run: Snapshot) -> bool:
    """Return whether nothing is trained: what changes cannot be read."""
    return run.state == "paused" or run.has_ended


def _shapes(*texts: str) -> list[str]:
    """Return texts with shapes, then without their dtypes."""
    return [short for text in texts for short in (text, re.sub(r"\) \w+?\d+", ")", text))]


def _samples_in(batch: Batch) -> int | None:
    """Return the number of samples, the first size of the target's shape; None if it has none."""
    size = re.match(r"\((\d+)", batch.target)
    return int(size[1]) if size else None


def _below(run: Snapshot, row: BatchRow, look: _Look | None, width: int, rows: int) -> list[Line]:
    """Return the losses of the first samples, those of a paused run in a list if there is room."""
    if look is None:
        missing = (
            "of a watched script no shapes and samples are recorded" if run.is_watched
            else "shapes, gradient and samples of this batch are not in the record"
        )  # fmt: skip
        return [*prose(missing, width)]
    losses = look.batch.losses
    at = "" if look.step == row.step else _EARLIER
    if is_still(run) and rows >= _LEAST_LIST and len(look.batch.places) == len(losses) > 0:
        head = f" the loss of the first {len(losses)} samples{at}, the highest first"
        ranked = list(_ranked(run, look.batch, width))[: rows - 2]
        return [fitted([], width), fitted([Span(head, "muted")], width), *ranked]
    for count in range(min(_FEW, len(losses)), 0, -1):  # as many as there is room for
        head = f" the loss of the first {count} samples{at}: "
        values = "  ".join(map(words.value, losses[:count]))
        if count == 1 or width_of(head + values) <= width:
            return [fitted([Span(head, "muted"), Span(values)], width)]
    return []


def _by_others(run: Snapshot, details: Details, row: BatchRow, width: int) -> Iterator[Line]:
    """Yield the values of the other fitting losses on the batch."""
    step, losses = details.latest_batch_losses(run.take)
    own = loss_at(run, step)
    texts = [f"{words.loss(name)} {words.value(value)}" for name, value in losses.items()
             if name != own]  # fmt: skip
    if texts:
        at = "" if step == row.step else f" at step {words.count(step)}"
        head = f" by the other losses{at}: "
        room = max(1, width - width_of(head))
        for number, line in enumerate(_joined(texts, room)):
            yield fitted([Span(" " * width_of(head) if number else head, "muted"), Span(line)],
                         width)  # fmt: skip


def _joined(texts: list[str], room: int) -> Iterator[str]:
    """Yield the texts in lines of so many cells, with dots between them."""
    line = ""
    for text in texts:
        longer = f"{line} · {text}" if line else text
        if line and width_of(longer) > room:
            yield line
            longer = text
        line = longer
    yield line


def _ranked(run: Snapshot, batch: Batch, width: int) -> Iterator[Line]:
    """Yield the samples, the highest loss first, with bars of their losses."""
    cells = min(2 * _MOST_BAR, max(_LEAST_BAR, width - 50))
    most = max((loss for loss in batch.losses if math.isfinite(loss)), default=1.0) or 1.0
    samples = zip(batch.losses, batch.places, range(1, len(batch.losses) + 1), strict=True)
    for loss, place, number in sorted(samples, key=lambda sample: -_size(sample[0])):
        yield fitted(
            [
                Span(f" sample {number:>3}  ", "muted"),
                Span(to_the_right(words.value(loss), 9) + "  ", "smooth"),
                Span(bar(_size(loss) / most, cells), "bar"),
                Span(f"  {_place(run, place)}"),
            ],
            width,
        )


def _size(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss


def _place(run: Snapshot, place: float) -> str:
    """Return in words where a prediction lies."""
    if run.problem.kind == "regression":
        return f"prediction {place:+.2f} deviations off"
    if math.isnan(place):
        return "right class –"
    probability = 1 / (1 + math.exp(-max(-700.0, min(700.0, place))))
    return f"right class {probability:.1%}"
