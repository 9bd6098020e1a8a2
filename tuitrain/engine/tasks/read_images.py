"""The images of a folder, read by as many threads as there are processors."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from tuitrain.core.safe import safe
from tuitrain.engine.tasks.download import Report, ignore_progress
from tuitrain.engine.tasks.image_files import ImageFile, find_images
from tuitrain.engine.tasks.pixels import DamagedImage, ImageHeader, read_header, read_pixels

_NAMED = 3
_Read = TypeVar("_Read")


class Images(NamedTuple):
    """The readable images of a folder."""

    files: list[ImageFile]
    pixels: Tensor | None
    """(N, C, S, S) uint8, in the order of the files; None if they are not held."""
    size: int
    channels: int
    notes: list[str]
    sha256: str
    """Of the names and sizes of all files."""


def read_images(root: Path, size: int, report: Report, most_held: int) -> Images:
    """Find the images and read them, as far as they are held; unreadable ones are left out."""
    listed = find_images(root)
    headers = read_one_by_one(
        read_header, [file.path for file in listed.files], "looking at images", report
    )
    files, known, damaged = _readable(listed.files, headers)
    channels = 1 if all(header.is_grey for header in known) else 3
    pixels = None
    if len(files) * channels * size * size <= most_held:
        paths = [file.path for file in files]
        decoded = read_one_by_one(
            lambda path: read_pixels(path, size, channels), paths, "reading images", report
        )
        files, rows, more = _readable(files, decoded)
        damaged += more
        pixels = torch.stack(rows) if rows else None
    notes = listed.notes + _omitted(damaged, root)
    return Images(files, pixels, size, channels, notes, _digest(root, listed.files, headers))


def read_one_by_one(
    read: Callable[[Path], _Read], paths: Sequence[Path], stage: str, report: Report
) -> list[_Read | DamagedImage]:
    """Return what `read` returns of each file or raises, read by as many threads as processors."""

    def attempt(path: Path) -> _Read | DamagedImage:
        try:
            return read(path)
        except DamagedImage as error:
            return error

    pool, results = ThreadPoolExecutor(os.cpu_count()), []
    try:
        for done, result in enumerate(pool.map(attempt, paths), start=1):
            results.append(result)
            report(stage, done, len(paths))
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def _readable(
    files: Sequence[ImageFile], results: Sequence[_Read | DamagedImage]
) -> tuple[list[ImageFile], list[_Read], list[tuple[Path, str]]]:
    """Return the files that could be read, what was read of them, and the others with reasons."""
    pairs = list(zip(files, results, strict=True))
    return (
        [file for file, result in pairs if not isinstance(result, DamagedImage)],
        [result for _, result in pairs if not isinstance(result, DamagedImage)],
        [(file.path, result.reason) for file, result in pairs if isinstance(result, DamagedImage)],
    )


def _digest(
    root: Path, files: Iterable[ImageFile], headers: Iterable[ImageHeader | DamagedImage]
) -> str:
    digest = hashlib.sha256()
    for file, header in zip(files, headers, strict=True):
        size = -1 if isinstance(header, DamagedImage) else header.bytes
        digest.update(os.fsencode(file.path.relative_to(root)) + f"\0{size}\n".encode())
    return digest.hexdigest()


def pixels_of(images: Images, part: Sequence[int], *, most: int) -> Tensor:
    """Return the pixels of these images; at most about that many of them if they are not held."""
    if images.pixels is not None:
        return images.pixels[part]
    paths = [images.files[index].path for index in part[:: -(-len(part) // most)]]
    size, channels = images.size, images.channels
    results = read_one_by_one(
        lambda path: read_pixels(path, size, channels), paths, "", ignore_progress
    )
    read = [pixels for pixels in results if isinstance(pixels, Tensor)]
    if not read:
        raise next(error for error in results if isinstance(error, DamagedImage))
    return torch.stack(read)


def _omitted(damaged: Sequence[tuple[Path, str]], root: Path) -> list[str]:
    if not damaged:
        return []
    names = [f"{safe(path.relative_to(root))} ({reason})" for path, reason in damaged]
    return [f"{len(damaged):,} left out: {some(names)}"]


def some(names: Sequence[str]) -> str:
    """Return the first of the names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
