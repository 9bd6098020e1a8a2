"""A program can be written for whatever the catalogue offers, and trains as the engine does."""

import contextlib
import io
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from tuitrain.core import catalog
from tuitrain.core.catalog import LOSSES, MODELS, OPTIMIZERS, TASKS
from tuitrain.core.spec import RunSpec
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import build
from tuitrain.engine.weights import weights_sha256
from tuitrain.export.program import program
from tuitrain.export.recipe import Recipe

EMBEDDED = [task for task in TASKS.values() if not task.is_downloaded]
FITTING = [(task, loss) for task in EMBEDDED for loss in LOSSES.values() if task.kind in loss.takes]


def recipe_of(spec: RunSpec) -> tuple[Recipe, str]:
    """Train a run in this process; return what a program of it must know, and its digest."""
    torch.set_num_threads(1)
    run = build(spec)
    started = run.started()
    for _ in train(run, Steering(run)):
        pass
    digest = weights_sha256(run.model)
    return Recipe("a", spec, started, (), run.step, digest), digest


def printed_by(text: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(text, "program", "exec"), {"__name__": "__main__"})
    return said.getvalue().splitlines()[-1]


@pytest.mark.parametrize(("task", "loss"), FITTING, ids=lambda each: each.name)
def test_its_program_ends_with_the_engines_weights(task, loss):
    number = FITTING.index((task, loss))
    models = [name for name, each in MODELS.items() if task.has_images or not each.needs_images]
    spec = RunSpec.of(
        task.name, loss=loss.name, epochs=1, seed=number,
        model=models[number % len(models)], optimizer=list(OPTIMIZERS)[number % len(OPTIMIZERS)],
    )  # fmt: skip
    recipe, digest = recipe_of(spec)
    text = program(recipe, written_by="this test")

    assert printed_by(text) == digest
    assert max(len(line) for line in text.splitlines()) <= 88


def test_it_uses_every_option_that_a_loss_a_model_or_an_optimizer_has():
    spec = RunSpec.of("digits", epochs=1)
    recipe, _ = recipe_of(spec)
    for what in ("model", "optimizer", "loss"):
        for entry in catalog.CATALOG[what].values():
            for key, option in entry.options.items():
                value = {"float": "0.5", "widths": "9-7"}.get(option.type) or option.names[-1]
                chosen = replace(spec, **{what: f"{entry.name}:{key}={value}"})
                settings = dict(recipe.started.settings) | {"loss": chosen.loss}
                other = replace(
                    recipe, spec=chosen, started=replace(recipe.started, settings=settings)
                )
                text = program(other, written_by="this test")
                compile(text, "program", "exec")
                assert text != program(recipe, written_by="this test"), f"{entry.name}:{key}"


@pytest.mark.parametrize("model", ["mlp:hidden=128", "mlp:hidden=16,norm=batch"])
def test_it_leaves_out_the_batches_whose_numbers_were_not_finite_as_the_run_did(model):
    spec = RunSpec.of(
        "diabetes", model=model, optimizer="sgd", lr=1e25, epochs=2, on_nonfinite="skip"
    )
    recipe, digest = recipe_of(spec)
    text = program(replace(recipe, skips_bad_batches=True), written_by="this test")
    assert printed_by(text) == digest
    assert printed_by(program(recipe, written_by="this test")) != digest


def test_weights_that_it_begins_with_are_loaded_as_data_only(tmp_path: Path):
    spec = RunSpec.of("digits", init_from=str(tmp_path / "w.pt"), epochs=1)
    recipe, _ = recipe_of(RunSpec.of("digits", epochs=1))
    text = program(replace(recipe, spec=spec), written_by="this test")
    assert "weights_only=True" in text


@pytest.mark.parametrize("task", EMBEDDED, ids=lambda each: each.name)
def test_whatever_fits_a_task_makes_a_program_of_lines_that_fit_a_screen(task):
    usual, _ = recipe_of(RunSpec.of(task.name, epochs=1))
    models = [name for name, each in MODELS.items() if task.has_images or not each.needs_images]
    losses = [each.name for fitting, each in FITTING if fitting is task]
    for loss, model, optimizer in product(losses, models, OPTIMIZERS):
        spec = replace(usual.spec, loss=loss, model=model, optimizer=optimizer)
        started = replace(usual.started, settings={**usual.started.settings, "loss": loss})
        text = program(replace(usual, spec=spec, started=started), written_by="this test")
        compile(text, f"{loss}, {model}, {optimizer}", "exec")
        assert max(map(len, text.splitlines())) <= 88, (loss, model, optimizer)
