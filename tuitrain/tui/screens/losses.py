"""The loss picker: what fits this run, what each loss is, and when a swap takes effect."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tuitrain.core.catalog import LOSSES, Loss, fitting_losses
from tuitrain.view.model import Snapshot


class LossesScreen(ModalScreen[str | None]):
    """Choose a loss; the result is its name, or None to keep the one in use."""

    BINDINGS = [Binding("escape,l", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, run: Snapshot) -> None:
        super().__init__()
        self._run = run
        self._in_use = run.loss.partition(":")[0]

    def compose(self) -> ComposeResult:
        losses = fitting_losses(self._run.kind)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"loss for {self._run.spec.task} ({self._run.kind})"
            dialog.border_subtitle = "enter swaps · esc keeps it"
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

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        names = [option.id for option in options.options]
        options.highlighted = names.index(self._in_use)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None:
            self.query_one("#teaching", Static).update(self._lesson(LOSSES[event.option_id]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option_id == self._in_use else event.option_id)

    def _row(self, loss: Loss) -> Content:
        mark = "●" if loss.name == self._in_use else " "
        return Content.assemble(f" {mark} ", (f"{loss.name:<16}", "bold"), loss.summary)

    def _lesson(self, loss: Loss) -> Content:
        rows = [
            ("takes", loss.takes[self._run.kind]),
            ("inside", loss.inside),
            ("when", loss.when),
            ("not", loss.when_not),
            ("swap", self._when(loss)),
        ]
        lines = [Content.styled(loss.formula, "bold $accent")]
        lines += [Content.assemble((f"{label:<8}", "$cell-muted"), text) for label, text in rows]
        return Content("\n").join(lines)

    def _when(self, loss: Loss) -> str:
        if loss.name == self._in_use:
            return "in use now"
        run = self._run
        between = run.state == "paused" and run.step == run.epoch * (run.steps_per_epoch or 0)
        return "at once: the run is between two epochs" if between else "at the end of this epoch"
