"""Forward passes in 16 bits, and compiled ones."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch._inductor.compile_fx

from tests.contract.test_program import printed_by, recipe_of
from tests.property.test_replay import replayed
from tests.property.test_resume import lived
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Request, Rollback
from tuitrain.core.errors import Refused
from tuitrain.core.events import EpochEnded, NotFinite
from tuitrain.core.spec import RunSpec
from tuitrain.engine.build import build
from tuitrain.engine.forward import compile_model
from tuitrain.engine.gradient_scale import GradientScale
from tuitrain.engine.loop import train
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import train_step
from tuitrain.engine.training import Training
from tuitrain.export.program import program
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of


def spec_of(precision: str, **settings) -> RunSpec:
    return new_spec(
        "digits", model="mlp:hidden=32-16,norm=batch", precision=precision, batch_size=128, seed=2,
        **{"epochs": 3, **settings},
    )  # fmt: skip


def trained(run: Training) -> list:
    return list(train(run, Steering(run)))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_numbers_of_16_bits_stay_within_the_forward_pass_and_it_learns_all_the_same(precision):
    run = build(spec_of(precision, epochs=8, lr=0.01))
    ended = [event for event in trained(run) if isinstance(event, EpochEnded)]
    assert ended[-1].metrics["accuracy"] > 0.9
    assert {weight.dtype for weight in run.weights} == {torch.float32}
    data, _ = next(iter(run.batches()))
    inner = []
    handle = run.model[1].register_forward_hook(lambda _module, _inputs, out: inner.append(out))
    assert run.model(data).dtype == torch.float32
    handle.remove()
    assert inner[0].dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(run.model)(data), run.model(data))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_kill_and_a_replay_of_a_steered_run_lead_to_its_weights(precision):
    asked = [(5, Change("clip-norm", 0.5)), (14, Rollback(1)), (20, Change("lr", 0.01))]
    commands = [(at, Request.new(command)) for at, command in asked]
    spec = spec_of(precision)
    weights, life = lived(commands, (), spec=spec)
    resumed, _ = lived(commands, (17, 9), spec=spec)
    run, _ = replayed(plan_of(Lineage().after(life.events)), life.recorded.step, spec)
    assert resumed == weights
    assert weights_sha256(run.model) == weights


def test_an_overflow_of_the_scale_leaves_a_step_out_and_is_no_alarm():
    run = build(spec_of("fp16", epochs=1))
    assert run.gradient_scale is not None
    before = run.gradient_scale.state()["scale"].fill_(2.0**26).item()
    started = weights_sha256(run.model)
    events = train(run, Steering(run))
    next(event for event in events if getattr(event, "step", 0) == 1)
    assert weights_sha256(run.model) == started, "the optimizer took no step"
    rest = list(events)
    assert not [event for event in rest if isinstance(event, NotFinite)]
    assert run.gradient_scale.state()["scale"].item() < before
    assert weights_sha256(run.model) != started


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_numbers_that_no_scale_makes_finite_are_an_alarm(what):
    run = build(spec_of("fp16", epochs=1, on_nonfinite="skip"))
    assert run.gradient_scale is not None
    if what == "loss":
        run.data.train.inputs[:] = math.nan
    else:
        run.gradient_scale.state()["scale"].fill_(1.0)
        run.weights[0].register_hook(lambda gradient: gradient * math.inf)
    first = next(event for event in trained(run) if isinstance(event, NotFinite))
    assert first.step == 1


def test_very_many_bad_batches_do_not_use_up_the_scale():
    """A scale of 0 would make every gradient NaN, and no check sees it: they are finite before."""
    run = build(spec_of("fp16", epochs=1))
    assert run.gradient_scale is not None
    data, target = next(iter(run.batches()))
    for _ in range(200):
        assert train_step(run, data * math.nan, target, began=0).nonfinite
    before = weights_sha256(run.model)
    for _ in range(2):
        assert not train_step(run, data, target, began=0).nonfinite
    assert weights_sha256(run.model) != before
    assert all(weight.isfinite().all() for weight in run.weights)
    run.gradient_scale.state()["scale"].fill_(1.0)
    for handle in [
        weight.register_hook(lambda gradient: gradient * math.inf) for weight in run.weights
    ]:
        assert train_step(run, data, target, began=0).nonfinite
        handle.remove()
    assert run.gradient_scale.state()["scale"].item() == 1.0, "a smaller one would not help"


def test_the_scale_is_that_of_pytorchs_own_scaler():
    ours, theirs = GradientScale(torch.device("cpu")), torch.amp.GradScaler("cpu")
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    for step in range(2100):
        loss = (weight * (math.inf if step in (3, 4, 90) else 1e-3)).sum()
        weight.grad = None
        theirs.scale(loss).backward(retain_graph=True)
        theirs.step(optimizer)
        theirs.update()
        weight.grad = None
        ours.scaled(loss).backward()
        ours.update(ours.unscale([weight]))
        assert ours.state()["scale"].item() == theirs.get_scale()


def test_the_program_of_a_run_in_bf16_leads_to_its_weights_and_one_in_fp16_is_refused():
    recipe, digest = recipe_of(spec_of("bf16", epochs=2, accumulate=2))
    assert printed_by(program(recipe, written_by="this test")) == digest
    with pytest.raises(Refused, match="bf16 needs no scale"):
        program(replace(recipe, spec=spec_of("fp16")), written_by="this test")


def test_a_model_is_compiled_for_each_size_of_a_batch_alone(monkeypatch: pytest.MonkeyPatch):
    """Code for any size adds up in another order: a run that is resumed would have other bits."""
    sizes = []

    def compiled(graph: torch.fx.GraphModule, inputs: list[torch.Tensor], **_: object) -> Callable:
        sizes.extend(len(one) for one in inputs if one.dim() == 2 and not one.requires_grad)
        return graph.forward

    monkeypatch.setattr(torch._inductor.compile_fx, "compile_fx", compiled)
    torch._dynamo.reset()
    model = torch.nn.Linear(4, 2)
    compile_model(model)
    for size in (3, 5, 4, 5, 3):
        model(torch.zeros(size, 4))
    assert sizes == [3, 5, 4]
    assert all(type(size) is int for size in sizes)


@pytest.mark.filterwarnings("ignore:Skipping serialization")  # by PyTorch 2.6, of its own settings
def test_the_program_of_a_compiled_model_leads_to_the_same_weights():
    spec = new_spec("digits", model="mlp:hidden=8", compile=True, epochs=1, batch_size=1500)
    recipe, digest = recipe_of(spec)
    assert not [name for name in build(spec).model.state_dict() if "_orig_mod" in name]
    text = program(recipe, written_by="this test")
    assert "compile_model(model)" in text
    assert printed_by(text) == digest


def test_a_scale_takes_the_sparse_gradients_of_an_embedding():
    scale = GradientScale(torch.device("cpu"))
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    for factor, overflow in ((1.0, 0.0), (math.inf, 1.0)):
        embedding.zero_grad()
        scale.scaled((embedding(torch.tensor([1, 1])) * factor).sum()).backward()
        assert scale.unscale(embedding.parameters()).item() == overflow
        if not overflow:
            assert embedding.weight.grad.to_dense()[1].tolist() == [2, 2]
