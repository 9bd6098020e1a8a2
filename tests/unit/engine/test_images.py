"""Sets of images from folders: small IDX files, whole and damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from tuitrain.catalog import TASKS
from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.engine.tasks import dataset, images
from tuitrain.engine.tasks.download import ignore_progress
from tuitrain.engine.tasks.images import DamagedData

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (80, 28, 28), np.uint8)
LABELS = np.arange(80, dtype=np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def written(folder: Path, *, zipped: bool = False, **parts: tuple) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, (pixels, labels) in (parts or {"train": (PIXELS, LABELS)}).items():
        for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            content = idx(array)
            path = folder / f"{part}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return folder


@pytest.mark.parametrize("inside", ["MNIST/raw", "raw", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_set_is_found_where_people_have_it(tmp_path: Path, inside: str, zipped: bool):
    written(
        tmp_path / inside, zipped=zipped, train=(PIXELS[:30], LABELS[:30]),
        t10k=(PIXELS[30:], LABELS[30:]),
    )  # fmt: skip

    data = dataset.load("mnist", str(tmp_path))

    assert data.train.inputs.shape == (30, 1, 28, 28)
    assert data.val.targets.tolist() == LABELS[30:].tolist()
    assert abs(float(data.train.inputs.mean())) < 1e-4
    assert float(data.train.inputs.std()) == pytest.approx(1, abs=1e-3)


def test_a_set_without_a_second_part_is_split_for_good(tmp_path: Path):
    written(tmp_path)

    one, other = (dataset.load("kmnist", str(tmp_path)) for _ in range(2))

    assert (len(one.train), len(one.val)) == (64, 16)
    assert one.val.inputs.equal(other.val.inputs)


@pytest.mark.parametrize(
    ("pixels", "labels", "description"),
    [
        (np.zeros_like(PIXELS), LABELS, "all its pixels are the same"),
        (PIXELS, LABELS[:-1], "79 labels for 80 images"),
        (PIXELS, LABELS + 1, "it has the class 10"),
        (PIXELS[:0], LABELS[:0], "no images"),
    ],
)
def test_what_torchvision_takes_for_whole_is_found_out(tmp_path: Path, pixels, labels, description):
    with pytest.raises(DamagedData, match=description):
        dataset.load("mnist", str(written(tmp_path, train=(pixels, labels))))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_cut_file_is_named(tmp_path: Path, zipped: bool, kept: int):
    written(tmp_path, zipped=zipped)
    path = tmp_path / f"train-images-idx3-ubyte{'.gz' if zipped else ''}"
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(DamagedData, match=path.name):
        dataset.load("mnist", str(tmp_path))


def test_an_empty_folder_says_what_it_lacks(tmp_path: Path):
    with pytest.raises(WrongUse, match="has no train-images-idx3-ubyte"):
        dataset.load("fashion-mnist", str(tmp_path))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(PIXELS))
    with pytest.raises(WrongUse, match="has no train-labels-idx1-ubyte"):
        dataset.load("fashion-mnist", str(tmp_path))
    with pytest.raises(TuitrainError, match="cifar-10-batches-py"):
        dataset.load("cifar10", str(tmp_path))


def test_a_whole_set_of_other_counts_is_not_the_downloaded_one(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(images.ORIGINS, "mnist", images.ORIGINS["mnist"]._replace(resources=()))
    written(tmp_path / "mnist", train=(PIXELS, LABELS), t10k=(PIXELS, LABELS))

    with pytest.raises(DamagedData, match="other numbers of samples"):
        images.load(TASKS["mnist"], None, ignore_progress, cache=tmp_path)
