"""Images in a terminal that speaks kitty's graphics protocol.

The terminal is sent an image once, with a number. Cells of text show its parts: a placeholder, its
row and column as combining characters, and the number as foreground colour (Unicode placeholders,
https://sw.kovidgoyal.net/kitty/graphics-protocol/). Such cells are painted over and moved as any
text. No library fits: textual-image reads the answer of the terminal from the input that Textual
reads, and writes past its driver.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping

from tuitrain.view.picture import Image

PICTURES = "TUITRAIN_PICTURES"
"""The variable that switches images off with the value `blocks`."""

_TERMS = ("xterm-kitty", "xterm-ghostty")
_PLACEHOLDER = "\U0010eeee"
_MARKS = "".join(map(chr, (
    0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D, 0x33E, 0x33F, 0x346, 0x34A, 0x34B, 0x34C, 0x350,
    0x351, 0x352, 0x357, 0x35B, *range(0x363, 0x370), *range(0x483, 0x488), *range(0x592, 0x596),
    *range(0x597, 0x59A), *range(0x59C, 0x5A2), 0x5A8, 0x5A9, 0x5AB, 0x5AC, 0x5AF, 0x5C4,
)))  # fmt: skip
"""The protocol's first combining characters, which stand for the numbers from 0."""


def shows_images(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal says that it knows placeholders.

    TERM is sent over SSH, too. tmux and screen pass no images on.
    """
    if environment.get(PICTURES) == "blocks" or "TMUX" in environment or "STY" in environment:
        return False
    if environment.get("TERM") in _TERMS:
        return True
    program = environment.get("TERM_PROGRAM")
    return program == "ghostty" or (program is None and "KITTY_WINDOW_ID" in environment)


class Images:
    """The images that the terminal holds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._held: set[int] = set()

    def hold(self, before: Mapping[Image, int], wanted: Iterable[Image]) -> dict[Image, int]:
        """Return a panel's wanted images with their numbers, in place of those it had before.

        An image that stays keeps its number. A new one takes the number of one that goes: at the
        same place its cells need not be sent again. One that is too large or too many has none.
        """
        shown = {image: 0 for image in wanted if max(image.columns, image.rows) < len(_MARKS)}
        numbers = {image: number for image, number in before.items() if image in shown}
        spare = [number for image, number in before.items() if image not in shown]
        spare += sorted(set(range(1, len(_MARKS))) - self._held)
        for image, number in zip((one for one in shown if one not in numbers), spare, strict=False):
            numbers[image] = number
            self._held.add(number)
            self._write(_transmission(image, number))
        for number in self._held.intersection(before.values()).difference(numbers.values()):
            self._delete(number)
        return numbers

    def clear(self) -> None:
        """Have the terminal hold none."""
        for number in sorted(self._held):
            self._delete(number)

    def _delete(self, number: int) -> None:
        self._held.discard(number)
        self._write(f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\")


def placeholder(number: int, column: int, row: int) -> str:
    """Return the cell that shows a part of an image.

    It carries the number as a third mark, because themes and dialogs change colours: `split` takes
    the cell apart where it is sent.
    """
    return _PLACEHOLDER + _MARKS[row] + _MARKS[column] + _MARKS[number]


def is_placeholder(cell: str) -> bool:
    """Return whether a cell shows a part of an image."""
    return cell.startswith(_PLACEHOLDER)


def split(cell: str) -> tuple[str, int] | None:
    """Return a placeholder as the protocol has it, and its number; None for any other cell."""
    if not is_placeholder(cell) or len(cell) != len(placeholder(0, 0, 0)):
        return None
    return cell[:-1], _MARKS.find(cell[-1])


def _transmission(image: Image, number: int) -> str:
    """Return the sequence that sends the pixels, compressed, to be fitted into the image's cells.

    Sixteen greys in at most 1,024 pixels: the text is shorter than the 4,096 bytes of a piece.
    """
    height = -(-len(image.digits) // image.width)
    greys = [17 * int(digit, 16) for digit in image.digits.ljust(image.width * height, "0")]
    pixels = base64.b64encode(zlib.compress(bytes(grey for grey in greys for _ in "rgb"), 9))
    return (
        f"\x1b_Ga=T,U=1,q=2,i={number},f=24,o=z,s={image.width},v={height},c={image.columns},"
        f"r={image.rows};{pixels.decode()}\x1b\\"
    )
