"""A task of a folder of images: `tuitrain run photos/`.

Small sets are read once and lie on the device as bytes; larger ones are read as they are needed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.own import title_of
from tuitrain.core.problem import Card
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.engine.data import Dataset, Samples, Source
from tuitrain.engine.streaming import Augment, Streamed
from tuitrain.engine.tasks.download import Report, ignore_progress
from tuitrain.engine.tasks.image_files import ImageFile, images_at
from tuitrain.engine.tasks.normalised import Normalised, spread
from tuitrain.engine.tasks.opened import Names, NewData, OpenedTask
from tuitrain.engine.tasks.pixels import DamagedImage, LabelledFiles, read_header
from tuitrain.engine.tasks.python import split_indices
from tuitrain.engine.tasks.read_images import Images, pixels_of, read_images, some

_SIZE, _EPOCHS, _VAL_SHARE = 64, 20, 0.2
_MOST_HELD = 256 << 20
"""Bytes of pixels that are read once and held; more are read again in each epoch."""
_LOOKED_AT = 1000
"""Training images that decide the mean and deviation where not all are held."""
_MOST_WORKERS = 4
_LEAST_OF_CNN = 4
"""Pixels that the default convolutional network can halve twice."""
_MOST_CLASSES_NAMED = 20


def open_folder(
    spec: RunSpec, report: Report = ignore_progress, *, most_held: int = _MOST_HELD
) -> OpenedTask:
    """Return the task of a folder of images; `report` hears how many are read.

    Raises WrongUse for a folder that is none of images in folders of classes, Refused if it has
    changed since the run began.
    """
    images = read_images(Path(spec.task), spec.image_size or _SIZE, report, most_held)
    if spec.data_sha256 not in (None, images.sha256):
        raise Refused(
            f"the images in {safe(spec.task)} are not those with which the run began, and it goes "
            "on with the same ones only; tuitrain run begins a new run"
        )
    classes = _classes(images, spec.task)
    train, val = _split(images.files, classes)
    workers = _workers(spec, is_held=images.pixels is not None)
    data = _dataset(images, (train, val), classes, _augment(spec, images.size), workers)
    return OpenedTask(
        data,
        Card(notes=_notes(images, train, val), origin=spec.task),
        {
            "model": "cnn" if images.size >= _LEAST_OF_CNN else "mlp",
            "epochs": _EPOCHS,
            "data_sha256": images.sha256,
        },
        libraries=("pillow", *["torchvision"] * bool(spec.augment)),
        read_new=lambda paths: _read_new(paths, images.size, images.channels, data),
        val_names=lambda: _named(images, val, spec.task),
    )


def _read_new(given: Sequence[Path], size: int, channels: int, data: Dataset) -> NewData:
    """Return the images at paths, read as those of the task; folders of classes give targets.

    They are named from the folder that all have in common. Raises WrongUse for an image that cannot
    be read.
    """
    assert isinstance(data.train, Normalised)
    paths = [file for path in given for file in images_at(path)]
    try:
        for file in paths:
            read_header(file)
    except DamagedImage as error:
        raise WrongUse(str(error)) from None
    root = os.path.commonpath([path if path.is_dir() else path.parent for path in given])
    names = [file.relative_to(root) for file in paths]
    folders = [safe(name.parts[0]) for name in names if len(name.parts) > 1]
    strange = sorted(set(folders) - set(data.classes))
    has_targets = len(folders) == len(names) and not strange
    targets = list(map(data.classes.index, folders)) if has_targets else [0] * len(names)
    files = LabelledFiles(paths, torch.tensor(targets), size, channels)
    source = Normalised(Streamed(files), data.train.mean, data.train.deviation)
    notes = [f"no targets are shown, since training never saw: {some(strange)}"]
    is_doubtful = bool(strange) and len(strange) < len(set(folders))
    named = Names(("sample",), [(str(name),) for name in names])
    return NewData(named, source, has_targets, notes * is_doubtful)


def _named(images: Images, part: Sequence[int], task: str) -> Names:
    """Return the paths of images in the folder of the task."""
    paths = [images.files[index].path.relative_to(task) for index in part]
    return Names(("sample",), [(str(path),) for path in paths])


def _classes(images: Images, task: str) -> list[str]:
    """Return the names of the classes, in order; WrongUse if there is nothing to tell apart."""
    names = sorted({file.label for file in images.files if file.part != "val"})
    where = safe(title_of(task))
    if not names:
        raise WrongUse(f"no image in {where} can be read{_because(images.notes)}")
    if len(names) == 1:
        raise WrongUse(
            f"{where} has images of one class only, {safe(names[0])}; it takes two or more"
        )
    return names


def _because(notes: Sequence[str]) -> str:
    return f": {notes[-1]}" if notes else ""


def _split(files: Sequence[ImageFile], classes: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the indices of the files for training and for validation.

    Without a folder for validation, it is a fifth of each class, always the same; a class of one
    image is only trained on.
    """
    known = set(classes)
    train = [index for index, file in enumerate(files) if file.part != "val"]
    val = [index for index, file in enumerate(files) if file.part == "val" and file.label in known]
    if any(file.part == "val" for file in files):
        if not val:
            raise WrongUse("the folder for validation has no image of a class that is trained")
        return train, val
    counts = Counter(files[index].label for index in train)
    divisible = [index for index in train if counts[files[index].label] > 1]
    if not divisible:
        raise WrongUse("each class has one image only, and none can be held out for validation")
    _, chosen = split_indices(
        len(divisible), _VAL_SHARE, [files[index].label for index in divisible]
    )
    held_out = {divisible[position] for position in chosen.tolist()}
    return [index for index in train if index not in held_out], sorted(held_out)


def _workers(spec: RunSpec, *, is_held: bool) -> int:
    if spec.workers is not None:
        return spec.workers
    return 0 if is_held else min(_MOST_WORKERS, os.cpu_count() or 1)


def _augment(spec: RunSpec, size: int) -> Augment | None:
    if not spec.augment:
        return None
    from tuitrain.engine.tasks.augment import augmentation  # torchvision takes a second to import

    return augmentation(spec.augment, size)


def _dataset(
    images: Images, parts: tuple[list[int], list[int]], classes: Sequence[str],
    augment: Augment | None, workers: int,
) -> Dataset:  # fmt: skip
    """Return the images of both parts, normalised by the mean of those that are trained."""
    index_of = {name: index for index, name in enumerate(classes)}
    sources: list[Source] = []
    for part, changes in zip(parts, (augment, None), strict=True):
        targets = torch.tensor([index_of[images.files[index].label] for index in part])
        sources.append(_source(images, part, targets, changes, workers))
    mean, deviation = spread(pixels_of(images, parts[0], most=_LOOKED_AT))
    train, val = (Normalised(source, mean, deviation) for source in sources)
    names = tuple(map(safe, classes))
    return Dataset("multiclass", train, val, len(names), classes=names)


def _source(
    images: Images, part: list[int], targets: Tensor, augment: Augment | None, workers: int
) -> Source:
    if images.pixels is None:
        paths = [images.files[index].path for index in part]
        files = LabelledFiles(paths, targets, images.size, images.channels)
        return Streamed(files, workers, augment)
    pixels = images.pixels[part]
    if augment is None:
        return Samples(pixels, targets)
    return Streamed(TensorDataset(pixels, targets), workers, augment)


def _notes(images: Images, train: Sequence[int], val: Sequence[int]) -> tuple[str, ...]:
    """Return what is to be known of the images, a line each."""
    files, count = images.files, len(train) + len(val)
    counts = Counter(files[index].label for index in (*train, *val))
    trained, validated = (Counter(files[index].label for index in part) for part in (train, val))
    named = ", ".join(f"{safe(name)} {counts[name]}" for name in sorted(trained))
    has_parts = any(file.part == "val" for file in files)
    split = "as the folders are" if has_parts else "a fifth of each class, always the same"
    channels = "grey" if images.channels == 1 else "in colour"
    where = "held in memory" if images.pixels is not None else "read as they are needed"
    notes = [
        f"{count:,} images of {len(trained)} classes"
        + (f": {named}" if len(trained) <= _MOST_CLASSES_NAMED else ""),
        f"{len(train):,} to train, {len(val):,} to validate: {split}",
        f"cut to squares of {images.size}x{images.size} pixels, {channels}, {where}",
        *images.notes,
    ]
    unseen = [safe(name) for name in sorted(trained) if not validated[name]]
    if unseen:
        notes.append(f"no image to validate of {some(unseen)}")
    strange = sorted({safe(file.label) for file in files if file.label not in trained})
    if strange:
        notes.append(f"not used, since nothing is trained of it: {some(strange)}")
    return tuple(notes)
