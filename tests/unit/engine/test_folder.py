"""Folders of images: what is found, what is read, and that random changes repeat."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tuitrain import catalog
from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.engine.build import build
from tuitrain.engine.data import generator_of
from tuitrain.engine.tasks.augment import augmentation
from tuitrain.engine.tasks.folder import open_folder
from tuitrain.engine.tasks.image_files import find_images
from tuitrain.engine.tasks.normalised import spread
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.tasks.pixels import DamagedImage, read_pixels

SIZE = 8


def picture(path: Path, colour=(200, 100, 50), size=(10, 10), mode="RGB", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def folder(root: Path, classes: Mapping[str, int]) -> Path:
    """Fill a folder with random images of 10x10 pixels, so many of each class."""
    numbers = np.random.default_rng(0)
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = numbers.integers(0, 256, (10, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def opened(root: Path, most_held: int = 1 << 30, **options) -> OpenedTask:
    spec = catalog.new_spec(f"{root}/", image_size=SIZE, **options)
    return open_folder(spec, most_held=most_held)


def targets(source) -> list[int]:
    return torch.cat([targets for _, targets in source.batches(4)]).tolist()


def pixels(source) -> torch.Tensor:
    return torch.cat([inputs for inputs, _ in source.batches(4)])


def test_classes_are_the_folders_and_a_fifth_of_each_is_held_out(tmp_path):
    task = opened(folder(tmp_path / "photos", {"owl": 20, "cat": 10, "dog": 5}))

    data = task.data
    assert (data.kind, data.classes, data.outputs) == ("multiclass", ("cat", "dog", "owl"), 3)
    assert data.input_shape == (3, SIZE, SIZE)
    assert Counter(targets(data.val)) == {0: 2, 1: 1, 2: 4}
    assert Counter(targets(data.train)) == {0: 8, 1: 4, 2: 16}
    assert task.card.notes[:2] == (
        "35 images of 3 classes: cat 10, dog 5, owl 20",
        "28 to train, 7 to validate: a fifth of each class, always the same",
    )
    assert (task.defaults["model"], task.defaults["epochs"]) == ("cnn", 20)


@given(counts=st.lists(st.integers(0, 12), min_size=2, max_size=5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_image_is_in_one_part_and_every_class_is_trained(tmp_path_factory, counts):
    root = folder(tmp_path_factory.mktemp("photos"), {f"c{i}": n for i, n in enumerate(counts)})
    images = [n for n in counts if n]
    if len(images) < 2 or max(images) < 2:
        with pytest.raises(WrongUse):
            opened(root)
        return
    data = opened(root).data
    trained, validated = Counter(targets(data.train)), Counter(targets(data.val))
    assert [trained[i] + validated[i] for i in range(len(images))] == images
    assert all(trained[i] for i in range(len(images)))
    assert all(bool(validated[i]) == (n > 1) for i, n in enumerate(images))


def test_training_images_have_a_mean_of_0_and_a_deviation_of_1(tmp_path):
    found = pixels(opened(folder(tmp_path, {"cat": 20, "dog": 20})).data.train)
    assert found.dtype is torch.float32
    assert found.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert found.std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


@given(values=st.lists(st.integers(0, 255), min_size=4, max_size=64))
def test_mean_and_deviation_are_those_of_the_pixels(values):
    images = torch.tensor(values[: len(values) // 4 * 4], dtype=torch.uint8).reshape(-1, 2, 2, 1)
    mean, deviation = spread(images)
    assert mean.flatten().tolist() == pytest.approx(images.double().mean((0, 2, 3)).tolist())
    by_torch = images.double().std((0, 2, 3), correction=0).clamp(min=1)
    assert deviation.flatten().tolist() == pytest.approx(by_torch.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("train", "val"), [("train", "val"), ("train", "valid"), ("Training", "Validation")]
)
def test_folders_for_training_and_validation_are_taken_as_the_split(tmp_path, train, val):
    folder(tmp_path / train, {"cat": 3, "dog": 4, "owl": 1})
    folder(tmp_path / val, {"cat": 2, "dog": 1, "fox": 2})
    folder(tmp_path / "test", {"cat": 2})
    task = opened(tmp_path)

    assert Counter(targets(task.data.train)) == {0: 3, 1: 4, 2: 1}
    assert Counter(targets(task.data.val)) == {0: 2, 1: 1}
    assert "8 to train, 3 to validate: as the folders are" in task.card.notes
    assert "test is not used" in task.card.notes
    assert "no image to validate of owl" in task.card.notes
    assert "not used, since nothing is trained of it: fox" in task.card.notes


def test_a_class_of_trains_is_a_class(tmp_path):
    folder(tmp_path, {"train": 4, "car": 4})
    assert opened(tmp_path).data.classes == ("car", "train")


def test_without_a_folder_for_validation_a_part_of_train_is_held_out(tmp_path):
    folder(tmp_path / "train", {"cat": 5, "dog": 5})
    folder(tmp_path / "test", {"cat": 5})
    assert len(opened(tmp_path).data.val) == 2


def test_files_are_found_as_torchvision_finds_them_but_for_hidden_ones(tmp_path):
    seen = [
        picture(tmp_path / name)
        for name in ("a/1.PNG", "a/deep/er/2.jpeg", "a/deep/3.bmp", "b/4.gif", "b/5.webp")
    ]
    for name in ("a/.hidden.png", "a/.dir/6.png", ".checkpoints/7.png", "8.png"):
        picture(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    found = find_images(tmp_path)

    assert {file.path for file in found.files if file.label != "linked"} == set(seen)
    assert [file.path.name for file in found.files if file.label == "linked"] == ["4.gif", "5.webp"]
    assert found.notes == ["no image in empty"]


def test_what_cannot_be_read_is_named_and_left_out(tmp_path):
    root = folder(tmp_path, {"cat": 5, "dog": 5})
    (root / "cat" / "text.png").write_text("no image")
    (root / "cat" / "empty.png").touch()
    whole = (root / "dog" / "0.png").read_bytes()
    (root / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "gone.png").symlink_to(root / "nothing.png")
    os.mkfifo(root / "dog" / "pipe.png")
    picture(root / "dog" / "huge.png", size=(20_000, 10_000), mode="1", colour=0)
    task = opened(root)

    assert len(task.data.train) + len(task.data.val) == 10
    (note,) = (note for note in task.card.notes if "left out" in note)
    assert note.startswith("6 left out: cat/empty.png (it is no image), cat/text.png (")
    assert note.endswith(" and 3 more")


def test_an_image_with_too_many_pixels_is_said_to_have_them(tmp_path):
    path = picture(tmp_path / "huge.png", size=(20_000, 10_000), mode="1", colour=0)
    with pytest.raises(DamagedImage, match=r"huge.png: it has too many pixels"):
        read_pixels(path, SIZE, 3)


@pytest.mark.parametrize(
    ("make", "description"),
    [
        (lambda root: None, "has no images: it takes CLASS/IMAGE.png, or .bmp"),
        (lambda root: folder(root, {"cat": 3}), "one class only, cat"),
        (lambda root: folder(root, {"cat": 3, "dog": 0}), "one class only, cat"),
        (lambda root: picture(root / "1.png"), "has images, but no folders of classes: it takes"),
        (lambda root: folder(root / "train", {".": 3}), "it takes train/CLASS/IMAGE.png"),
        (lambda root: folder(root, {"cat": 1, "dog": 1}), "one image only"),
        (lambda root: (root / "cat").mkdir(), "has no images"),
        (lambda root: [folder(root / item, {"a": 2, "b": 2}) for item in ("train", "val", "valid")],
         "both val and valid"),
        (lambda root: [folder(root / "train", {"a": 2, "b": 2}), folder(root / "val", {"c": 2})],
         "no image of a class that is trained"),
        (lambda root: [(root / item).mkdir() or (root / item / "1.png").touch() for item in "ab"],
         "no image in photos can be read: 2 left out: a/1.png"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_trained_on_is_one_sentence(tmp_path, make, description):
    root = tmp_path / "photos"
    root.mkdir()
    make(root)
    with pytest.raises(WrongUse, match=description) as refused:
        opened(root)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_gone_or_closed_is_one_sentence(tmp_path):
    root = folder(tmp_path / "photos", {"cat": 2, "dog": 2})
    spec = catalog.new_spec(f"{root}/")
    root.rename(tmp_path / "moved")
    with pytest.raises(WrongUse, match=r"there is no folder .*photos"):
        open_folder(spec)
    if os.geteuid():
        (tmp_path / "moved" / "cat").chmod(0)
        with pytest.raises(Refused, match=r"cannot read .*cat: Permission denied"):
            opened(tmp_path / "moved")
        (tmp_path / "moved" / "cat").chmod(0o700)


def test_names_with_escape_sequences_or_without_an_encoding_are_made_safe(tmp_path):
    root = folder(tmp_path, {"\x1b[31mred": 4, os.fsdecode(b"caf\xe9"): 4})
    (root / "\x1b[31mred" / "\x1b]0;title\x07.png").touch()
    task = opened(root)
    text = "\n".join([*task.data.classes, *task.card.notes])
    assert text.encode()
    assert "\x1b" not in text
    assert "\x07" not in text


GREY = [
    ("L", 128, 128), ("1", 1, 255), ("LA", (128, 255), 128), ("I;16", 128 << 8, 128),
]  # fmt: skip
COLOURED = [
    ("RGB", (255, 0, 0), (255, 0, 0)), ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
    ("RGBA", (255, 0, 0, 0), (255, 255, 255)), ("P", 0, (0, 0, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "colour", "value"), GREY)
def test_images_that_are_all_grey_have_one_channel(tmp_path, mode, colour, value):
    for name in ("a/1", "a/2", "b/1", "b/2"):
        picture(tmp_path / f"{name}.png", colour, mode=mode)
    assert opened(tmp_path).data.input_shape == (1, SIZE, SIZE)
    assert read_pixels(tmp_path / "a" / "1.png", SIZE, 1).unique().tolist() == [value]
    picture(tmp_path / "b" / "3.png")
    assert opened(tmp_path).data.input_shape == (3, SIZE, SIZE)


@pytest.mark.parametrize(("mode", "colour", "value"), COLOURED)
def test_colours_are_read_whatever_a_file_calls_them(tmp_path, mode, colour, value):
    path = picture(tmp_path / "1.png", colour, mode=mode)
    assert tuple(read_pixels(path, SIZE, 3)[:, 0, 0].tolist()) == value


@pytest.mark.parametrize("ending", ["bmp", "gif", "jpg", "ppm", "png", "tif", "webp"])
def test_every_format_is_read(tmp_path, ending):
    path = picture(tmp_path / f"1.{ending}", (255, 0, 0))
    red = read_pixels(path, SIZE, 3).float().mean((1, 2))
    assert red.tolist() == pytest.approx([255, 0, 0], abs=8)


def test_cmyk_and_a_photograph_on_its_side_are_read(tmp_path):
    cyan = read_pixels(picture(tmp_path / "1.jpg", (255, 0, 0, 0), mode="CMYK"), SIZE, 3)
    assert cyan[0].float().mean() < 20 < 235 < cyan[2].float().mean()

    image = Image.new("RGB", (40, 40))
    image.paste((255, 255, 255), (0, 0, 20, 40))  # white on the left
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter: what was left is on top
    image.save(tmp_path / "2.jpg", exif=exif)
    turned = read_pixels(tmp_path / "2.jpg", SIZE, 3).float()
    assert turned[:, 0].mean() > 200 > 50 > turned[:, -1].mean()


def test_pixels_of_32_bits_are_left_out_since_their_range_is_unknown(tmp_path):
    folder(tmp_path, {"cat": 3, "dog": 3})
    Image.new("F", (10, 10), 0.5).save(tmp_path / "cat" / "9.tif")
    assert (
        "1 left out: cat/9.tif (its pixels have 32 bits, of an unknown range)"
        in opened(tmp_path).card.notes
    )


@given(shape=st.tuples(st.integers(1, 90), st.integers(1, 90)), size=st.integers(1, 20))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_image_of_any_shape_becomes_a_square(tmp_path, shape, size):
    path = picture(tmp_path / "1.png", (9, 8, 7), size=shape)
    found = read_pixels(path, size, 3)
    assert found.shape == (3, size, size)
    assert found.flatten(1).unique(dim=1).tolist() == [[9], [8], [7]]


@pytest.mark.parametrize("augment", [(), ("flip", "crop", "color")], ids=["plain", "augmented"])
def test_held_and_read_as_needed_by_any_number_of_workers_batches_are_the_same(tmp_path, augment):
    root = folder(tmp_path, {"cat": 6, "dog": 7})
    held, *others = (
        opened(root, most_held, augment=augment, workers=workers).data
        for most_held, workers in ((1 << 30, 0), (1 << 30, 2), (0, 0), (0, 2))
    )
    expected = list(held.train.epoch(4, seed=1, number=2))
    for other in others:
        assert torch.equal(pixels(other.val), pixels(held.val))
        for skip in (0, 2):
            found = list(other.train.epoch(4, seed=1, number=2, skip=skip))
            assert len(found) == len(expected) - skip
            for (ours, classes), (theirs, their_classes) in zip(
                found, expected[skip:], strict=True
            ):
                assert torch.equal(ours, theirs)
                assert torch.equal(classes, their_classes)


def test_a_random_change_depends_on_seed_epoch_and_image_and_not_on_the_batch(tmp_path):
    source = opened(folder(tmp_path, {"cat": 6, "dog": 7}), augment=["flip", "crop"]).data.train

    def by_image(size: int, seed: int, number: int) -> torch.Tensor:
        return torch.cat([inputs for inputs, _ in source.epoch(size, seed=seed, number=number)])

    assert torch.equal(by_image(1, 3, 0), by_image(5, 3, 0))
    others = [by_image(5, 3, 1), by_image(5, 4, 0)]
    assert all(not torch.equal(by_image(5, 3, 0).sort(0)[0], other.sort(0)[0]) for other in others)


@given(names=st.lists(st.sampled_from(["flip", "crop", "color"]), min_size=1), seed=st.integers(0))
@settings(max_examples=30)
def test_random_changes_keep_the_shape_and_do_not_depend_on_the_order_of_their_names(names, seed):
    image = torch.arange(3 * SIZE * SIZE, dtype=torch.uint8).reshape(3, SIZE, SIZE)
    results = []
    for order in (names, sorted(set(names))):
        torch.manual_seed(seed % (1 << 63))
        results.append(augmentation(order, SIZE)(image, generator_of("unused")))
    assert results[0].shape == image.shape
    assert results[0].dtype is torch.uint8
    assert torch.equal(*results)


def test_an_image_that_is_damaged_while_it_is_trained_ends_the_epoch_with_one_sentence(tmp_path):
    root = folder(tmp_path, {"cat": 6, "dog": 7})
    for workers in (0, 1):
        source = opened(root, 0, workers=workers).data.train
        for path in (root / "cat").iterdir():
            path.write_bytes(b"gone")
        with pytest.raises(TuitrainError, match=r"cannot read [^\n]*: it is no image$"):
            list(source.epoch(4, seed=0, number=0))
        folder(tmp_path, {"cat": 6})


def test_a_run_goes_on_with_the_same_images_only(tmp_path):
    root = folder(tmp_path / "photos", {"cat": 6, "dog": 7})
    spec = build(catalog.new_spec(f"{root}/", image_size=SIZE)).spec
    assert (spec.model, spec.loss, spec.epochs) == ("cnn", "cross-entropy", 20)
    build(spec)
    picture(root / "cat" / "new.png")
    with pytest.raises(Refused, match="photos/ are not those with which the run began"):
        build(spec)


def test_what_ends_the_start_ends_the_reading_of_images(tmp_path):
    class Ended(TuitrainError):
        pass

    def report(stage: str, done: int, total: int) -> None:
        if stage == "reading images" and done == 2:
            raise Ended

    spec = catalog.new_spec(f"{folder(tmp_path, {'cat': 6, 'dog': 7})}/")
    with pytest.raises(Ended):
        open_folder(spec, report)


def test_new_images_are_read_as_the_tasks_own_and_named_by_their_path(tmp_path):
    task = opened(folder(tmp_path / "photos", {"cat": 6, "dog": 7}))
    own = {tuple(image.flatten().tolist()) for image in pixels(task.data.train)}
    assert task.read_new is not None

    found = task.read_new([tmp_path / "photos"])
    assert found.has_targets
    assert targets(found.source) == [0] * 6 + [1] * 7
    assert found.names.rows[:2] == [("cat/0.png",), ("cat/1.png",)]
    assert own <= {tuple(image.flatten().tolist()) for image in pixels(found.source)}

    ((one,), *_) = found.names.rows
    found = task.read_new([tmp_path / "photos" / one])
    assert found.names.rows == [("0.png",)]
    assert (found.has_targets, len(found.source)) == (False, 1)
    both = task.read_new([tmp_path / "photos" / "cat", tmp_path / "photos" / "dog" / "1.png"])
    assert both.names.rows[0::6] == [("cat/0.png",), ("dog/1.png",)]
    assert targets(both.source) == [0] * 6 + [1]
    assert not task.read_new([tmp_path / "photos" / "dog"]).has_targets
    picture(tmp_path / "photos" / "owl" / "1.png")
    found = task.read_new([tmp_path / "photos"])
    assert not found.has_targets, "owls are not known"
    assert found.notes == ["no targets are shown, since training never saw: owl"]


def test_new_images_that_cannot_be_read_are_one_sentence(tmp_path):
    task = opened(folder(tmp_path / "photos", {"cat": 6, "dog": 7}))
    assert task.read_new is not None
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongUse, match=r"empty has no images: it takes \.bmp"):
        task.read_new([tmp_path / "empty"])
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(WrongUse, match=r"cannot read .*notes\.txt: it is no image"):
        task.read_new([tmp_path / "notes.txt"])
