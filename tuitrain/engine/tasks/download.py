"""Files from the net: over https, with a digest to check, a time-out and progress."""

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

Tell = Callable[[str, int, int], None]
"""Takes what is done, and how many bytes of how many; what it raises ends the download."""

_TIMEOUT_S = 20.0
_CHUNK = 1 << 16


class CannotDownload(TuitrainError):
    """A file did not come, or not as it should be; nothing is left of it."""


def ignore_progress(_stage: str, _done: int, _total: int) -> None:
    """Nobody wants to know."""


def has_digest(path: Path, md5: str) -> bool:
    """Return whether the file is there, with that digest."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest() == md5


def fetch(
    url: str, target: Path, *, md5: str, tell: Tell = ignore_progress, timeout_s: float = _TIMEOUT_S
) -> None:
    """Put the file at `url` at `target`, unless it is there already; whole, or not at all.

    A cut or stalled connection, or another digest, raises CannotDownload.
    """
    if has_digest(target, md5):
        return
    stage = f"{DOWNLOADING} {target.name}"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    tell(stage, 0, 0)
    try:
        with atomic(target) as file:
            found = _copy(url, file, lambda *bytes_: tell(stage, *bytes_), timeout_s)
            if found != md5:
                raise CannotDownload(f"{safe(url)} is not what it was: its digest differs")
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise CannotDownload(f"cannot download {safe(url)}: {safe(reason)}") from None


class _StayOnHttps(HTTPRedirectHandler):
    """Follows a redirection of an https address to another such one only."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise URLError("it was redirected to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _copy(url: str, file: IO[bytes], tell: Callable[[int, int], None], timeout_s: float) -> str:
    digest, done = _md5(), 0
    answer = build_opener(_StayOnHttps).open(url, timeout=timeout_s)
    with closing(answer):
        total = int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            tell(done, total)
    if done < total:
        raise CannotDownload(f"the connection to {safe(url)} was cut after {done} of {total} bytes")
    return digest.hexdigest()


def _md5() -> hashlib._Hash:
    """Return the digest that torchvision pins its files with; it tells damage, not malice."""
    return hashlib.md5(usedforsecurity=False)
