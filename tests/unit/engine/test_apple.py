"""Training on a device that has no float64, as Apple's GPUs have none."""

import pytest
import torch
from torch.utils._pytree import tree_map

from tests.stand_ins import MPS, DeviceTensor, apple
from tuitrain.catalog import new_spec
from tuitrain.core.events import EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.metrics import RunningMean, metrics_of
from tuitrain.engine.steering import Steering
from tuitrain.watcher.validations import Validations


def test_the_device_has_no_float64():
    with apple():
        there = torch.ones(3, device="mps")
        assert there.device.type == "mps"
        assert (there + 1).cpu().tolist() == [2, 2, 2]
        with pytest.raises(AssertionError, match="float64"):
            there.double()
        with pytest.raises(RuntimeError, match="same device"):
            there * torch.ones(3)
        with pytest.raises(AssertionError, match="float64"):
            torch.tensor([1.0], dtype=torch.float64, device="mps")


@pytest.mark.parametrize("task", ["digits", "breast-cancer", "diabetes"])
def test_a_run_trains_and_goes_on_from_its_state_there_as_on_the_cpu(task):
    def trained(device: str) -> EpochEnded:
        run = build(new_spec(task, device=device, epochs=2, batch_size=128))
        assert isinstance(run.weights[0].data, DeviceTensor) == (device == "mps")
        for event in train(run, Steering(run)):
            if run.step == 2:
                run.restore(tree_map(as_read_again, run.state()))
            if isinstance(event, EpochEnded):
                ended = event
        return ended

    with apple():
        found = trained("mps")
    expected = trained("cpu")
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-3)
    assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-3)
    assert found.val_losses == pytest.approx(expected.val_losses, rel=1e-3)


def as_read_again(value):
    """Return a tensor of a state as a checkpoint has it: on the CPU."""
    return value.cpu() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_metrics_are_those_of_the_cpu(kind):
    torch.manual_seed(4)
    outputs = torch.randn(300, 3 if kind == "multiclass" else 1)
    targets = torch.randn(300) if kind == "regression" else torch.randint(2, (300,))
    expected = metrics_of(kind, outputs, targets)
    with apple():
        found = metrics_of(kind, outputs.to(MPS), targets.to(MPS))
    assert found == pytest.approx(expected, rel=1e-5)


def test_means_of_many_batches_and_of_a_watched_validation_need_no_float64():
    with apple():
        mean, validations = RunningMean(), Validations()
        for number in range(1000):
            loss = torch.tensor(float(number), device=MPS)
            mean.add(loss, 2)
            validations.add(None, "mse", loss, 2)
        assert mean.value() == pytest.approx(499.5)
        assert validations.take() == [{"mse": pytest.approx(499.5)}]
        again = RunningMean.of(mean.state(), MPS)
        assert again.value() == pytest.approx(499.5)
