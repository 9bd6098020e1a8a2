"""Which process trains a run: enough to tell it from a later one with the same pid."""

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
    """Return what `owner.json` says of this process: pid, when it was started, and which boot."""
    import psutil

    return _identity(psutil.Process())


def read(path: Path) -> dict[str, Any]:
    """Return what an `owner.json` says; DamagedRecord or OSError where it cannot be read."""
    return parsed(read_text(path, most=_LARGEST))


def process_of(path: Path) -> psutil.Process | None:
    """Return the process that an `owner.json` names; None if it is gone, or another one by now."""
    import psutil

    with suppress(*_UNREADABLE, psutil.Error):
        owner = read(path)
        process = psutil.Process(owner["pid"])
        if _identity(process) == owner and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def is_stopped(process: psutil.Process) -> bool:
    """Return whether a signal (SIGSTOP, Ctrl-Z) holds the process until it is told to go on."""
    import psutil

    with suppress(psutil.Error):
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return False


def _identity(process: psutil.Process) -> dict[str, Any]:
    """A clock that is set moves the times that psutil computes, but neither of these on Linux."""
    import psutil

    with suppress(OSError):
        boot = _BOOT_ID.read_text().strip()
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        ticks = int(stat.rpartition(")")[2].split()[19])  # field 22: since boot
        return {"pid": process.pid, "started": ticks, "booted": boot}
    return {
        "pid": process.pid, "started": process.create_time(), "booted": psutil.boot_time(),
    }  # fmt: skip
