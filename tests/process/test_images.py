"""Folders of images through the command line: killed, resumed, replayed, forked and refused."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import Library, Shell, until
from tuitrain.connection.follower import Follower

EPOCHS, PER_EPOCH = 4, 5
OPTIONS = ("--image-size", "8", "--augment", "flip,crop", "--batch-size", "32", "--epochs",
           str(EPOCHS), "--seed", "1")  # fmt: skip


@pytest.fixture(scope="session")
def photos(library: Library) -> Path:
    """A folder of 200 images in ten classes, of digits that somebody wrote."""

    def draw(shell: Shell) -> None:
        images, labels = load_digits(return_X_y=True)
        for index in range(200):
            file = shell.home / "photos" / f"digit {labels[index]}" / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((images[index].reshape(8, 8) * 15).astype(np.uint8)).save(file)
        (shell.home / "photos" / "digit 0" / "damaged.png").write_text("no image")

    return library.take("photos of digits", draw) / "photos"


@pytest.fixture
def undisturbed(library: Library, photos: Path) -> str:
    """The weights of a run that nobody disturbed, with no other process to read images."""

    def train(shell: Shell) -> None:
        shell("run", str(photos), *OPTIONS, "--plain", "--name", "a")

    return Shell(library.take("undisturbed photos", train)).show("a")["weights_sha256"]


def test_a_run_on_images_is_killed_resumed_replayed_and_forked_to_the_same_weights(
    tuitrain: Shell, photos: Path, undisturbed: str
):
    tuitrain("run", str(photos), *OPTIONS, "--workers", "2", "--paused", "--detach", "--name", "a")
    until(lambda: tuitrain.show("a")["state"] == "paused", "it waits")
    tuitrain("ctl", "a", "step", str(PER_EPOCH + 2))
    tuitrain("ctl", "a", "pace", "2", "--wait")  # its end is seconds away
    tuitrain("ctl", "a", "resume")
    until(lambda: tuitrain.show("a")["step"] > PER_EPOCH + 2, "it goes on")
    os.kill(tuitrain.show("a")["pid"], signal.SIGKILL)
    assert tuitrain.ended("a")["state"] == "crashed"
    tuitrain("resume", "a", "--plain")
    assert tuitrain.show("a")["weights_sha256"] == undisturbed

    assert "the same weights as a" in tuitrain("replay", "a", "--plain").stdout
    tuitrain("fork", "a", "--epoch", "0", "--plain", "--name", "b")
    assert tuitrain.show("b")["weights_sha256"] == undisturbed


def test_a_run_says_what_it_found_and_goes_on_with_the_same_images_only(
    threaded: Shell, photos: Path, tmp_path: Path
):
    tuitrain = threaded
    mine = shutil.copytree(photos, tmp_path / "mine")
    tuitrain("run", f"{mine}/", *OPTIONS, "--plain", "--name", "a")
    shown = tuitrain.show("a")
    started = Follower(tuitrain.client("a")).look().started
    assert started is not None
    notes = started.card.notes

    assert shown["problem"]["classes"][:2] == ["digit 0", "digit 1"]
    assert shown["problem"]["input_shape"] == [1, 8, 8]
    assert notes[0].startswith("200 images of 10 classes: digit 0 ")
    assert "1 left out: digit 0/damaged.png (it is no image)" in notes
    said = tuitrain("export", "a", "--format", "script", code=3).stderr
    assert "a program has only what is built in, and mine is your own" in said

    predicted = tuitrain("predict", "a", f"{mine}/digit 1").stdout.splitlines()
    assert predicted[0].startswith("sample,prediction,p(digit 0),")
    assert len(predicted) == 1 + len(list((mine / "digit 1").iterdir()))
    files = map(str, sorted((mine / "digit 1").iterdir()))  # as a shell expands *.png
    assert tuitrain("predict", "a", *files).stdout.splitlines() == predicted
    validated = tuitrain("predict", "a").stdout.splitlines()[1:]
    assert all(line.split("/")[0] == line.split(",")[1] for line in validated)

    (mine / "digit 0" / "damaged.png").unlink()
    said = tuitrain("resume", "a", "--epochs", "9", "--plain", code=3).stderr
    assert "mine/ are not those with which the run began" in said
    assert len(said.splitlines()) == 1


def test_a_finished_run_that_cannot_go_on_is_left_finished(
    threaded: Shell, photos: Path, tmp_path: Path
):
    tuitrain = threaded
    mine = shutil.copytree(photos, tmp_path / "mine")
    tuitrain("run", f"{mine}/", *OPTIONS, "--plain", "--name", "a")
    before = tuitrain.show("a")

    (mine / "digit 0" / "damaged.png").unlink()
    said = tuitrain("resume", "a", "--epochs", "9", "--plain", code=3).stderr
    assert said.startswith("tuitrain: cannot go on: the images in")
    left = tuitrain.show("a")
    assert (left["state"], left["error"]) == ("finished", said.split("; see ")[0][10:])
    assert left["weights_sha256"] == before["weights_sha256"]
    assert "tuitrain resume a --epochs 8" in tuitrain("resume", "a", code=3).stderr

    (mine / "digit 0" / "damaged.png").write_text("no image")
    tuitrain("resume", "a", "--epochs", "5", "--plain")
    after = tuitrain.show("a")
    assert (after["state"], after["error"], after["epoch"]) == ("finished", None, 5), "not 9"


def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing_behind(
    threaded: Shell, photos: Path, tmp_path: Path
):
    tuitrain = threaded
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, code, sentence in (
        ((f"{empty}/",), 2, "has no images: it takes CLASS/IMAGE.png"),
        ((f"{photos}/digit 0/",), 2, "has images, but no folders of classes"),
        ((f"{tmp_path}/none/",), 2, "there is no folder"),
        ((f"{photos}/", "--class-weights", "1,2"), 2, "1,2 has 2 of the 10 that the classes need"),
        (("diabetes", "--class-weights", "balanced"), 3, "this task is regression"),
        (("digits", "--image-size", "8"), 2, "--image-size is for a folder of images"),
        ((f"{photos}/", "--image-size", "2", "--model", "cnn"), 3, "use fewer channels"),
    ):
        said = tuitrain("run", *arguments, "--plain", code=code).stderr
        assert sentence in said
        assert len(said.splitlines()) == 1
    assert tuitrain("ls", "--json").stdout == "[]\n"
