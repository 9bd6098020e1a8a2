"""Download files over https, with a digest check, a time-out and progress."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import DOWNLOADING
from tuitrain.core.files import atomic
from tuitrain.core.safe import safe

Report = Callable[[str, int, int], None]
"""Receives the stage, the bytes so far and the total bytes (0: unknown). An exception from it ends
the download."""

_TIMEOUT_S = 20.0
_CHUNK = 1 << 16


class CannotDownload(TuitrainError):
    """A file could not be downloaded, or has another digest; nothing of it is kept."""


def ignore_progress(_stage: str, _done: int, _total: int) -> None:
    """Ignore progress."""


def has_digest(path: Path, md5: str) -> bool:
    """Return whether the file exists and has that digest."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest() == md5


def fetch(
    url: str,
    target: Path,
    *,
    md5: str,
    report: Report = ignore_progress,
    timeout_s: float = _TIMEOUT_S,
) -> None:
    """Download the file at `url` to `target`, completely or not at all, unless it is there already.

    Raises CannotDownload for a cut or stalled connection, and for another digest.
    """
    if has_digest(target, md5):
        return
    stage = f"{DOWNLOADING} {target.name}"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    report(stage, 0, 0)
    try:
        with atomic(target) as file:
            digest = _copy(url, file, lambda *bytes_: report(stage, *bytes_), timeout_s)
            if digest != md5:
                raise CannotDownload(f"{safe(url)} is not the expected file: its digest differs")
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise CannotDownload(f"cannot download {safe(url)}: {safe(reason)}") from None


class _StayOnHttps(HTTPRedirectHandler):
    """Rejects a redirection from https to an address without it."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise URLError("it was redirected to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _copy(url: str, file: IO[bytes], report: Callable[[int, int], None], timeout_s: float) -> str:
    """Write what is at `url` to the file and return its md5 digest."""
    digest, done = _md5(), 0
    response = build_opener(_StayOnHttps).open(url, timeout=timeout_s)
    with closing(response):
        total = int(response.headers.get("Content-Length") or 0)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            report(done, total)
    if done < total:
        raise CannotDownload(f"the connection to {safe(url)} was cut after {done} of {total} bytes")
    return digest.hexdigest()


def _md5() -> hashlib._Hash:
    """Return a new md5, torchvision's digest of its files; it detects damage, not malice."""
    return hashlib.md5(usedforsecurity=False)
