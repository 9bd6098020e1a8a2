"""The part of a run's screen in which the views take turns."""

from __future__ import annotations

import re
from functools import cached_property

from textual.reactive import var
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from tuitrain.tui.views import VIEWS, Panel
from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.panel.reads import Reads
from tuitrain.view.panel.tabs import tabs
from tuitrain.view.picture import Picture
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.cells import first_fitting

PANEL = "panel"
"""The class of a widget that can be enlarged."""
_ALONE, _LARGE = "-alone", "-large"


class Tabs(Cells):
    """The names of the views, the current one marked."""

    current: var[str] = var(VIEWS[0].name)
    is_alone: var[bool] = var(False)
    """Whether one panel of the current view is shown alone."""

    def watch_current(self) -> None:
        self.draw()

    def watch_is_alone(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        super().on_resize()
        self.draw()

    def draw(self) -> None:
        """Draw the names, if there is room."""
        if self.size.area:
            names = [view.name for view in VIEWS]
            self.show(tabs(names, self.current, self.size.width, is_alone=self.is_alone))


class PanelPicture(AsyncPicture, can_focus=True):
    """A panel of the registry."""

    DEFAULT_CLASSES = PANEL
    DEFAULT_CSS = """
    PanelPicture { height: 1fr; }
    """

    def __init__(self, panel: Panel, reads: Reads, *, at: str = "") -> None:
        """`at` ends the id of a panel that another view shows, too."""

        def draw(run: Snapshot, width: int, height: int) -> Picture:
            return panel.draw(run, reads, width, height)

        super().__init__(draw, id=f"{panel.id}{at}")
        self._panel = panel
        self.applies = panel.applies is None
        """Whether the panel has something to show of this run."""

    @property
    def is_fast(self) -> bool:
        """Whether it is drawn again for every batch that the screen shows."""
        return self._panel.is_fast

    def watch_subject(self) -> None:
        applies = self._panel.applies
        if self.subject is not None and applies is not None and self.parent is not None:
            self.applies = applies(self.subject)
            self.parent.set_class(self.applies, f"-{self._panel.id}")
        if self.is_on_screen:
            self._retitle()
        self.mark_stale()

    def on_resize(self) -> None:
        super().on_resize()
        self._retitle()

    async def on_show(self) -> None:
        self._retitle()
        await self.draw_if_stale()

    def _retitle(self) -> None:
        """Set the title, and say how many panels of the view have no room beside this one."""
        if self.subject is None:
            return
        title = self._panel.title_for(self.subject)
        beside = self.parent.query_children(PanelPicture) if self.parent is not None else ()
        hidden = sum(panel.applies and not panel.display for panel in beside)
        hints = (f" · tab: {hidden} more", f" · tab +{hidden}") if hidden else ("",)
        short = re.split(r": |, | that ", title)[0]
        titles = [f"{text}{hint}" for text in (title, short) for hint in hints]
        self.entitle(
            first_fitting([*titles, title, short], self.size.width - self.gutter.width - 2)
        )


class Views(ContentSwitcher):
    """Shows all panels of one view, or one of them alone."""

    _alone: Widget | None = None

    def switch(self, view: str) -> None:
        """Show another view with all its panels."""
        self.show_all()
        self.screen.set_focus(None)
        self.current = view

    def enlarge(self) -> None:
        """Show the focused panel alone, without a focus the first; again: all panels."""
        if self.show_all():
            return
        panels, focused = self._panels, self.screen.focused
        if panels:
            first = next((panel for panel in panels if panel.display), panels[0])
            self._show_alone(focused if focused in panels else first)

    def enlarge_named(self, panel: str) -> None:
        """Show the panel with that id alone, if the view has it."""
        for widget in self._panels:
            if widget.id == panel:
                self._show_alone(widget)

    @property
    def alone(self) -> str:
        """The id of the panel that is shown alone; "" if all are shown."""
        return (self._alone.id if self._alone else None) or ""

    def show_all(self) -> bool:
        """Show all panels of the view; return whether one was shown alone."""
        was_alone, self._alone = self._alone is not None, None
        self.remove_class(_ALONE)
        self.query(f".{_LARGE}").remove_class(_LARGE)
        return was_alone

    def turn(self, step: int) -> None:
        """Focus the next panel (1) or the one before (-1).

        Show it alone if the last one was, or if there is no room for it beside the others.
        """
        panels = self._panels
        if self._alone in panels:
            self._show_alone(panels[(panels.index(self._alone) + step) % len(panels)])
        elif (hidden := self._next_without_room(step)) is not None:
            self._show_alone(hidden)
        elif step > 0:
            self.screen.focus_next(f".{PANEL}")
        else:
            self.screen.focus_previous(f".{PANEL}")

    @property
    def shows_fast(self) -> bool:
        """Whether a fast panel is shown."""
        return any(panel.is_on_screen for panel in self._fast)

    def tell_fast(self, run: Snapshot) -> None:
        """Have the fast panels draw the run when they are next shown or due."""
        for panel in self._fast:
            panel.subject = run

    async def draw_fast(self, run: Snapshot) -> None:
        """Have the fast panels that are shown draw the run now."""
        for panel in self._fast:
            await panel.draw_of(run)

    def mark_stale(self) -> None:
        """Let the panels of the registry that are shown be drawn again."""
        for panel in self.query(PanelPicture):
            panel.mark_stale()

    @cached_property
    def _fast(self) -> list[PanelPicture]:
        return [panel for panel in self.query(PanelPicture) if panel.is_fast]

    @property
    def _panels(self) -> list[Widget]:
        """The panels of the view, also those for which there is no room beside the others."""
        shown = self.visible_content
        return list(shown.query(f".{PANEL}")) if shown is not None else []

    def _next_without_room(self, step: int) -> PanelPicture | None:
        """Return the panel that comes next, if it is of the registry and there is no room for it.

        Without a focus, the next one is that after the only one that is shown.
        """
        panels = [panel for panel in self._panels if isinstance(panel, PanelPicture)]
        panels = [panel for panel in panels if panel.applies]
        shown = [panel for panel in panels if panel.display]
        focused = self.screen.focused
        at = focused if focused in panels else shown[0] if len(shown) == 1 else None
        if self.current == VIEWS[0].id or at is None:
            return None
        following = panels[(panels.index(at) + step) % len(panels)]
        return None if following.display else following

    def _show_alone(self, panel: Widget) -> None:
        self.show_all()
        self._alone = panel
        self.add_class(_ALONE)
        for widget in panel.ancestors_with_self:
            if widget is self.visible_content:
                break
            widget.add_class(_LARGE)
