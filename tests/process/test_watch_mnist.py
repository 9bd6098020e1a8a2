"""The example on MNIST's files: watched or not, it prints the same, and reports what it reads."""

from pathlib import Path

import numpy as np

from tests.conftest import PROJECT, Shell


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in array.shape
    )
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_the_example_on_mnist_prints_the_same_under_watch(tuitrain: Shell, tmp_path: Path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in (("train", 128), ("t10k", 50)):
        labels = generator.integers(0, 10, count)
        images = generator.integers(0, 256, (count, 28, 28))
        images[np.arange(count), labels] = 255  # a row tells the digit
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels)
    script = [str(PROJECT / "examples" / "mnist.py"), str(tmp_path), "--epochs", "2"]

    alone = tuitrain.python(*script, folder=tmp_path)
    watched = tuitrain("watch", "--plain", "--name", "a", *script)

    assert watched.stdout == alone.stdout
    run = tuitrain.show("a")
    assert (run["state"], run["step"], run["epoch"], run["loss"]) == ("finished", 4, 2, "nll")
    assert f"loss {run['val_loss']:.4f}" in alone.stdout.splitlines()[-1]
