"""A terminal as a person has it: a pty of its own, that can be closed, stopped and left unread."""

import math
import os
import pty
import signal
import sys
import termios
import time
from collections.abc import Iterator, Sequence

import pyte
import pytest

from tests.conftest import Shell, until

TUITRAIN = (sys.executable, "-m", "tuitrain")
_TURN_S = 0.1
"""A slow link brings no more at a time than in this time, however long nobody looked."""


class Terminal:
    """A program in a pseudo-terminal, and what a person would see there."""

    def __init__(
        self, shell: Shell, *arguments: str, size: tuple[int, int] = (100, 30),
        bytes_per_s: float = math.inf, program: Sequence[str] = TUITRAIN, **env: str,
    ) -> None:  # fmt: skip
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._bytes_per_s, self._read_at = bytes_per_s, time.monotonic()
        self.status: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (size[1], size[0]))
            usual = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            env = {**usual, **shell.env, "TERM": env.get("TERM", usual["TERM"])}
            os.execvpe(program[0], [*program, *arguments], env)
        os.set_blocking(self._fd, False)

    @property
    def descriptor(self) -> int:
        """Our end of the terminal."""
        return self._fd

    def text(self) -> str:
        """Return the screen as it is now."""
        try:
            while data := os.read(self._fd, self._room()):
                self.raw += data
                for unknown in (b"\x1b[?2026h", b"\x1b[?2026l", b"\x1b[>1u", b"\x1b[<u"):
                    data = data.replace(unknown, b"")
                self._stream.feed(data)
        except (BlockingIOError, OSError):
            pass
        return "\n".join(self.screen.display)

    def _room(self) -> int:
        """Return how many bytes the link has brought since the last look."""
        since_s = time.monotonic() - self._read_at
        room = int(min(65536, self._bytes_per_s * min(since_s, _TURN_S)))
        if room:
            self._read_at += since_s
        return room

    def expect(self, text: str) -> None:
        until(lambda: text in self.text(), f"{text!r} is on the screen", self.text)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def hang_up(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def has_ended(self) -> bool:
        if self._fd >= 0:
            self.text()  # a program that writes can only end if somebody reads
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                if self._fd >= 0:
                    self.text()  # what it wrote between the last look and its end
        return self.status is not None

    def kill(self) -> None:
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.kill()


def opened(terminals: list[Terminal], tuitrain: Shell, *arguments: str, **how) -> Terminal:
    terminals.append(Terminal(tuitrain, *arguments, **how))
    return terminals[-1]
