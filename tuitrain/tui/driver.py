"""The terminal driver: it sends the newest frame, never a queue of old ones."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import threading
from types import FrameType

from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tuitrain.tui import opening
from tuitrain.tui.display import Display
from tuitrain.tui.images import Images, shows_images

HOLD_S = 5.0
"""Seconds after which frames are shown even if no screen says that it is complete."""

_CLOSE_WITHIN_S = 3.0
"""Seconds to wait at the end for a terminal that reads nothing."""


class Complete(Message):
    """A screen has painted the first frame that has all its parts in their places."""


class LeanDriver(LinuxDriver):
    """Send a terminal only the cells that changed, in their newest state.

    Textual's own driver queues whole frames and blocks the app at thirty of them: over a slow link
    the app could not be left.
    """

    images: Images | None = None
    """The images of a terminal that can show them."""

    def start_application_mode(self) -> None:
        self._output = _Output()
        self.images = Images(self.write) if shows_images(os.environ) else None
        self._is_open = opening.hand_over()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's has no types
        textual_handler = signal.getsignal(signal.SIGWINCH)

        def resized(number: int, frame: FrameType | None) -> None:
            self._output.is_resized = True
            if callable(textual_handler):
                textual_handler(number, frame)

        signal.signal(signal.SIGWINCH, resized)

    def write(self, data: str) -> None:
        """Paint `data` and return at once, even when the terminal blocks."""
        if self._is_open and data == opening.ALTERNATE_SCREEN:
            return  # the first frame stays until the app has one
        self._output.paint(data)

    def reveal(self) -> None:
        """Show frames from now on: until then the terminal keeps the frame of the start."""
        self._output.reveal()

    @property
    def is_lost(self) -> bool:
        """Whether the terminal is gone. Textual would read its end over and over."""
        poll = select.poll()
        poll.register(self.fileno, 0)  # what says that it hung up is always reported
        return bool(poll.poll(0))

    def stop_application_mode(self) -> None:
        self._is_open = False
        self._output.is_resized = True  # pending output is out of date
        if self.images is not None:
            self.images.clear()
        super().stop_application_mode()

    def close(self) -> None:
        self._output.close()
        super().close()


class _Output(threading.Thread):
    """Writes the newest frame, piece by piece, as fast as the terminal reads."""

    def __init__(self) -> None:
        super().__init__(name="output", daemon=True)
        self.is_resized = True
        self._display = Display()
        self._changed = threading.Condition()
        self._is_held = True
        self._is_closed = False
        self.start()

    def reveal(self) -> None:
        with self._changed:
            self._is_held = False
            self._changed.notify()

    def paint(self, painted: str) -> None:
        with self._changed:
            if self.is_resized:
                self.is_resized = False
                self._display.forget(*shutil.get_terminal_size())
            self._display.take(painted)
            self._changed.notify()

    def close(self) -> None:
        """Write the pending output, and wait for it for a few seconds at most."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self.join(_CLOSE_WITHIN_S)

    def run(self) -> None:
        stderr = sys.__stderr__
        assert stderr is not None
        while piece := self._next_bytes():
            data = piece.encode(stderr.encoding, stderr.errors or "strict")
            try:
                while data:
                    data = data[os.write(stderr.fileno(), data) :]
            except OSError:  # the terminal is gone; a signal informs the app
                return

    def _next_bytes(self) -> str:
        """Wait for output and return it; "" once the driver is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(self._has_output)
                held = self._is_held and not self._is_closed
                piece = self._display.controls() if held else self._display.next_chunk()
            if piece or self._is_closed:
                return piece

    def _has_output(self) -> bool:
        if self._is_held and not self._is_closed:
            return self._display.has_controls
        return self._display.is_pending or self._is_closed
