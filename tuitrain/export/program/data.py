"""How a program gets a task's data: `train_inputs`, `train_targets`, and the same for `val`.

Each text does with plain libraries what `tuitrain/engine/tasks` does, to the last bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.export.program.idx import Idx, cache, find
from tuitrain.export.program.part import TORCH, Part, quoted

_SPLIT = "from sklearn.model_selection import train_test_split"
_CIFAR_FOLDER = "cifar-10-batches-py"


class Source(NamedTuple):
    """A piece that gets data, the shape of one sample, and what a model returns for each."""

    part: Part
    shape: tuple[int, ...]
    outputs: int
    is_large: bool = False
    """The validation data are too many for one batch."""


def source(spec: RunSpec) -> Source:
    """Return how a program gets the data of a run; Refused if they are gone, or nobody knows."""
    match spec.task:
        case "digits":
            return Source(_of_sklearn(_DIGITS, "load_digits"), (1, 8, 8), 10)
        case "breast-cancer":
            return Source(_of_sklearn(_BREAST_CANCER, "load_breast_cancer"), (30,), 1)
        case "diabetes":
            return Source(_of_sklearn(_DIABETES, "load_diabetes"), (10,), 1)
        case "mnist" | "fashion-mnist" | "kmnist":
            return _of_idx(spec.task, find(spec.task, spec.data))
        case "cifar10":
            return Source(_of_cifar10(spec.data), (3, 32, 32), 10, is_large=True)
        case other:
            raise Refused(f"no program can be written for the data of {safe(other)}")


def _of_sklearn(text: str, loader: str) -> Part:
    return Part(text, (TORCH, f"from sklearn.datasets import {loader}", _SPLIT))


def _of_idx(task: str, files: Idx) -> Source:
    text = _READ_IDX.format(
        task=task, height=files.shape[1], width=files.shape[2], folder=quoted(str(files.folder)),
        content=_contents(files.zipped), images=files.train[0], labels=files.train[1],
    )  # fmt: skip
    imports = [TORCH, "import struct", "from pathlib import Path"]
    imports += ["import gzip"] if True in files.zipped else []
    if files.val:
        text += _VAL_IDX.format(images=files.val[0], labels=files.val[1])
    else:
        text += _NO_VAL_IDX
        imports.append(_SPLIT)
    return Source(Part(text + _NORMALISED, tuple(imports)), files.shape, 10, is_large=True)


def _contents(zipped: set[bool]) -> str:
    read = "(DATA / name).read_bytes()"
    if zipped == {False}:
        return read
    return f"gzip.decompress({read})" + (
        f' if name.endswith(".gz") else {read}' if len(zipped) > 1 else ""
    )


def _of_cifar10(data: str | None) -> Part:
    folder = Path(data) if data else cache() / "cifar10"
    root = folder.parent if folder.name == _CIFAR_FOLDER else folder
    if not (root / _CIFAR_FOLDER).is_dir():
        raise Refused(f"the data are not in {safe(root)} any more")
    text = _CIFAR10.format(folder=quoted(str(root))) + _NORMALISED
    return Part(text, (TORCH, "from torchvision.datasets import CIFAR10"))


_DIGITS = """\
# The data: 1,797 images of handwritten digits, a fifth of them for validation.
images, labels = load_digits(return_X_y=True)
parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
train_images, val_images, train_targets, val_targets = map(torch.from_numpy, parts)
mean, deviation = train_images.mean(), train_images.std()
train_inputs = ((train_images - mean) / deviation).float().reshape(-1, 1, 8, 8)
val_inputs = ((val_images - mean) / deviation).float().reshape(-1, 1, 8, 8)
"""

_TABLE = """\
mean, deviation = train_table.mean(axis=0), train_table.std(axis=0)
train_inputs = torch.from_numpy((train_table - mean) / deviation).float()
val_inputs = torch.from_numpy((val_table - mean) / deviation).float()
"""

_BREAST_CANCER = f"""\
# The data: 30 measurements of 569 tumours each, 30 % for validation; 1 is benign.
table, benign = load_breast_cancer(return_X_y=True)
train_table, val_table, train_benign, val_benign = train_test_split(
    table, benign, test_size=0.3, random_state=0, stratify=benign
)
{_TABLE}\
train_targets = torch.from_numpy(train_benign).float()
val_targets = torch.from_numpy(val_benign).float()
"""

_DIABETES = f"""\
# The data: 10 measurements of 442 patients each, a fifth for validation, and how far
# the disease went in a year, in standard deviations.
table, progress = load_diabetes(return_X_y=True)
train_table, val_table, train_progress, val_progress = train_test_split(
    table, progress, test_size=0.2, random_state=0
)
{_TABLE}\
middle, unit = train_progress.mean(), train_progress.std()
train_targets = torch.from_numpy((train_progress - middle) / unit).float()
val_targets = torch.from_numpy((val_progress - middle) / unit).float()
"""

_READ_IDX = """\
# The data: {task}, images of {height}x{width} pixels.
DATA = Path({folder})


def read_idx(name):
    \"\"\"Return the bytes in an IDX file, in the shape that its header tells.\"\"\"
    content = bytearray({content})
    axes = content[3]
    shape = struct.unpack_from(f">{{axes}}I", content, offset=4)
    data = torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * axes)
    return data.reshape(shape)


train_images = read_idx("{images}").unsqueeze(1)
train_targets = read_idx("{labels}").long()
"""

_VAL_IDX = """\
val_images = read_idx("{images}").unsqueeze(1)
val_targets = read_idx("{labels}").long()
"""

_NO_VAL_IDX = """\
train, val = train_test_split(
    range(len(train_targets)), test_size=0.2, random_state=0, stratify=train_targets
)
val_images, val_targets = train_images[val], train_targets[val]
train_images, train_targets = train_images[train], train_targets[train]
"""

_CIFAR10 = """\
# The data: 60,000 colour photographs, 10,000 of them for validation.
train_set, val_set = CIFAR10({folder}, train=True), CIFAR10({folder}, train=False)
train_images = torch.from_numpy(train_set.data.transpose(0, 3, 1, 2).copy())
val_images = torch.from_numpy(val_set.data.transpose(0, 3, 1, 2).copy())
train_targets, val_targets = torch.tensor(train_set.targets), torch.tensor(val_set.targets)
"""

_NORMALISED = """\
pixels = train_images.float()
mean = pixels.mean((0, 2, 3), keepdim=True)
deviation = pixels.std((0, 2, 3), keepdim=True).clamp(min=1e-6)
train_inputs, val_inputs = (pixels - mean) / deviation, (val_images.float() - mean) / deviation
"""
