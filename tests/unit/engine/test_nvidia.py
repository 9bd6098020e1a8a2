"""Training on CUDA devices that are the CPU: which device is asked, and for what."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tests.contract.test_program import printed_by, recipe_of
from tests.stand_ins import graphs, nvidia
from tests.unit.engine.test_gpus import Nvml
from tuitrain.catalog import new_spec
from tuitrain.core import cublas
from tuitrain.core.events import BatchDone, EpochEnded
from tuitrain.core.spec import Parent
from tuitrain.engine import gpus
from tuitrain.engine.build import build
from tuitrain.engine.data import Samples
from tuitrain.engine.loop import train
from tuitrain.engine.preflight import preflight
from tuitrain.engine.state import rng
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import batch_detail
from tuitrain.engine.streaming import moved
from tuitrain.engine.tasks.normalised import Normalised, spread
from tuitrain.engine.training import Training
from tuitrain.export.program import program

OWN = """\
from torch import nn

class Net(nn.Sequential):
    def __init__(self, shape, outputs):
        super().__init__(nn.Flatten(), nn.Linear(64, outputs))

def loss(output, target):
    return nn.functional.cross_entropy(output, target)

def view(output, target):
    return output[0, 0]
"""


def built(device: str, task: str = "digits", **settings) -> Training:
    settings = {"epochs": 2, "batch_size": 128, "on_nonfinite": "stop", **settings}
    return build(new_spec(task, device=device, **settings))


def as_read_again(value):
    """Return a tensor of a state as a checkpoint has it: on the CPU."""
    return value.cpu() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("task", ["digits", "breast-cancer", "diabetes"])
def test_a_run_trains_and_goes_on_from_its_state_there_as_on_the_cpu(task):
    def trained(device: str) -> EpochEnded:
        run = built(device, task, val_losses=("all",))
        for event in train(run, Steering(run)):
            if run.step == 2:
                run.restore(tree_map(as_read_again, run.state()))
            if isinstance(event, EpochEnded):
                ended = event
        return ended

    with nvidia() as cuda:
        found = trained("cuda:1")
    expected = trained("cpu")
    assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-9)
    assert found.val_losses == pytest.approx(expected.val_losses, rel=1e-9)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-9)
    assert cuda.asked[0] == ("set_device", 1), "before anything lies on a device, or is timed"
    used = {what for what, number in cuda.asked if number == 1}
    assert used == {
        "set_device", "tensor", "event", "get_rng_state", "set_rng_state", "mem_get_info",
    }  # fmt: skip
    assert {number for _, number in cuda.asked} == {1}, "nothing of any other device"


def test_a_state_from_a_machine_with_more_devices_is_restored_on_one_with_fewer():
    with nvidia(count=3) as cuda:
        state = tree_map(as_read_again, built("cuda:2").state())
        assert isinstance(state["rng"]["cuda"], Tensor)
    with nvidia(count=1) as cuda:
        run = built("cuda:0")
        run.restore(state)
        older = {**state["rng"], "cuda": [state["rng"]["cuda"]] * 3}
        rng.restore(older, run.device)
    assert cuda.asked.count(("set_rng_state", 0)) == 2
    with nvidia(count=3) as cuda:
        rng.restore({**older, "cuda": older["cuda"][:1]}, torch.device("cuda:2"))
    assert cuda.asked == [("set_rng_state", 2)]


@pytest.mark.parametrize("model", ["", ":Net"])
@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_the_users_own_code_is_tried_there_and_on_the_cpu(tmp_path: Path, model, class_weights):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    with nvidia():
        run = built(
            "cuda:1", class_weights=class_weights, model=f"{file}{model}" if model else "linear",
            loss="cross-entropy" if class_weights else f"{file}:loss",
        )  # fmt: skip
        assert preflight(run) == []
        if not class_weights:
            assert run.why_not("loss", f"{file}:loss") is None


def test_a_copy_to_the_cpu_is_there_when_it_is_read():
    with nvidia():
        there = torch.arange(3.0, device="cuda:1")
        assert (there + 1).to("cpu", non_blocking=True).isnan().all(), "it would be too early"
        inputs, (targets, name) = (
            moved({"a": there + 1}, torch.device("cpu")),
            moved([there.long(), "b"], torch.device("cpu")),
        )
        assert inputs["a"].tolist() == [1, 2, 3]
        assert (targets.tolist(), name) == ([0, 1, 2], "b")


@pytest.mark.parametrize("deterministic", [None, True, False])
@pytest.mark.parametrize("in_a_trainer", [False, True])
def test_operations_repeat_exactly_from_before_the_first_use_of_a_device(
    monkeypatch: pytest.MonkeyPatch, deterministic, in_a_trainer
):
    monkeypatch.setattr(cublas, "_GIVEN", None)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if in_a_trainer:
        cublas.repeat()  # as it does before it knows its run
    set_for_torch = torch.use_deterministic_algorithms
    seen = []

    def look(mode: bool, *, warn_only: bool) -> None:
        before = [what for what, _ in cuda.asked]
        seen.append((mode, warn_only, os.environ.get("CUBLAS_WORKSPACE_CONFIG"), before))
        set_for_torch(mode, warn_only=warn_only)

    with nvidia() as cuda:
        monkeypatch.setattr(torch, "use_deterministic_algorithms", look)
        environment = built("cuda:1", deterministic=deterministic).environment
        monkeypatch.undo()
    is_exact = deterministic is not False
    workspace = ":4096:8" if is_exact else None
    assert seen == [(is_exact, not deterministic, workspace, ["set_device"])]
    assert environment["deterministic"] == ("on" if is_exact else "off")


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="an older PyTorch")
def test_the_newer_setting_of_tf32_is_recorded_as_the_older_one_is():
    with nvidia():
        run = built("cuda:0")
        assert run.environment["tf32"] == "matmul off, cudnn on"
        matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        before = matmul.fp32_precision, conv.fp32_precision
        matmul.fp32_precision, conv.fp32_precision = "tf32", "ieee"
        try:
            assert run.environment["tf32"] == "matmul on, cudnn off"
        finally:
            matmul.fp32_precision, conv.fp32_precision = before


def test_auto_takes_the_gpu_with_the_most_free_memory_and_says_so(monkeypatch):
    nvml = Nvml("H200", "H200", "H200")
    monkeypatch.setattr(gpus, "pynvml", nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1,0")
    with nvidia(count=3) as cuda:
        run = built("auto")
    assert str(run.device) == "cuda:2"
    assert cuda.asked[0] == ("set_device", 2)
    (why,) = [note for note in run.card.notes if note.startswith("auto")]
    assert why == "auto: cuda:2 has the most free memory of 3 GPUs, 85.9 GB"


def test_the_program_of_a_run_there_ends_with_its_weights_and_repeats_exactly(tmp_path: Path):
    settings = {"model": "cnn:norm=batch,dropout=0.5", "epochs": 1}
    spec = new_spec("digits", device="cuda:1", seed=1, batch_size=256, **settings)
    with nvidia():
        recipe, digest = recipe_of(spec)
        origin = tmp_path / "origin.pt"
        torch.save(tree_map(as_read_again, build(spec).state()), origin)
        parent = Parent("parent")
        fork = replace(recipe, spec=replace(spec, parent=parent), origin=origin)
    for one in (recipe, fork):
        with nvidia() as cuda:
            assert printed_by(program(one, written_by="this test")) == digest
            assert torch.are_deterministic_algorithms_enabled()
        assert {number for _, number in cuda.asked} == {1}
        assert (("set_rng_state", 1) in cuda.asked) == (one is fork)


@pytest.mark.parametrize(
    ("loss", "accumulate"), [("cross-entropy", 1), ("cross-entropy", 2), (":view", 1)]
)
def test_nothing_that_is_kept_of_a_step_is_overwritten_by_the_graphs_of_the_next_one(
    tmp_path: Path, loss, accumulate
):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    chosen = {"loss": f"{file}{loss}" if loss == ":view" else loss, "accumulate": accumulate}

    def lived(**settings) -> tuple[list[float], list[dict]]:
        run = built("cuda:1", model="mlp:hidden=32,norm=batch", **chosen, **settings)
        events, details = [], []
        for event in train(run, Steering(run), clock=lambda: 0.0):
            events.append(event)
            if isinstance(event, BatchDone | EpochEnded):  # a pause may follow either
                details.append(batch_detail(run).body)
        losses = [float(event.loss) for event in events if isinstance(event, BatchDone)]
        return losses, details

    with nvidia(), graphs() as asked:
        found = lived(compile=True)
    with nvidia():
        assert found == lived()
    assert asked.modes == ["reduce-overhead"]
    assert (asked.marks, asked.replays) == (len(found[0]), 24)


@pytest.mark.parametrize("settings", [{"device": "cpu"}, {"device": "cuda", "nproc": 2}])
def test_a_cpu_and_several_ranks_compile_without_graphs(settings):
    with nvidia(), graphs() as asked:
        run = built(compile=True, epochs=1, **settings)
        list(train(run, Steering(run)))
    assert (asked.modes, asked.marks) == ([None], 0)


@pytest.mark.parametrize("task", ["digits", "moons", "diabetes"])
def test_data_without_room_on_the_device_are_copied_batch_by_batch(task):
    def trained(**how) -> tuple[str, list[float], str]:
        with nvidia(**how):
            run = built("cuda:1", task, val_losses=("all",))
            place = {str(one.inputs.device) for one in (run.data.train, run.data.val)}
            is_said = any("no room for the data" in note for note in run.card.notes)
            assert is_said == ("free_bytes" in how)
            events = list(train(run, Steering(run)))
            losses = [event.val_loss for event in events if isinstance(event, EpochEnded)]
            return *place, losses, weights_sha256(run.model)

    there, *found = trained()
    here, *copied = trained(free_bytes=1000)
    assert (there, here) == ("cuda:1", "cpu")
    assert copied == found


def test_images_lie_on_the_device_as_bytes_and_become_numbers_batch_by_batch():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(16, 1, 4, 4)
    images = Normalised(Samples(pixels, torch.arange(16)), *spread(pixels))
    (whole, _), *_ = images.batches(16)
    with nvidia() as cuda:
        there = images.to(torch.device("cuda:1"))
        assert isinstance(there.pixels, Samples)
        assert (there.pixels.inputs.dtype, str(there.pixels.inputs.device)) == (
            torch.uint8,
            "cuda:1",
        )
        batches = [inputs for inputs, _ in there.batches(5)]
        assert {(batch.dtype, str(batch.device)) for batch in batches} == {
            (torch.float32, "cuda:1")
        }
        assert torch.equal(torch.cat(batches).cpu(), whole)
    assert {number for _, number in cuda.asked} == {1}
