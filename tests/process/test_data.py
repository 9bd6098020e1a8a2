"""Tasks that are downloaded or read from a folder, through the real command line."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Shell
from tests.unit.engine.test_images import PIXELS, written


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """No test here needs a trainer in a process of its own."""
    return threaded


def squares(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images that are easy to classify: a bright square at a different place for each class."""
    labels = np.arange(count, dtype=np.uint8) % 10
    pixels = np.zeros((count, 28, 28), np.uint8)
    for at, label in enumerate(labels):
        row, column = divmod(int(label), 4)
        pixels[at, 8 * row : 8 * row + 6, 7 * column : 7 * column + 6] = 200 + at % 40
    return pixels, labels


def test_a_set_is_read_from_a_folder_and_learned(tuitrain: Shell, tmp_path: Path):
    written(tmp_path / "MNIST/raw", train=squares(400), t10k=squares(100))
    tuitrain(
        "run", "mnist", "--data", str(tmp_path), "--epochs", "2", "--batch-size", "20",
        "--plain", "--name", "a",
    )  # fmt: skip

    assert tuitrain.show("a")["metrics"]["accuracy"] == 1.0


def test_data_that_are_not_as_they_should_be_are_one_sentence(tuitrain: Shell, tmp_path: Path):
    data = str(written(tmp_path / "damaged", train=(np.zeros_like(PIXELS), squares(80)[1])))
    damaged = tuitrain("run", "mnist", "--data", data, "--plain", "--name", "d", code=1)
    assert "all its pixels are the same" in damaged.stderr
    assert len(damaged.stderr.splitlines()) == 1

    nowhere = tuitrain("run", "mnist", "--data", str(tmp_path / "no"), "--plain", code=2)
    assert "there is no folder" in nowhere.stderr
    (tmp_path / "empty").mkdir()
    empty = tuitrain("run", "mnist", "--data", str(tmp_path / "empty"), "--plain", code=2)
    assert "has no train-images-idx3-ubyte" in empty.stderr
    tuitrain("run", "digits", "--data", str(tmp_path), "--plain", code=2)
    assert [path.name for path in (tuitrain.home / "runs").iterdir()] == ["d"]


def test_no_network_is_one_sentence_and_leaves_nothing_in_the_cache(
    tuitrain: Shell, tmp_path: Path
):
    tuitrain.env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "https_proxy": "127.0.0.1:9"}
    failed = tuitrain("run", "mnist", "--plain", "--name", "a", code=1)

    assert "cannot download" in failed.stderr
    assert "--data DIR" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert tuitrain.show("a")["state"] == "failed"
    assert "CannotDownload" in tuitrain("logs", "a").stdout, "with the traceback"
