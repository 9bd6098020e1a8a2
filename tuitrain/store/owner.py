"""The process that trains a run, identified beyond its pid, which may be used again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuitrain.core.decode import parsed
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.files import read_text

if TYPE_CHECKING:
    import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, OverflowError, DamagedRecord)
_LARGEST = 1 << 16


def this_process() -> dict[str, Any]:
    """Return the entry for this process in `owner.json`: pid, start time and boot."""
    import psutil

    return _identity(psutil.Process())


def read(path: Path) -> dict[str, Any]:
    """Return the contents of an `owner.json`; DamagedRecord or OSError if it cannot be read."""
    return parsed(read_text(path, most=_LARGEST))


def process_of(path: Path) -> psutil.Process | None:
    """Return the process that an `owner.json` names; None if it ended or its pid was reused."""
    import psutil

    with suppress(*_UNREADABLE, psutil.Error):
        owner = read(path)
        process = psutil.Process(owner["pid"])
        if _identity(process) == owner and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def is_stopped(process: psutil.Process) -> bool:
    """Return whether a signal (SIGSTOP, Ctrl-Z) has suspended the process."""
    import psutil

    with suppress(psutil.Error):
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return False


def _identity(process: psutil.Process) -> dict[str, Any]:
    """Return pid, start time and boot of a process.

    Setting the clock changes the times that psutil computes, so Linux uses boot id and ticks.
    """
    import psutil

    with suppress(OSError):
        boot = _BOOT_ID.read_text().strip()
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        ticks = int(stat.rpartition(")")[2].split()[19])  # field 22: since boot
        return {"pid": process.pid, "started": ticks, "booted": boot}
    return {
        "pid": process.pid, "started": process.create_time(), "booted": psutil.boot_time(),
    }  # fmt: skip
