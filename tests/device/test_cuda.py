"""What can be seen on a GPU alone; elsewhere a run that does not read at once stands in for it."""

import copy
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from tests.conftest import Shell
from tests.contract.test_program import printed_by, recipe_of
from tests.unit.engine.test_nvidia import OWN
from tests.unit.engine.test_steering import trained
from tuitrain.catalog import OPTIMIZERS, TORCHVISION, new_spec
from tuitrain.core.commands import FindRate
from tuitrain.core.events import BatchDone, EpochEnded, Failed, Measured, NotFinite, RateSwept
from tuitrain.engine import streaming
from tuitrain.engine.build import build, build_catalog_model
from tuitrain.engine.data import shuffled
from tuitrain.engine.loop import train
from tuitrain.engine.preflight import preflight
from tuitrain.engine.state import rng
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import check_finite
from tuitrain.engine.step_probe import batch_detail
from tuitrain.engine.streaming import Streamed
from tuitrain.engine.training import Training
from tuitrain.export.program import program
from tuitrain.worker.failure import is_out_of_memory

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

MODELS = pytest.mark.parametrize(
    "model", ["mlp:hidden=32", "mlp:hidden=32,norm=batch,dropout=0.5", "cnn:norm=batch"]
)


OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS)
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # PyTorch looks once in a process

READS = ("adafactor",)
"""It counts its steps on the host, so the flag of each batch is read."""


def digits(**settings) -> Training:
    settings = {"device": "cuda", "seed": 1, "epochs": 2, "on_nonfinite": "skip", **settings}
    return build(new_spec("digits", **settings))


def spoil(run: Training, number: int) -> None:
    """Make one batch of the first epoch bad."""
    order = shuffled(len(run.data.train), seed=1, epoch=0)
    run.data.train.inputs[order[number * run.batch_size]] = math.nan


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let whatever makes the host wait for the device raise a RuntimeError."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@MODELS
def test_no_step_makes_the_host_wait(model):
    run = digits(model=model)
    events = train(run, Steering(run))
    next(events)
    with no_waiting():
        for _ in range(run.steps_per_epoch - 2):
            next(events)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_step_in_16_bits_repeats_exactly_and_makes_the_host_wait_for_nothing(precision):
    digests = set()
    for _ in range(2):
        run = digits(model="cnn:norm=batch", precision=precision)
        events = train(run, Steering(run))
        next(events)
        with no_waiting():
            for _ in range(run.steps_per_epoch - 2):
                next(events)
        for _ in events:
            pass
        digests.add(weights_sha256(run.model))
    assert len(digests) == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_compiled_model_repeats_exactly_and_by_way_of_a_checkpoint(accumulate, precision):
    settings = {"accumulate": accumulate, "precision": precision}
    model = "cnn:norm=batch,dropout=0.5"
    runs = [digits(model=model, compile=True, **settings) for _ in range(3)]
    first, second, resumed = runs
    spoil(second, 1), spoil(resumed, 1), spoil(first, 1)
    assert first.has_graphs
    list(train(first, Steering(first)))
    events = train(second, Steering(second))
    for _ in range(8):
        next(events)
    resumed.restore(copy.deepcopy(second.state()))
    for run, rest in ((second, events), (resumed, train(resumed, Steering(resumed)))):
        for event in rest:
            if isinstance(event, BatchDone | EpochEnded):  # a pause may follow either
                batch_detail(run)
    assert len({weights_sha256(run.model) for run in runs}) == 1
    assert all(value.isfinite().all() for value in first.model.state_dict().values())


def test_a_step_that_graphs_replay_makes_the_host_wait_for_nothing():
    run = digits(model="mlp:hidden=32", compile=True)
    events = train(run, Steering(run))
    while run.epoch < 1:  # until both shapes are captured
        next(events)
    with no_waiting():
        for _ in range(run.steps_per_epoch - 2):
            next(events)


def test_what_repeating_depends_on_is_recorded():
    run = digits(deterministic=True)
    assert {"cuda", "cudnn", "tf32"} <= {*run.environment}
    assert run.environment["deterministic"] == "on"
    assert digits(deterministic=False).environment["deterministic"] == "off"


@OPTIMIZER
def test_no_step_of_an_optimizer_makes_the_host_wait(optimizer):
    run = digits(model="mlp:hidden=32-16", optimizer=optimizer)
    events = train(run, Steering(run))
    next(events)
    if optimizer in READS:
        pytest.skip("it counts its steps on the host")
    with no_waiting():
        for _ in range(run.steps_per_epoch - 2):
            next(events)


@OPTIMIZER
def test_nothing_of_a_bad_batch_stays_in_an_optimizer_and_it_goes_on_from_a_checkpoint(optimizer):
    runs = [digits(model="mlp:hidden=32-16,norm=batch", optimizer=optimizer) for _ in range(2)]
    for run in runs:
        spoil(run, 3)
    whole, first = runs
    events = list(train(whole, Steering(whole)))
    assert any(isinstance(done, BatchDone) and done.nonfinite for done in events)
    assert all(value.isfinite().all() for value in whole.model.state_dict().values())
    started = train(first, Steering(first))
    while first.step < 10:
        next(started)
    second = digits(model="mlp:hidden=32-16,norm=batch", optimizer=optimizer)
    spoil(second, 3)
    second.restore(copy.deepcopy(first.state()))
    list(train(second, Steering(second)))

    assert weights_sha256(second.model) == weights_sha256(whole.model)


@OPTIMIZER
def test_the_program_of_a_run_on_a_gpu_ends_with_its_weights(optimizer):
    spec = new_spec(
        "digits", model="mlp:hidden=32-16", optimizer=optimizer, epochs=1, device="cuda"
    )
    recipe, digest = recipe_of(spec)
    assert printed_by(program(recipe, written_by="this test")) == digest


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_classifier_of_torchvision_trains_a_step(name):
    entry = TORCHVISION[name]
    size, samples = max(entry.least_size, entry.multiple_of), max(2, entry.least_batch)
    with torch.device("cuda"):
        model = build_catalog_model(name, (1, size, size), 3).train()
        output = model(torch.randn(samples, 1, size, size))
        nn.functional.cross_entropy(output, torch.arange(samples)).backward()
    assert output.shape == (samples, 3)
    torch.optim.SGD(model.parameters(), lr=0.01, fused=True).step()
    assert all(weight.grad is not None for weight in model.parameters())
    assert all(weight.isfinite().all() for weight in model.parameters())


@MODELS
def test_a_run_comes_to_the_same_weights_again_and_by_way_of_a_checkpoint(model):
    digests = set()
    for _ in range(2):
        whole = digits(model=model)
        list(train(whole, Steering(whole)))
        digests.add(weights_sha256(whole.model))
    first = digits(model=model)
    events = train(first, Steering(first))
    while first.step < 10:
        next(events)
    state = first.state()
    second = digits(model=model)
    second.restore(state)
    list(train(second, Steering(second)))

    assert digests == {weights_sha256(second.model)}


@MODELS
def test_a_run_goes_on_after_a_sweep_of_the_rate_as_if_nothing_had_been(model):
    undisturbed = digits(model=model)
    trained(undisturbed)
    swept = digits(model=model)
    events = trained(swept, (5, FindRate()))
    assert any(isinstance(event, RateSwept) for event in events)
    assert weights_sha256(swept.model) == weights_sha256(undisturbed.model)


@MODELS
def test_nothing_of_a_bad_batch_stays(model):
    run = digits(model=model)
    spoil(run, 3)
    events = list(train(run, Steering(run)))

    assert next(done.step for done in events if isinstance(done, BatchDone) and done.nonfinite) == 4
    assert all(value.isfinite().all() for value in run.model.state_dict().values())
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert all(math.isfinite(item.train_loss + item.val_loss) for item in ended)


def test_a_bad_last_batch_stops_the_run():
    run = digits(on_nonfinite="stop", epochs=1)
    spoil(run, run.steps_per_epoch - 1)
    events = list(train(run, Steering(run)))

    others = [event for event in events if not isinstance(event, BatchDone | Measured)]
    assert [type(event) for event in others] == [NotFinite, Failed]


@pytest.mark.parametrize("number", [1.0, math.nan, math.inf])
def test_a_bad_number_is_found_in_every_dtype_and_layout_without_waiting(number):
    dtypes = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64)
    embedding = nn.Embedding(4, 2, sparse=True, device="cuda")
    (embedding(torch.tensor([1], device="cuda")).sum() * 2).backward()
    weights = [*embedding.parameters()]
    for dtype in dtypes:
        weights.append(nn.Parameter(torch.ones(3, dtype=dtype, device="cuda")))
        weights[-1].grad = torch.ones_like(weights[-1])
    loss = torch.ones((), device="cuda")
    check_finite(loss, weights)  # which dtypes have a kernel is found out once
    for parameter in weights:
        gradient = parameter.grad
        numbers = gradient._values() if gradient.is_sparse else gradient
        kept = numbers.clone()
        numbers.view(-1)[:1] = number
        with no_waiting():
            nonfinite = check_finite(loss, weights)
        assert bool(nonfinite) == (not math.isfinite(number))
        numbers.copy_(kept)


def test_a_run_makes_its_device_the_current_one_and_keeps_the_state_of_that_alone():
    last = torch.device("cuda", torch.cuda.device_count() - 1)
    run = digits(device=str(last))
    assert torch.cuda.current_device() == last.index

    state = rng.state(last)
    drawn = torch.rand(8, device=last)
    assert isinstance(state["cuda"], torch.Tensor)
    rng.restore(state, last)
    assert torch.equal(torch.rand(8, device=last), drawn)
    older = {**state, "cuda": [state["cuda"]] * 9}
    rng.restore(older, last)
    assert torch.equal(torch.rand(8, device=last), drawn)
    assert run.state()["rng"]["cuda"].device.type == "cpu"


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_come_by_way_of_pinned_memory(monkeypatch, workers):
    pinned: list[bool] = []

    def look(value: Any, device: torch.device) -> Any:
        pinned.append(value.is_pinned())
        return value.to(device, non_blocking=True)

    monkeypatch.setattr(streaming, "moved", look)
    samples = TensorDataset(torch.arange(8.0).unsqueeze(1), torch.arange(8))
    streamed = Streamed(samples, workers).to(torch.device("cuda"))
    assert [len(targets) for _, targets in streamed.batches(3)] == [3, 3, 2]
    streamed.close()
    assert pinned == [True] * 6


@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_the_users_own_code_is_tried_there_and_on_the_cpu(tmp_path: Path, class_weights):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    run = digits(model=f"{file}:Net", class_weights=class_weights)
    assert preflight(run) == []
    if not class_weights:
        assert run.why_not("loss", f"{file}:loss") is None


def test_running_out_of_the_devices_memory_is_recognised():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50, device="cuda")
    assert is_out_of_memory(raised.value)


def test_a_run_is_trained_stopped_resumed_and_replayed_on_it(tuitrain: Shell):
    settings = ("--device", "cuda", "--seed", "1", "--plain")
    tuitrain("run", "digits", "--epochs", "4", "--name", "whole", *settings)
    tuitrain("run", "digits", "--epochs", "2", "--name", "a", *settings)
    tuitrain("resume", "a", "--epochs", "4", "--plain")
    tuitrain("replay", "a", "--plain", "--name", "again")

    digests = {tuitrain.show(name)["weights_sha256"] for name in ("whole", "a", "again")}
    assert len(digests) == 1
    assert tuitrain.show("a")["device"].startswith("cuda")


def test_listing_the_devices_takes_no_memory_on_any():
    code = (
        "from tuitrain.worker.torch_query import devices; import torch; found = devices()\n"
        "assert found[0]['name'] == 'cuda:0' and found[0]['free_bytes'] > 0, found\n"
        "assert not torch.cuda.is_initialized()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
