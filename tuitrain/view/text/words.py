"""Numbers as short text, of steady width where they change often."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from tuitrain.core.safe import safe

_LAST_DAY = 2.5e11


def count(number: int) -> str:
    """Return 1,234,567."""
    return f"{number:,}"


def value(number: float | None, digits: int = 4) -> str:
    """Return a loss or a metric with about `digits` significant digits; a dash for None."""
    if number is None:
        return "–"
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    size = abs(number)
    if size and not 1e-4 <= size < 1e5:
        return f"{number:.{digits - 2}e}"
    whole = len(str(int(size))) if size >= 1 else 0
    return f"{number:.{max(0, digits - max(1, whole) + (size < 1))}f}"


def with_unit(number: float | None, unit: str) -> str:
    """Return a metric with its unit, if it has one: 3.140 kg."""
    text = value(number)
    return text if number is None or not unit else f"{text} {safe(unit, limit=20)}"


def number(number: float) -> str:
    """Return a value of any series in at most four significant digits."""
    return f"{number:.4g}" if math.isfinite(number) else value(number)


def loss(text: str) -> str:
    """Return a loss in few cells: cross-entropy(0.1) for cross-entropy:label_smoothing=0.1."""
    name, _, given = text.partition(":")
    values = [part.partition("=")[2] for part in given.split(",") if part]
    return f"{name}({', '.join(values)})" if values else name


def schedule(text: str) -> str:
    """Return a schedule of the learning rate: cosine after epoch 4 for cosine@4."""
    name, _, begin = text.partition("@")
    return f"{name} after epoch {float(begin):.4g}" if begin not in ("", "0") else name


def rate(per_second: float | None) -> str:
    """Return 60/s, 1.2k/s, or for slow rates 3.5 s each; a dash for None."""
    if per_second is None or per_second <= 0:
        return "–"
    if per_second < 0.95:
        return f"{1 / per_second:.1f} s each"
    if per_second < 9.95:
        return f"{per_second:.1f}/s"
    return f"{per_second:.0f}/s" if per_second < 999.5 else f"{per_second / 1000:.1f}k/s"


def duration(seconds: float | None) -> str:
    """Return 0:07, 12:34, 3h05m or 2d04h; a dash for None."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    return f"{minutes}:{whole % 60:02}"


def microseconds(number: int) -> str:
    """Return 12 µs, 1.62 ms or 1.62 s."""
    if number < 1:
        return "<1 µs"
    if number < 1000:
        return f"{number} µs"
    return f"{number / 1000:.3g} ms" if number < 999_500 else f"{number / 1e6:.3g} s"


def _moment(at: float) -> datetime:
    """Return a moment in UTC; one out of range becomes the nearest in range."""
    return (
        datetime.fromtimestamp(min(max(at, 0), _LAST_DAY), UTC)
        if not math.isnan(at)
        else _moment(0)
    )


def clock(at: float) -> str:
    """Return the local time of day of a moment in seconds since the epoch."""
    return _moment(at).astimezone().strftime("%H:%M:%S")


def day(at: float) -> str:
    """Return the local day and time of a moment in seconds since the epoch."""
    return _moment(at).astimezone().strftime("%d %b %H:%M")


def utc(at: float) -> str:
    """Return a moment in seconds since the epoch as ISO 8601 in UTC."""
    return _moment(at).isoformat(timespec="milliseconds")


def remaining(done: int, total: int, *, per_second: float | None) -> float | None:
    """Return the seconds until `total` at that rate; None if it is unknown or nothing is left."""
    return (total - done) / per_second if per_second and done < total else None


def busy(seconds: float, where: str, *, is_validating: bool) -> str:
    """Return what a trainer has been at for so long, and the line that it is in."""
    place = f", in {safe(where)}" if where else ""
    if is_validating:
        return f"the validation has taken {duration(seconds)} so far{place}"
    return f"no batch has ended for {duration(seconds)}{place}"


def how_to_kill(pid: int) -> str:
    """Return the way to end a trainer that does not end by itself, and what that costs."""
    return f"kill -9 {pid} ends it at once, without the batches since its last checkpoint"
