"""A dialog to choose a loss: the fitting losses, their explanation, and when a swap applies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.tui.errors import until_left
from tuitrain.tui.screens.parameters import ParametersScreen
from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.view.panel.loss_curve import curve_of
from tuitrain.view.panel.reads import Details
from tuitrain.view.picture import Picture
from tuitrain.view.state.lesson import entry_of
from tuitrain.view.state.progress import has_no_boundary, waits_between_epochs
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, width_of, wrapped

_LOOK_S = 1.0
_LABEL = 8
_WIDTH, _FRAME = 76, 6
"""Most cells of a dialog, as in dialogs.tcss, and how many of them surround its text."""
_SHORT = 38
"""Lines of a terminal in which choices and text share what room there is."""
_ROOMY = 52
"""Least cells of a lesson where the dialog names all its keys."""
_TRENDS = 58
"""Least cells of a line that has the trend of a loss, too."""
_NAME, _LONG_NAME = 16, 33
"""Least and most cells for the texts of the losses."""


class LossesScreen(ModalScreen[str | None]):
    """Choose a loss; the result is its text, or None to keep the one in use."""

    BINDINGS = [
        Binding("escape,l", "dismiss", "Cancel", id="dialog.cancel"),
        Binding("o", "parameters", "Parameters", id="losses.parameters",
                tooltip="Type the parameters of a loss that has some"),
        Binding("pagedown", "read(1)", "Read on", id="losses.read_on", priority=True,
                tooltip="Further down in the text about a loss"),
        Binding("pageup", "read(-1)", "Read back", id="losses.read_back", priority=True,
                tooltip="Further up in it"),
    ]  # fmt: skip
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (_SHORT, "-high")]

    lesson = getters.query_one("#lesson", VerticalScroll)
    options = getters.query_one(OptionList)

    def __init__(self, latest: Callable[[], Snapshot], details: Details) -> None:
        """`latest` returns the newest snapshot; `details` is read in a thread."""
        super().__init__()
        self._latest = latest
        self._details = details
        self._run = latest()
        self._typed: list[str] = []
        self._texts: list[str] = []
        self._step = 0
        self._values: Mapping[str, float] = {}

    def compose(self) -> ComposeResult:
        with Dialog() as dialog:
            kind = f" ({self._run.problem.kind})" if self._run.problem.kind else ""
            dialog.border_title = f"loss for {self._run.task}{kind}"
            with Vertical(id="choices"):
                yield Static(id="heading")
                yield OptionList()
                with VerticalScroll(id="lesson", can_focus=False):
                    yield Static(classes="teaching", id="teaching")
                    yield AsyncPicture(self._curve, id="below")
            yield AsyncPicture(self._curve, id="beside")

    async def on_mount(self) -> None:
        self._fill(self._run.loss)
        await self.follow()
        self.set_interval(_LOOK_S, self.follow)

    @until_left
    async def follow(self) -> None:
        """Show the value of each loss on a recent batch, and its trend over the validations."""
        try:
            self._run = self._latest()
            self._step, self._values = await asyncio.to_thread(
                self._details.latest_batch_losses, self._run.take
            )
        except (TuitrainError, OSError, ValueError):  # the run screen reports it
            return
        highlighted = self.options.highlighted_option
        if self._loss_texts() != self._texts:
            self._fill(str(highlighted.id) if highlighted else self._run.loss)
        for at, text in enumerate(self._texts):
            self.options.replace_option_prompt_at_index(at, self._row(text))
        self.query_one("#heading", Static).update(self._heading())
        if highlighted is not None:
            self._show_curve(str(highlighted.id))

    def _show_curve(self, text: str) -> None:
        for picture in self.query(AsyncPicture):
            picture.subject = text, self._run
            picture.mark_stale()

    def _curve(self, subject: tuple[str, Snapshot], width: int, height: int) -> Picture:
        return curve_of(*subject, self._details, width, height)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        text = str(event.option_id)
        self.query_one("#teaching", Static).update(self._lesson(text))
        self.lesson.scroll_home(animate=False)
        self._show_curve(text)
        more = ["o its parameters"] if self._run.problem.parameters(text) else []
        if self.app.size.height < _SHORT:
            more = [*(more if self._cells() >= _ROOMY else ()), "pgdn reads on"]
        self.query_one(Dialog).keys = ("enter swaps", *more, "esc keeps it")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option_id == self._run.loss else event.option_id)

    def action_read(self, pages: int) -> None:
        self.lesson.scroll_relative(y=pages * max(1, self.lesson.size.height - 1), animate=False)

    def action_parameters(self) -> None:
        highlighted = self.options.highlighted_option
        if highlighted is not None and self._run.problem.parameters(str(highlighted.id)):
            screen = ParametersScreen(self._run.problem, str(highlighted.id))
            self.app.push_screen(screen, self._offer)

    def _offer(self, text: str | None) -> None:
        """Add a loss with typed parameters to the list."""
        if text is not None:
            self._typed.append(text)
            self._fill(text)

    def _loss_texts(self) -> list[str]:
        """Return the choices: each fitting loss with defaults, as in use, and as typed."""
        with_parameters = (self._run.loss, *self._typed)
        return [
            text
            for loss in self._run.problem.losses or (self._run.loss,)
            for text in dict.fromkeys(
                (loss, *(choice for choice in with_parameters if _name(choice) == loss))
            )
        ]

    def _fill(self, highlighted: str) -> None:
        self._texts = self._loss_texts()
        self.options.clear_options()
        self.options.add_options(
            [
                *(Option(self._row(text), text) for text in self._texts),
                *(
                    Option(self._unfit(name, why), name, disabled=True)
                    for name, why in self._run.problem.misfits.items()
                ),
            ]
        )  # fmt: skip
        if highlighted in self._texts:
            self.options.highlighted = self._texts.index(highlighted)

    def _unfit(self, name: str, why: str) -> str:
        return cut(safe(f"   {name:<{_NAME}} unfit: {why}"), self._cells() + _LABEL)

    def _name_cells(self) -> int:
        return min(_LONG_NAME, max(_NAME, *map(width_of, self._texts)))

    def _heading(self) -> Content:
        batch = f"on batch {words.count(self._step)}" if self._values else ""
        short = "" if self._name_cells() > _NAME else ", first → last"
        epochs = f"validation{short}" if self._has_trends() else ""
        return Content.styled(f"   {'':<{self._name_cells()}} {batch:>14}  {epochs}", "$cell-muted")

    def _row(self, text: str) -> Content:
        mark = "●" if text == self._run.loss else " "
        value = words.value(self._values.get(text)) if self._values else ""
        cells = self._name_cells()
        name = padded(cut(text, cells), cells)
        trend = self._trend(text) or ("–" if self._has_trends() else "")
        return Content.assemble(
            f" {mark} ", (name, "bold"), (f" {value:>14}", "$cell-smooth"),
            (f"  {trend}", "$cell-validation"),
        )  # fmt: skip

    def _has_trends(self) -> bool:
        return any(self._trend(text) for text in (self._run.loss, *self._run.problem.losses[:1]))

    def _trend(self, text: str) -> str | None:
        """Return the first and the last validation loss; None before the second validation.

        None, too, where there is no room for it.
        """
        trend = self._run.evaluated.trend(text)
        if trend is None or self._cells() + _LABEL < _TRENDS:
            return None
        first, last = trend
        arrow = "↘" if last < first else "↗" if last > first else "→"
        return f"{words.value(first)} {arrow} {words.value(last)}"

    def _lesson(self, text: str) -> Content:
        loss = entry_of(self._run.problem, text)
        if loss is None:
            about = [f"{name} ({what})" if what else name for name, what in self._parameters(text)]
            own = [f"a loss of this run's own; {self._when(text)}", *about]
            return Content("\n".join(own))
        takes = loss.shapes(self._run.problem.kind)
        rows = [
            ("what", loss.summary),
            *([("takes", takes)] if takes else []),
            *(("param", f"{parameter} ({description})" if description else parameter)
              for parameter, description in self._parameters(text)),
            ("swap", self._when(text)),
            *([("epochs", self._why_no_trend(text))] if self._is_unrecorded(text) else []),
            ("inside", loss.inside),
            ("when", loss.when),
            ("not", loss.when_not),
        ]  # fmt: skip
        lines = [Content.styled(loss.formula, "bold $accent")]
        for label, explanation in rows:
            first, *rest = wrapped(explanation, self._cells())
            lines.append(Content.assemble((f"{label:<{_LABEL}}", "$cell-muted"), first))
            lines += [Content(f"{'':<{_LABEL}}{line}") for line in rest]
        return Content("\n").join(lines)

    def _parameters(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield each parameter of a loss with its description, which may be empty."""
        problem = self._run.problem
        options = problem.options.get(_name(text), ())
        for parameter, option in zip(problem.parameters(text), options, strict=True):
            yield safe(parameter), safe(option.description)

    def _is_unrecorded(self, text: str) -> bool:
        """Return whether validations leave the loss out; False before the first one."""
        last = self._run.last_epoch
        return last is not None and not self._run.is_watched and text not in last.val_losses

    def _why_no_trend(self, text: str) -> str:
        # it takes the logarithms of counts, and the outputs are the counts themselves
        is_left_out = _of_logarithms(self._run, text) and not _of_logarithms(
            self._run, self._run.loss
        )
        asked = "" if is_left_out else f", or from the start with {text} in the form's val losses"
        return f"its validation value is recorded once it is used{asked}"

    def _cells(self) -> int:
        """Return the most cells of a line of the lesson."""
        return max(16, min(_WIDTH, int(self.app.size.width * 0.96)) - _LABEL - _FRAME)

    def _when(self, text: str) -> str:
        if text == self._run.loss:
            return "in use now"
        if waits_between_epochs(self._run):
            return "at once: the run is between two epochs"
        if has_no_boundary(self._run):
            return "at once: the script has not shown where its epochs end"
        return "at the end of this epoch"


def _of_logarithms(run: Snapshot, loss: str) -> bool:
    return "log_input=yes" in run.problem.parameters(loss)


def _name(text: str) -> str:
    return text.partition(":")[0]
