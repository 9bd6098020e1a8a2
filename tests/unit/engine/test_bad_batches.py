"""Batches whose loss or gradient is not finite: nothing of them stays, and each is reported.

An accelerator is stood in for by a run that does not read its flags at once.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SparseAdam

from tests.versions import USABLE_OPTIMIZERS
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Pause, Request, Resume, SaveCheckpoint, Stop
from tuitrain.core.errors import Refused
from tuitrain.core.events import (
    BatchDone,
    CheckpointSaved,
    EpochEnded,
    Fact,
    Failed,
    Finished,
    NotFinite,
    Paused,
    Warned,
)
from tuitrain.engine import optim
from tuitrain.engine.build import build
from tuitrain.engine.data import shuffled
from tuitrain.engine.loop import train
from tuitrain.engine.metrics import RunningMean
from tuitrain.engine.models import has_sparse_gradients
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.state.rng import cuda_state
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import check_finite, check_finite_fast, train_step
from tuitrain.engine.training import Training
from tuitrain.record.recorder import Recorder
from tuitrain.store.writer import RunWriter

NORMED = "mlp:hidden=8,norm=batch"
PER_EPOCH = 6
CPU = torch.device("cpu")

on_both_devices = pytest.mark.parametrize("is_synchronous", [True, False])


def spoilt(*nonfinite: tuple[int, int], is_synchronous: bool = True, **settings) -> Training:
    """Return a run in which a sample of each batch (epoch, number) of `nonfinite`, from 0, is NaN.

    A sample is NaN in all epochs, so it makes a batch of every other epoch bad as well.
    """
    torch.set_num_threads(1)
    settings = {"model": "linear", "epochs": 1, "on_nonfinite": "skip", **settings}
    run = build(new_spec("digits", **{"batch_size": 256, "seed": 1, **settings}))
    run.is_synchronous = is_synchronous
    for epoch, number in nonfinite:
        order = shuffled(len(run.data.train), seed=1, epoch=epoch)
        run.data.train.inputs[order[number * run.batch_size]] = math.nan
    return run


def of(events: Sequence[object], *kinds: type) -> list:
    return [event for event in events if isinstance(event, kinds)]


def nonfinite_steps(events: Sequence[object]) -> list[int]:
    return [done.step for done in of(events, BatchDone) if done.nonfinite]


@on_both_devices
def test_batch_norms_statistics_are_those_from_before_a_bad_batch(is_synchronous):
    run = spoilt((0, 2), model=NORMED, is_synchronous=is_synchronous)
    before = [buffer.clone() for buffer in run.model.buffers()]
    for event in train(run, Steering(run)):
        if isinstance(event, BatchDone):
            now = [buffer.clone() for buffer in run.model.buffers()]
            same = [torch.equal(one, other) for one, other in zip(now, before, strict=True)]
            assert same == [event.step == 3] * len(now), "all of them, the count of batches too"
            before = now
        elif isinstance(event, EpochEnded):
            assert math.isfinite(event.val_loss)


class Counting(nn.Module):
    """Holds a buffer that is another tensor after each forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        self.register_buffer("mean", torch.zeros(10, dtype=torch.float64))
        self.register_buffer("nothing", None)
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        output = self.layer(inputs)
        self.mean = 0.9 * self.mean + output.detach().mean(dim=0)
        self.seen = ~self.seen
        return output


@on_both_devices
def test_a_buffer_that_a_model_assigns_anew_is_put_back_as_well(is_synchronous):
    run = spoilt((0, 0), is_synchronous=is_synchronous)
    model = Counting()
    run = replace(run, model=model)
    run.model.train()
    train_step(run, *next(run.batches()), began=0)

    assert torch.equal(model.mean, torch.zeros(10, dtype=torch.float64))
    assert not model.seen


class Centred(nn.Module):
    """A loss around a mean of the losses so far, which it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(output, target)
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        return loss - 0.1 * self.mean


@on_both_devices
def test_what_a_loss_of_ones_own_keeps_is_that_from_before_a_bad_batch(is_synchronous):
    run = spoilt((0, 1), (0, 3), is_synchronous=is_synchronous)
    run.losses._own["centred"] = Centred
    run.change("loss", "centred")
    assert nonfinite_steps(list(train(run, Steering(run)))) == [2, 4]
    assert run.criterion.mean.isfinite()


def test_a_bad_validation_leaves_what_model_and_loss_keep_as_it_was():
    run = spoilt(epochs=3)
    run = replace(run, model=(model := Counting()), criterion=(loss := Centred()))
    run.data.val.inputs[0] = math.nan
    for event in train(run, Steering(run)):
        if isinstance(event, BatchDone):
            assert not event.nonfinite
            before = model.mean, loss.mean
        elif isinstance(event, EpochEnded):
            assert math.isnan(event.val_loss)
            assert torch.equal(model.mean, before[0])
            assert torch.equal(loss.mean, before[1])


@pytest.mark.parametrize("optimizer", USABLE_OPTIMIZERS)
def test_no_optimizer_takes_in_a_bad_batch_and_an_accelerator_need_not_read_it(optimizer):
    digests, states = [], []
    for is_synchronous in (True, False):
        run = spoilt(
            (0, 0), (0, 3), model="mlp:hidden=8-8,norm=batch", optimizer=optimizer, epochs=2,
            is_synchronous=is_synchronous,
        )  # fmt: skip
        skipped = nonfinite_steps(list(train(run, Steering(run))))
        assert skipped[:2] == [1, 4]
        assert all(tensor.isfinite().all() for tensor in run.model.state_dict().values())
        states.append([value for state in run.optimizer.state.values() for value in state.values()])
        digests.append(weights_sha256(run.model))
        if not is_synchronous and not run.optimizer.defaults.get("fused"):
            assert run.step_backup() is not None
    assert digests[0] == digests[1]
    assert all(torch.equal(*pair) for pair in zip(*states, strict=True))


@pytest.mark.parametrize("model", ["linear", NORMED, NORMED + ",dropout=0.5"])
def test_an_accelerator_that_skips_a_batch_comes_to_the_same_weights(model):
    digests = set()
    for is_synchronous in (True, False):
        run = spoilt((0, 1), (1, 4), model=model, epochs=3, is_synchronous=is_synchronous)
        assert len(nonfinite_steps(list(train(run, Steering(run))))) >= 2
        digests.add(weights_sha256(run.model))
    assert len(digests) == 1


@on_both_devices
def test_a_run_goes_on_after_a_bad_batch_in_another_process_as_if_it_had_not_stopped(
    is_synchronous,
):
    def made() -> Training:
        return spoilt((0, 1), model=NORMED, epochs=2, is_synchronous=is_synchronous)

    whole = made()
    expected = of(list(train(whole, Steering(whole))), EpochEnded)
    first, second = made(), made()
    events = train(first, Steering(first))
    while first.step < 3:
        next(events)
    second.restore(first.state())
    found = of(list(train(second, Steering(second))), EpochEnded)

    assert [item.train_loss for item in found] == [item.train_loss for item in expected]
    assert weights_sha256(second.model) == weights_sha256(whole.model)


@on_both_devices
def test_the_train_loss_is_the_mean_over_the_batches_that_were_not_skipped(is_synchronous):
    run = spoilt((0, 1), (0, 4), is_synchronous=is_synchronous)
    events = list(train(run, Steering(run)))

    (ended,) = of(events, EpochEnded)
    good = [done for done in of(events, BatchDone) if not done.nonfinite]
    assert len(good) == PER_EPOCH - 2
    mean = sum(float(done.loss) * done.samples for done in good)
    mean /= sum(done.samples for done in good)
    assert ended.train_loss == pytest.approx(mean, rel=1e-9)
    (warned,) = of(events, Warned)
    assert warned.text == "epoch 1: 2 of 6 batches were skipped, not finite"
    assert (warned.take, warned.step) == (ended.take, ended.step)


def test_one_batch_of_an_epoch_that_was_skipped_is_one_of_several():
    run = spoilt((0, 1))
    (warned,) = of(list(train(run, Steering(run))), Warned)
    assert warned.text == "epoch 1: 1 of 6 batches was skipped, not finite"


def test_a_batch_with_a_finite_loss_and_a_bad_gradient_is_left_out_as_well():
    mean = RunningMean()
    for number in range(1000):
        is_bad = number % 3 == 0
        mean.add(torch.tensor(1e6 if is_bad else 2.0), 7, torch.tensor(float(is_bad)))

    assert mean.result() == (2.0, 334)
    assert RunningMean.of(mean.state(), CPU).result() == (2.0, 334)


def test_an_epoch_of_bad_batches_alone_has_no_train_loss():
    mean = RunningMean()
    mean.add(torch.tensor(2.0), 7, torch.tensor(1.0))

    assert math.isnan(mean.value())


def test_a_mean_from_an_older_checkpoint_goes_on():
    state = {"total": torch.tensor(6.0), "samples": 3, "losses": torch.tensor([4.0]), "counts": [1]}

    assert RunningMean.of(state, CPU).result() == (2.5, 0)


@on_both_devices
def test_consecutive_skipped_batches_are_reported_once(is_synchronous):
    run = spoilt((0, 1), (0, 2), (0, 4), is_synchronous=is_synchronous)
    events = list(train(run, Steering(run)))

    assert nonfinite_steps(events) == [2, 3, 5]
    assert [(event.step, event.what) for event in of(events, NotFinite)] == [
        (2, "loss"),
        (5, "loss"),
    ]


@on_both_devices
@pytest.mark.parametrize("until", [None, PER_EPOCH, 3])
def test_a_bad_last_batch_ends_a_run_that_shall_stop_there(is_synchronous, until):
    nonfinite = (until or PER_EPOCH) - 1
    run = spoilt((0, nonfinite), on_nonfinite="stop", is_synchronous=is_synchronous, until=until)
    events = list(train(run, Steering(run)))

    after = [type(event) for event in events if not isinstance(event, Fact)]
    assert after == [NotFinite, Failed]
    assert len(of(events, BatchDone)) == nonfinite + 1


@on_both_devices
def test_a_bad_last_batch_pauses_the_run_before_its_validation(is_synchronous):
    run = spoilt((0, PER_EPOCH - 1), on_nonfinite="pause", is_synchronous=is_synchronous)
    events = list(
        train(run, Steering(run, lambda wait_s: [Request.new(Resume())] * (wait_s is None)))
    )

    kinds = [type(event) for event in events]
    assert kinds.index(NotFinite) < kinds.index(Paused) < kinds.index(EpochEnded)
    assert kinds[-1] is Finished


@pytest.mark.parametrize("command", [Pause(), Stop(), SaveCheckpoint()])
def test_nothing_is_saved_before_it_is_known_which_batches_were_bad(command, tmp_path: Path):
    run = spoilt((0, 1), on_nonfinite="pause", is_synchronous=False)
    asked = {3: [Request.new(command)]}

    def commands(wait_s: float | None) -> Sequence[Request]:
        return [Request.new(Resume())] if wait_s is None else asked.pop(run.step, ())

    events = list(train(run, Steering(run, commands, checkpoints=Checkpoints(tmp_path))))

    kinds = [type(event) for event in events]
    assert kinds.index(NotFinite) < kinds.index(CheckpointSaved)
    assert len(of(events, NotFinite)) == 1
    assert len(of(events, Paused)) == (not isinstance(command, Stop)), "one pause is enough"


def recorded(run: Training, folder: Path) -> Iterator[object]:
    """Train as the trainer does, on an accelerator: the recorder reads a few batches at once."""
    ticks = iter(range(1_000_000))
    recorder = Recorder(RunWriter(folder / "run.db"), clock=lambda: next(ticks) / 40)
    recorder.time_with(run.stopwatch.microseconds)
    steering = Steering(run)
    recorder.take(run.started())
    for event in train(run, steering):
        recorder.take(event)
        if recorder.newest_read is not None:
            steering.has_read(recorder.newest_read, recorder.nonfinite_batches())
        yield event


def test_what_the_recorder_reads_is_reported_soon_and_never_twice(tmp_path: Path):
    run = spoilt((0, 1), (0, 6), (0, 39), batch_size=32, is_synchronous=False)
    events = list(recorded(run, tmp_path))

    assert nonfinite_steps(events) == [2, 7, 40]
    assert [event.step for event in of(events, NotFinite)] == [2, 7, 40]
    kinds = [type(event) for event in events]
    assert kinds.index(NotFinite) < 12, "with the flush after it, not with the epoch"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.complex64])
@on_both_devices
def test_a_bad_number_is_found_in_gradients_of_every_dtype(dtype, number, is_synchronous):
    run = spoilt(is_synchronous=is_synchronous)
    loss = torch.tensor(1.0)
    weights = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, dtype=dtype))]
    for parameter in weights:
        parameter.grad = torch.ones_like(parameter)
    run.weights = tuple(weights)
    assert not check_finite_fast(run, loss)
    assert not check_finite_fast(run, loss.double())
    assert check_finite_fast(run, torch.tensor(number, dtype=torch.bfloat16))
    for parameter in weights:
        parameter.grad[1] = number
        assert check_finite_fast(run, loss)
        nonfinite = check_finite(loss, weights)
        assert (nonfinite.dtype, nonfinite.shape, nonfinite.item()) == (torch.float32, (), 1.0)
        parameter.grad[1] = 1


@pytest.mark.parametrize("is_synchronous", [True, False])
def test_a_bad_number_is_found_in_a_sparse_gradient(is_synchronous):
    run = spoilt(is_synchronous=is_synchronous)
    embedding = nn.Embedding(4, 2, sparse=True)
    run.weights = tuple(embedding.parameters())
    for factor, is_bad in ((1.0, False), (math.inf, True)):
        embedding.zero_grad()
        (embedding(torch.tensor([1, 3])).sum() * factor).backward()
        assert bool(check_finite_fast(run, torch.tensor(1.0))) == is_bad


def test_an_optimizer_is_fused_only_where_the_weights_allow_it():
    for dtype, fused in ((torch.float32, True), (torch.float64, True), (torch.complex64, False)):
        weights = [nn.Parameter(torch.ones(3, dtype=dtype))]
        optimizer = optim.build_optimizer("adam", nn.ParameterList(weights), 0.1, CPU)
        assert optimizer.defaults["fused"] == fused
        weights[0].grad = torch.ones_like(weights[0])
        optimizer.step()
        assert weights[0][0].real < 1


@pytest.mark.parametrize("optimizer", ["sgd", "sgd:momentum=0.9", "adagrad", SparseAdam])
def test_some_optimizers_take_sparse_gradients(optimizer):
    embedding = nn.Embedding(4, 2, sparse=True)
    assert has_sparse_gradients(nn.Sequential(embedding))
    assert not has_sparse_gradients(nn.Sequential(nn.Embedding(4, 2)))
    adam = optim.build_optimizer("adam", embedding, 0.1, CPU)
    with pytest.raises(Refused, match="sgd and adagrad can"):
        optim.take_sparse_gradients(adam)
    if isinstance(optimizer, str):
        made = optim.build_optimizer(optimizer, embedding, 0.1, CPU)
    else:  # by the user's own code
        made = optimizer(embedding.parameters(), lr=0.1)
    optim.take_sparse_gradients(made)
    before = embedding.weight.detach().clone()
    for _ in range(2):
        made.zero_grad()
        embedding(torch.tensor([1])).sum().backward()
        optim.take_step(made)
    assert (embedding.weight != before).any(dim=1).tolist() == [False, True, False, False]


def test_a_checkpoint_of_a_machine_with_other_gpus_gives_the_state_of_one():
    states = [torch.tensor([0]), torch.tensor([1])]
    assert cuda_state(states, 1) is states[1]
    assert cuda_state(states, 5) is states[0]
    assert cuda_state(states[1], 5) is states[1]
    assert cuda_state([], 0) is None
    assert cuda_state(None, 0) is None
