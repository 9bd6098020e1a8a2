"""The loss picker: what fits this run, what each loss is, and when a swap takes effect."""

from __future__ import annotations

import asyncio
import math
import textwrap
from collections.abc import Callable, Mapping

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tuitrain.core.catalog import LOSSES, Loss, fitting_losses
from tuitrain.core.errors import TuitrainError
from tuitrain.view import words
from tuitrain.view.model import Snapshot

Glance = tuple[int, Mapping[str, float]]
"""The step of a recent batch, and what each fitting loss makes of it."""

_LOOK_S = 1.0
_WIDTH, _FRAME = 76, 6
"""Cells of a dialog at most, as in dialogs.tcss, and of them those around its text."""


class LossesScreen(ModalScreen[str | None]):
    """Choose a loss; the result is its name, or None to keep the one in use."""

    BINDINGS = [Binding("escape,l", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, latest: Callable[[], Snapshot], glance: Callable[[], Glance]) -> None:
        """`latest` returns the run as it is now, `glance` reads its values; off the event loop."""
        super().__init__()
        self._latest = latest
        self._glance = glance
        self._run = latest()
        self._in_use = self._run.loss.partition(":")[0]
        self._step = 0
        self._values: Mapping[str, float] = {}

    def compose(self) -> ComposeResult:
        losses = fitting_losses(self._run.kind)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"loss for {self._run.spec.task} ({self._run.kind})"
            dialog.border_subtitle = "enter swaps · esc keeps it"
            yield Static(id="heading")
            yield OptionList(
                *(Option(self._row(loss), loss.name) for loss in losses),
                *(
                    Option(f"   {loss.name:<16} unfit: {loss.misfits[self._run.kind]}", loss.name,
                           disabled=True)
                    for loss in LOSSES.values()
                    if loss not in losses
                ),
            )  # fmt: skip
            yield Static(classes="teaching", id="teaching")

    async def on_mount(self) -> None:
        options = self.query_one(OptionList)
        names = [option.id for option in options.options]
        options.highlighted = names.index(self._in_use)
        await self.follow()
        self.set_interval(_LOOK_S, self.follow)

    async def follow(self) -> None:
        """Show what each loss makes of a recent batch, and of the validations so far."""
        try:
            self._step, self._values = await asyncio.to_thread(self._glance)
        except (TuitrainError, OSError, ValueError):  # the run screen tells of it
            return
        self._run = self._latest()
        options = self.query_one(OptionList)
        for at, loss in enumerate(fitting_losses(self._run.kind)):
            options.replace_option_prompt_at_index(at, self._row(loss))
        self.query_one("#heading", Static).update(self._heading())

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None:
            self.query_one("#teaching", Static).update(self._lesson(LOSSES[event.option_id]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option_id == self._in_use else event.option_id)

    def _heading(self) -> Content:
        batch = f"on batch {words.count(self._step)}" if self._values else ""
        epochs = "validation, first → last" if self._trend(self._in_use) else ""
        return Content.styled(f"   {'':<16} {batch:>14}  {epochs}", "$cell-muted")

    def _row(self, loss: Loss) -> Content:
        mark = "●" if loss.name == self._in_use else " "
        value = words.value(self._values.get(loss.name)) if self._values else ""
        return Content.assemble(
            f" {mark} ", (f"{loss.name:<16}", "bold"), (f" {value:>14}", "$cell-smooth"),
            (f"  {self._trend(loss.name) or ''}", "$cell-validation"),
        )  # fmt: skip

    def _trend(self, loss: str) -> str | None:
        """Return how the loss of the validations went, first to last; None before the second."""
        ends = [each for each in self._run.epochs if each.val_losses]
        if len(ends) < 2:
            return None
        first, last = (each.val_losses.get(loss, math.nan) for each in (ends[0], ends[-1]))
        way = "↘" if last < first else "↗" if last > first else "→"
        return f"{words.value(first)} {way} {words.value(last)}"

    def _lesson(self, loss: Loss) -> Content:
        rows = [
            ("what", loss.summary),
            ("takes", loss.takes[self._run.kind]),
            ("inside", loss.inside),
            ("when", loss.when),
            ("not", loss.when_not),
            ("swap", self._when(loss)),
        ]
        lines = [Content.styled(loss.formula, "bold $accent")]
        for label, text in rows:
            first, *rest = textwrap.wrap(text, self._cells())
            lines.append(Content.assemble((f"{label:<8}", "$cell-muted"), first))
            lines += [Content(f"{'':<8}{line}") for line in rest]
        return Content("\n").join(lines)

    def _cells(self) -> int:
        """Return how long a line of the lesson may be."""
        return max(16, min(_WIDTH, int(self.app.size.width * 0.96)) - 8 - _FRAME)

    def _when(self, loss: Loss) -> str:
        if loss.name == self._in_use:
            return "in use now"
        between = self._run.waits_between_epochs
        return "at once: the run is between two epochs" if between else "at the end of this epoch"
