"""A terminal without a screen: it runs a command, reads all that it paints, and notes when."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

COLUMNS, ROWS = 150, 44
_PERIOD_S = 0.05
"""Of a slow link: what comes through at once."""

_ASKS_FOR_SYNCHRONIZED_OUTPUT = b"\x1b[?2026$p"
_HAS_IT = b"\x1b[?2026;2$y"


class Terminal:
    """Run `command` in a pseudo terminal of 150x44, from `with` to the end of the block.

    Where it is at the other end of a slow link, `bytes_per_s` come through that.
    """

    def __init__(
        self, command: list[str], environment: dict[str, str], bytes_per_s: int | None = None
    ) -> None:
        self._command = command
        self._environment = environment
        self._bytes_per_s = bytes_per_s
        self._painted: list[tuple[float, bytes]] = []

    def __enter__(self) -> Terminal:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            self._command, stdin=theirs, stdout=theirs, stderr=theirs,
            env=self._environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._drain = threading.Thread(target=self._read_all, daemon=True)
        self._drain.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._drain.join(5)
        os.close(self._ours)

    def bytes_between(self, began: float, ended: float) -> int:
        """Return how many bytes came between two values of time.perf_counter()."""
        return sum(len(data) for at, data in list(self._painted) if began <= at < ended)

    def press(self, key: bytes, text: bytes) -> float:
        """Press a key, and return after how many seconds `text` was painted, waiting for it."""
        pressed, seen = time.perf_counter(), len(self._painted)
        os.write(self._ours, key)
        return self.began + self.first_s(text, seen=seen) - pressed

    def press_to_end(self, key: bytes) -> float:
        """Press a key, and return after how many seconds the command has ended."""
        pressed = time.perf_counter()
        os.write(self._ours, key)
        self.process.wait(30)
        return time.perf_counter() - pressed

    def first_s(self, text: bytes, patience_s: float = 30, *, seen: int = 0) -> float:
        """Return after how many seconds `text` was painted, waiting for it; b"": the first byte.

        The first `seen` pieces of what was painted are left out.
        """
        give_up_at = time.perf_counter() + patience_s
        while time.perf_counter() < give_up_at:
            painted = b""
            for at, data in self._painted[seen:]:
                painted += data
                if text in painted:
                    return at - self.began
            time.sleep(0.02)
        raise TimeoutError(f"{text!r} was never painted: {painted[-500:]!r}")

    def _read_all(self) -> None:
        most = 1 << 16 if self._bytes_per_s is None else int(self._bytes_per_s * _PERIOD_S)
        while True:
            try:
                data = os.read(self._ours, most)
            except OSError:  # how Linux says that the other end is closed
                return
            if not data:
                return
            self._painted.append((time.perf_counter(), data))
            if _ASKS_FOR_SYNCHRONIZED_OUTPUT in data:
                os.write(self._ours, _HAS_IT)
            if self._bytes_per_s is not None:
                time.sleep(len(data) / self._bytes_per_s)


def capture(command: list[str], environment: dict[str, str]) -> str:
    """Return the stdout of a command; what it says on stderr is read and shown if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def module(name: str) -> list[str]:
    """Return the command of a module of this folder, for a process of its own."""
    return [sys.executable, "-m", f"benchmarks.{name}"]


def tuitrain() -> str:
    """Return the path of the command as it is installed beside this Python."""
    return str(Path(sys.executable).with_name("tuitrain"))
