"""The one door for text that we did not write: names, paths, reasons, errors, printed lines."""

from __future__ import annotations

import unicodedata

_LONGEST = 500


def safe(text: object, *, limit: int = _LONGEST) -> str:
    """Return one line that no terminal obeys and no reader is misled by, `limit` long at most.

    C0 controls become their Unicode pictures, so that a reader sees that they were there;
    C1 controls, bidirectional and zero-width characters and lone surrogates become U+FFFD.
    """
    line = "".join(map(_shown, str(text)[: limit + 1]))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    # Cc: C1 controls; Cf: bidirectional, zero-width; Cs: surrogates; Zl, Zp: line separators
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "\ufffd"
    return character
