"""What belongs to a step or a validation: losses, durations, loaders."""

import math
from weakref import ref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader

from tuitrain.core.errors import Damaged
from tuitrain.watcher.propagated import Propagated
from tuitrain.watcher.sources import LOADER, Sources
from tuitrain.watcher.state import Parts
from tuitrain.watcher.times import BACKWARD, DATA, PARTS, microseconds
from tuitrain.watcher.validations import Validations

FLOATS = st.floats(-100, 100, width=32)


@given(st.lists(FLOATS, min_size=1, max_size=6))
def test_a_step_has_the_sum_that_the_script_would_compute(values):
    propagated, total = Propagated(), torch.zeros(())
    for value in values:
        propagated.add(torch.tensor(value), None)
        total = total + torch.tensor(value)
    assert propagated.take() == total.item()
    assert propagated.take() == total.item(), "without a backward pass it is that of before"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_loss_keeps_its_precision(dtype):
    propagated, loss = Propagated(), torch.tensor(1 / 3, dtype=dtype)
    propagated.add(loss, None)
    loss.zero_()  # as the script may do in place
    assert propagated.take() == torch.tensor(1 / 3, dtype=dtype).item()


def test_losses_of_a_step_are_added_in_their_own_type_whatever_that_of_the_step_before():
    propagated, third = Propagated(), torch.tensor(1 / 3)
    propagated.add(torch.tensor(1 / 3, dtype=torch.float64), None)
    propagated.take()
    for loss in (third, third, third):
        propagated.add(loss, None)
    assert propagated.take() == (third + third + third).item() != 3 * third.item()


def test_losses_of_samples_count_by_the_gradient_that_they_are_given():
    propagated = Propagated()
    propagated.add(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.25]))
    assert propagated.take() == 1.0
    propagated.add([torch.tensor(1.0), torch.tensor(2.0)], None)
    assert propagated.take() == 3.0


def test_of_a_closure_the_first_evaluation_counts():
    propagated = Propagated()
    for loss in (3.0, 2.0, 1.0):
        propagated.evaluates()
        propagated.add(torch.tensor(loss), None, 8)
    assert (propagated.samples, propagated.take()) == (8, 3.0)


def test_without_any_backward_pass_the_loss_is_unknown():
    propagated = Propagated()
    assert math.isnan(float(propagated.take()))
    assert not propagated.has_any


@given(st.lists(st.tuples(FLOATS, st.integers(1, 64)), min_size=1, max_size=600))
def test_a_validation_is_the_mean_over_its_samples(batches):
    validations = Validations()
    for loss, samples in batches:
        validations.add("a", "mse", torch.tensor(loss), samples)
    validations.add("b", "mse", torch.tensor(7.0), 3)
    first, second = validations.take()
    samples = sum(count for _, count in batches)
    assert first["mse"] == pytest.approx(
        sum(loss * count for loss, count in batches) / samples, abs=1e-6
    )
    assert second == {"mse": 7.0}
    assert not validations


def test_the_times_of_a_step_are_whole_microseconds_of_its_parts():
    spent = [0] * PARTS
    spent[DATA] += 1_999
    spent[BACKWARD] += 7_000
    spent[BACKWARD] += 5_900
    durations = microseconds(spent)
    assert (durations[DATA], durations[BACKWARD], sum(durations)) == (1, 12, 13)


class Iterator:
    def __init__(self, loader: DataLoader) -> None:
        self._dataset = loader.dataset
        setattr(self, LOADER, ref(loader))


def test_an_epoch_of_several_loaders_is_over_when_one_of_them_begins_anew():
    sources, first, second = Sources(), DataLoader([1]), DataLoader([2])
    for loader in (first, second):
        assert not sources.has_trained(loader)
        sources.fetch(Iterator(loader))
        sources.step()
    assert sources.has_trained(first)


def test_a_loader_made_anew_over_the_same_data_is_the_same():
    sources, data = Sources(), torch.utils.data.TensorDataset(torch.ones(2))
    loader = DataLoader(data)
    sources.fetch(Iterator(loader))
    sources.step()
    del loader
    assert sources.has_trained(DataLoader(data))


def test_tensors_evaluated_after_the_last_batch_are_a_validation_of_their_own():
    sources, loader, target = Sources(), DataLoader([1]), torch.ones(3)
    sources.train_on(target)
    sources.fetch(Iterator(loader))
    sources.use()
    sources.step()
    assert sources.of_validation(torch.ones(3), 0) is None, "the batch in hand"
    sources.fetch(None)
    assert sources.of_validation(target[1:], 1) is None, "the training data"
    here, there = sources.of_validation(torch.ones(3), 1), sources.of_validation(torch.ones(3), 1)
    assert here is not None
    assert here == there, "one line"
    assert here != sources.of_validation(torch.ones(3), 1)


def test_tensors_where_a_training_batch_lay_that_is_gone_are_a_validation():
    sources, memory = Sources(), bytearray(24)
    target = torch.frombuffer(memory, dtype=torch.float64)
    sources.train_on(target[:2])
    assert sources.of_validation(target, 1) is None, "it is there"
    del target
    assert sources.of_validation(torch.frombuffer(memory, dtype=torch.float64), 1) is not None


def test_an_optimizer_made_anew_takes_the_place_of_the_one_that_is_gone():
    parts, number = Parts(), 0
    for fold in range(3):
        model = nn.Linear(fold + 1, 1)
        optimizer = torch.optim.Adam(model.parameters())
        torch.optim.lr_scheduler.StepLR(optimizer, 1)
        number += parts.meet(optimizer)
        assert parts.models == [model]
    assert number == 0
    other = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    assert (parts.meet(other), parts.meet(optimizer)) == (1, 0)


def test_a_state_of_another_model_is_refused_and_changes_nothing():
    parts, model = Parts(), nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parts.meet(optimizer)
    state = parts.state()
    state["model"]["weight"] = torch.zeros(1, 3)
    before = model.bias.clone()
    with pytest.raises(Damaged, match="another model"):
        parts.restore(state)
    assert torch.equal(model.bias, before)
