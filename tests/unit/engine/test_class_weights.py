"""Weights of the classes: what an option's text stands for, for data of any kind."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.utils.data import Subset, TensorDataset

from tuitrain import catalog
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.events import EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.class_weights import class_weights
from tuitrain.engine.data import Dataset, Samples
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.streaming import Streamed


def data(targets: list[int], *, kind="multiclass", outputs=3, source=Samples) -> Dataset:
    wanted = torch.tensor(targets)
    train = source(torch.zeros(len(targets), 2), wanted.float() if kind == "binary" else wanted)
    return Dataset(kind, train, train, outputs, classes=("cat", "dog", "owl")[: max(outputs, 2)])


def streamed(inputs, targets) -> Streamed:
    return Streamed(TensorDataset(inputs, targets))


def streamed_subset(inputs, targets) -> Streamed:
    """Return the samples as a part of others, which all have another class."""
    others = TensorDataset(inputs.repeat(2, 1), torch.cat((torch.zeros_like(targets), targets)))
    return Streamed(Subset(others, range(len(targets), 2 * len(targets))))


@pytest.mark.parametrize("source", [Samples, streamed, streamed_subset])
@given(
    counts=st.lists(st.integers(1, 50), min_size=3, max_size=3), kind=st.just("multiclass")
)  # fmt: skip
def test_balanced_weights_are_scikit_learns(source, counts, kind):
    targets = [index for index, count in enumerate(counts) for _ in range(count)]
    expected = compute_class_weight("balanced", classes=torch.arange(3).numpy(), y=targets)
    found = class_weights("balanced", data(targets, source=source))
    assert found == pytest.approx(expected.tolist(), rel=1e-5)


def test_weights_of_a_binary_problem_are_those_of_its_two_classes():
    assert class_weights("1,2.5", data([0, 1], kind="binary", outputs=1)) == (1, 2.5)
    assert class_weights("balanced", data([0, 1, 1, 1], kind="binary", outputs=1)) == (
        2, pytest.approx(2 / 3, rel=1e-5),
    )  # fmt: skip


def test_what_cannot_be_weighed_is_one_sentence():
    with pytest.raises(WrongUse, match="1,2 has 2 of the 3 that the classes need: cat, dog, owl"):
        class_weights("1,2", data([0, 1, 2]))
    with pytest.raises(Refused, match="no sample of the class dog is trained"):
        class_weights("balanced", data([0, 2]))
    with pytest.raises(Refused, match="this task is regression"):
        class_weights("balanced", data([0, 2], kind="regression", outputs=1))
    unknown = Dataset("multiclass", Streamed([(0, 0)]), Streamed([(0, 0)]), 3)
    with pytest.raises(Refused, match="give the weights"):
        class_weights("balanced", unknown)


@pytest.mark.parametrize("text", ["", "1,", "a,b", "1,-1", "0,1", "nan,1", "inf,1", "Balanced"])
def test_a_text_that_is_none_of_weights_is_refused_at_once(text):
    with pytest.raises(WrongUse, match="class-weights takes balanced, or a weight above 0"):
        catalog.new_spec("digits", class_weights=text)


def test_a_run_keeps_the_weights_as_numbers_and_says_them():
    run = build(catalog.new_spec("breast-cancer", class_weights="balanced"))
    assert run.spec.class_weights == "1.34459,0.796"
    assert run.card.notes == ("class weights: malignant 1.34459, benign 0.796",)
    again = build(run.spec)
    assert again.spec == run.spec
    assert again.card == run.card


@pytest.mark.parametrize("loss", ["cross-entropy", "multi-margin"])
def test_the_validation_loss_is_the_weighted_one_of_the_whole_set(loss):
    weights = ",".join(["1"] * 9 + ["9"])
    run = build(
        catalog.new_spec("digits", loss=loss, class_weights=weights, batch_size=16, epochs=1,
                         device="cpu")
    )  # fmt: skip
    (ended,) = [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]
    assert len(run.data.val) > 16 * 16, "which is more than a batch of a validation"
    assert ended.val_loss == ended.val_losses[loss]


def test_a_loss_of_the_users_own_takes_no_weights(tmp_path):
    (tmp_path / "own.py").write_text("def focal(output, target):\n    return output.mean()\n")
    spec = catalog.new_spec(
        "digits", loss=f"{tmp_path}/own.py:focal", class_weights=",".join("1" * 10)
    )
    with pytest.raises(Refused, match="focal is a loss of your own, which takes no --class-w"):
        build(spec)
